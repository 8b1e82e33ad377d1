"""A drill that ends stops ringing people and closes its session."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.drill.events import DrillCancelled, DrillEnded
from engine.workflows.ring.commands import WithdrawRing
from engine.workflows.session.commands import CancelSession, ReportReactionClosed
from engine.workflows.session.state import CancelReason


@on(DrillCancelled, DrillEnded)
def drill_ends_session(recorded: Recorded, view: View) -> Iterator[Request]:
    """A drill that ends stops ringing people and closes its session."""
    event = recorded.event
    if not isinstance(event, DrillEnded | DrillCancelled):
        return
    session = view.session(event.session_id)
    if session.version == 0:
        return  # called off before it began
    for reaction_id in sorted(session.open_reactions):
        closed = ReportReactionClosed(reaction_id=reaction_id)
        yield ask("drill_ends_session", "session", event.session_id, closed)
    for ring_id in view.rings_of(event.session_id):
        yield ask("drill_ends_session", "ring", ring_id, WithdrawRing(reason="drill_ended"))
    cancel = CancelSession(reason=CancelReason.OTHER)
    yield ask("drill_ends_session", "session", event.session_id, cancel)
