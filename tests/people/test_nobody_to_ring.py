"""Who is rung, and who may answer: nobody at all, said at once; and somebody who was away when it began."""

import datetime as dt

import pytest

from engine.kernel.errors import Rejected
from engine.kernel.ids import Stream
from engine.records.timeline import timeline
from engine.workflows.coverage.commands import HoldCoverage, OfferCoverage, RenewLease
from engine.workflows.coverage.state import RoomRef
from engine.workflows.directory import commands as d
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session.state import Screening
from tests.people.town import DOC, FAR, Town, town
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


@pytest.mark.hazard("H-01")
async def test_a_physician_whose_lease_lapsed_while_it_began_to_ring_may_answer_once_they_are_back() -> None:
    """They cover the room and are here: it is not only other physicians' turn. Without a window it is."""
    async with town() as room:
        for command in (
            d.RegisterPerson(person_id="md-2", name="Doc", role="physician", sites=("site-1",)),
            d.RecordCredential(
                person_id="md-2",
                kind="licence",
                licence_type="MD",
                state="TX",
                number="2",
                expires_on=FAR,
                source="board",
                verified_by="o-1",
            ),
            d.SetRoster(site_id="site-1", rung="primary", people=("md-2",)),
        ):
            await room.do("directory", "org-1", command)
        window = OfferCoverage(
            organization_id="org-1",
            physician_id="md-1",
            rooms=(RoomRef(site_id="site-1", room_id="ct-1"),),
            starts_at=START,
            ends_at=START + dt.timedelta(hours=8),
            cap=4,
        )
        for command in (window, HoldCoverage()):
            await room.do("coverage", "cov-1", command, DOC)
        room.wait(60)
        assert not await asked(room)
        ring = await room.executor.state(Stream("ring", "ses-1-1"))
        assert [one.person_id for one in ring.ringing()] == ["md-2"]
        with pytest.raises(Rejected, match="NOT_ON_THIS_RING"):
            await room.do("ring", "ses-1-1", AnswerRing(), DOC)

        await room.do("coverage", "cov-1", RenewLease(), DOC)
        await room.do("ring", "ses-1-1", AnswerRing(), DOC)
        state = await room.executor.state(Stream("session", "ses-1"))
        assert state.physician.person_id == "md-1"
        assert (await room.executor.state(Stream("coverage", "cov-1"))).sessions == ("ses-1",)
