"""A drug given in a drill's session reaches the scripted patient."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.events import MedicationGiven
from engine.workflows.drill.commands import ReportTreated


@on(MedicationGiven)
def dose_treats_drill(recorded: Recorded, view: View) -> Iterator[Request]:
    """A drug given in a drill's session reaches the scripted patient."""
    event = recorded.event
    if isinstance(event, MedicationGiven):
        drill_id = view.session(recorded.correlation).drill_id
        if drill_id:
            treated = ReportTreated(drug=event.medication.drug, route=event.medication.route)
            yield ask("dose_treats_drill", "drill", drill_id, treated)
