"""MLLP with programs that nobody here wrote: python-hl7 sends to us, hl7v2-fhir-bridge receives from us."""

import asyncio
import datetime as dt
import json
import uuid
from pathlib import Path

from engine.demo import peers
from integrations.hl7_fhir import codes
from integrations.hl7_fhir.outbound import Destination, oru_r01
from integrations.hl7_fhir.sender import MllpSender, SendOutcome
from tests.hl7_fhir.results import SEVERE
from tests.hl7_fhir.wire import Seen, listening, sample

NOW = dt.datetime(2026, 11, 20, 16, 20, tzinfo=dt.UTC)


async def test_mllp_send_sends_three_messages_on_one_connection(tmp_path: Path) -> None:
    """python-hl7's mllp_send gets three right answers on one kept-open connection."""
    names = ("adt_a04.hl7", "orm_o01_zds.hl7", "omi_o23_ipc.hl7")
    messages = [sample(name) for name in names]
    seen = Seen()
    async with listening(seen) as (listener, port):
        printed = await asyncio.to_thread(peers.mllp_send, messages, port, tmp_path)

        assert [printed.count(f"MSA|AA|{number}") for number in ("ADT0004", "ORM0001", "OMI0001")] == [
            1,
            1,
            1,
        ]
        assert [raw.rstrip(b"\r") for raw in seen.raws] == [raw.rstrip(b"\r") for raw in messages]
        assert listener.counts.connections == 1


async def test_a_foreign_receiver_takes_our_result(mllp_receiver: peers.MllpPeer) -> None:
    """hl7v2-fhir-bridge accepts three ORUs on one connection and reads patient, order and agent in them."""
    sender = MllpSender(mllp_receiver.host, mllp_receiver.port)
    to = Destination("DEMORIS", "DEMOHOSP", our_facility="DEMOHOSP")
    before = set(mllp_receiver.taken.iterdir())
    outcomes = [
        await sender.send(
            oru_r01(SEVERE, to, now=NOW, control_id=f"{n}{uuid.uuid5(uuid.NAMESPACE_OID, 'x').hex[:8]}")
        )
        for n in range(3)
    ]
    await sender.close()
    bundles = [json.loads(path.read_text()) for path in set(mllp_receiver.taken.iterdir()) - before]
    text = json.dumps(bundles)

    assert [outcome.kind for outcome in outcomes] == ["accepted"] * 3, outcomes
    assert sender.connects == 1
    assert bundles
    assert "DEMO1001" in text
    assert "PL1001" in text
    assert codes.AGENTS["iohexol"].code in text


async def test_a_foreign_receiver_refuses_what_it_cannot_identify(mllp_receiver: peers.MllpPeer) -> None:
    """A refusal of the receiver is a rejected delivery with its code."""
    sender = MllpSender(mllp_receiver.host, mllp_receiver.port)
    outcome = await sender.send(b"MSH|^~\\&|A|B|C|D|20261120||ORU^R01^ORU_R01|N1|P|2.5.1\rOBR|1\r")
    await sender.close()

    assert outcome.kind == "rejected"
    assert outcome.code in ("AE", "AR")


async def test_a_receiver_that_is_not_there() -> None:
    """Nothing listening is worth another try."""
    sender = MllpSender(peers.HOST, peers.free_port())

    assert await sender.send(sample("adt_a04.hl7")) == SendOutcome("retry", "UNREACHABLE")
