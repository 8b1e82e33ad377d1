"""A session that ends or has its physician no longer needs its other rings."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.view import View
from engine.workflows.ring.commands import WithdrawRing
from engine.workflows.session.events import (
    ContrastDeclined,
    HandOffAccepted,
    PhysicianAssigned,
    SessionCancelled,
)


def cancel_to_withdraw(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that ends or has its physician no longer needs its other rings."""
    event = recorded.event
    ending = isinstance(event, SessionCancelled | ContrastDeclined)
    if ending or isinstance(event, PhysicianAssigned | HandOffAccepted):
        keep = event.ring_id if isinstance(event, PhysicianAssigned) else ""
        for ring_id in view.rings_of(recorded.stream.id):
            if ring_id != keep:
                reason = "session_ended" if ending else "physician_assigned"
                yield ask("cancel_to_withdraw", "ring", ring_id, WithdrawRing(reason=reason))
