"""What a legal command of a coverage window leads to: events out."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator

from engine.kernel.commands import Command, TimerFired
from engine.kernel.events import Event
from engine.kernel.machine import Context
from engine.workflows.coverage import commands as c
from engine.workflows.coverage import events as e
from engine.workflows.coverage.state import CoverageState

LEASED = frozenset({"held", "engaged", "in_reaction"})


def _until(x: Context) -> dt.datetime:
    return x.now + dt.timedelta(seconds=x.objectives.lease_s)


def _offer(s: CoverageState, m: c.OfferCoverage, x: Context) -> Iterator[Event]:
    yield e.CoverageOffered(
        organization_id=m.organization_id,
        physician_id=m.physician_id,
        rooms=m.rooms,
        starts_at=m.starts_at,
        ends_at=m.ends_at,
        cap=m.cap,
    )


def _timer(s: CoverageState, m: TimerFired, x: Context) -> Iterator[Event]:
    """A lease that a heartbeat moved on, or a window that is no longer held, leads to nothing."""
    leased = bool(LEASED & set(s.phases))
    if m.name == "lease" and leased and s.leased_until is not None and s.leased_until <= x.now:
        yield e.CoverageLapsed(physician_id=s.physician_id, sessions=s.sessions, due_at=m.due_at)


def _engage(s: CoverageState, m: c.EngageCoverage, x: Context) -> Iterator[Event]:
    """Take the session, or give it back: a physician whom the session believes in must be held by a lease."""
    if m.session_id in s.sessions:
        return
    if cause := _unavailable(s, m.session_id):
        yield e.CoverageUnavailable(physician_id=s.physician_id, session_id=m.session_id, cause=cause)
    else:
        yield e.CoverageEngaged(session_id=m.session_id)


def _unavailable(s: CoverageState, session_id: str) -> str:
    """Return why the window cannot take a session; empty when it can."""
    if not LEASED & set(s.phases):
        return "lease_lapsed"
    if "in_reaction" in s.phases and session_id != s.reaction_session:
        return "in_reaction_elsewhere"
    return "capacity_reached" if len(s.sessions) >= s.cap else ""


def _disengage(s: CoverageState, m: c.DisengageCoverage, x: Context) -> Iterator[Event]:
    if m.session_id in s.sessions:
        yield e.CoverageDisengaged(session_id=m.session_id)


def _enter(s: CoverageState, m: c.EnterReaction, x: Context) -> Iterator[Event]:
    """A window that is not held has nothing to debit."""
    if LEASED & set(s.phases) and s.reaction_session != m.session_id:
        others = tuple(session for session in s.sessions if session != m.session_id)
        yield e.ReactionEntered(physician_id=s.physician_id, session_id=m.session_id, released=others)


def _leave(s: CoverageState, m: c.LeaveReaction, x: Context) -> Iterator[Event]:
    if s.reaction_session == m.session_id:
        yield e.ReactionLeft(session_id=m.session_id)


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.OfferCoverage: _offer,
    c.HoldCoverage: lambda s, m, x: [e.CoverageHeld(leased_until=_until(x))],
    c.RenewLease: lambda s, m, x: [e.LeaseRenewed(leased_until=_until(x), revived="lapsed" in s.phases)],
    c.EngageCoverage: _engage,
    c.DisengageCoverage: _disengage,
    c.EnterReaction: _enter,
    c.LeaveReaction: _leave,
    c.EndCoverage: lambda s, m, x: [e.CoverageEnded()],
    TimerFired: _timer,
}
