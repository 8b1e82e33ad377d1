"""A weight recorded in a session reaches every open reaction of it, so that no dose waits for what is known."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.commands import RecordPatientWeight
from engine.workflows.session.events import WeightRecorded


@on(WeightRecorded)
def weight_reaches_open_reactions(recorded: Recorded, view: View) -> Iterator[Request]:
    """A weight recorded in a session reaches every open reaction of it, so that no dose waits for what is known."""
    event = recorded.event
    if isinstance(event, WeightRecorded):
        for reaction_id in sorted(view.session(recorded.stream.id).open_reactions):
            weight = RecordPatientWeight(weight_kg=event.weight_kg, method=event.method)
            yield ask("weight_reaches_open_reactions", "reaction", reaction_id, weight)
