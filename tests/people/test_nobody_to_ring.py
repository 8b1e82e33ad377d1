"""A site where nobody can be rung: the ring goes on all the same, and the technologist is told what to do."""

import pytest

from engine.kernel.ids import Stream
from engine.records.timeline import timeline
from engine.workflows.directory import commands as d
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session.state import Screening
from tests.people.town import DOC, Town, town
from tests.workflows.play import START


async def asked(room: Town) -> bool:
    """Ask for a physician for ses-1; return whether the answer says that nobody can be rung."""
    await room.schedule()
    await room.do("session", "ses-1", c.StartPreparation())
    await room.do("session", "ses-1", c.RecordScreening(screening=Screening(asthma="no")))
    state = await room.do("session", "ses-1", c.RequestSupervision())
    assert "requested" in state.phases
    return bool(state.nobody_to_ring)


@pytest.mark.hazard("H-01")
async def test_a_site_that_names_nobody_says_so_in_the_answer_and_in_the_record() -> None:
    """No roster, no window, no manager: accepted, escalated, flagged as an exception; gone when somebody comes."""
    async with town() as room:
        assert await asked(room)
        ring = await room.executor.state(Stream("ring", "ses-1-1"))
        assert "escalated" in ring.phases
        history = await room.executor.history(Stream("session", "ses-1"))
        (request,) = [r for r in history if isinstance(r.event, e.SupervisionRequested)]
        assert request.flags == ("nobody_to_ring",)
        await room.do("ring", "ses-1-1", AnswerRing(), DOC)
        state = await room.executor.state(Stream("session", "ses-1"))
        assert state.physician_present and not state.nobody_to_ring


def test_the_timeline_says_what_to_do_when_nobody_can_be_rung() -> None:
    """Nobody at all, a ladder without a manager above it, and a manager, in words."""
    said = [
        timeline(
            [
                {
                    "type": "RingEscalated",
                    "stream": "ring/ses-1-1",
                    "version": 2,
                    "at": START.isoformat(),
                    "actor": {"person_id": "system:timers", "role": "system"},
                    "flags": [],
                    "payload": {"contact": contact, "due_at": START.isoformat(), "cause": cause},
                }
            ]
        )[0].text
        for contact, cause in (("", "nobody_on_the_ladder"), ("", "unanswered"), ("cm-1", "unanswered"))
    ]
    assert said == [
        "Ring escalated; nobody can be rung: call your own physician, do not inject",
        "Ring escalated; no coverage manager is named",
        "Ring escalated; cm-1 named",
    ]


@pytest.mark.hazard("H-01")
@pytest.mark.parametrize(
    "named",
    [
        d.SetRoster(site_id="site-1", rung="bench", people=("md-1",)),
        d.AppointCoverageManager(site_id="site-1", person_id="md-1"),
    ],
)
async def test_one_person_to_ring_is_enough(named: d.SetRoster | d.AppointCoverageManager) -> None:
    """Somebody on the last rung, or the manager alone: there is a human to ring."""
    async with town() as room:
        await room.do("directory", "org-1", named)
        assert not await asked(room)
