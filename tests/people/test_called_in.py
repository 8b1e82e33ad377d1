"""A physician who was called in without a coverage window is as busy with a reaction as one whose window is debited."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.kernel.commands import Request
from engine.kernel.errors import Rejected
from engine.kernel.ids import Stream
from engine.people.registry import Registry
from engine.reactions.commands import DisposeReaction, GradeReaction, RecordSigns
from engine.reactions.state import Disposition, Severity
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session import commands as c
from engine.workflows.session.state import Screening
from tests.people.town import DOC, TECH, Town, town
from tests.workflows.session import stories as s


@pytest.fixture
async def called() -> AsyncIterator[Town]:
    """Two sessions on the line with the same physician, who holds no window."""
    async with town() as made:
        for name in ("ses-1", "ses-2"):
            await supervised(made, name)
        yield made


async def state(room: Town, machine: str, identifier: str) -> Any:
    return await room.executor.state(Stream(machine, identifier))


async def requested(room: Town, name: str) -> None:
    """The technologist asks for a physician."""
    for command in (
        s.schedule(),
        c.StartPreparation(),
        c.RecordScreening(screening=Screening(asthma="no")),
    ):
        await room.do("session", name, command)
    await room.do("session", name, c.RequestSupervision())


async def supervised(room: Town, name: str) -> None:
    """The physician answers and the line is proven."""
    await requested(room, name)
    await room.do("ring", f"{name}-1", AnswerRing(), DOC)
    await room.do("session", name, c.ReportLineConnecting(), s.MEDIA)
    await room.do("session", name, c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA)


@pytest.mark.hazard("H-03")
async def test_a_reaction_takes_a_physician_without_a_window_from_every_other_session(called: Town) -> None:
    """No window to debit: the other session is told all the same, its gap opens and somebody else is rung."""
    await called.do("session", "ses-1", c.ReportReaction())
    here, other = await state(called, "session", "ses-1"), await state(called, "session", "ses-2")

    assert here.physician_present
    assert not other.physician_present
    assert other.open_gap.cause == "physician_away:in_reaction_elsewhere"
    assert (await state(called, "ring", "ses-2-2")).cause == "physician_away"


@pytest.mark.hazard("H-03")
async def test_two_alarms_at_once_do_not_take_a_physician_from_both(called: Town) -> None:
    """Both are in the log before anybody has followed either: one room keeps the physician, the other is rung for."""
    for name in ("ses-1", "ses-2"):
        alarm = Request(
            request_id=name, stream=Stream("session", name), command=c.ReportReaction(), actor=TECH
        )
        await called.executor.execute(alarm)
    await called.policies.subscription.drain()
    first, second = await state(called, "session", "ses-1"), await state(called, "session", "ses-2")

    assert (first.physician_present, second.physician_present) == (True, False)
    assert (await state(called, "ring", "ses-2-2")).cause == "physician_away"


@pytest.mark.hazard("H-12")
async def test_a_physician_who_directs_unheard_is_there(called: Town) -> None:
    """Before the grade nobody can be asked, and the standing order holds; after it the physician can be."""
    await react_unheard(called)
    assert not await called.registry.physician_connected("ses-1")
    grade = GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis")
    await called.do("reaction", "ses-1-r1", grade, DOC)

    assert await called.registry.physician_connected("ses-1")
    await called.do("session", "ses-1", c.ReportPhysicianAway(physician_id=DOC.person_id, cause="lease"))
    assert not await called.registry.physician_connected("ses-1")


async def react_unheard(room: Town) -> None:
    """Both lines are lost, and both rooms report a reaction: nobody is alerted, both are rung for."""
    for name in ("ses-1", "ses-2"):
        await room.do("session", name, c.ReportLineLost(cause="network"), s.MEDIA)
    for name in ("ses-1", "ses-2"):
        await room.do("session", name, c.ReportReaction())


@pytest.mark.hazard("H-01")
async def test_a_physician_who_is_only_on_the_way_treats_nobody(called: Town) -> None:
    """Two reactions, heard in neither: each room excluded them because of the other. They answer one, and leave the
    other room."""
    await react_unheard(called)
    await called.do("ring", "ses-1-2", AnswerRing(), DOC)
    first, second = await state(called, "session", "ses-1"), await state(called, "session", "ses-2")

    assert (first.physician_present, second.physician_present) == (True, False)


@pytest.mark.hazard("H-03")
async def test_two_grades_at_once_do_not_take_a_physician_from_both_rooms(called: Town) -> None:
    """They directed in both: they stay where the first one keeps them, and the other room is rung for."""
    await react_unheard(called)
    for name in ("ses-1-r1", "ses-2-r1"):
        request = Request(
            request_id=name,
            stream=Stream("reaction", name),
            command=GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis"),
            actor=DOC,
            correlation=name.removesuffix("-r1"),
        )
        await called.executor.execute(request)
    await called.policies.subscription.drain()
    first, second = await state(called, "session", "ses-1"), await state(called, "session", "ses-2")

    assert [first.physician_present, second.physician_present].count(True) == 1


@pytest.mark.hazard("H-03")
async def test_a_line_that_comes_up_during_a_reaction_takes_the_physician_from_elsewhere(
    called: Town,
) -> None:
    """Out of reach at the alarm, so others are rung; from the moment they are heard they treat, and nothing else."""
    await called.do("session", "ses-1", c.ReportLineLost(cause="network"), s.MEDIA)
    await called.do("session", "ses-1", c.ReportReaction())
    assert (await state(called, "session", "ses-2")).physician_present
    await called.do("session", "ses-1", c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA)
    assert not (await state(called, "session", "ses-2")).physician_present
    assert (await state(called, "session", "ses-1")).physician_present


@pytest.mark.hazard("H-03")
async def test_a_physician_without_a_window_answers_nothing_else_during_a_reaction(called: Town) -> None:
    """Neither a ring nor a hand-off, nor is one rung for another session; after the reaction all of it."""
    await called.do("session", "ses-1", c.ReportReaction())
    with pytest.raises(Rejected, match="PHYSICIAN_IN_REACTION"):
        await called.do("ring", "ses-2-2", AnswerRing(), DOC)
    await requested(called, "ses-3")
    with pytest.raises(Rejected, match="PHYSICIAN_IN_REACTION"):
        await called.do("ring", "ses-3-1", AnswerRing(), DOC)

    sent = DisposeReaction(disposition=Disposition.EMERGENCY_DEPARTMENT)
    await called.do("reaction", "ses-1-r1", sent, DOC)
    await called.do("ring", "ses-2-2", AnswerRing(), DOC)
    assert (await state(called, "session", "ses-2")).physician_present


SEVERE = GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis", reason="as told on the phone")


async def alarm_unheard(room: Town) -> None:
    """The room of ses-1 is on the telephone with its physician when REACTION is pressed."""
    await room.do("session", "ses-1", c.ReportOnPhone(cause="network"))
    await room.do("session", "ses-1", c.ReportReaction())
    await room.do("reaction", "ses-1-r1", RecordSigns(signs=("hypotension",)))


@pytest.mark.hazard("H-03")
async def test_a_physician_who_directs_treatment_by_phone_leaves_every_other_session(called: Town) -> None:
    """No line proves it, but whoever grades and orders treats: presence elsewhere ends and somebody else is rung."""
    await alarm_unheard(called)
    assert (await state(called, "session", "ses-2")).physician_present
    await called.do("reaction", "ses-1-r1", SEVERE, DOC)

    assert (await state(called, "session", "ses-1")).physician_present
    other = await state(called, "session", "ses-2")
    assert not other.physician_present
    assert other.open_gap.cause == "physician_away:in_reaction_elsewhere"
    assert (await state(called, "ring", "ses-2-2")).cause == "physician_away"


@pytest.mark.hazard("H-03")
async def test_who_directs_a_reaction_of_another_room_is_treating_there_too(called: Town) -> None:
    """Nobody's physician in ses-1 by now, yet the grade is theirs: they are not there for ses-2 meanwhile."""
    await alarm_unheard(called)
    await called.do("session", "ses-1", c.ReportPhysicianAway(physician_id="md-1", cause="called_away"))
    await called.do("reaction", "ses-1-r1", SEVERE, DOC)
    assert not (await state(called, "session", "ses-2")).physician_present


@pytest.mark.hazard("H-03")
async def test_a_grade_handled_again_later_takes_nobody_from_where_they_came_since(called: Town) -> None:
    """The physician left the reaction to another and took a new session; after a crash the old grade comes again."""
    await alarm_unheard(called)
    await called.do("reaction", "ses-1-r1", SEVERE, DOC)
    await called.do("session", "ses-1", c.ReportPhysicianAway(physician_id="md-1", cause="relieved"))
    called.wait(1)
    await supervised(called, "ses-3")
    await called.crash()
    assert (await state(called, "session", "ses-3")).physician_present


async def test_an_alarm_handled_again_later_takes_nobody_away() -> None:
    """After a crash every event may come again: the reaction is over, and its physician is somewhere else by now."""
    async with town() as room:
        await supervised(room, "ses-1")
        await room.do("session", "ses-1", c.ReportReaction())
        sent = DisposeReaction(disposition=Disposition.EMERGENCY_DEPARTMENT)
        await room.do("reaction", "ses-1-r1", sent, DOC)
        await supervised(room, "ses-2")
        await room.crash()

        assert (await state(room, "session", "ses-2")).physician_present
        assert (await state(room, "session", "ses-1")).physician_present


async def test_who_is_where_is_learned_again_after_a_restart(called: Town) -> None:
    """A registry that saw nothing of it knows from the log who is there and who treats."""
    await called.do("session", "ses-1", c.ReportReaction())
    fresh = Registry(called.executor)
    await fresh.open()
    assert [one.session_id for one in await fresh.sessions_of(DOC.person_id)] == ["ses-1"]
    assert await fresh.treats_elsewhere(DOC.person_id, "ses-2")
    assert not await fresh.treats_elsewhere(DOC.person_id, "ses-1")
    assert not await fresh.treats_elsewhere(TECH.person_id, "ses-2")


@pytest.mark.hazard("H-03")
async def test_who_directs_without_having_answered_takes_no_other_room() -> None:
    """Graded from afar with the ring still ringing: a plain request elsewhere needs somebody else till it is over."""
    async with town() as room:
        for name in ("ses-1", "ses-2"):
            await requested(room, name)
        await room.do("session", "ses-1", c.ReportReaction())
        grade = GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis")
        await room.do("reaction", "ses-1-r1", grade, DOC)
        with pytest.raises(Rejected, match="PHYSICIAN_IN_REACTION"):
            await room.do("ring", "ses-2-1", AnswerRing(), DOC)
        assert not await room.registry.treats_elsewhere("md-9", "ses-2")
        assert not await room.registry.treats_elsewhere(DOC.person_id, "ses-1")
        await room.do("session", "ses-1", c.ReportReactionClosed(reaction_id="ses-1-r1"))
        await room.do("ring", "ses-2-1", AnswerRing(), DOC)

        assert (await state(room, "session", "ses-2")).physician_present
