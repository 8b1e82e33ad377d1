"""A sealed record is written back to every system its site is configured for; a drill's never."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.delivery.commands import CreateDelivery
from engine.workflows.session.events import RecordSealed


@on(RecordSealed)
def sealed_to_delivery(recorded: Recorded, view: View) -> Iterator[Request]:
    """A sealed record is written back to every system its site is configured for; a drill's never."""
    event = recorded.event
    if isinstance(event, RecordSealed):
        session = view.session(recorded.stream.id)
        for kind, destination in () if session.drill else view.destinations(session.site_id):
            create = CreateDelivery(
                session_id=recorded.stream.id,
                organization_id=session.organization_id,
                site_id=session.site_id,
                kind=kind,
                destination=destination,
                record_hash=event.record_hash,
            )
            identifier = f"{recorded.stream.id}-{event.revision}-{kind}"
            yield ask("sealed_to_delivery", "delivery", identifier, create)
