"""What a drill was worth: a pure fold of its events, its session's and its reactions'.

Rule: the script says what is judged and how much it is worth, the events say what was done; doses are held against
what the protocol offered and the physician ordered, never against a number of this file.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.reactions import events as r
from engine.reactions.state import Medication, OfferedDose, OfferedStep, OrderedDose
from engine.records.timeline import step_name
from engine.workflows.drill import events as d
from engine.workflows.drill.scenario import CHECKS, Scenario
from engine.workflows.session.events import ReactionReported, ResponderCheckedIn

EPINEPHRINE = "epinephrine"
FIRST_ROUTE = "IM"
SUPPORT = ("gas", "fluid")
OF_DOSES = frozenset(
    {
        "dose_right",
        "route_right",
        "concentration_right",
        "doses_ordered",
        "orders_read_back",
        "epinephrine_first",
    }
)
PEOPLE = frozenset({"technologist", "responder", "physician"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One lapse: its name, a sentence, and when (None: it never happened)."""

    reason: str
    sentence: str
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing judged: its points count when nothing was found against it."""

    name: str
    worth: int
    findings: tuple[Finding, ...]

    @property
    def met(self) -> bool:
        """Whether nothing was found against it."""
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Points out of 100, what they are made of, the four times in seconds, and who took part."""

    points: int
    checks: tuple[Check, ...]
    onset_to_report_s: Decimal | None
    report_to_grade_s: Decimal | None
    onset_to_epinephrine_im_s: Decimal | None
    onset_to_emergency_call_s: Decimal | None
    participants: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every lapse."""
        return tuple(finding for check in self.checks for finding in check.findings)


@dataclass(slots=True)
class _Order:
    """The order of a step that is open or was carried out."""

    dose: OrderedDose | None
    overrides: tuple[str, ...]
    at: dt.datetime
    read_back: bool = False


@dataclass(frozen=True, slots=True)
class _Given:
    """A dose as it went in, with the order it answers and whether that was on somebody's word."""

    dose: Medication
    ordered: _Order | None
    authority: str

    @property
    def epinephrine(self) -> bool:
        return self.dose.counter.startswith(EPINEPHRINE)


@dataclass(slots=True)
class _Seen:
    """What the events of a drill say so far. Steps are by reaction and step id."""

    scenario: Scenario | None = None
    onset_at: dt.datetime | None = None
    reported_at: dt.datetime | None = None
    graded_at: dt.datetime | None = None
    graded: r.ReactionGraded | None = None
    called_at: dt.datetime | None = None
    offers: dict[tuple[str, str], OfferedStep] = field(default_factory=dict)
    orders: dict[tuple[str, str], _Order] = field(default_factory=dict)
    given: list[_Given] = field(default_factory=list)
    handled: set[str] = field(default_factory=set)
    people: dict[str, None] = field(default_factory=dict)

    def first_epinephrine(self, route: str = "") -> _Given | None:
        """Return the first epinephrine that went in, of a route if one is asked for."""
        found = (one for one in self.given if one.epinephrine and route in ("", one.dose.route))
        return min(found, key=lambda one: one.dose.given_at, default=None)

    def offered(self, dose: Medication) -> tuple[OfferedDose, ...]:
        """Return what the protocol offered of this drug."""
        offers = (offer for step in self.offers.values() for offer in step.doses)
        return tuple(offer for offer in offers if offer.drug == dose.drug)


def score(history: Iterable[Recorded]) -> Score:
    """Return what a drill was worth. Raises LookupError for a history without the drill's plan."""
    seen = _Seen()
    for recorded in drilled(history):
        _take(seen, recorded)
    if seen.scenario is None:
        raise LookupError("a drill is scored from its plan on")
    checks = tuple(
        Check(name=name, worth=seen.scenario.points[name], findings=tuple(_found(name, seen)))
        for name in CHECKS
    )
    epinephrine = seen.first_epinephrine(FIRST_ROUTE)
    return Score(
        points=sum(check.worth for check in checks if check.met),
        checks=checks,
        onset_to_report_s=_seconds(seen.onset_at, seen.reported_at),
        report_to_grade_s=_seconds(seen.reported_at, seen.graded_at),
        onset_to_epinephrine_im_s=_seconds(seen.onset_at, epinephrine.dose.given_at if epinephrine else None),
        onset_to_emergency_call_s=_seconds(seen.onset_at, seen.called_at),
        participants=tuple(sorted(seen.people)),
    )


def _found(name: str, seen: _Seen) -> Iterator[Finding]:
    """Yield what stands against a check. How doses were given earns nothing when the one that matters was not."""
    findings = tuple(_JUDGED[name](seen))
    owed = _scenario(seen).expected.epinephrine and seen.first_epinephrine() is None
    if owed and not findings and name in OF_DOSES:
        findings = (Finding(reason="EPINEPHRINE_NOT_GIVEN", sentence="No epinephrine went in."),)
    yield from findings


def drilled(history: Iterable[Recorded]) -> Iterator[Recorded]:
    """Yield the events of a drill in log order up to its end; what is tidied up after it is not practice."""
    for recorded in sorted(history, key=lambda one: one.position):
        yield recorded
        if isinstance(recorded.event, d.DrillEnded | d.DrillCancelled):
            return


def _seconds(start: dt.datetime | None, end: dt.datetime | None) -> Decimal | None:
    """Return whole and tenth seconds from one moment to another, 0 when it came before; None where one is missing."""
    if start is None or end is None:
        return None
    return Decimal(round(max(0.0, (end - start).total_seconds()) * 10)) / 10


def _take(seen: _Seen, recorded: Recorded) -> None:
    if recorded.stream.machine != "drill" and recorded.actor.role in PEOPLE:
        seen.people[recorded.actor.person_id] = None
    change = _CHANGES.get(type(recorded.event))
    if change is not None:
        change(seen, recorded, recorded.event)


def _changed(seen: _Seen, recorded: Recorded, v: d.PatientChanged) -> None:
    if v.signs and seen.onset_at is None:
        seen.onset_at = recorded.at


def _reported(seen: _Seen, recorded: Recorded, v: ReactionReported) -> None:
    seen.reported_at = seen.reported_at or recorded.at


def _graded(seen: _Seen, recorded: Recorded, v: r.ReactionGraded) -> None:
    seen.graded_at = seen.graded_at or recorded.at
    seen.graded = v


def _offered(seen: _Seen, recorded: Recorded, v: r.ProtocolResolved) -> None:
    seen.offers.update({(recorded.stream.id, step.step_id): step for step in v.steps})


def _ordered(seen: _Seen, recorded: Recorded, v: r.StepOrdered) -> None:
    seen.orders[recorded.stream.id, v.step_id] = _Order(v.order, v.overrides, recorded.at)


def _read_back(seen: _Seen, recorded: Recorded, v: r.StepReadBack) -> None:
    order = seen.orders.get((recorded.stream.id, v.step_id))
    if order is not None:
        order.read_back = True


def _handled(seen: _Seen, recorded: Recorded, v: r.StepDone | r.StepRefused) -> None:
    seen.handled.add(v.step_id)


def _given(seen: _Seen, recorded: Recorded, v: r.MedicationGiven) -> None:
    order = seen.orders.get((recorded.stream.id, v.medication.step_id))
    seen.given.append(_Given(v.medication, order, v.authority))
    seen.handled.add(v.medication.step_id)


def _called(seen: _Seen, recorded: Recorded, v: r.EmergencyCalled) -> None:
    seen.called_at = min(seen.called_at or v.called_at, v.called_at)


def _planned(seen: _Seen, recorded: Recorded, v: d.DrillPlanned) -> None:
    seen.scenario = v.scenario


def _checked_in(seen: _Seen, recorded: Recorded, v: ResponderCheckedIn) -> None:
    seen.people[v.evidence.person_id] = None


_CHANGES: Mapping[type[Event], Callable[[_Seen, Recorded, Any], None]] = {
    d.DrillPlanned: _planned,
    d.PatientChanged: _changed,
    ReactionReported: _reported,
    ResponderCheckedIn: _checked_in,
    r.ReactionGraded: _graded,
    r.ProtocolResolved: _offered,
    r.StepOrdered: _ordered,
    r.StepReadBack: _read_back,
    r.StepDone: _handled,
    r.StepRefused: _handled,
    r.MedicationGiven: _given,
    r.EmergencyCalled: _called,
}


def _scenario(seen: _Seen) -> Scenario:
    assert seen.scenario is not None
    return seen.scenario


def _late(
    start: dt.datetime | None, at: dt.datetime | None, within_s: int | None, reason: str, what: str
) -> Iterator[Finding]:
    """Yield a finding when something came later after its start than the script allows."""
    took = _seconds(start, at)
    if took is not None and within_s is not None and took > within_s:
        yield Finding(
            reason=reason, sentence=f"{what} after {took} s; the script allows {within_s} s.", at=at
        )


def _report(seen: _Seen) -> Iterator[Finding]:
    if seen.reported_at is None:
        yield Finding(reason="ONSET_NOT_REPORTED", sentence="Nobody reported the reaction.")
    within_s = _scenario(seen).expected.report_within_s
    yield from _late(
        seen.onset_at, seen.reported_at, within_s, "ONSET_REPORTED_LATE", "The reaction was reported"
    )


def _grade_time(seen: _Seen) -> Iterator[Finding]:
    if seen.graded_at is None:
        yield Finding(reason="NOT_GRADED", sentence="The reaction was not graded.")
    within_s = _scenario(seen).expected.grade_within_s
    yield from _late(seen.reported_at, seen.graded_at, within_s, "GRADED_LATE", "The reaction was graded")


def _grade(seen: _Seen) -> Iterator[Finding]:
    expected, found = _scenario(seen).expected, seen.graded
    if found is None:
        yield Finding(
            reason="GRADE_WRONG", sentence=f"It was {' or '.join(expected.severity)}; nobody graded."
        )
        return
    named = {found.presentation, *found.also}
    if found.severity.value in expected.severity and named & set(expected.presentations):
        return
    said = ", ".join((found.severity.value, found.presentation, *found.also))
    meant = f"{' or '.join(expected.severity)}, {' or '.join(expected.presentations)}"
    yield Finding(reason="GRADE_WRONG", sentence=f"It was graded {said}; it was {meant}.", at=seen.graded_at)


def _epinephrine(seen: _Seen) -> Iterator[Finding]:
    expected = _scenario(seen).expected
    if not expected.epinephrine:
        given = seen.first_epinephrine()
        if given is not None:
            said = "Epinephrine was given; this reaction did not call for it."
            yield Finding(reason="EPINEPHRINE_NOT_NEEDED", sentence=said, at=given.dose.given_at)
        return
    first = seen.first_epinephrine(FIRST_ROUTE)
    if first is None:
        said = "No epinephrine went into the muscle."
        yield Finding(reason="EPINEPHRINE_IM_NOT_GIVEN", sentence=said)
        return
    at, within_s = first.dose.given_at, expected.epinephrine_within_s
    yield from _late(seen.onset_at, at, within_s, "EPINEPHRINE_LATE", "Epinephrine went into the muscle")


def _call(seen: _Seen) -> Iterator[Finding]:
    expected = _scenario(seen).expected
    if not expected.emergency_call:
        return
    if seen.called_at is None:
        yield Finding(reason="EMERGENCY_NOT_CALLED", sentence="Nobody called the emergency service.")
    within_s = expected.emergency_call_within_s
    yield from _late(
        seen.onset_at, seen.called_at, within_s, "EMERGENCY_CALLED_LATE", "The emergency service was called"
    )


def _dose(seen: _Seen) -> Iterator[Finding]:
    """The amount is the ordered one; without an order by that route it is in the range the protocol offers."""
    for one in seen.given:
        dose, order = one.dose, one.ordered.dose if one.ordered else None
        if dose.dose_mg is None:
            continue
        what = f"{dose.dose_mg} mg of {dose.drug} {dose.route} went in"
        if order is not None and (order.drug, order.route) == (dose.drug, dose.route):
            if one.ordered is not None and "DOSE_OVER_CAP" in one.ordered.overrides:
                said = f"{what}: ordered past the row's single maximum."
                yield Finding(reason="DOSE_WRONG", sentence=said, at=dose.given_at)
            elif order.dose_mg is not None and order.dose_mg != dose.dose_mg:
                said = f"{what}; {order.dose_mg} mg was ordered."
                yield Finding(reason="DOSE_WRONG", sentence=said, at=dose.given_at)
            continue
        ranges = [(low, offer.dose_max_mg or low) for offer, low in _amounts(seen, dose)]
        if ranges and not any(low <= dose.dose_mg <= high for low, high in ranges):
            said = f"{what}; the protocol offers {' or '.join(str(low) for low, _ in ranges)} mg."
            yield Finding(reason="DOSE_WRONG", sentence=said, at=dose.given_at)


def _amounts(seen: _Seen, dose: Medication) -> Iterator[tuple[OfferedDose, Decimal]]:
    for offer in seen.offered(dose):
        if offer.route == dose.route and offer.dose_mg is not None:
            yield offer, offer.dose_mg


def _route(seen: _Seen) -> Iterator[Finding]:
    """The route is the ordered one; epinephrine goes into the muscle first where the protocol offers that."""
    for one in seen.given:
        dose, ordered = one.dose, one.ordered.dose if one.ordered else None
        routes = [offer.route for offer in seen.offered(dose)]
        said = ""
        if ordered is not None and ordered.drug == dose.drug and ordered.route != dose.route:
            said = f"{dose.drug} went in {dose.route}; {ordered.route} was ordered."
        elif routes and dose.route not in routes:
            said = (
                f"{dose.drug} went in {dose.route}; the protocol offers {' or '.join(dict.fromkeys(routes))}."
            )
        elif one.epinephrine and dose.route != FIRST_ROUTE and FIRST_ROUTE in routes:
            before = seen.first_epinephrine(FIRST_ROUTE)
            if before is None or before.dose.given_at > dose.given_at:
                said = f"{dose.drug} went in {dose.route} before any went into the muscle."
        if said:
            yield Finding(reason="ROUTE_WRONG", sentence=said, at=dose.given_at)


def _concentration(seen: _Seen) -> Iterator[Finding]:
    """The product in the hand is the one of the protocol's row for that route."""
    for one in seen.given:
        dose = one.dose
        right = {offer.concentration_mg_per_ml for offer in seen.offered(dose) if offer.route == dose.route}
        held = dose.concentration_mg_per_ml
        if held is None or None in right or not right or held in right:
            continue
        wanted = " or ".join(str(value) for value in right)
        said = f"{dose.drug} {dose.route} was drawn from {held} mg/mL; it is given from {wanted} mg/mL."
        yield Finding(reason="CONCENTRATION_WRONG", sentence=said, at=dose.given_at)


def _authority(seen: _Seen) -> Iterator[Finding]:
    for one in seen.given:
        if one.authority == "none":
            said = f"{one.dose.drug} {one.dose.route} went in without an order."
            yield Finding(reason="DOSE_NOT_ORDERED", sentence=said, at=one.dose.given_at)


def _repeated(seen: _Seen) -> Iterator[Finding]:
    for one in seen.given:
        if one.authority == "order" and one.ordered is not None and not one.ordered.read_back:
            said = f"The order of {one.dose.drug} {one.dose.route} was not read back before it went in."
            yield Finding(reason="READ_BACK_SKIPPED", sentence=said, at=one.dose.given_at)


def _first(seen: _Seen) -> Iterator[Finding]:
    """Oxygen and fluid may go in at any time; every other drug waits for epinephrine."""
    if not _scenario(seen).expected.epinephrine:
        return
    first = seen.first_epinephrine()
    for one in seen.given:
        forms = {offer.form for offer in seen.offered(one.dose)}
        if one.epinephrine or forms & set(SUPPORT):
            continue
        if first is None or one.dose.given_at < first.dose.given_at:
            said = f"{one.dose.drug} went in before epinephrine."
            yield Finding(reason="EPINEPHRINE_NOT_FIRST", sentence=said, at=one.dose.given_at)


def _steps(seen: _Seen) -> Iterator[Finding]:
    """Every expected step was done or decided against; one that the right protocol did not offer was merged away."""
    texts = {step.step_id: step.text for step in seen.offers.values()}
    right = not any(_grade(seen))
    for step_id in _scenario(seen).expected.steps:
        if step_id in seen.handled or (right and step_id not in texts):
            continue
        said = f"{step_name(step_id, texts.get(step_id))}: neither done nor decided against."
        yield Finding(reason="STEP_MISSED", sentence=said)


_JUDGED: Mapping[str, Callable[[_Seen], Iterator[Finding]]] = {
    "reported_in_time": _report,
    "graded_in_time": _grade_time,
    "graded_right": _grade,
    "epinephrine_in_time": _epinephrine,
    "emergency_called_in_time": _call,
    "dose_right": _dose,
    "route_right": _route,
    "concentration_right": _concentration,
    "doses_ordered": _authority,
    "orders_read_back": _repeated,
    "epinephrine_first": _first,
    "steps_done": _steps,
}
