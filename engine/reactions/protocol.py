"""Between the pack and the machine: what is offered, what an order of it is, and what stands against it.

Rule: no number is made here. Everything comes from a row of the pack, or from the physician.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import chain

from engine.kernel.errors import Missing
from engine.reactions.dose import (
    Dose,
    PhysicianDecides,
    WeightNeeded,
    into,
    mass,
    measure,
    plain,
    resolve_dose,
)
from engine.reactions.events import SeveritySuggested
from engine.reactions.guards import (
    fresh_order_problem,
    order_problems,
    product_problem,
    volume_problem,
)
from engine.reactions.names import EPINEPHRINE, fits, is_epinephrine
from engine.reactions.pack import DrugRow, Pack
from engine.reactions.resolve import CALL_LEVELS, DoseOption, ProtocolStep, Situation, progressed, resolve
from engine.reactions.severity import suggest as suggest_severity
from engine.reactions.state import (
    Medication,
    OfferedDose,
    OfferedStep,
    OrderedDose,
    ReactionState,
    Severity,
    StepState,
)

MRI = ("MR", "MRI")
ZONE_IV = "IV"


def knows(pack: Pack, presentation: str) -> bool:
    """Return whether the pack has a protocol for a presentation."""
    return presentation in pack.presentations


def suggest(pack: Pack, state: ReactionState) -> SeveritySuggested:
    """Return the grade the pack's rules suggest from signs and last vital signs, or the question left to decide."""
    found = suggest_severity(
        pack, state.signs, state.latest_vitals, age_years=state.age_years, age_days=state.age_days
    )
    return SeveritySuggested(
        severity=found.severity,
        rules=found.rules,
        reasons=found.reasons,
        presentations=found.presentations,
        physician_decides=found.physician_decides,
    )


def steps(pack: Pack, state: ReactionState) -> tuple[OfferedStep, ...]:
    """Return the steps for this patient as offered now: those of the grade set, or else of the grade suggested."""
    resolved = [resolve(pack, situation) for situation in _situations(state)]
    return tuple(_offered(pack, step) for step in merged(chain.from_iterable(resolved)))


def become(pack: Pack, state: ReactionState) -> tuple[tuple[str, Severity], ...]:
    """Return what each presentation has become by signs and vital signs; a patient who gets worse needs other steps."""
    found = (progressed(pack, situation) for situation in _situations(state))
    return tuple((one.presentation, one.severity) for one in found)


def _situations(state: ReactionState) -> list[Situation]:
    names = (state.presentation, *state.also) if state.severity else state.suggested_presentations
    severity = state.severity or state.suggested or Severity.SEVERE
    return [_situation(state, name, severity) for name in names]


def merged(every: Iterable[ProtocolStep]) -> tuple[ProtocolStep, ...]:
    """Merge protocols: no step twice, no drug row offered twice, one call at its most urgent, watching last."""
    kept: list[ProtocolStep] = []
    rows: set[str] = set()
    for step in every:
        call = next((n for n, other in enumerate(kept) if other.kind == step.kind == "call"), None)
        if call is not None:
            kept[call] = max(kept[call], step, key=lambda one: CALL_LEVELS.index(one.call_level))
            continue
        options = tuple(option for option in step.options if option.row_id not in rows)
        if _said(step, kept) or (step.options and not options):
            continue
        rows |= {option.row_id for option in options}
        kept.append(replace(step, dose=options[0], alternatives=options[1:]) if options else step)
    kept.sort(key=lambda step: step.kind == "observe")
    return tuple(replace(step, number=number) for number, step in enumerate(kept, start=1))


def _said(step: ProtocolStep, kept: Iterable[ProtocolStep]) -> bool:
    """Return whether a step is there already: by id, or an action by its words."""
    same = (step.kind, step.text)
    return any(
        step.step_id == other.step_id or (not step.options and same == (other.kind, other.text))
        for other in kept
    )


def _situation(state: ReactionState, presentation: str, severity: Severity) -> Situation:
    return Situation(
        presentation=presentation,
        severity=severity,
        age_years=state.age_years,
        age_days=state.age_days,
        weight_kg=state.weight_kg,
        vitals=state.latest_vitals,
        earlier_vitals=state.vitals_since_graded,
        signs=state.signs,
        signs_weighed=state.signs_weighed,
        agent=state.agent,
        mri_zone=ZONE_IV if state.modality in MRI else "",
        setting=state.setting,
        given=state.doses,
    )


def _offered(pack: Pack, step: ProtocolStep) -> OfferedStep:
    return OfferedStep(
        step_id=step.step_id,
        number=step.number,
        kind=step.kind,
        text=step.text,
        row_id=step.row_id,
        citation=step.citation,
        evidence=step.evidence,
        doses=tuple(_dose(pack, option) for option in step.options),
        call_level=step.call_level,
        physician_decides=step.physician_decides,
        standing_order=step.standing_order,
        repeat_s=step.repeat_min_s if step.kind == "observe" else None,
        observe_s=step.observe_min_s,
        observe_from=step.observe_from,
    )


def _dose(pack: Pack, option: DoseOption) -> OfferedDose:
    dose = option.dose
    if isinstance(dose, Dose):
        return OfferedDose(
            row_id=dose.row_id,
            drug=dose.drug,
            route=dose.route,
            form=dose.form,
            dose_mg=dose.dose_mg,
            dose_max_mg=dose.dose_max_mg,
            concentration_mg_per_ml=dose.concentration_mg_per_ml,
            volume_ml=dose.volume_ml,
            measured_ml=dose.measured_ml,
            amount_text=dose.amount_text,
            formula=dose.formula,
            cap_applied=dose.cap_applied,
            max_single_mg=dose.max_single_mg,
            counter=dose.counter,
            repeat_min_s=dose.repeat_min_s,
            repeat_max_s=dose.repeat_max_s,
            fresh_order=dose.fresh_order,
            condition=option.condition,
            waits_for="",
            citation=dose.citation,
            evidence=dose.evidence,
            site=dose.site,
            rate=dose.rate,
            caution=" ".join(part for part in (dose.name_alert, dose.confirm, dose.caution) if part),
        )
    return _waiting(pack.drug(dose.row_id), dose, option.condition)


def _waiting(row: DrugRow, dose: PhysicianDecides | WeightNeeded, condition: str) -> OfferedDose:
    """Return an offer without a number: the physician's, or the weight's. What the row knows of the product stays."""
    weight = isinstance(dose, WeightNeeded)
    words = dose.formula if isinstance(dose, WeightNeeded) else dose.why
    return OfferedDose(
        row_id=dose.row_id,
        drug=dose.drug,
        route=dose.route,
        form=row.form,
        dose_mg=None,
        dose_max_mg=None,
        concentration_mg_per_ml=row.concentration_mg_per_ml,
        volume_ml=None,
        measured_ml=None,
        amount_text=f"{dose.drug} {dose.route}: {words}",
        formula=words,
        cap_applied=False,
        max_single_mg=row.max_single_mg,
        counter=row.counter,
        repeat_min_s=row.repeat_min_s,
        repeat_max_s=row.repeat_max_s,
        fresh_order=row.fresh_order,
        condition=condition,
        waits_for="weight" if weight else "physician",
        citation=dose.citation,
        evidence=dose.evidence,
        site=row.site,
        rate=row.rate,
        caution=row.caution,
    )


def offered(offer: OfferedStep, row_id: str) -> OfferedDose | None:
    """Return the offered dose that an order means: the row named, or the only one there is."""
    if not row_id and len(offer.doses) == 1:
        return offer.doses[0]
    return next((dose for dose in offer.doses if dose.row_id == row_id), None)


def needs_weight(offer: OfferedStep, row_id: str) -> bool:
    """Return whether the dose meant goes by a weight that is not known."""
    dose = offered(offer, row_id)
    return dose is not None and dose.waits_for == "weight"


def undecided(offer: OfferedStep, row_id: str) -> bool:
    """Return whether the dose meant is a range or left to the physician, so that the order must say it in mg."""
    dose = offered(offer, row_id)
    return dose is not None and (dose.waits_for == "physician" or dose.dose_max_mg is not None)


def order(pack: Pack, offer: OfferedStep, row_id: str, dose_mg: Decimal | None) -> OrderedDose | None:
    """Return what an order of a step is; None for a step without a drug."""
    dose = offered(offer, row_id)
    if dose is None:
        return None
    as_offered = dose_mg is None or dose_mg == dose.dose_mg
    amount = dose.dose_mg if dose_mg is None else dose_mg
    volume = dose.measured_ml if as_offered else _drawn(pack, amount, dose.concentration_mg_per_ml)
    return OrderedDose(
        row_id=dose.row_id,
        drug=dose.drug,
        route=dose.route,
        dose_mg=amount,
        concentration_mg_per_ml=dose.concentration_mg_per_ml,
        volume_ml=volume,
        amount_text=dose.amount_text
        if as_offered and dose.dose_max_mg is None
        else _words(dose, amount, volume),
        formula=dose.formula if as_offered else f"ordered by the physician; the row says: {dose.formula}",
        counter=dose.counter,
        citation=dose.citation,
        evidence=dose.evidence,
    )


def _drawn(pack: Pack, dose_mg: Decimal | None, concentration: Decimal | None) -> Decimal | None:
    """Return the volume to draw up for a dose of the physician's own, rounded down to the syringe's mark."""
    if dose_mg is None or not concentration:
        return None
    return measure(pack.syringe_marks, dose_mg / concentration)


def _words(dose: OfferedDose, dose_mg: Decimal | None, volume_ml: Decimal | None) -> str:
    """Write drug, mg, mg/mL, mL and route in one line."""
    if dose_mg is None:
        return dose.amount_text
    product = "concentration: see vial"
    if dose.concentration_mg_per_ml is not None and volume_ml is not None:
        product = f"{plain(dose.concentration_mg_per_ml)} mg/mL, {plain(volume_ml)} mL"
    injected = dose.form in ("", "injection", "kit")
    amount = f"{dose.drug} {mass(dose_mg)} {f'({product})' if injected else dose.form} {dose.route}"
    return f"{amount} {into(dose.site)}".strip()


def problems(pack: Pack, wanted: OrderedDose, state: ReactionState, now: dt.datetime) -> tuple[str, ...]:
    """Return the reason words of everything that stands against an order now."""
    row = _row(pack, wanted.row_id)
    if row is None:
        return ("DOSE_ROW_GONE",)
    before = told_by(state.doses, now)
    found = order_problems(
        pack, row, wanted.dose_mg, before, now, age_years=state.age_years, weight_kg=state.weight_kg
    )
    return tuple(problem.reason for problem in found)


def told_by(doses: Iterable[Medication], now: dt.datetime) -> tuple[Medication, ...]:
    """Return doses with none later than now or than it was told: one told for the future counts for the interval."""
    return tuple(replace(dose, given_at=min(dose.counted_at, now)) for dose in doses)


def beyond(
    pack: Pack,
    given: Medication,
    state: ReactionState,
    now: dt.datetime,
    *,
    ordered: int,
    doses_mg: Iterable[Decimal],
) -> tuple[str, ...]:
    """Return what stands against a reported dose: it is kept all the same, and flagged.

    `ordered` is how often its step was ordered: a row that needs a fresh order for each dose is counted by it.
    `doses_mg` are what the volume is said to hold: the dose reported, and the one ordered.
    """
    row = _row(pack, given.row_id)
    if row is None:
        return ()
    times = sum(1 for dose in state.given if pack.row_id(dose.row_id) == row.id)
    strength = given.concentration_mg_per_ml
    found = (
        *order_problems(
            pack,
            row,
            given.dose_mg,
            told_by(state.doses, now),
            min(given.counted_at, now),
            age_years=state.age_years,
            weight_kg=state.weight_kg,
        ),
        product_problem(row, concentration_mg_per_ml=strength, route=given.route),
        volume_problem(
            pack,
            row,
            volume_ml=given.volume_ml,
            concentration_mg_per_ml=strength,
            doses_mg=doses_mg,
        ),
        fresh_order_problem(row, ordered=ordered, given=times),
    )
    return tuple(problem.reason for problem in found if problem is not None)


def amount_mg(
    dose_mg: Decimal | None, volume_ml: Decimal | None, concentration_mg_per_ml: Decimal | None
) -> Decimal | None:
    """Return how much went in: as reported, or volume x concentration; None when neither is known."""
    if dose_mg is not None or volume_ml is None or concentration_mg_per_ml is None:
        return dose_mg
    return volume_ml * concentration_mg_per_ml


def never_blocked(pack: Pack, order: OrderedDose) -> bool:
    """Return whether nothing may stand against an order: a dose in cardiac arrest (decision (g))."""
    row = _row(pack, order.row_id)
    return row is not None and row.never_blocked


def pushed_epinephrine(order: OrderedDose | None) -> bool:
    """Return whether an order is epinephrine into a vein of a patient who has a pulse (decision (b))."""
    return order is not None and order.counter == EPINEPHRINE and order.route.startswith("IV")


def row_of(pack: Pack, state: ReactionState, step: StepState | None, drug: str, route: str) -> DrugRow | None:
    """Return the pack's row for a reported drug: the order's, or the one of this patient's protocol by that route."""
    order = step.order if step is not None else None
    if order is not None and order.drug == drug and fits(order.route, route):
        return _row(pack, order.row_id)
    for other in state.steps.values():
        for dose in other.offer.doses:
            if dose.drug == drug and fits(dose.route, route):
                return _row(pack, dose.row_id)
    return None


def settled(pack: Pack, state: ReactionState, dose: OfferedDose) -> bool:
    """Return whether an offered dose has its number and needs nobody's confirmation for this patient."""
    row = _row(pack, dose.row_id)
    if row is None or dose.waits_for:
        return False
    found = resolve_dose(pack, row, age_years=state.age_years, weight_kg=state.weight_kg)
    return isinstance(found, Dose) and not found.confirm


def counter(drug: str) -> str:
    """Return what a dose without a row is summed with: every epinephrine counts, by any of its names."""
    return EPINEPHRINE if is_epinephrine(drug) else drug.casefold()


def _row(pack: Pack, row_id: str) -> DrugRow | None:
    try:
        return pack.drug(row_id)
    except Missing:
        return None
