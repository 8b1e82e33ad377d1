"""A record with both signatures is sealed."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.session.commands import SealRecord
from engine.workflows.session.events import RecordAttested


@on(RecordAttested)
def attested_to_seal(recorded: Recorded, view: View) -> Iterator[Request]:
    """A record with both signatures is sealed."""
    event = recorded.event
    if isinstance(event, RecordAttested):
        yield ask("attested_to_seal", "session", recorded.stream.id, SealRecord())
