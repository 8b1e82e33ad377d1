"""What each event changes in what the engine believes of a ring."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.workflows.ring import events as e
from engine.workflows.ring.decide import TOP
from engine.workflows.ring.state import RingState


def _started(s: RingState, v: e.RingStarted, recorded: Recorded) -> RingState:
    return replace(
        s,
        session_id=v.session_id,
        organization_id=v.organization_id,
        site_id=v.site_id,
        room_id=v.room_id,
        cause=v.cause,
        urgent=v.urgent,
        drill=v.drill,
        ladder=v.ladder,
        contact=v.contact,
        rung=v.first_rung,
        started_at=recorded.at,
    )


_CHANGES: dict[type[Event], Callable[[RingState, Any, Recorded], RingState]] = {
    e.RingStarted: _started,
    e.RungRaised: lambda s, v, r: replace(s, rung=v.rung),
    e.RingEscalated: lambda s, v, r: replace(s, rung=TOP),
    e.RingRepeated: lambda s, v, r: replace(s, repeats=v.number),
    e.RingDeclined: lambda s, v, r: replace(s, declined=(*s.declined, v.person_id)),
    e.RingAnswered: lambda s, v, r: replace(
        s, answered_by=v.physician_id, answered_after_s=v.answered_after_s
    ),
    e.PageFailed: lambda s, v, r: replace(s, pages_failed=s.pages_failed + 1),
}


def fold_one(state: RingState, recorded: Recorded) -> RingState:
    """Fold one recorded event."""
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded.event, recorded) if change else state
