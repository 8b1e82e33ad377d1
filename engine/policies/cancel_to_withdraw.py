"""A session that ends or has its physician on the line no longer needs its other rings."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
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

ENDED = ("cancelled", "declined", "deferred", "closing", "signed", "sealed")
ENDINGS = SessionCancelled | ContrastDeclined | ContrastDeferred | MonitoringCompleted


@on(
    ContrastDeclined,
    ContrastDeferred,
    HandOffAccepted,
    LineVerified,
    MonitoringCompleted,
    PhysicianAssigned,
    SessionCancelled,
)
def cancel_to_withdraw(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that ends or has its physician on the line no longer needs its other rings."""
    event = recorded.event
    if not isinstance(event, PhysicianAssigned | HandOffAccepted | ENDINGS | LineVerified):
        return
    # Handled late or again after a crash, an event says what was: what is true now decides, and a newer ring goes on.
    session = view.session(recorded.stream.id)
    rings, reason = view.rings_of(recorded.stream.id), ""
    if isinstance(event, PhysicianAssigned | HandOffAccepted):
        if session.physician_present:
            rings, reason = view.rings_of(recorded.stream.id, by=recorded.at), "physician_assigned"
    elif session.open_reactions:
        return  # somebody still has to come to the patient
    elif isinstance(event, ENDINGS):
        reason = "session_ended" if session.in_phase(*ENDED) else ""
    elif session.physician_present and session.in_phase("verified"):
        reason = "line_restored"
    keep = event.ring_id if isinstance(event, PhysicianAssigned) else ""
    for ring_id in rings if reason else ():
        if ring_id != keep:
            yield ask("cancel_to_withdraw", "ring", ring_id, WithdrawRing(reason=reason))
