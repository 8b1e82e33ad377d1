"""Whose number is whose: nothing is lost to a restart or a burst, no number that went out of use opens a session."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from engine.demo.order import MRN
from engine.kernel.commands import Request
from engine.kernel.ids import Stream
from engine.runtime.subscriptions import Subscription
from integrations.hl7_fhir.identity_changes import CHANGES
from integrations.hl7_fhir.intake import Intake
from tests.hl7_fhir.test_intake import ORDER, PEER, Desk, update
from tests.hl7_fhir.test_limits import merge
from tests.workflows.session import stories as s


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk with nothing on it."""
    made = Desk()
    await made.executor.open()
    yield made


async def restart(desk: Desk) -> None:
    """Stop reading, and go on as a process does that knows nothing but the log."""
    await desk.reader.save()
    desk.intake = Intake(desk.executor, desk.feed, b"k" * 32)
    desk.reader = Subscription("hl7", desk.executor, desk.intake.handle, keys=desk.intake.keys)
    await desk.intake.open()


def event(trigger: str, lines: bytes = b"") -> bytes:
    """An ADT about the order's patient, with more segments."""
    return update().replace(b"ADT^A08", b"ADT^" + trigger.encode()).replace(b"|UPD|", b"|EV|") + lines


@pytest.mark.hazard("H-09")
async def test_an_allergy_after_a_restart_reaches_the_session(desk: Desk) -> None:
    """The session was made before the engine started: it is found all the same."""
    await desk.send(ORDER)
    await restart(desk)
    await desk.send(update(allergy="Iohexol"))
    [told] = await desk.sessions()

    assert [one.substance for one in told.allergies] == ["Iohexol"]
    assert (await desk.messages())[-1].sessions == (told.session_id,)


@pytest.mark.hazard("H-09")
async def test_an_allergy_that_comes_with_its_order_reaches_the_session(desk: Desk) -> None:
    """Both were received before either was worked: the second is in the log before what the first leads to."""
    for raw in (ORDER, update(allergy="Iohexol")):
        await desk.intake.receive(raw, PEER)
    await desk.reader.drain()
    [told] = await desk.sessions()

    assert [one.substance for one in told.allergies] == ["Iohexol"]


@pytest.mark.hazard("H-07")
async def test_a_merge_after_a_restart_is_held(desk: Desk) -> None:
    """It names the session it concerns."""
    await desk.send(ORDER)
    await restart(desk)
    await desk.send(merge("NEW1", MRN))
    [planned] = await desk.sessions()
    held = (await desk.messages())[-1]

    assert (held.reason, held.sessions) == ("PATIENT_IDENTITY_CHANGED", (planned.session_id,))


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("started_again", [False, True])
@pytest.mark.parametrize("trigger", ["A40", "A47"])
async def test_a_number_that_was_merged_away_opens_no_session(
    desk: Desk, trigger: str, started_again: bool
) -> None:
    """The merge came before any order: an order under the old number is held, under the new one it is followed."""
    await desk.send(merge("NEW1", MRN, trigger))
    if started_again:
        await restart(desk)
    await desk.send(ORDER)
    held = (await desk.messages())[-1]

    assert (held.phases, held.reason) == (("held",), "PATIENT_MERGED")
    assert MRN not in held.what
    assert await desk.sessions() == []
    await desk.send(ORDER.replace(MRN.encode(), b"NEW1").replace(b"|O1|", b"|O2|"))
    assert len(await desk.sessions()) == 1


async def test_a_merge_that_is_turned_round_brings_a_number_back(desk: Desk) -> None:
    """The last message says which number stays."""
    await desk.send(merge("NEW1", MRN))
    await desk.send(merge(MRN, "NEW1"))
    await desk.send(ORDER)

    assert len(await desk.sessions()) == 1


async def test_a_moved_account_takes_no_number_out_of_use(desk: Desk) -> None:
    """Only a merge or a renumbering does."""
    await desk.send(merge("NEW1", MRN, "A43"))
    await desk.send(ORDER)

    assert len(await desk.sessions()) == 1


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("authority", [b"", b"^^^", b"^^^^MR"])
async def test_a_number_without_its_authority_may_be_ours(desk: Desk, authority: bytes) -> None:
    """MRG-1 often holds nothing but the number: it is enough to ask a person."""
    await desk.send(ORDER)
    raw = merge("NEW1", MRN).replace(MRN.encode() + b"^^^DEMO^MR", MRN.encode() + authority)
    assert raw != merge("NEW1", MRN)
    await desk.send(raw)

    assert (await desk.messages())[-1].reason == "PATIENT_IDENTITY_CHANGED"


async def test_the_same_number_of_another_authority_is_not_ours(desk: Desk) -> None:
    """A number means nothing without who assigned it."""
    await desk.send(ORDER)
    await desk.send(merge("NEW1", MRN).replace(b"^^^DEMO^MR", b"^^^ELSEWHERE^MR"))

    assert (await desk.messages())[-1].phases == ("applied",)


@pytest.mark.hazard("H-07", "H-09")
@pytest.mark.parametrize("trigger", sorted(CHANGES))
async def test_no_change_of_a_patient_with_a_session_passes_unseen(desk: Desk, trigger: str) -> None:
    """Every event that changes a number, withdraws a patient or a visit, or brings allergies in IAM is held."""
    await desk.send(ORDER)
    [planned] = await desk.sessions()
    await desk.send(event(trigger, b"MRG|OLD1^^^DEMO^MR\rIAM|1|DA|^Iohexol|SV\r"))
    held = (await desk.messages())[-1]

    assert held.phases == ("held",)
    assert held.reason in ("PATIENT_IDENTITY_CHANGED", "PATIENT_WITHDRAWN", "ALLERGIES_NOT_READ")
    assert held.what.startswith(f"{trigger}: ")
    assert held.sessions == (planned.session_id,)
    assert await desk.sessions() == [planned]


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("trigger", ["A18", "A30", "A34", "A36", "A39", "A40", "A46", "A47"])
async def test_a_merge_without_the_other_number_is_refused(desk: Desk, trigger: str) -> None:
    """Whoever was merged may be ours: only the sender can say, and a person sees it."""
    raw = event(trigger, b"MRG|\r")
    answer = await desk.intake.receive(raw, PEER)
    await desk.reader.drain()
    [held] = await desk.messages()

    assert (answer.code, answer.faults[0].segment, answer.faults[0].position) == ("AE", "MRG", 1)
    assert (held.reason, held.what.split(":")[0]) == ("REFUSED", "MRG-1")


@pytest.mark.hazard("H-07")
async def test_a_number_that_was_corrected_in_the_room_is_not_turned_back(desk: Desk) -> None:
    """After the patient of a session was amended, a message about the number it bore concerns somebody else."""
    await desk.send(ORDER)
    [planned] = await desk.sessions()
    assert planned.identity is not None
    amended = replace(planned.identity, mrn="DEMO2002", family="OTHER")
    stream = Stream("session", planned.session_id)
    command = s.c.AmendPatient(identity=amended)
    await desk.executor.execute(Request(request_id="amend", stream=stream, command=command, actor=s.TECH))
    await desk.send(update(family="RENAMED"))
    [after] = await desk.sessions()

    assert after.identity == amended
    assert (await desk.messages())[-1].sessions == ()


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize("first_with_accession", [True, False])
@pytest.mark.parametrize("started_again", [True, False])
async def test_one_order_told_with_and_without_its_accession_number_is_not_two_sessions(
    desk: Desk, first_with_accession: bool, started_again: bool
) -> None:
    """Its placer and filler numbers are those of a session we have: a person says whether they are one."""
    without = ORDER.replace(b"|ACC1|", b"||").replace(b"|O1|", b"|O2|")
    first, second = (ORDER, without) if first_with_accession else (without, ORDER)
    await desk.send(first)
    if started_again:
        await restart(desk)
    await desk.send(second)

    assert (await desk.messages())[-1].reason == "ORDER_MISMATCH"
    assert len(await desk.sessions()) == 1


async def test_two_examinations_of_one_placer_number_are_two_sessions(desk: Desk) -> None:
    """Each has an accession number of its own."""
    await desk.send(ORDER)
    await desk.send(ORDER.replace(b"|ACC1|", b"|ACC2|").replace(b"|O1|", b"|O2|").replace(b"FL1^", b"FL2^"))

    assert len(await desk.sessions()) == 2
