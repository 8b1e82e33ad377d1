"""What a legal command of a drill leads to: events out."""

from collections.abc import Callable, Iterable, Iterator

from engine.kernel.commands import Command, TimerFired
from engine.kernel.events import Event
from engine.kernel.machine import Context
from engine.workflows.drill import commands as c
from engine.workflows.drill import events as e
from engine.workflows.drill.chart import COURSE, END, START
from engine.workflows.drill.scenario import Scenario, Stage, Treatment, Turn
from engine.workflows.drill.state import DrillState


def _plan(s: DrillState, m: c.PlanDrill, x: Context) -> Iterator[Event]:
    yield e.DrillPlanned(
        organization_id=m.organization_id,
        site_id=m.site_id,
        room_id=m.room_id,
        session_id=f"{s.drill_id}-session",
        scenario=x.objectives.scenarios[m.scenario_id],
        announced=m.announced,
        due_at=m.due_at,
    )


def _begin(s: DrillState, *, by_timer: bool) -> Iterator[Event]:
    assert s.scenario is not None
    yield e.DrillStarted(
        organization_id=s.organization_id,
        site_id=s.site_id,
        room_id=s.room_id,
        session_id=s.session_id,
        patient=s.scenario.patient,
        exam=s.scenario.exam,
        by_timer=by_timer,
    )
    yield _now(s.scenario.stages[0], "started")


def _now(stage: Stage, cause: str) -> e.PatientChanged:
    return e.PatientChanged(
        stage=stage.id, said=stage.said, signs=stage.signs, vitals=stage.vitals, cause=cause
    )


def _treated(s: DrillState, m: c.ReportTreated, x: Context) -> Iterator[Event]:
    """A drug changes the patient while the script runs; before and after it, it has nobody to change."""
    if "running" not in s.phases or s.scenario is None:
        return
    yield e.PatientTreated(drug=m.drug, route=m.route)
    given = (*s.treatments, Treatment(drug=m.drug, route=m.route))
    yield from _turned(s.scenario, s.scenario.stage(s.stage), given)


def _turned(scenario: Scenario, stage: Stage, given: tuple[Treatment, ...]) -> Iterator[Event]:
    """Go on from stage to stage as long as what went in turns the patient; a circle is left where it closes."""
    passed = {stage.id}
    while True:
        to = next((turn.to for turn in stage.turns if _met(turn, given)), "")
        if not to or to in passed:
            return
        stage = scenario.stage(to)
        passed.add(to)
        yield _now(stage, "treated")


def _met(turn: Turn, given: tuple[Treatment, ...]) -> bool:
    return all(
        any(dose.drug == need.drug and need.route in ("", dose.route) for dose in given)
        for need in turn.needs
    )


def _timer(s: DrillState, m: TimerFired, x: Context) -> Iterator[Event]:
    if m.name == START and "planned" in s.phases:
        yield from _begin(s, by_timer=True)
    elif m.name == END and "running" in s.phases:
        yield e.DrillEnded(session_id=s.session_id, cause="time_over")
    elif m.name == COURSE and "running" in s.phases and s.scenario is not None:
        then = s.scenario.stage(s.stage).then
        if then:
            worse = s.scenario.stage(then)
            yield _now(worse, "untreated")
            yield from _turned(s.scenario, worse, s.treatments)


def _debrief(s: DrillState, m: c.DebriefDrill, x: Context) -> Iterator[Event]:
    yield e.DrillDebriefed(
        session_id=s.session_id,
        organization_id=s.organization_id,
        notes=m.notes,
        participants=m.participants,
        points=m.points,
    )


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.PlanDrill: _plan,
    c.StartDrill: lambda s, m, x: _begin(s, by_timer=False),
    c.ReportTreated: _treated,
    c.EndDrill: lambda s, m, x: [e.DrillEnded(session_id=s.session_id, cause="ended")],
    c.CancelDrill: lambda s, m, x: [e.DrillCancelled(session_id=s.session_id, reason=m.reason)],
    c.DebriefDrill: _debrief,
    TimerFired: _timer,
}
