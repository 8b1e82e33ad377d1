"""What follows from a ring's events: pages to people, and the timer of the next rung."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.effects import CancelTimer, Effect, Send, SetTimer
from engine.kernel.events import Recorded
from engine.workflows.ring import events as e
from engine.workflows.ring.decide import TOP
from engine.workflows.ring.state import Objectives, RingState


class Reactor:
    """Lists the effects of one event, given the state after it."""

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives

    def __call__(self, state: RingState, recorded: Recorded) -> Iterator[Effect]:
        """Yield pages and timers. A page carries ids only, never patient data."""
        event = recorded.event
        if isinstance(event, e.RingStarted | e.RungRaised | e.RingEscalated | e.RingRepeated):
            if isinstance(event, e.RingStarted) and event.first_rung == TOP:
                return
            yield from self._pages(state)
            rings = self._objectives.repeat_s if state.rung == TOP else self._objectives.rung_s[state.rung]
            yield SetTimer("rung", recorded.at + dt.timedelta(seconds=rings))
        elif isinstance(event, e.RingAnswered | e.RingWithdrawn):
            yield CancelTimer("rung")

    def _pages(self, state: RingState) -> Iterator[Effect]:
        people = [person.person_id for person in state.ringing()]
        if state.rung == TOP and state.contact:
            people.append(state.contact)
        urgency = "drill" if state.drill else "reaction" if state.urgent else "request"
        for person_id in dict.fromkeys(people):
            yield Send(
                kind="page",
                key=f"{state.ring_id}:{state.rung}:{state.repeats}:{person_id}",
                body={
                    "person_id": person_id,
                    "ring_id": state.ring_id,
                    "session_id": state.session_id,
                    "site_id": state.site_id,
                    "room_id": state.room_id,
                    "urgency": urgency,
                },
            )
