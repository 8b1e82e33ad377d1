"""A session that no longer needs its physician gives the window back."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.coverage.commands import DisengageCoverage
from engine.workflows.session.events import (
    ContrastDeclined,
    ContrastDeferred,
    MonitoringCompleted,
    PhysicianLeft,
    SessionCancelled,
)


@on(ContrastDeclined, ContrastDeferred, MonitoringCompleted, PhysicianLeft, SessionCancelled)
def end_disengages(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that no longer needs its physician gives the window back."""
    event = recorded.event
    physician_id = ""
    if isinstance(event, PhysicianLeft):
        physician_id = event.physician_id
    elif isinstance(event, MonitoringCompleted | SessionCancelled | ContrastDeclined | ContrastDeferred):
        session = view.session(recorded.stream.id)
        if session.physician and not session.open_reactions:  # a reaction holds them until it is disposed of
            physician_id = session.physician.person_id
    if physician_id:
        coverage_id = view.coverage_of(physician_id)
        if coverage_id:
            disengage = DisengageCoverage(session_id=recorded.stream.id)
            yield ask("end_disengages", "coverage", coverage_id, disengage)
