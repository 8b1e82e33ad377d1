"""What is reported of a reaction after its session was signed reopens the record."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.events import ALL
from engine.workflows.session.commands import ReportLateEntry


@on(*ALL)
def late_reaction_reopens(recorded: Recorded, view: View) -> Iterator[Request]:
    """What is reported of a reaction after its session was signed reopens the record."""
    event = recorded.event
    session = view.session(recorded.correlation)
    # Handled again after a crash, an event from before the signature is no late entry: it was signed with the rest.
    signed = session.attested
    if session.in_phase("signed", "sealed") and signed is not None and recorded.at > signed.signed_at:
        entry = ReportLateEntry(source=f"reaction:{type(event).__name__}")
        yield ask("late_reaction_reopens", "session", recorded.correlation, entry)
