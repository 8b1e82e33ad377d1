"""A reported reaction opens its own stream."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.commands import OpenReaction
from engine.workflows.session.events import ReactionReported


@on(ReactionReported, urgent=True)
def reaction_opens(recorded: Recorded, view: View) -> Iterator[Request]:
    """A reported reaction opens its own stream."""
    event = recorded.event
    if isinstance(event, ReactionReported):
        command = OpenReaction(
            session_id=recorded.stream.id,
            organization_id=event.organization_id,
            site_id=event.site_id,
            onset_at=event.onset_at,
            age_years=event.age_years,
            age_days=event.age_days,
            weight_kg=event.weight_kg,
            weight_doubt=event.weight_doubt,
            setting=event.setting,
            modality=event.modality,
            agent=event.agent,
            demo=event.demo,
            drill=event.drill,
            alerted=event.alerted,
        )
        yield ask("reaction_opens", "reaction", event.reaction_id, command)
