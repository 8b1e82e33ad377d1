"""A scripted patient: stages over seconds, what turns them, what a team is expected to do and what each lapse costs.

Rule: a scenario is practice data, made up and marked so; it is never a source of a dose, a limit or a grade.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from engine.kernel.errors import Invalid

FULL_MARKS = 100

#: What a drill is judged by. A scenario gives each its points; together they are the full marks.
CHECKS = (
    "reported_in_time",
    "graded_in_time",
    "graded_right",
    "epinephrine_in_time",
    "emergency_called_in_time",
    "dose_right",
    "route_right",
    "concentration_right",
    "doses_ordered",
    "orders_read_back",
    "epinephrine_first",
    "steps_done",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The person in the script. There is no such person."""

    family: str
    given: str
    sex: str
    age_years: int
    weight_kg: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """The exam the script begins after."""

    modality: str
    contrast_class: str
    procedure_code: str
    procedure_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillVitals:
    """What the monitor shows in a stage; None means that nobody has put it on."""

    systolic_mmhg: int | None = None
    diastolic_mmhg: int | None = None
    heart_rate_bpm: int | None = None
    spo2_percent: int | None = None
    respiratory_rate_bpm: int | None = None
    conscious: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """A drug by a route; an empty route is any."""

    drug: str
    route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When all of `needs` went in, the patient goes on to the stage `to`."""

    needs: tuple[Treatment, ...]
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How the patient is. Untreated they go on to the stage `then` after `after_s`; without it they stay."""

    id: str
    said: str
    signs: tuple[str, ...] = ()
    vitals: DrillVitals = DrillVitals()
    after_s: int | None = None
    then: str = ""
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a team is expected to do; a time of None is shown and not judged. `steps` are of the protocol pack."""

    severity: tuple[str, ...]
    presentations: tuple[str, ...]
    epinephrine: bool
    emergency_call: bool
    steps: tuple[str, ...]
    report_within_s: int | None = None
    grade_within_s: int | None = None
    epinephrine_within_s: int | None = None
    emergency_call_within_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One script. `notice` says that it is made up. The first stage is the beginning; `points` is by check."""

    id: str
    title: str
    notice: str
    ends_after_s: int
    patient: Patient
    exam: Exam
    expected: Expected
    points: dict[str, int]
    stages: tuple[Stage, ...]

    def stage(self, stage_id: str) -> Stage:
        """Return a stage by its id."""
        return next(stage for stage in self.stages if stage.id == stage_id)


def parse_scenarios(texts: Mapping[str, str]) -> dict[str, Scenario]:
    """Parse TOML files by name. Raises Invalid("file field", …) for the first thing that is wrong."""
    found: dict[str, Scenario] = {}
    for name, text in sorted(texts.items()):
        scenario = _parse(name, text)
        if scenario.id in found:
            raise Invalid(f"{name} id", "two scenarios have this id")
        found[scenario.id] = scenario
    return found


def _parse(name: str, text: str) -> Scenario:
    try:
        written: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(name, f"it is not TOML: {error}") from None
    unknown = sorted(set(written) - set(Scenario.__dataclass_fields__))
    if unknown:
        raise Invalid(f"{name} {unknown[0]}", "there is no such field")
    try:
        scenario = msgspec.convert(written, Scenario)
    except msgspec.ValidationError as error:
        raise Invalid(name, str(error)) from None
    for field, why in _faults(scenario):
        raise Invalid(f"{name} {field}", why)
    return scenario


def _faults(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield what the types do not say: references, marks that add up, times that pass."""
    known = [stage.id for stage in scenario.stages]
    if not known:
        yield "stages", "a script has at least one stage"
    if len(set(known)) < len(known):
        yield "stages", "two stages have the same id"
    if not scenario.notice.strip():
        yield "notice", "say that the script is made up"
    if set(scenario.points) != set(CHECKS):
        yield "points", f"give points to each of {', '.join(CHECKS)}"
    if sum(scenario.points.values()) != FULL_MARKS or min(scenario.points.values(), default=0) < 0:
        yield "points", f"the points of all checks together are {FULL_MARKS}"
    if scenario.ends_after_s <= 0:
        yield "ends_after_s", "a drill ends after some seconds"
    for stage in scenario.stages:
        for to in (stage.then, *(turn.to for turn in stage.turns)):
            if to and to not in known:
                yield f"stages {stage.id}", f"there is no stage {to}"
        if (stage.after_s is None) != (not stage.then):
            yield f"stages {stage.id}", "after_s and then come together"
        if stage.after_s is not None and stage.after_s <= 0:
            yield f"stages {stage.id}", "after_s is more than 0"
        if any(not turn.needs for turn in stage.turns):
            yield f"stages {stage.id}", "a turn needs a treatment"
