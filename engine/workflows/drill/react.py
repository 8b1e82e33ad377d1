"""What follows from a drill's events: when it starts by itself, when the patient goes on, when it is over."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.effects import CancelTimer, Effect, SetTimer
from engine.kernel.events import Recorded
from engine.workflows.drill import events as e
from engine.workflows.drill.chart import COURSE, END, START
from engine.workflows.drill.state import DrillState


def react(state: DrillState, recorded: Recorded) -> Iterator[Effect]:
    """Yield the timers to set or cancel after one event, given the state after it."""
    event = recorded.event
    if isinstance(event, e.DrillPlanned) and not event.announced and event.due_at is not None:
        yield SetTimer(START, event.due_at)
    elif isinstance(event, e.DrillStarted) and state.scenario is not None:
        yield CancelTimer(START)
        yield SetTimer(END, recorded.at + dt.timedelta(seconds=state.scenario.ends_after_s))
    elif isinstance(event, e.PatientChanged) and state.scenario is not None:
        stage = state.scenario.stage(event.stage)
        if stage.after_s is None:
            yield CancelTimer(COURSE)
        else:
            yield SetTimer(COURSE, recorded.at + dt.timedelta(seconds=stage.after_s))
    elif isinstance(event, e.DrillEnded | e.DrillCancelled):
        for name in (START, COURSE, END):
            yield CancelTimer(name)
