"""The chart of one protocol step: proposed → ordered → read back → done, or refused, or superseded by a new grade."""

from statemachine import State, StateChart

from engine.kernel.stepper import Stepper


class StepChart(StateChart[None]):
    """One step. A done drug step may be ordered again; what was done stays done."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    proposed = State(initial=True)
    ordered = State()
    read_back = State()
    done = State()
    refused = State()
    superseded = State()

    order_step = (
        proposed.to(ordered)
        | done.to(ordered)
        | refused.to(ordered)
        | ordered.to(None)
        | read_back.to(ordered)
    )
    read_back_step = ordered.to(read_back) | read_back.to(None)
    record_done = (
        proposed.to(done)
        | ordered.to(done)
        | read_back.to(done)
        | done.to(None)
        | refused.to(done)
        | superseded.to(done)
    )
    refuse_step = proposed.to(refused) | ordered.to(refused) | read_back.to(refused) | refused.to(None)
    supersede = (
        proposed.to(superseded)
        | ordered.to(superseded)
        | read_back.to(superseded)
        | refused.to(superseded)
        | superseded.to(None)
        | done.to(None)
    )


STEPPER = Stepper(StepChart, {})
