"""A dose reported in one reaction reaches every open one of its session."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.commands import ReportDosesElsewhere
from engine.reactions.events import MedicationGiven


@on(MedicationGiven)
def doses_reach_open_reactions(recorded: Recorded, view: View) -> Iterator[Request]:
    """A dose reported in one reaction reaches every open one of its session."""
    if isinstance(recorded.event, MedicationGiven):
        for reaction_id in sorted(view.session(recorded.correlation).open_reactions - {recorded.stream.id}):
            yield ask("doses_reach_open_reactions", "reaction", reaction_id, ReportDosesElsewhere())
