"""What follows from a delivery's events: one send an attempt, and the timer of the next one."""

from collections.abc import Iterator

from engine.kernel.effects import Effect, Send, SetTimer
from engine.kernel.events import Recorded
from engine.workflows.delivery import events as e
from engine.workflows.delivery.state import DeliveryState


def react(state: DeliveryState, recorded: Recorded) -> Iterator[Effect]:
    """Yield the send or timer after one event. The key names the event, so every attempt is handed over once."""
    event = recorded.event
    if isinstance(event, e.DeliveryCreated | e.DeliveryResent):
        yield Send(
            kind=f"delivery.{state.kind}",
            key=f"{state.delivery_id}:{recorded.version}",
            body={
                "delivery_id": state.delivery_id,
                "session_id": state.session_id,
                "destination": state.destination,
            },
        )
    elif isinstance(event, e.DeliveryRetrying):
        yield SetTimer("retry", event.next_at)
