"""An answered ring gives the session its physician and engages the physician's window; a drill takes no window."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.coverage.commands import EngageCoverage
from engine.workflows.ring.events import RingAnswered
from engine.workflows.session.commands import AssignPhysician


@on(RingAnswered)
def answer_to_assignment(recorded: Recorded, view: View) -> Iterator[Request]:
    """An answered ring gives the session its physician and engages the physician's window; a drill takes no window."""
    event = recorded.event
    if isinstance(event, RingAnswered):
        session = view.session(event.session_id)
        over = session.in_phase("cancelled", "declined", "signed", "sealed") and not session.open_reactions
        assign = AssignPhysician(physician_id=event.physician_id, ring_id=recorded.stream.id)
        yield ask("answer_to_assignment", "session", event.session_id, assign)
        if event.coverage_id and not over and not session.drill:
            engage = EngageCoverage(session_id=event.session_id)
            yield ask("answer_to_assignment", "coverage", event.coverage_id, engage)
