"""A presentation at a severity for one patient, as ordered steps with their doses, from the pack's rows alone.

The number of a step is its place; alternatives name the dose they replace and when, so that they never read as a
sequence. What the pack does not hold is asked of the physician.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count

from engine.kernel.errors import Invalid
from engine.reactions.dose import (
    Dose,
    PhysicianDecides,
    Resolution,
    WeightNeeded,
    mass,
    plain,
    resolve_dose,
    usable_weight,
)
from engine.reactions.guards import GivenDose, Problem, cap_problem, times_problem
from engine.reactions.pack import Choice, DrugRow, Pack, ProtocolRow, StepRow
from engine.reactions.row import Row
from engine.reactions.severity import VitalFindings, classify, criteria, is_adult, route_hypotension
from engine.reactions.state import Severity, Vitals
from engine.reactions.weight import estimates

ZONE_SET, WEIGHT_SET = "ZONE", "WEIGHT"
HOSPITAL = "hopd"
# The letters of the anaphylaxis rule (1C) that a row's progressions name.
LETTERS = {"b": "respiratory_distress", "c": "hypotension"}
CALL_LEVELS = ("none", "consider", "if_unremitting", "call", "activate_team")
ORDERS_OF_CALL = {
    "call": "Call the emergency service now.",
    "activate_team": "Activate the hospital's emergency team now.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a protocol is resolved from.

    `setting` is office, idtf or hopd; anything but hopd has no code team. `mri_zone` "IV" puts the move out of the
    magnet's room first; "" outside MRI. `age_years` None shows the doses of adult and child side by side; `age_days`
    tells a newborn. `length_cm` only serves to estimate a weight that is not known. `earlier_vitals` are those since
    the grade: what a reaction has become it stays, until it is graded anew. `signs_weighed`: the physician who graded
    knew these signs, and the grade stands against them.
    """

    presentation: str
    severity: Severity
    age_years: int | None
    weight_kg: Decimal | None
    age_days: int | None = None
    length_cm: Decimal | None = None
    vitals: Vitals | None = None
    earlier_vitals: tuple[Vitals, ...] = ()
    signs: tuple[str, ...] = ()
    signs_weighed: bool = False
    agent: str = ""
    mri_zone: str = ""
    setting: str = "idtf"
    given: tuple[GivenDose, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseOption:
    """A dose that a step offers. `instead_of` and `condition` are "" for the step's first choice.

    `problem` is what its caps say after the doses given so far; it warns and hides nothing.
    """

    dose: Resolution
    instead_of: str = ""
    condition: str = ""
    problem: Problem | None = None

    @property
    def row_id(self) -> str:
        """The drug row."""
        return self.dose.row_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolStep:
    """One step to do. `dose` is the first choice, `alternatives` replace it; `row_id` is the protocol or set row."""

    step_id: str
    number: int
    kind: str
    text: str
    row_id: str
    citation: str
    evidence: str
    condition: str = ""
    dose: DoseOption | None = None
    alternatives: tuple[DoseOption, ...] = ()
    call_level: str = "none"
    physician_decides: str = ""
    needs_order: bool = False
    standing_order: bool = False
    repeat_min_s: int | None = None
    repeat_max_s: int | None = None
    observe_min_s: int | None = None
    observe_max_s: int | None = None
    observe_from: str = ""

    @property
    def options(self) -> tuple[DoseOption, ...]:
        """Every dose of the step, the first choice first."""
        return (() if self.dose is None else (self.dose,)) + self.alternatives


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedProtocol:
    """The steps, with the row they come from.

    `presentation` and `severity` differ from what was asked where signs or vital signs show that it is more than that.
    """

    asked: str
    presentation: str
    severity: Severity
    population: str
    row_id: str
    text: str
    emergency_call: str
    physician_decides: str
    steps: tuple[ProtocolStep, ...]


def resolve(pack: Pack, situation: Situation) -> tuple[ProtocolStep, ...]:
    """Return the ordered steps of a situation; see `resolve_protocol`."""
    return resolve_protocol(pack, situation).steps


def resolve_protocol(pack: Pack, situation: Situation) -> ResolvedProtocol:
    """Resolve one presentation. Raises Invalid for a presentation that no protocol of the pack has."""
    if situation.presentation not in pack.presentations:
        raise Invalid("presentation", f"choose one of {', '.join(pack.presentations)}")
    age = situation.age_years
    population = "child" if age is not None and not is_adult(pack, age) else "adult"
    asked = situation.presentation
    situation = progressed(pack, situation)
    presentation = situation.presentation
    row = pack.protocol(presentation, population, situation.severity) or _no_protocol(
        pack, presentation, population
    )
    rows = (row, *_of_child(pack, situation))
    level = max(
        (call_level(one, situation.severity, situation.setting) for one in rows), key=CALL_LEVELS.index
    )
    steps = _steps(pack, situation, row, population, level)
    if not any(step.kind == "call" for step in steps):
        steps += _calls_of(pack, situation, rows[1:], count(len(steps) + 1), level)
    steps += _after(pack, situation, row, count(len(steps) + 1))
    return ResolvedProtocol(
        asked=asked,
        presentation=presentation,
        severity=situation.severity,
        population=population if age is not None else "unknown",
        row_id=row.id,
        text=row.text,
        emergency_call=level,
        physician_decides="; ".join(step.physician_decides for step in steps if step.physician_decides),
        steps=tuple(steps),
    )


def _of_child(pack: Pack, situation: Situation) -> Iterator[ProtocolRow]:
    """Yield the child's row while the age is not known: help is called as the more urgent of the two says."""
    row = pack.protocol(situation.presentation, "child", situation.severity)
    if situation.age_years is None and row is not None:
        yield row


def _calls_of(
    pack: Pack, situation: Situation, rows: Iterable[ProtocolRow], numbers: Iterator[int], level: str
) -> Iterator[ProtocolStep]:
    """Yield the calls that only these rows ask for."""
    for row in rows:
        for step in row.steps:
            if step.kind == "call" and situation.severity in step.severities:
                yield _step(pack, situation, next(numbers), row, step, row.population, level)


def progressed(pack: Pack, situation: Situation) -> Situation:
    """Return the situation as what it has become: its row's progressions, and plain hypotension by the pulse."""
    age = situation.age_years
    population = "child" if age is not None and not is_adult(pack, age) else "adult"
    situation = replace(situation, presentation=_routed(pack, situation))
    row = pack.protocol(situation.presentation, population, situation.severity)
    if row is None or not row.progressions:
        return situation
    met = _met(pack, situation)
    for one in row.progressions:
        if one.finding in met:
            return replace(situation, presentation=one.presentation, severity=Severity(one.severity))
    return situation


def _met(pack: Pack, situation: Situation) -> set[str]:
    """Return the findings of progressions that the signs, or any vital signs since the grade, show."""
    fresh = () if situation.signs_weighed else situation.signs
    signs = [sign for sign in pack.signs if sign.id in fresh]
    measured = [one for one in (*situation.earlier_vitals, situation.vitals) if one is not None]
    every = [VitalFindings()]
    every += [
        classify(pack, one, age_years=situation.age_years, age_days=situation.age_days) for one in measured
    ]
    letters = {letter for findings in every for letter in criteria(signs, findings)}
    met = {name for letter, name in LETTERS.items() if letter in letters}
    if any(findings.hypoxia_severe for findings in every):
        met.add("hypoxia_severe")
    return met


def _steps(
    pack: Pack, situation: Situation, row: ProtocolRow, population: str, level: str
) -> list[ProtocolStep]:
    """Return the steps of a row; the weight is asked for just before the first dose that waits for it."""
    steps: list[ProtocolStep] = []
    asked = usable_weight(situation.weight_kg) is not None
    for owner, step in _written(pack, row, situation):
        if situation.severity not in step.severities:
            continue
        made = _step(pack, situation, len(steps) + 1, owner, step, population, level)
        if not asked and needs_weight(made):
            asked = True
            steps += _weigh(pack, situation, len(steps) + 1)
            made = replace(made, number=len(steps) + 1)
        steps.append(made)
    return steps


def _weigh(pack: Pack, situation: Situation, number: int) -> Iterator[ProtocolStep]:
    """Yield the question for the weight, with the pack's estimates where it has any."""
    shared = pack.step_set(WEIGHT_SET)
    guesses = estimates(pack, age_years=situation.age_years, length_cm=situation.length_cm)
    for place, ask in enumerate(shared.steps, start=number):
        words = " ".join([ask.text, *(guess.sentence for guess in guesses)])
        yield _step(pack, situation, place, shared, replace(ask, text=words), "", "none")


def call_level(row: ProtocolRow, severity: Severity, setting: str) -> str:
    """Return none, consider, if_unremitting, call or activate_team (decision (e)).

    Rows that always need help call it from outside a hospital and activate the team inside one; the other ones keep
    their own level.
    """
    if severity in row.emergency_severities:
        return "activate_team" if setting == HOSPITAL else "call"
    return row.level(severity)


def _routed(pack: Pack, situation: Situation) -> str:
    """Return the presentation after the vital signs were looked at; only plain hypotension is routed."""
    if situation.presentation != "hypotension":
        return situation.presentation
    allergic = any(sign.kind == "allergic" and sign.id in situation.signs for sign in pack.signs)
    if situation.vitals is None:
        return "anaphylaxis" if allergic else "hypotension"
    findings = classify(pack, situation.vitals, age_years=situation.age_years, age_days=situation.age_days)
    return route_hypotension(findings, allergic=allergic)


def _no_protocol(pack: Pack, presentation: str, population: str) -> ProtocolRow:
    """Stand in for a row that the pack does not have: stop, base set, and the physician."""
    return ProtocolRow(
        id=f"NO-ROW.{presentation}.{population}",
        citation="no row in this pack",
        evidence="UNSURE",
        presentation="hypotension",
        population="adult",
        nature="either",
        text=f"The pack has no row for {presentation} in this patient",
        sets=tuple(known.id for known in pack.sets if known.id in ("STOP", "BASE")),
        steps=(
            StepRow(
                id=f"NO-ROW.{presentation}.1",
                kind="action",
                text="The pack holds no protocol for this patient: the physician decides what is done.",
                physician_decides="treatment: the pack has no row",
            ),
        ),
    )


def _written(pack: Pack, row: ProtocolRow, situation: Situation) -> Iterator[tuple[Row, StepRow]]:
    """Yield the steps as written; out of Zone IV before anything else."""
    if situation.mri_zone == "IV":
        zone = pack.step_set(ZONE_SET)
        yield from ((zone, step) for step in zone.steps)
    yield from pack.written(row)


def _step(
    pack: Pack, situation: Situation, number: int, owner: Row, step: StepRow, population: str, level: str
) -> ProtocolStep:
    found = tuple(_options(pack, situation, step, population))
    options = tuple(_compared(option, found) for option in found)
    first = options[0].dose if options else None
    is_call = step.kind == "call"
    text = ORDERS_OF_CALL.get(level, step.text) if is_call else step.text
    return ProtocolStep(
        step_id=step.id,
        number=number,
        kind=step.kind,
        text=text.replace("{agent}", situation.agent or "the contrast"),
        row_id=owner.id,
        citation=step.citation or owner.citation,
        evidence=step.evidence or owner.tags,
        condition=step.condition,
        dose=options[0] if options else None,
        alternatives=options[1:],
        call_level=level if is_call else "none",
        physician_decides=step.physician_decides
        or (f"{first.drug} {first.route}: {first.why}" if isinstance(first, PhysicianDecides) else ""),
        needs_order=step.kind == "drug",
        standing_order=step.standing_order,
        repeat_min_s=first.repeat_min_s if isinstance(first, Dose) else None,
        repeat_max_s=first.repeat_max_s if isinstance(first, Dose) else None,
    )


def _options(pack: Pack, situation: Situation, step: StepRow, population: str) -> Iterator[DoseOption]:
    """Yield the doses of a step for this patient, those of the other population too while the age is unknown."""
    boundary = pack.value("adult_from_years")
    for choice in step.choices:
        row = pack.drug(choice.row)
        if row.population != population:
            continue
        own = tuple(_own(pack, situation, row, choice))
        if situation.age_years is not None:
            yield from own
            continue
        adult = f"from {boundary} years on"
        for option in own:
            yield replace(option, condition=_and(adult, option.condition))
        option = own[0]
        for twin in twins(pack, row):
            below = replace(_option(pack, situation, twin, choice), instead_of=option.instead_of or row.id)
            under = f"below {boundary} years"
            yield replace(below, condition=_and(under, below.condition))


def _and(first: str, more: str) -> str:
    return f"{first}; {more}" if more else first


def _compared(option: DoseOption, options: tuple[DoseOption, ...]) -> DoseOption:
    """Say how much a device that has to be confirmed at this weight holds beside the dose by weight."""
    dose = option.dose
    if not isinstance(dose, Dose) or not dose.confirm or dose.dose_mg is None:
        return option
    for other in options:
        by = other.dose
        same = isinstance(by, Dose) and (by.counter, by.route) == (dose.counter, dose.route)
        if same and isinstance(by, Dose) and by.dose_mg is not None and by.dose_mg < dose.dose_mg:
            times = plain((dose.dose_mg / by.dose_mg).quantize(Decimal("0.1")))
            words = f"{dose.confirm}: {mass(dose.dose_mg)} is {times} times the {mass(by.dose_mg)} by weight"
            return replace(option, dose=replace(dose, confirm=words))
    return option


def _own(pack: Pack, situation: Situation, row: DrugRow, choice: Choice) -> Iterator[DoseOption]:
    """Yield a choice's dose; while it waits for the weight, the fixed one that its row names meanwhile comes first."""
    option = _option(pack, situation, row, choice)
    if row.without_weight and isinstance(option.dose, WeightNeeded):
        fixed = _option(pack, situation, pack.drug(row.without_weight), choice)
        yield replace(fixed, condition=_and("while the weight is not known", option.condition))
        option = replace(option, instead_of=fixed.row_id, condition=_and("by weight", option.condition))
    yield option


def twins(pack: Pack, row: DrugRow) -> tuple[DrugRow, ...]:
    """Return the rows of the other population for the same drug, form and route."""
    return tuple(
        other
        for other in pack.drugs
        if other.population != row.population
        and (other.counter, other.form, other.route) == (row.counter, row.form, row.route)
    )


def _option(pack: Pack, situation: Situation, row: DrugRow, choice: Choice) -> DoseOption:
    dose = resolve_dose(pack, row, age_years=situation.age_years, weight_kg=situation.weight_kg)
    # The upper end of a range is judged: what may be given is warned of.
    amount = (dose.dose_max_mg or dose.dose_mg) if isinstance(dose, Dose) else None
    problem = cap_problem(
        pack, row, amount, situation.given, age_years=situation.age_years, weight_kg=situation.weight_kg
    )
    return DoseOption(
        dose=dose,
        instead_of=pack.row_id(choice.instead_of) if choice.instead_of else "",
        condition=choice.condition,
        problem=problem or times_problem(pack, row, situation.given),
    )


def _after(
    pack: Pack, situation: Situation, row: ProtocolRow, numbers: Iterator[int]
) -> Iterator[ProtocolStep]:
    """Yield what follows every protocol: measure again, watch, and where the patient goes.

    A row that always calls for help is watched as severe, whatever the grade (O-5, VS-8).
    """
    if row.nature == "extravasation":
        yield from _observations(pack, {"extravasation"}, numbers)
        return
    severity = Severity.SEVERE if situation.severity in row.emergency_severities else situation.severity
    wanted = {severity.value}
    epinephrine = any(dose.counter.startswith("epinephrine") for dose in situation.given)
    if severity is Severity.SEVERE or epinephrine:
        wanted.add("epinephrine")
        if row.nature != "physiologic":
            wanted.add("biphasic")
    recheck = "vitals_recheck_mild_s" if severity is Severity.MILD else "vitals_recheck_s"
    for value in pack.values:
        if value.name == recheck:
            seconds = int(value.value)
            words = f"Measure vital signs again every {seconds // 60} minutes."
            yield _watch(value, words, next(numbers), repeat_s=seconds)
    yield from _observations(pack, wanted, numbers)


def _observations(pack: Pack, wanted: set[str], numbers: Iterator[int]) -> Iterator[ProtocolStep]:
    for seen in pack.observations:
        if seen.default and seen.situation in wanted:
            times = (seen.minimum_s, seen.maximum_s)
            yield _watch(seen, seen.text, next(numbers), observe_s=times, observe_from=seen.counted_from)


def _watch(
    row: Row,
    text: str,
    number: int,
    *,
    repeat_s: int | None = None,
    observe_s: tuple[int | None, int | None] = (None, None),
    observe_from: str = "",
) -> ProtocolStep:
    return ProtocolStep(
        step_id=row.id,
        number=number,
        kind="observe",
        text=text,
        row_id=row.id,
        citation=row.citation,
        evidence=row.tags,
        repeat_min_s=repeat_s,
        observe_min_s=observe_s[0],
        observe_max_s=observe_s[1],
        observe_from=observe_from,
    )


def needs_weight(step: ProtocolStep) -> bool:
    """Return whether any dose of a step waits for the weight."""
    return any(isinstance(option.dose, WeightNeeded) for option in step.options)
