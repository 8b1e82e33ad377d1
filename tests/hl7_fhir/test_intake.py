"""HL7 into sessions: what is stored, what is one message told twice and what is another, what a person must look at."""

from collections.abc import AsyncIterator
from importlib.resources import files

import pytest

from engine.demo.order import order_message
from engine.kernel.clock import ManualClock
from engine.kernel.commands import Request
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.runtime.ids import SeededIds
from engine.runtime.subscriptions import Subscription
from engine.store.memory import MemoryStore
from engine.workflows import message, session
from engine.workflows.message.state import MessageState
from engine.workflows.session.state import SessionState
from integrations.hl7_fhir.ack import ACCEPTED
from integrations.hl7_fhir.intake import Feed, Intake
from integrations.hl7_fhir.listener import Peer
from integrations.hl7_fhir.profile import parse_profile
from tests.hl7_fhir.wire import NOW
from tests.workflows.session import stories as s

PEER = Peer("127.0.0.1", 2575)
ORDER = order_message(NOW, "1")


class Desk:
    """An intake over a real executor: bytes in, sessions and messages out."""

    def __init__(self) -> None:
        machines = [session.machine(), message.machine()]
        ids = SeededIds("desk")
        self.executor = Executor(machines, MemoryStore(), ManualClock(NOW), ids, fingerprint_key=b"k" * 32)
        profile = parse_profile((files("integrations.hl7_fhir") / "profiles" / "demo.toml").read_text())
        self.feed = Feed(feed_id="ris", organization_id="org-demo", profile=profile)
        self.intake = Intake(self.executor, self.feed, b"k" * 32)
        self.reader = Subscription("hl7", self.executor, self.intake.handle, keys=self.intake.keys)

    async def send(self, raw: bytes) -> None:
        """Send one message and let it be worked; it is accepted in any case."""
        assert await self.intake.receive(raw, PEER) is ACCEPTED
        await self.reader.drain()
        assert self.reader.failed == 0

    async def messages(self) -> list[MessageState]:
        """Return every stored message in the order of arrival."""
        found = []
        for stream in await self.executor.store.streams("message", "", 100):
            history = await self.executor.history(stream)
            found.append((history[0].position, await self.executor.state(stream)))
        return [state for _, state in sorted(found, key=lambda one: one[0])]

    async def sessions(self) -> list[SessionState]:
        """Return every session."""
        streams = await self.executor.store.streams("session", "", 100)
        return [await self.executor.state(stream) for stream in streams]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk with nothing on it."""
    made = Desk()
    await made.executor.open()
    yield made


async def test_the_same_bytes_twice_are_one_message(desk: Desk) -> None:
    """A sender that did not hear the answer sends again: stored once, applied once."""
    await desk.send(ORDER)
    head = await desk.executor.store.head()
    await desk.send(ORDER)

    assert len(await desk.messages()) == 1
    assert await desk.executor.store.head() == head


async def test_a_control_id_used_again_with_another_body_is_a_message_of_its_own(desk: Desk) -> None:
    """The later time reaches the session although the number in MSH-10 was seen before; both messages are kept."""
    await desk.send(ORDER)
    later = ORDER.replace(b"ORC|NW", b"ORC|XO").replace(b"20261120151500", b"20261120170000")
    assert later != ORDER
    await desk.send(later)
    first, second = await desk.messages()
    [planned] = await desk.sessions()

    assert first.control_id == second.control_id
    assert (first.phases, second.phases) == (("applied",), ("applied",))
    assert planned.planned_at is not None
    assert planned.planned_at.hour == 17


async def test_the_same_control_id_of_another_sender_is_another_message(desk: Desk) -> None:
    """Control ids are the sender's own."""
    await desk.send(ORDER)
    await desk.send(ORDER.replace(b"DEMORIS|DEMOHOSP|ATTEND", b"OTHERRIS|DEMOHOSP|ATTEND"))

    assert [one.control_id for one in await desk.messages()] == ["O1", "O1"]


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(
    "escaped", [b"DEMO\\X1B\\^PATIENT", b"DEMO^PA\\X00\\TIENT", "DEMO\u202e^PATIENT".encode()]
)
async def test_a_name_with_hidden_marks_is_held_and_not_guessed_at(desk: Desk, escaped: bytes) -> None:
    """Nobody can see what the name is: no session is made, a person is told where to look, never the value."""
    await desk.send(ORDER.replace(b"DEMO^PATIENT", escaped))
    [held] = await desk.messages()

    assert held.phases == ("held",)
    assert (held.reason, held.what) == ("HIDDEN_CHARACTERS", "PID-3 or PID-5")
    assert await desk.sessions() == []


async def test_a_number_with_hidden_marks_is_held(desk: Desk) -> None:
    """An accession number that looks like another one is not followed."""
    await desk.send(ORDER.replace(b"|ACC1|", b"|ACC\\X07\\1|"))
    [held] = await desk.messages()

    assert (held.phases, held.reason) == (("held",), "HIDDEN_CHARACTERS")


async def test_line_ends_in_free_text_become_blanks(desk: Desk) -> None:
    """The words of a procedure or an allergy are kept; marks that no screen shows are not."""
    allergy = b"AL1|1|DA|^Penicillin\\.br\\G|SV|Hives\\X07\\, swelling\r"
    text = ORDER.replace(b"CT abdomen with contrast", b"CT abdomen\\.br\\with contrast")
    await desk.send(text.replace(b"\rORC|", b"\r" + allergy + b"ORC|"))
    [made] = await desk.sessions()

    assert made.order.procedure_text == "CT abdomen with contrast"
    assert made.allergies[0].substance == "Penicillin G"
    assert made.allergies[0].reaction == "Hives , swelling"


def update(family: str = "", allergy: str = "") -> bytes:
    """An ADT^A08 about the order's patient, with another family name or an allergy."""
    lines = ORDER.split(b"\r")
    header = lines[0].replace(b"ORM^O01", b"ADT^A08").split(b"|")
    header[9] = f"UPD{family}{allergy}".encode()[:20]
    pid = next(line for line in lines if line.startswith(b"PID")).split(b"|")
    if family:
        pid[5] = family.encode() + b"^" + pid[5].partition(b"^")[2]
    told = [b"|".join(header), b"|".join(pid)]
    if allergy:
        told.append(f"AL1|1|DA|{allergy}|SV|Anaphylaxis".encode())
    return b"\r".join(told) + b"\r"


@pytest.mark.hazard("H-09")
async def test_an_allergy_told_in_mid_session_reaches_it(desk: Desk) -> None:
    """The order's patient is being injected when the RIS tells of an allergy: it stands in the session, told once."""
    await desk.send(ORDER)
    [before] = await desk.sessions()
    given = Request(
        request_id="given", stream=Stream("session", before.session_id), command=s.dose(), actor=s.TECH
    )
    await desk.executor.execute(given)
    await desk.send(update(allergy="Iohexol"))
    [after] = await desk.sessions()

    assert after.in_phase("injecting")
    assert "Iohexol" in str(after.allergies)
    version = after.version
    await desk.send(update(allergy="Iohexol").replace(b"|UPD", b"|AGAIN"))
    assert (await desk.sessions())[0].version == version


@pytest.mark.hazard("H-07")
async def test_another_name_in_mid_session_is_held_for_a_person(desk: Desk) -> None:
    """Demographics that differ from those of a session under way change nothing and lie on the worklist."""
    await desk.send(ORDER)
    [before] = await desk.sessions()
    given = Request(
        request_id="given", stream=Stream("session", before.session_id), command=s.dose(), actor=s.TECH
    )
    await desk.executor.execute(given)
    await desk.send(update(family="OTHER"))

    assert (await desk.messages())[-1].reason == "PATIENT_CHANGED"
    assert (await desk.sessions())[0].identity == before.identity
