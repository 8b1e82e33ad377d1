"""What follows from a reaction's events: the repeat timer of a drug that was given."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.effects import CancelTimer, Effect, SetTimer
from engine.kernel.events import Recorded
from engine.reactions import events as e
from engine.reactions.state import OfferedDose, ReactionState

REPEAT = "repeat:"


def react(state: ReactionState, recorded: Recorded) -> Iterator[Effect]:
    """Yield the timers to set or cancel after one event, given the state after it."""
    event = recorded.event
    if isinstance(event, e.MedicationGiven):
        row = offered_row(state, event.medication.row_id)
        if row is not None and row.repeat_min_s is not None:
            due = event.medication.given_at + dt.timedelta(seconds=row.repeat_min_s)
            yield SetTimer(REPEAT + row.row_id, max(due, recorded.at))
    elif isinstance(event, e.ReactionDisposed | e.ReactionResolved):
        for row_id in sorted({dose.row_id for dose in state.given if dose.row_id}):
            yield CancelTimer(REPEAT + row_id)


def offered_row(state: ReactionState, row_id: str) -> OfferedDose | None:
    """Return the dose row as it was offered in this reaction, if it was."""
    for step in state.steps.values():
        for dose in step.offer.doses:
            if dose.row_id == row_id:
                return dose
    return None
