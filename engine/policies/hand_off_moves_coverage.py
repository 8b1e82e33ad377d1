"""A session that changes hands moves from one window to the other; a drill is in none."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.coverage.commands import DisengageCoverage, EngageCoverage
from engine.workflows.session.events import HandOffAccepted, PhysicianAssigned


@on(HandOffAccepted, PhysicianAssigned)
def hand_off_moves_coverage(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that changes hands moves from one window to the other; a drill is in none."""
    event = recorded.event
    if isinstance(event, HandOffAccepted | PhysicianAssigned):
        session_id = recorded.stream.id
        if view.session(session_id).drill:
            return
        before = view.coverage_of(event.replaces) if event.replaces else ""
        if before:
            yield ask("hand_off_moves_coverage", "coverage", before, DisengageCoverage(session_id=session_id))
        after = view.coverage_of(event.evidence.person_id) if isinstance(event, HandOffAccepted) else ""
        if after:
            yield ask("hand_off_moves_coverage", "coverage", after, EngageCoverage(session_id=session_id))
