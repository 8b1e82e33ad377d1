"""A session that ends or has its physician on the line no longer needs its other rings."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.view import View
from engine.workflows.ring.commands import WithdrawRing
from engine.workflows.session.events import (
    ContrastDeclined,
    ContrastDeferred,
    HandOffAccepted,
    LineVerified,
    MonitoringCompleted,
    PhysicianAssigned,
    SessionCancelled,
)

ENDINGS = SessionCancelled | ContrastDeclined | ContrastDeferred | MonitoringCompleted


def cancel_to_withdraw(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that ends or has its physician on the line no longer needs its other rings."""
    event = recorded.event
    reason = ""
    if isinstance(event, PhysicianAssigned | HandOffAccepted):
        if not view.session(recorded.stream.id).physician_present:
            return  # they have left since, handled late or again after a crash: a newer ring must go on
        reason = "physician_assigned"
    elif isinstance(event, ENDINGS | LineVerified):
        session = view.session(recorded.stream.id)
        if session.open_reactions:
            return  # somebody still has to come to the patient
        if isinstance(event, ENDINGS):
            reason = "session_ended"
        elif session.physician_present:
            reason = "line_restored"
    keep = event.ring_id if isinstance(event, PhysicianAssigned) else ""
    for ring_id in view.rings_of(recorded.stream.id) if reason else ():
        if ring_id != keep:
            yield ask("cancel_to_withdraw", "ring", ring_id, WithdrawRing(reason=reason))
