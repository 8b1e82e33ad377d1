"""A physician who treats a reaction leaves every other session, whether a window holds it or none."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.events import ReactionGraded, StepOrdered
from engine.workflows.session.commands import ReportPhysicianAway
from engine.workflows.session.events import (
    HandOffAccepted,
    LineDegraded,
    LineVerified,
    PhysicianAssigned,
    ReactionReported,
)


@on(
    HandOffAccepted,
    LineDegraded,
    LineVerified,
    PhysicianAssigned,
    ReactionGraded,
    ReactionReported,
    StepOrdered,
)
def reaction_releases(recorded: Recorded, view: View) -> Iterator[Request]:
    """A physician who treats a reaction leaves every other session, whether a window holds it or none."""
    event, here = recorded.event, recorded.stream.id
    if isinstance(event, ReactionReported):
        physician_id = event.alerted
    elif isinstance(event, PhysicianAssigned | HandOffAccepted):
        physician_id = event.evidence.person_id
    elif isinstance(event, LineVerified | LineDegraded) and view.session(here).physician is not None:
        physician_id = view.session(here).physician.person_id
    elif isinstance(event, ReactionGraded | StepOrdered):
        yield from _directed(recorded, view)
        return
    else:
        return
    held = {session.session_id: session for session in view.sessions_of(physician_id)}
    if here not in held:
        return  # they have left since, handled late or again after a crash
    # A drill is left for a patient, never a patient for a drill.
    treated = [name for name, session in held.items() if session.open_reactions and not session.drill]
    leave = [name for name in held if name != here] if here in treated else [here] if treated else []
    for session_id in leave:
        yield _away(session_id, physician_id)


def _directed(recorded: Recorded, view: View) -> Iterator[Request]:
    """Whoever grades or orders treats here, by the line, by phone or in person, and supervises nowhere else."""
    session = view.session(recorded.correlation)
    if session.drill or recorded.stream.id not in session.open_reactions:
        return
    physician_id = recorded.actor.person_id
    held = view.sessions_of(physician_id)
    mine = session.physician is not None and session.physician.person_id == physician_id
    if mine and not session.physician_present and any(one.open_reactions and not one.drill for one in held):
        return  # they have left here for a patient there: two grades at once take them from one room, not from both
    for other in held:
        # Handled late or again after a crash: where they came since, they came after this treatment.
        if other.session_id != session.session_id and other.physician.checked_at <= recorded.at:
            yield _away(other.session_id, physician_id)


def _away(session_id: str, physician_id: str) -> Request:
    away = ReportPhysicianAway(physician_id=physician_id, cause="in_reaction_elsewhere")
    return ask("reaction_releases", "session", session_id, away, session_id)
