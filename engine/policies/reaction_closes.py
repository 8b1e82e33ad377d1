"""A reaction that was disposed of is closed in its session and gives the physician back."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.events import ReactionDisposed
from engine.workflows.coverage.commands import DisengageCoverage, LeaveReaction
from engine.workflows.session.commands import ReportReactionClosed

NO_LONGER_SUPERVISED = ("deferred", "declined", "cancelled", "closing", "signed", "sealed")


@on(ReactionDisposed)
def reaction_closes(recorded: Recorded, view: View) -> Iterator[Request]:
    """A reaction that was disposed of is closed in its session and gives the physician back."""
    event = recorded.event
    if isinstance(event, ReactionDisposed):
        closed = ReportReactionClosed(reaction_id=recorded.stream.id)
        yield ask("reaction_closes", "session", event.session_id, closed)
        session = view.session(event.session_id)
        last = session.open_reactions <= {recorded.stream.id}
        coverage_id = view.coverage_of(session.physician.person_id) if session.physician and last else ""
        if coverage_id:
            yield ask("reaction_closes", "coverage", coverage_id, LeaveReaction(session_id=event.session_id))
            if session.in_phase(*NO_LONGER_SUPERVISED):
                give_back = DisengageCoverage(session_id=event.session_id)
                yield ask("reaction_closes", "coverage", coverage_id, give_back)
