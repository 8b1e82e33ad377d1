"""A physician in a reaction holds no other room; a drill takes a physician from nobody."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.events import ReactionGraded, StepOrdered
from engine.workflows.coverage.commands import EnterReaction
from engine.workflows.session.events import (
    HandOffAccepted,
    LineDegraded,
    LineVerified,
    PhysicianAssigned,
    ReactionReported,
)


@on(
    HandOffAccepted,
    LineDegraded,
    LineVerified,
    PhysicianAssigned,
    ReactionGraded,
    ReactionReported,
    StepOrdered,
)
def reaction_debits(recorded: Recorded, view: View) -> Iterator[Request]:
    """A physician in a reaction holds no other room; a drill takes a physician from nobody."""
    event, here = recorded.event, recorded.stream.id
    physician = ""
    if isinstance(event, ReactionReported):
        physician = "" if event.drill else event.alerted
    elif isinstance(event, PhysicianAssigned | HandOffAccepted | LineVerified | LineDegraded):
        session = view.session(here)
        if session.drill or not session.open_reactions:
            return
        if isinstance(event, PhysicianAssigned | HandOffAccepted):
            physician = event.evidence.person_id
        elif session.physician_present:  # out of reach at the alarm, and here now
            physician = session.physician.person_id
    elif isinstance(event, ReactionGraded | StepOrdered):
        here = recorded.correlation
        session = view.session(here)
        treated = recorded.stream.id in session.open_reactions and not session.drill
        # Who directs without being this session's physician gets no debit: nothing would end it.
        if treated and session.physician_present and session.physician.person_id == recorded.actor.person_id:
            physician = recorded.actor.person_id
    coverage_id = view.coverage_of(physician) if physician else ""
    if coverage_id:
        yield ask("reaction_debits", "coverage", coverage_id, EnterReaction(session_id=here))
