"""What follows from a reaction's events: when a drug may be repeated, when to measure again, how long to watch."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.clock import later
from engine.kernel.effects import CancelTimer, Effect, SetTimer
from engine.kernel.events import Recorded
from engine.reactions import events as e
from engine.reactions.state import OfferedDose, ReactionState

REPEAT = "repeat:"
VITALS = "vitals"
OBSERVATION = "observation"
ONSET = "onset"


def react(state: ReactionState, recorded: Recorded) -> Iterator[Effect]:
    """Yield the timers to set or cancel after one event, given the state after it."""
    event = recorded.event
    if isinstance(event, e.MedicationGiven):
        row = offered_row(state, event.medication.row_id)
        if row is not None and row.repeat_min_s is not None:
            # A dose that is reported late does not bring the next one forward.
            last = max(dose.counted_at for dose in state.given if dose.row_id == row.row_id)
            yield SetTimer(REPEAT + row.row_id, max(later(last, row.repeat_min_s), recorded.at))
    elif isinstance(event, e.ProtocolResolved | e.VitalsRecorded):
        yield from _measure_again(state, recorded.at)
    elif isinstance(event, e.ReactionGraded):
        yield CancelTimer(OBSERVATION)
    elif isinstance(event, e.ReactionResolved) and state.resolved_at is not None:
        yield from _no_repeats(state)
        until = observed_until(state)
        if until is not None:
            yield SetTimer(OBSERVATION, max(until, recorded.at))
    elif isinstance(event, e.ReactionDisposed):
        yield from _no_repeats(state)
        yield CancelTimer(VITALS)
        yield CancelTimer(OBSERVATION)


def _measure_again(state: ReactionState, at: dt.datetime) -> Iterator[Effect]:
    """Remind once after each measurement; a reminder that nobody follows is not repeated for ever."""
    intervals = [offer.repeat_s for offer in state.watching if offer.repeat_s is not None]
    if intervals and not state.in_phase("disposed", "documented"):
        yield SetTimer(VITALS, later(at, min(intervals)))


def _no_repeats(state: ReactionState) -> Iterator[Effect]:
    for row_id in sorted({dose.row_id for dose in state.given if dose.row_id}):
        yield CancelTimer(REPEAT + row_id)


def observed_until(state: ReactionState) -> dt.datetime | None:
    """Return when the longest of the pack's minimum observations ends; None while it has not begun."""
    ends = []
    for offer in state.watching:
        if offer.observe_s is None:
            continue
        begins = state.onset_at if offer.observe_from == ONSET else state.resolved_at
        if begins is None:
            return None
        ends.append(later(begins, offer.observe_s))
    return max(ends, default=state.onset_at)


def offered_row(state: ReactionState, row_id: str) -> OfferedDose | None:
    """Return the dose row as it was offered in this reaction, if it was."""
    for step in state.steps.values():
        for dose in step.offer.doses:
            if dose.row_id == row_id:
                return dose
    return None
