"""A session that no longer needs its physician gives the window back."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.view import View
from engine.workflows.coverage.commands import DisengageCoverage
from engine.workflows.session.events import (
    ContrastDeclined,
    ContrastDeferred,
    MonitoringCompleted,
    SessionCancelled,
)


def end_disengages(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that no longer needs its physician gives the window back."""
    event = recorded.event
    if isinstance(event, MonitoringCompleted | SessionCancelled | ContrastDeclined | ContrastDeferred):
        physician = view.session(recorded.stream.id).physician
        coverage_id = view.coverage_of(physician.person_id) if physician else ""
        if coverage_id:
            disengage = DisengageCoverage(session_id=recorded.stream.id)
            yield ask("end_disengages", "coverage", coverage_id, disengage)
