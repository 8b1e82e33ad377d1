"""The drill's chart: planned, running, ended, debriefed; it can be broken off at any moment before its end."""

from statemachine import State, StateChart

from engine.kernel.machine import Facts

START, COURSE, END = "start", "course", "end"


class DrillChart(StateChart[None]):
    """One drill (issue 3, item 8)."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class drill(State.Compound):
        """From the plan to the debriefing."""

        unplanned = State(initial=True)
        planned = State()
        running = State()
        ended = State()
        debriefed = State()
        cancelled = State()

        plan_drill = unplanned.to(planned, unless=["scenario_unknown", "due_time_missing", "due_time_past"])
        start_drill = planned.to(running)
        timer_fired = planned.to(running, cond=["starts_by_itself"]) | running.to(
            ended, cond=["time_is_over"]
        )
        end_drill = running.to(ended)
        cancel_drill = planned.to(cancelled, unless=["reason_missing"]) | running.to(
            cancelled, unless=["reason_missing"]
        )
        debrief_drill = ended.to(debriefed)

    timer_fired = drill.to(None)
    report_treated = drill.to(None)


def scenario_unknown(f: Facts) -> bool:
    """There is no such scenario; choose one of the list."""
    return f.command.scenario_id not in f.context.objectives.scenarios


def due_time_missing(f: Facts) -> bool:
    """An unannounced drill starts by itself; say when."""
    return not f.command.announced and f.command.due_at is None


def due_time_past(f: Facts) -> bool:
    """The time of the drill has passed; name a later one."""
    return f.command.due_at is not None and f.command.due_at <= f.context.now


def reason_missing(f: Facts) -> bool:
    """Say why the drill is called off."""
    return not f.command.reason.strip()


def starts_by_itself(f: Facts) -> bool:
    """Route: the timer is the start of an unannounced drill."""
    return bool(f.command.name == START)


def time_is_over(f: Facts) -> bool:
    """Route: the timer is the drill's last moment."""
    return bool(f.command.name == END)


GUARDS = {
    guard.__name__: guard
    for guard in (
        scenario_unknown,
        due_time_missing,
        due_time_past,
        reason_missing,
        starts_by_itself,
        time_is_over,
    )
}
