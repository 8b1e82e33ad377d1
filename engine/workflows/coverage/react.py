"""What follows from a coverage window's events: the lease's timer."""

from collections.abc import Iterator

from engine.kernel.effects import CancelTimer, Effect, SetTimer
from engine.kernel.events import Recorded
from engine.workflows.coverage import events as e
from engine.workflows.coverage.state import CoverageState


def react(state: CoverageState, recorded: Recorded) -> Iterator[Effect]:
    """Yield the timer to set or cancel after one event."""
    event = recorded.event
    if isinstance(event, e.CoverageHeld | e.LeaseRenewed):
        yield SetTimer("lease", event.leased_until)
    elif isinstance(event, e.CoverageEnded):
        yield CancelTimer("lease")
