"""What is reported of a reaction after its session was signed reopens the record."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.view import View
from engine.workflows.session.commands import ReportLateEntry


def late_reaction_reopens(recorded: Recorded, view: View) -> Iterator[Request]:
    """What is reported of a reaction after its session was signed reopens the record."""
    event = recorded.event
    if recorded.stream.machine == "reaction" and view.session(recorded.correlation).in_phase(
        "signed", "sealed"
    ):
        entry = ReportLateEntry(source=f"reaction:{type(event).__name__}")
        yield ask("late_reaction_reopens", "session", recorded.correlation, entry)
