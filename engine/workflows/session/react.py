"""What follows from a session's events: timers and look-ups. What touches another machine is a policy."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.effects import CancelTimer, Effect, Send, SetTimer
from engine.kernel.events import Recorded
from engine.workflows.session import events as e
from engine.workflows.session.state import Objectives, SessionState


class Reactor:
    """Lists the effects of one event, given the state after it."""

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives

    def __call__(self, state: SessionState, recorded: Recorded) -> Iterator[Effect]:
        """Yield the timers to set or cancel, and what to look up."""
        event = recorded.event
        if isinstance(event, e.SessionScheduled):
            if event.drill:
                return  # the script's patient is in no hospital system
            body = {"session_id": state.session_id, "site_id": state.site_id}
            yield Send(kind="lookup.allergies", key=f"{state.session_id}:allergies", body=body)
        elif isinstance(event, e.ReadyGranted):
            yield SetTimer("ready_expiry", event.ready.expires_at)
        elif isinstance(event, e.ReadyRevoked | e.InjectionStarted | e.SessionCancelled | e.ContrastDeferred):
            yield CancelTimer("ready_expiry")
        elif isinstance(event, e.InjectionCompleted):
            yield SetTimer("observation", event.observe_until)
        elif isinstance(event, e.LineLost | e.LineOnPhone | e.LineClosed):
            yield from self._ring_when_down(state, recorded.at)
        elif isinstance(event, e.LineVerified | e.LineDegraded | e.MonitoringCompleted):
            yield CancelTimer("line_lost")

    def _ring_when_down(self, state: SessionState, now: dt.datetime) -> Iterator[Effect]:
        """Count from when the line went down: a line that flaps must not put the ring off again and again."""
        wait = dt.timedelta(seconds=self._objectives.line_lost_ring_s)
        due_at = (state.line_down_since or now) + wait
        if now < due_at:
            yield SetTimer("line_lost", due_at)
