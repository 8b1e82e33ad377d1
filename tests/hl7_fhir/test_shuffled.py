"""Messages with segments lost, doubled and moved: each is kept, answered once, and followed or held with a reason."""

import asyncio
import base64
import hashlib
import io
import logging

from hypothesis import example, given, settings
from hypothesis import strategies as st

from integrations.hl7_fhir import ack, er7
from tests.hl7_fhir.test_intake import PEER, Desk
from tests.hl7_fhir.test_public_samples import files
from tests.hl7_fhir.wire import NOW, sample

SECRETS = (b"ZEBRAQ", b"QUAGGA", b"MRN77431", b"19610417")
OURS = (
    "orm_o01_zds.hl7",
    "omi_o23_ipc.hl7",
    "adt_a04.hl7",
    "adt_a08.hl7",
    "adt_a28_five_encoding_characters.hl7",
)
CHANGE = st.tuples(st.sampled_from(["delete", "double", "move"]), st.integers(0, 15), st.integers(0, 15))


def marked(name: str) -> bytes:
    """One of our samples, about a patient whose values are found nowhere else."""
    lines = sample(name).split(b"\r")
    [at] = [number for number, line in enumerate(lines) if line.startswith(b"PID")]
    lines[at] = b"PID|1||MRN77431^^^DEMO^MR||ZEBRAQ^QUAGGA||19610417|F"
    return b"\r".join(lines)


POOL = [marked(name) for name in OURS]
PUBLIC = [raw for path in files() for raw in er7.split_batch(path.read_bytes()) if len(raw) < 50_000]


def shuffled(raw: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    """Lose, double and move segments."""
    lines = [line for line in raw.replace(b"\n", b"\r").split(b"\r") if line]
    for change, here, there in changes:
        if not lines:
            break
        line = lines[here % len(lines)] if change == "double" else lines.pop(here % len(lines))
        if change != "delete":
            lines.insert(there % (len(lines) + 1), line)
    return b"".join(line + b"\r" for line in lines)


async def told(raw: bytes) -> str:
    """Send one message to an empty desk, hold it to what is true of every message; return what was logged."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        desk = Desk()
        await desk.executor.open()
        answer = await desk.intake.receive(raw, PEER)
        await desk.reader.drain()
        assert await desk.intake.receive(raw, PEER) == answer
        await desk.reader.drain()
    finally:
        logging.getLogger().removeHandler(handler)
    reply = ack.build(raw, answer, now=NOW, control_id="A1")
    [kept] = await desk.messages()
    sessions = await desk.sessions()

    assert desk.reader.failed == 0
    assert (kept.content_hash, base64.b64decode(kept.raw or "")) == (hashlib.sha256(raw).hexdigest(), raw)
    assert (reply is None) == ack.is_response(raw)
    assert {one.session_id for one in sessions} == set(kept.sessions)
    assert (answer.code == "AA") == (kept.reason != "REFUSED")
    [phase] = kept.phases
    assert phase in ("applied", "unused") or (phase == "held" and kept.reason and kept.what)
    if answer.code == "AA" and phase == "applied" and "ADT" not in kept.message_type:
        assert sessions
    if answer.code == "AA" and phase != "unused":
        assert len(er7.read(raw).all("PID")) == 1
    orders = [line for line in raw.split(b"\r") if line.startswith((b"ORC", b"OBR"))]
    assert len(sessions) <= len(orders)
    for one in sessions:
        units = [line.split(b"|")[6:7] for line in raw.split(b"\r") if line.startswith(b"OBX")]
        assert one.weight_kg is None or any(unit and unit[0] for unit in units)
    spoken = "".join((kept.reason, kept.what, *kept.notices)).encode() + (reply or b"")
    assert not [secret for secret in SECRETS if secret in spoken]
    return log.getvalue()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(POOL), st.lists(CHANGE, max_size=5))
@example(POOL[0], [("double", 1, 2)])
@example(POOL[0], [("double", 4, 7), ("double", 5, 8)])
@example(POOL[0], [("delete", 0, 0)])
@example(b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3\r".decode().encode("utf-16"), [])
def test_a_shuffled_message(raw: bytes, changes: list[tuple[str, int, int]]) -> None:
    """Our samples in any disorder: nothing is lost, guessed or logged."""
    log = asyncio.run(told(shuffled(raw, changes) if changes else raw))

    assert not [secret for secret in SECRETS if secret.decode() in log]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PUBLIC), st.lists(CHANGE, max_size=3))
def test_a_shuffled_public_sample(raw: bytes, changes: list[tuple[str, int, int]]) -> None:
    """The same of messages that others wrote; none of their values is logged."""
    disordered = shuffled(raw, changes)
    log = asyncio.run(told(disordered))

    for line in disordered.split(b"\r"):
        if line.startswith(b"PID|"):
            values = [part for part in line.decode("iso8859-1").split("|")[3:9] if len(part) > 4]
            assert not [value for value in values if value in log]
