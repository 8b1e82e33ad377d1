"""Whoever takes part changes what the rules say, so they are asked again."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.session.commands import EvaluateRules
from engine.workflows.session.events import HandOffAccepted, PhysicianAssigned, ResponderCheckedIn


@on(HandOffAccepted, PhysicianAssigned, ResponderCheckedIn)
def assignment_evaluates_rules(recorded: Recorded, view: View) -> Iterator[Request]:
    """Whoever takes part changes what the rules say, so they are asked again."""
    event = recorded.event
    if isinstance(event, PhysicianAssigned | ResponderCheckedIn | HandOffAccepted):
        yield ask("assignment_evaluates_rules", "session", recorded.stream.id, EvaluateRules())
