"""The emergency pack over the wire: there in every phase, sealed, on the disclosure log, naming nobody."""

import json
from decimal import Decimal
from typing import Any

import grpc
import pytest

from attend.v1 import sessions_pb2
from engine.kernel.canonical import digest
from engine.kernel.ids import Stream
from engine.reactions.commands import RecordMedicationGiven, RecordPatientWeight
from engine.records.emergency import intact
from engine.workflows.session.commands import RecordWeight
from tests.reactions.console import Console
from tests.services.house import NOW, PACK, SEAL, SECRET, House, fields_of, schedule
from tests.services.test_reaction_documents import REACTION, does, reacting

CODE = grpc.StatusCode


async def asked(home: House, role: str = "technologist", **change: Any) -> Any:
    """Ask for the pack."""
    fields = {"session_id": "ses-1", "purpose": "kept for an outage", **change}
    return await home.sessions.GetEmergencyPack(
        sessions_pb2.GetEmergencyPackRequest(**fields), metadata=home.as_(role)
    )


@pytest.mark.hazard("H-27", "H-28")
async def test_it_is_there_before_any_reaction(home: House) -> None:
    """As soon as the session is scheduled: under 64 KiB, with hash, key, version, and a day to serve."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    answer = await asked(home)
    shown = Console(answer.document).pack
    [read] = await home.executor.history(Stream("disclosure", "ses-1"))

    assert len(answer.document) < 64 * 1024
    assert answer.content_hash == digest(answer.document)
    assert (answer.session_version, shown["session_version"], shown["session_id"]) == (1, 1, "ses-1")
    assert answer.expires_at.seconds - answer.made_at.seconds == 24 * 3600
    assert (shown["pack"]["hash"], shown["site"]["emergency_phone"]) == (PACK.hash, "9-911")
    assert (read.event.what, read.event.purpose) == ("emergency_pack", "kept for an outage")


async def test_nobody_is_named(home: House) -> None:
    """Neither name nor number nor birth date; age and weight are all there is of the patient."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    answer = await asked(home)

    assert SECRET.encode() not in answer.document
    assert b"1970" not in answer.document
    assert set(json.loads(answer.document)["patient"]) == {
        "age_years",
        "weight_kg",
        "setting",
        "modality",
        "agent",
    }


@pytest.mark.hazard("H-18")
async def test_any_changed_byte_is_found(home: House) -> None:
    """The seal holds over the exact bytes and over nothing else."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    answer = await asked(home)
    kept = (answer.key_id, answer.public_key, answer.signature)

    assert answer.key_id == SEAL.key_id
    assert intact(answer.document, *kept)
    for place in range(0, len(answer.document), 997):
        changed = bytearray(answer.document)
        changed[place] ^= 1
        assert not intact(bytes(changed), *kept)


async def test_during_a_reaction_it_knows_what_the_reaction_knows(home: House) -> None:
    """Weight and doses reported since are in the doses; the reaction stands with its version."""
    await reacting(home)
    stream = Stream("reaction", REACTION)
    await does(home, stream, RecordPatientWeight(weight_kg=Decimal(70), method="stated"), "weigh")
    await does(
        home, stream, RecordMedicationGiven(drug="epinephrine", route="IM", dose_mg=Decimal("0.3")), "give"
    )
    shown = Console((await asked(home, "physician")).document).pack

    assert shown["patient"]["weight_kg"] == "70"
    assert [dose["drug"] for dose in shown["given"]] == ["epinephrine"]
    assert shown["reactions"][0]["reaction_id"] == REACTION
    assert shown["made_at"].startswith(NOW.date().isoformat())


@pytest.mark.hazard("H-13")
async def test_what_speaks_against_the_weight_is_said_beside_the_doses(home: House) -> None:
    """Twice the known weight read in pounds: the sentence is in the pack, before a reaction and in one."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    session = Stream("session", "ses-1")
    await does(home, session, RecordWeight(weight_kg=Decimal(44), method="stated", doubt="44 lb?"), "slip")
    before = json.loads((await asked(home)).document)["patient"]
    await does(home, session, RecordWeight(weight_kg=Decimal(20), method="scale"), "weighed")

    assert (before["weight_kg"], before["weight_doubt"]) == ("44", "44 lb?")
    assert "weight_doubt" not in json.loads((await asked(home)).document)["patient"]


async def test_who_may_not_read_a_patient_gets_none(home: House) -> None:
    """Another role, another organization, another site, no purpose: refused, and nothing is on the log as read."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    refusals = []
    request = sessions_pb2.GetEmergencyPackRequest(session_id="ses-1", purpose="outage")
    for who in (
        home.as_("auditor"),
        home.as_("technologist", organization="org-2"),
        home.as_("technologist", sites=("site-2",)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await home.sessions.GetEmergencyPack(request, metadata=who)
        refusals.append(refused.value.code())
    with pytest.raises(grpc.aio.AioRpcError) as unexplained:
        await asked(home, purpose="")

    assert refusals == [CODE.PERMISSION_DENIED, CODE.NOT_FOUND, CODE.PERMISSION_DENIED]
    assert fields_of(unexplained.value) == ["purpose"]
    assert await home.executor.history(Stream("disclosure", "ses-1")) == []
