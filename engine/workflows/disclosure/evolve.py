"""What a read changes: the count."""

from dataclasses import replace

from engine.kernel.events import Recorded
from engine.workflows.disclosure.events import PatientDataRead
from engine.workflows.disclosure.state import DisclosureState


def fold_one(state: DisclosureState, recorded: Recorded) -> DisclosureState:
    """Fold one recorded event."""
    event = recorded.event
    if not isinstance(event, PatientDataRead):
        return state
    return replace(state, organization_id=event.organization_id, site_id=event.site_id, reads=state.reads + 1)
