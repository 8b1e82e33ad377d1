"""A reaction's documents over the wire: who may, for what purpose, logged first, made from a known position."""

import json
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from attend.v1 import reactions_pb2
from engine.kernel.canonical import digest
from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import Missing
from engine.kernel.ids import Stream
from engine.reactions.commands import OpenReaction, RecordMedicationGiven
from engine.records.reader import RecordReader
from engine.services.copies import RecordCopies
from engine.workflows.directory import commands as d
from engine.workflows.session.commands import ReportReaction
from tests.services.house import NOW, ORG, PACK, SECRET, SITE, House, fields_of, schedule

CODE = grpc.StatusCode
REACTION = "ses-1-r1"
KINDS = {
    reactions_pb2.REACTION_DOCUMENT_KIND_INCIDENT_REPORT: "incident_report",
    reactions_pb2.REACTION_DOCUMENT_KIND_DISCHARGE_SUMMARY: "discharge_summary",
    reactions_pb2.REACTION_DOCUMENT_KIND_ALLERGY_UPDATE: "allergy_update",
    reactions_pb2.REACTION_DOCUMENT_KIND_EMS_HANDOVER: "ems_handover",
}
HANDOVER = reactions_pb2.REACTION_DOCUMENT_KIND_EMS_HANDOVER


async def does(home: House, stream: Stream, command: Command, name: str) -> None:
    """Let an actor of this organization do something."""
    actor = Actor(person_id="technologist-1", role="technologist", organization_id=ORG)
    await home.executor.execute(
        Request(request_id=name, stream=stream, command=command, actor=actor, correlation="ses-1")
    )


async def reacting(home: House) -> None:
    """A session of a registered site, REACTION pressed, the reaction open."""
    directory = Stream("directory", ORG)
    await does(home, directory, d.RegisterOrganization(name="Example Imaging"), "org")
    site = d.RegisterSite(
        site_id=SITE,
        name="Example Site",
        state="OH",
        setting="idtf",
        address="1 Example Road",
        ems_address="door C",
        ems_phone="911",
        time_zone="America/New_York",
    )
    await does(home, directory, site, "site")
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    await does(home, Stream("session", "ses-1"), ReportReaction(), "press")
    opened = OpenReaction(
        session_id="ses-1",
        organization_id=ORG,
        site_id=SITE,
        onset_at=NOW,
        age_years=56,
        weight_kg=None,
        setting="idtf",
        modality="CT",
        agent="",
        demo=False,
        alerted="",
    )
    await does(home, Stream("reaction", REACTION), opened, "open")


async def asked(home: House, role: str = "responder", **change: Any) -> Any:
    """Ask for a document."""
    fields = {"reaction_id": REACTION, "kind": HANDOVER, "purpose": "handing over to EMS", **change}
    return await home.reactions.GetReactionDocument(
        reactions_pb2.GetReactionDocumentRequest(**fields), metadata=home.as_(role)
    )


@pytest.mark.parametrize("kind", KINDS)
async def test_a_document_while_the_reaction_is_open(home: House, kind: int) -> None:
    """Each kind comes as JSON and PDF with its hash and position, and the read stands in the log by its name."""
    await reacting(home)
    answer = await asked(home, kind=kind)
    content = json.loads(answer.document)
    [read] = await home.executor.history(Stream("disclosure", "ses-1"))

    assert content["head"]["kind"] == read.event.what == KINDS[kind]
    assert (content["head"]["open"], content["patient"]["weight_kg"]) == (True, "unknown")
    assert content["patient"]["name"] == f"{SECRET}, DEMO"
    assert answer.pdf.startswith(b"%PDF")
    assert answer.content_hash == digest(answer.document)
    assert answer.position == content["head"]["position"] == await home.executor.store.head() - 1
    assert answer.reaction_version == 1


async def test_the_directory_is_on_the_page(home: House) -> None:
    """Site, address and EMS entrance are the directory's."""
    await reacting(home)
    page = json.loads((await asked(home)).document)

    assert (page["site"], page["site_address"], page["ems_entrance"]) == (
        "Example Site",
        "1 Example Road",
        "door C",
    )
    assert page["head"]["time_zone"] == "America/New_York"


async def test_a_later_dose_makes_another_document(home: House) -> None:
    """Nothing new gives the same bytes; a dose gives another version with the dose in it."""
    await reacting(home)
    one, same = await asked(home), await asked(home)
    given = RecordMedicationGiven(drug="epinephrine", route="IM", given_at=NOW, given_by="responder-1")
    await does(home, Stream("reaction", REACTION), given, "dose")
    later = await asked(home)

    assert one.document == same.document
    assert later.content_hash != one.content_hash
    assert later.reaction_version > one.reaction_version
    assert "epinephrine" in json.loads(later.document)["last_dose"]


@pytest.mark.parametrize("role", ["coverage_manager", "integrator", "operator"])
async def test_who_may_not_see_the_patient_gets_no_document(home: House, role: str) -> None:
    """It is refused, and nothing is written down as read."""
    await reacting(home)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(home, role)

    assert caught.value.code() is CODE.PERMISSION_DENIED
    assert await home.executor.history(Stream("disclosure", "ses-1")) == []


@pytest.mark.parametrize(
    ("change", "field"), [({"purpose": ""}, "purpose"), ({"kind": 0}, "kind"), ({"kind": 9}, "kind")]
)
async def test_a_question_of_the_wrong_form(home: House, change: dict[str, Any], field: str) -> None:
    """Without purpose or kind nothing is made and nothing is logged."""
    await reacting(home)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(home, **change)

    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert fields_of(caught.value) == [field]
    assert await home.executor.history(Stream("disclosure", "ses-1")) == []


async def test_another_organization_and_an_unknown_reaction(home: House) -> None:
    """Neither tells anything."""
    await reacting(home)
    request: Message = reactions_pb2.GetReactionDocumentRequest(
        reaction_id=REACTION, kind=HANDOVER, purpose="looking around"
    )
    with pytest.raises(grpc.aio.AioRpcError) as foreign:
        await home.reactions.GetReactionDocument(
            request, metadata=home.as_("physician", organization="org-2", sites=("site-9",))
        )
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await asked(home, reaction_id="rea-9")

    assert foreign.value.code() in (CODE.PERMISSION_DENIED, CODE.NOT_FOUND)
    assert unknown.value.code() is CODE.NOT_FOUND
    assert await home.executor.history(Stream("disclosure", "ses-1")) == []


async def test_a_pack_that_is_not_at_hand(home: House) -> None:
    """A reaction of another version of the pack still has its documents; its kind is unsure."""
    await reacting(home)
    other = replace(PACK, hash="ef" * 32)
    copies = RecordCopies(RecordReader(home.executor.store), home.executor, {other.hash: other})
    made = await copies.reaction_document(REACTION, "allergy_update")
    with pytest.raises(Missing):
        await copies.reaction_document("rea-9", "allergy_update")

    assert json.loads(made.json)["action"] == "ask_physician"
    assert "pack" in json.loads(made.json)["why"]
