"""A window is held by a lease of seconds, debited by a reaction, and never committed twice."""

import datetime as dt
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.commands import Actor, Command, TimerFired
from engine.kernel.errors import Rejected
from engine.workflows import coverage
from engine.workflows.coverage import commands as c
from engine.workflows.coverage import events as e
from engine.workflows.coverage.state import RoomRef
from tests.workflows.machines import facts
from tests.workflows.play import START, Play, names

MACHINE = coverage.machine()
DOC = Actor(person_id="md-1", role="physician")
OTHER = Actor(person_id="md-2", role="physician")


def offer(**change: Any) -> c.OfferCoverage:
    given_: dict[str, Any] = {
        "organization_id": "org-1",
        "physician_id": "md-1",
        "rooms": (RoomRef(site_id="site-1", room_id="ct-1"), RoomRef(site_id="site-2", room_id="mr-1")),
        "starts_at": START,
        "ends_at": START + dt.timedelta(hours=8),
        "cap": 2,
    }
    return c.OfferCoverage(**(given_ | change))


def held(*sessions: str, **change: Any) -> Play:
    play = Play(MACHINE, "cov-1")
    play.do(offer(**change))
    play.do(c.HoldCoverage(), DOC)
    for session in sessions:
        play.do(c.EngageCoverage(session_id=session))
    return play


def at(phase: str) -> Play:
    if phase == "offered":
        play = Play(MACHINE, "cov-1")
        play.do(offer())
        return play
    play = held() if phase in {"held", "ended"} else held("a", "b")
    if phase == "in_reaction":
        play.do(c.EnterReaction(session_id="a"))
    elif phase == "lapsed":
        play.wait(15)
    elif phase == "ended":
        play.do(c.EndCoverage(), DOC)
    assert play.state.phases == (phase,)
    return play


PHASES = ("offered", "held", "engaged", "in_reaction", "lapsed", "ended")


@pytest.mark.hazard("H-02")
def test_a_lease_lapses_to_the_second_and_says_whom_it_leaves() -> None:
    """Fifteen seconds without a heartbeat: the window is lapsed, its sessions are named, nothing is live."""
    play = held("a", "b")
    assert play.wait(14.999) == []
    assert play.state.live(play.now)
    (lapsed,) = play.wait(0.001)

    assert isinstance(lapsed, e.CoverageLapsed)
    assert (lapsed.physician_id, lapsed.sessions) == ("md-1", ("a", "b"))
    assert lapsed.due_at == play.now
    assert not play.state.live(play.now)
    assert play.state.sessions == ()


@pytest.mark.hazard("H-02")
def test_the_lease_is_over_even_before_its_timer_says_so() -> None:
    """A timer that is late hides nothing: live is a question of the clock."""
    play = held()
    play.now += dt.timedelta(seconds=15)

    assert not play.state.live(play.now)


def test_heartbeats_keep_it_and_only_the_timer_takes_it() -> None:
    """An hour of heartbeats every five seconds; an early or stray timer takes nothing."""
    play = held("a")
    for _ in range(720):
        assert play.wait(5) == []
        play.do(c.RenewLease(), DOC)
        assert play.do(TimerFired(name="lease", due_at=play.now)) == []
    assert play.state.phases == ("engaged",)


def test_a_heartbeat_revives_a_lapsed_window_without_its_sessions() -> None:
    """Who comes back is available again; sessions that lost them were rung for and are not taken back silently."""
    play = at("lapsed")
    (renewed,) = play.do(c.RenewLease(), DOC)

    assert isinstance(renewed, e.LeaseRenewed) and renewed.revived
    assert play.state.phases == ("held",)
    assert play.state.sessions == ()
    assert play.timers["lease"] == play.now + dt.timedelta(seconds=15)


REFUSALS: tuple[tuple[str, str, Command, Actor], ...] = (
    ("WINDOW_IS_EMPTY", "", offer(rooms=()), DOC),
    ("WINDOW_IS_EMPTY", "", offer(cap=0), DOC),
    ("WINDOW_IS_EMPTY", "", offer(ends_at=START), DOC),
    ("NOT_YOUR_WINDOW", "offered", c.HoldCoverage(), OTHER),
    ("PHYSICIAN_UNLICENSED", "offered", c.HoldCoverage(problems=("LICENCE_EXPIRED",)), DOC),
    ("NOT_YOUR_WINDOW", "held", c.RenewLease(), OTHER),
    ("NOT_YOUR_WINDOW", "engaged", c.RenewLease(), OTHER),
    ("NOT_YOUR_WINDOW", "in_reaction", c.RenewLease(), OTHER),
    ("NOT_YOUR_WINDOW", "lapsed", c.RenewLease(), OTHER),
    ("WRONG_PHASE", "engaged", c.EndCoverage(), DOC),
    ("WRONG_PHASE", "in_reaction", c.EndCoverage(), DOC),
    ("WRONG_PHASE", "ended", c.RenewLease(), DOC),
    ("WRONG_PHASE", "offered", c.RenewLease(), DOC),
    ("WRONG_PHASE", "held", c.HoldCoverage(), DOC),
)


@pytest.mark.parametrize(("reason", "phase", "command", "who"), REFUSALS)
def test_a_wish_is_refused_with_its_reason(reason: str, phase: str, command: Command, who: Actor) -> None:
    """The reason stands, a sentence comes with it, nothing has changed."""
    play = at(phase) if phase else Play(MACHINE, "cov-1")

    assert play.refused(command, who) == reason


def test_a_window_that_is_over_is_not_held_or_kept_idle() -> None:
    """After its end it cannot be taken, revived or kept idle; one with a session goes on until that ends."""
    for phase in ("offered", "lapsed", "held"):
        play = at(phase)
        play.now = START + dt.timedelta(hours=8)
        wish = c.HoldCoverage() if phase == "offered" else c.RenewLease()
        assert play.refused(wish, DOC) == "WINDOW_IS_OVER"
    play = at("engaged")
    play.now = START + dt.timedelta(hours=8)
    play.do(c.RenewLease(), DOC)
    assert play.state.live(play.now)


@pytest.mark.hazard("H-03")
def test_a_reaction_releases_every_other_session() -> None:
    """The event names who lost their physician; the window is committed to that one session alone."""
    play = held("a", "b")
    (entered,) = play.do(c.EnterReaction(session_id="b"))

    assert isinstance(entered, e.ReactionEntered)
    assert (entered.session_id, entered.released) == ("b", ("a",))
    assert play.state.sessions == ("b",)
    assert play.state.phases == ("in_reaction",)
    assert play.do(c.EnterReaction(session_id="b")) == []


@pytest.mark.hazard("H-03", "H-26")
@pytest.mark.parametrize(
    ("phase", "cause"),
    [
        ("engaged", "capacity_reached"),
        ("in_reaction", "in_reaction_elsewhere"),
        ("lapsed", "lease_lapsed"),
        ("ended", "lease_lapsed"),
        ("offered", "lease_lapsed"),
    ],
)
def test_a_session_that_cannot_be_taken_is_given_back_aloud(phase: str, cause: str) -> None:
    """Never silently: the event says which session has nobody, and the window stays as it was."""
    play = at(phase)
    before = play.state.sessions
    (given_back,) = play.do(c.EngageCoverage(session_id="c"))

    assert isinstance(given_back, e.CoverageUnavailable)
    assert (given_back.physician_id, given_back.session_id, given_back.cause) == ("md-1", "c", cause)
    assert play.state.sessions == before
    assert play.state.phases == (phase,)


def test_the_last_session_gives_the_window_back() -> None:
    """Held again when the last one ends, available again when the reaction does."""
    play = held("a", "b")
    play.do(c.DisengageCoverage(session_id="a"))
    assert play.state.phases == ("engaged",)
    play.do(c.DisengageCoverage(session_id="b"))
    assert play.state.phases == ("held",)
    play = at("in_reaction")
    play.do(c.LeaveReaction(session_id="other"))
    assert play.state.phases == ("in_reaction",)
    play.do(c.LeaveReaction(session_id="a"))
    assert play.state.phases == ("engaged",)
    play = at("in_reaction")
    play.do(c.DisengageCoverage(session_id="a"))
    assert (play.state.phases, play.state.reaction_session) == (("held",), "")


@pytest.mark.parametrize("phase", PHASES)
def test_facts_are_taken_in_every_phase(phase: str) -> None:
    """Whatever the window's phase, what happened is accepted, and repeating it changes nothing more."""
    given_: tuple[Command, ...] = (
        c.EngageCoverage(session_id="a"),
        c.DisengageCoverage(session_id="a"),
        c.EnterReaction(session_id="a"),
        c.LeaveReaction(session_id="a"),
        TimerFired(name="lease", due_at=START),
    )
    assert {type(fact) for fact in given_} == set(facts("coverage"))
    for fact in given_:
        play = at(phase)
        play.do(fact)
        again = play.do(fact)
        assert set(names(again)) <= {"CoverageUnavailable"}


STEPS = st.sampled_from(
    [
        (c.RenewLease(), DOC),
        *((kind(session_id=s), DOC) for s in "abc" for kind in (c.EngageCoverage, c.DisengageCoverage)),
        *((kind(session_id=s), DOC) for s in "abc" for kind in (c.EnterReaction, c.LeaveReaction)),
        (c.EndCoverage(), DOC),
        (c.HoldCoverage(), DOC),
    ]
)


@pytest.mark.hazard("H-03", "H-26")
@given(st.lists(st.tuples(STEPS, st.sampled_from([0, 1, 7, 16])), max_size=40))
def test_no_sequence_commits_a_physician_twice(steps: list[tuple[tuple[Command, Actor], int]]) -> None:
    """In any order: never above the cap, one session in a reaction, none without a lease, state and phase agree."""
    play = held()
    for (command, who), seconds in steps:
        with suppress(Rejected):
            play.do(command, who)
        play.wait(seconds)
        state = play.state
        (phase,) = state.phases
        assert len(state.sessions) <= state.cap
        assert len(set(state.sessions)) == len(state.sessions)
        assert (phase == "in_reaction") == bool(state.reaction_session)
        assert phase != "in_reaction" or state.sessions == (state.reaction_session,)
        assert (phase == "engaged") <= bool(state.sessions)
        assert phase in {"engaged", "in_reaction"} or state.sessions == ()
        assert ("lease" in play.timers) == (phase in {"held", "engaged", "in_reaction"})
