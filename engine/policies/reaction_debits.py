"""A physician in a reaction holds no other room."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.view import View
from engine.workflows.coverage.commands import EnterReaction
from engine.workflows.session.events import (
    HandOffAccepted,
    LineDegraded,
    LineVerified,
    PhysicianAssigned,
    ReactionReported,
)


def reaction_debits(recorded: Recorded, view: View) -> Iterator[Request]:
    """A physician in a reaction holds no other room."""
    event = recorded.event
    physician = ""
    if isinstance(event, ReactionReported):
        physician = event.alerted
    elif (
        isinstance(event, PhysicianAssigned | HandOffAccepted)
        and view.session(recorded.stream.id).open_reactions
    ):
        physician = event.evidence.person_id
    elif isinstance(event, LineVerified | LineDegraded):
        session = view.session(recorded.stream.id)
        if session.open_reactions and session.physician_present:  # out of reach at the alarm, and here now
            physician = session.physician.person_id
    coverage_id = view.coverage_of(physician) if physician else ""
    if coverage_id:
        yield ask("reaction_debits", "coverage", coverage_id, EnterReaction(session_id=recorded.stream.id))
