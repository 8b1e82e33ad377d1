"""A window that lapses, is debited or cannot take a session leaves it without its physician."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.coverage.events import CoverageLapsed, CoverageUnavailable, ReactionEntered
from engine.workflows.session.commands import ReportPhysicianAway


@on(CoverageLapsed, CoverageUnavailable, ReactionEntered)
def coverage_lapse_to_session(recorded: Recorded, view: View) -> Iterator[Request]:
    """A window that lapses, is debited or cannot take a session leaves it without its physician."""
    event = recorded.event
    if isinstance(event, CoverageLapsed):
        lost, cause = event.sessions, "lease_lapsed"
    elif isinstance(event, ReactionEntered):
        lost, cause = event.released, "in_reaction_elsewhere"
    elif isinstance(event, CoverageUnavailable):
        lost, cause = (event.session_id,), event.cause
    else:
        return
    for session_id in lost:
        away = ReportPhysicianAway(physician_id=event.physician_id, cause=cause)
        yield ask("coverage_lapse_to_session", "session", session_id, away, session_id)
