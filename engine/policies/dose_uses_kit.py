"""A drug given in a reaction came out of the emergency kit, which is then to be checked again."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.reactions.events import MedicationGiven
from engine.workflows.session.commands import ReportKitUsed


@on(MedicationGiven)
def dose_uses_kit(recorded: Recorded, view: View) -> Iterator[Request]:
    """A drug given in a reaction came out of the emergency kit, which is then to be checked again."""
    event = recorded.event
    if isinstance(event, MedicationGiven):
        used = ReportKitUsed(drug=event.medication.drug, reaction_id=recorded.stream.id)
        yield ask("dose_uses_kit", "session", recorded.correlation, used)
