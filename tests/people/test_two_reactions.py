"""Two reactions of one session: what went in during the first counts in the second, however late it is told."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from engine.kernel.errors import Rejected
from engine.kernel.ids import Stream
from engine.reactions import commands as c
from engine.reactions.state import Disposition, Medication, Severity
from engine.workflows.session.commands import ReportReaction
from tests.people.town import DOC, NURSE, Town, town
from tests.workflows.play import START

FIRST, SECOND = "ses-1-r1", "ses-1-r2"
IM: dict[str, Any] = {"drug": "epinephrine", "route": "IM", "concentration_mg_per_ml": Decimal(1)}


@pytest.fixture
async def room() -> AsyncIterator[Town]:
    """A session with one reaction, graded severe anaphylaxis."""
    async with town() as made:
        await made.schedule()
        await reacts(made, FIRST)
        yield made


def stream(reaction_id: str) -> Stream:
    return Stream("reaction", reaction_id)


async def reacts(room: Town, reaction_id: str) -> None:
    """REACTION, and a physician grades it severe anaphylaxis."""
    await room.do("session", "ses-1", ReportReaction())
    severe = c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis")
    await room.do("reaction", reaction_id, severe, DOC)


async def gives(room: Town, reaction_id: str, dose_mg: str, at: dt.datetime | None = None) -> Any:
    """The nurse reports an intramuscular dose."""
    given = c.RecordMedicationGiven(
        **IM, dose_mg=Decimal(dose_mg), volume_ml=Decimal(dose_mg), given_at=at or room.clock.now()
    )
    return await room.do("reaction", reaction_id, given, NURSE)


async def ends(room: Town, reaction_id: str) -> None:
    """The physician sends the patient to an emergency department; the reaction is over."""
    await room.do(
        "reaction", reaction_id, c.DisposeReaction(disposition=Disposition.EMERGENCY_DEPARTMENT), DOC
    )
    assert not (await room.executor.state(Stream("session", "ses-1"))).open_reactions


async def orders(room: Town, reaction_id: str, dose_mg: str, reason: str = "") -> Any:
    """The physician orders intramuscular epinephrine."""
    state = await room.executor.state(stream(reaction_id))
    step_id, row_id = next(
        (step_id, dose.row_id)
        for step_id, step in state.steps.items()
        for dose in step.offer.doses
        if (dose.drug, dose.route) == ("epinephrine", "IM")
    )
    order = c.OrderStep(step_id=step_id, row_id=row_id, dose_mg=Decimal(dose_mg), override_reason=reason)
    return await room.do("reaction", reaction_id, order, DOC)


async def refusal(room: Town, reaction_id: str, dose_mg: str) -> str:
    """Return why an order is refused."""
    with pytest.raises(Rejected) as refused:
        await orders(room, reaction_id, dose_mg)
    return refused.value.reason


@pytest.mark.hazard("H-12")
async def test_the_total_counts_over_both_reactions(room: Town) -> None:
    """1 mg of epinephrine in all, not in each: after 0.8 mg the second reaction has 0.2 mg left without a reason."""
    await gives(room, FIRST, "0.5")
    room.wait(600)
    await gives(room, FIRST, "0.3")
    room.wait(600)
    await ends(room, FIRST)
    await reacts(room, SECOND)

    assert await refusal(room, SECOND, "0.3") == "CUMULATIVE_EXCEEDED"
    overridden = await orders(room, SECOND, "0.3", reason="biphasic; benefit outweighs")
    assert [dose.dose_mg for dose in overridden.given_elsewhere] == [Decimal("0.5"), Decimal("0.3")]
    assert overridden.given == ()


@pytest.mark.hazard("H-12")
async def test_the_repeat_interval_runs_over_both_reactions(room: Town) -> None:
    """A dose just before the first reaction ended keeps the next one waiting in the second."""
    await gives(room, FIRST, "0.3")
    await ends(room, FIRST)
    await reacts(room, SECOND)
    room.wait(60)

    assert await refusal(room, SECOND, "0.3") == "REPEAT_TOO_SOON"
    room.wait(600)
    assert (await orders(room, SECOND, "0.3")).version


@pytest.mark.hazard("H-12")
async def test_a_dose_told_late_in_the_first_reaction_reaches_the_second(room: Town) -> None:
    """What the room writes down afterwards counts from then on; told twice, it is known once."""
    await ends(room, FIRST)
    await reacts(room, SECOND)
    await gives(room, FIRST, "0.5", START)
    room.wait(600)
    await gives(room, FIRST, "0.5", START + dt.timedelta(seconds=400))
    room.wait(600)

    assert await refusal(room, SECOND, "0.3") == "CUMULATIVE_EXCEEDED"
    assert room.policies.refused == []
    before = (await room.executor.state(stream(SECOND))).version
    after = await room.do("reaction", SECOND, c.ReportDosesElsewhere())
    assert after.version == before


async def test_a_dose_beyond_the_total_of_both_is_kept_and_marked(room: Town) -> None:
    """A fact is never refused: the dose in the second reaction stands with the cap it went past."""
    await gives(room, FIRST, "0.5")
    room.wait(600)
    await gives(room, FIRST, "0.5")
    room.wait(600)
    await ends(room, FIRST)
    await reacts(room, SECOND)
    await gives(room, SECOND, "0.3")
    last = (await room.executor.history(stream(SECOND)))[-1].event

    assert isinstance(getattr(last, "medication", None), Medication)
    assert last.beyond == ("CUMULATIVE_EXCEEDED",)  # type: ignore[attr-defined]  # it is a MedicationGiven, see above


async def test_epinephrine_of_the_first_reaction_speaks_against_going_home(room: Town) -> None:
    """After any epinephrine the patient goes to an emergency department, also when the second reaction is mild."""
    await gives(room, FIRST, "0.3")
    await ends(room, FIRST)
    await room.do("session", "ses-1", ReportReaction())
    await room.do("reaction", SECOND, c.GradeReaction(severity=Severity.MILD, presentation="hives"), DOC)
    home = c.DisposeReaction(disposition=Disposition.DISCHARGED_HOME)
    with pytest.raises(Rejected) as refused:
        await room.do("reaction", SECOND, home, DOC)

    assert refused.value.reason == "DISPOSITION_TOO_LIGHT"
