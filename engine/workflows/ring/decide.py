"""What a legal command of a ring leads to: events out."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from engine.kernel.commands import Command, TimerFired
from engine.kernel.events import Event
from engine.kernel.machine import Context
from engine.workflows.ring import commands as c
from engine.workflows.ring import events as e
from engine.workflows.ring.state import RingState

TOP = 3
NAMES = ("primary", "backup", "bench", "escalated")


def _start(s: RingState, m: c.StartRing, x: Context) -> Iterator[Event]:
    first = next((n for n, rung in enumerate(m.ladder) if rung.people), TOP)
    yield e.RingStarted(
        session_id=m.session_id,
        organization_id=m.organization_id,
        site_id=m.site_id,
        room_id=m.room_id,
        cause=m.cause,
        urgent=m.urgent,
        ladder=m.ladder,
        contact=m.contact,
        first_rung=first,
        drill=m.drill,
    )
    if first == TOP:
        yield e.RingEscalated(contact=m.contact, due_at=x.now, cause="nobody_on_the_ladder")


def _climb(s: RingState, due_at: dt.datetime, cause: str) -> Event:
    """Raise to the next rung that has people; above the last one, escalate to the named human."""
    nxt = next((n for n in range(s.rung + 1, TOP) if s.rung_people(n)), TOP)
    if nxt == TOP:
        return e.RingEscalated(contact=s.contact, due_at=due_at, cause=cause)
    return e.RungRaised(rung=nxt, name=NAMES[nxt], due_at=due_at, skipped=nxt - s.rung - 1, cause=cause)


def _timer(s: RingState, m: TimerFired, x: Context) -> Iterator[Event]:
    """A timer that came after the answer leads to nothing."""
    if m.name != "rung" or "answered" in s.phases or "withdrawn" in s.phases:
        return
    if "escalated" in s.phases:
        yield e.RingRepeated(number=s.repeats + 1, due_at=m.due_at)
    else:
        yield _climb(s, m.due_at, "unanswered")


def _decline(s: RingState, m: c.DeclineRing, x: Context) -> Iterator[Event]:
    yield e.RingDeclined(person_id=x.actor.person_id, reason=m.reason)
    others = [person for person in s.ringing() if person.person_id != x.actor.person_id]
    if not others and "escalated" not in s.phases:
        yield _climb(s, x.now, "declined")


def _answer(s: RingState, m: c.AnswerRing, x: Context) -> Iterator[Event]:
    """The one who answered may say so again; nothing follows."""
    if s.answered_by:
        return
    waited = x.now - (s.started_at or x.now)
    yield e.RingAnswered(
        session_id=s.session_id,
        physician_id=x.actor.person_id,
        coverage_id=m.evidence.coverage_id if m.evidence else "",
        rung=NAMES[s.rung],
        answered_after_s=Decimal(waited // dt.timedelta(milliseconds=1)) / 1000,
    )


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.StartRing: _start,
    c.AnswerRing: _answer,
    c.DeclineRing: _decline,
    c.WithdrawRing: lambda s, m, x: [e.RingWithdrawn(reason=m.reason)],
    c.RecordPageSent: lambda s, m, x: [e.PageSent(person_id=m.person_id, channel=m.channel)],
    c.RecordPageFailed: lambda s, m, x: [
        e.PageFailed(person_id=m.person_id, channel=m.channel, cause=m.cause)
    ],
    TimerFired: _timer,
}
