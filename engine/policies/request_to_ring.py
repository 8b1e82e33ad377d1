"""A session that needs a physician starts a ring."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.ring.commands import StartRing
from engine.workflows.session.events import SupervisionRequested


@on(SupervisionRequested, urgent=True)
def request_to_ring(recorded: Recorded, view: View) -> Iterator[Request]:
    """A session that needs a physician starts a ring."""
    event = recorded.event
    if isinstance(event, SupervisionRequested):
        session = view.session(recorded.stream.id)
        start = StartRing(
            session_id=recorded.stream.id,
            organization_id=session.organization_id,
            site_id=event.site_id,
            room_id=event.room_id,
            cause=event.cause,
            drill=session.drill,
            urgent=event.cause == "reaction" or bool(session.open_reactions),
        )
        yield ask("request_to_ring", "ring", event.ring_id, start, recorded.stream.id)
