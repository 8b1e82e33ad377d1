"""A resolved protocol as one plain object: the same keys in every step, None where a key does not apply.

The dose shown is the one that is drawn up, rounded down to the syringe's mark; `exact_dose_mg` is the dose as computed.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from engine.reactions.dose import Dose, PhysicianDecides, Resolution, cumulative_cap_mg, plain
from engine.reactions.guards import total_mg
from engine.reactions.names import EPINEPHRINE
from engine.reactions.pack import DrugRow, Pack
from engine.reactions.resolve import DoseOption, ProtocolStep, ResolvedProtocol, Situation

EMPTY: Mapping[str, Any] = {
    "drug": None,
    "dose_mg": None,
    "concentration_mg_per_ml": None,
    "dose_max_mg": None,
    "volume_ml": None,
    "volume_max_ml": None,
    "amount": None,
    "unit": None,
    "form": None,
    "route": None,
    "rate": None,
    "repeat_min_s": None,
    "repeat_max_s": None,
    "max_single_mg": None,
    "max_cumulative_mg": None,
    "needs_order": False,
    "read_back": None,
    "alternative_of": None,
    "condition": None,
    "exact_dose_mg": None,
    "citation": None,
    "evidence": None,
    "formula": None,
}


def shown(pack: Pack, situation: Situation, found: ResolvedProtocol) -> Mapping[str, Any]:
    """Return pack, hash, presentation, severity, steps and emergency call; amounts are Decimals."""
    return {
        "pack": pack.pack_id,
        "pack_hash": pack.hash,
        "presentation": found.presentation,
        "severity": found.severity.value,
        "steps": [_tidy(entry) for step in found.steps for entry in _entries(pack, situation, step)],
        "emergency_call": found.emergency_call,
    }


def _tidy(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write amounts without a trailing zero."""
    return {
        name: Decimal(plain(value)) if isinstance(value, Decimal) else value for name, value in entry.items()
    }


def _entries(pack: Pack, situation: Situation, step: ProtocolStep) -> Iterator[Mapping[str, Any]]:
    """Yield the step, then each alternative as a step of its own that names the one it replaces."""
    if step.dose is None:
        yield {
            "id": step.step_id,
            "kind": step.kind,
            "text": step.text,
            **EMPTY,
            "repeat_min_s": step.repeat_min_s,
            "repeat_max_s": step.repeat_max_s,
            "needs_order": step.needs_order,
            "condition": _joined(step.condition, _asked(step.physician_decides)),
            "citation": step.citation,
            "evidence": step.evidence.partition(";")[0],
        }
        return
    ids = {step.dose.row_id: step.step_id}
    yield {
        "id": step.step_id,
        "kind": step.kind,
        "text": _joined(step.text, _first(step.dose.dose), *_warnings(pack, step.dose.dose), by=" "),
        **_dose(pack, situation, step, step.dose),
    }
    for option in step.alternatives:
        ids[option.row_id] = f"{step.step_id}/{option.row_id}"
        yield {
            "id": ids[option.row_id],
            "kind": step.kind,
            "text": _joined("Instead:", _words(option.dose), *_warnings(pack, option.dose), by=" "),
            **_dose(pack, situation, step, option),
            "alternative_of": ids.get(option.instead_of, step.step_id),
        }


def _dose(pack: Pack, situation: Situation, step: ProtocolStep, option: DoseOption) -> dict[str, Any]:
    """Return everything about one dose; what goes by a weight or a decision still to come stays None."""
    row, dose = pack.drug(option.row_id), option.dose
    first = option is step.dose
    cited = step.citation if dose.citation in step.citation else f"{step.citation}; dose: {dose.citation}"
    return {
        **EMPTY,
        "drug": row.drug,
        "concentration_mg_per_ml": row.concentration_mg_per_ml,
        "unit": row.unit or (None if row.injected else "mg"),
        "form": row.form,
        "route": row.route,
        "rate": row.rate or None,
        "repeat_min_s": row.repeat_min_s,
        "repeat_max_s": row.repeat_max_s,
        "max_single_mg": row.max_single_mg,
        "max_cumulative_mg": cumulative_cap_mg(row, situation.age_years),
        "needs_order": step.needs_order and row.needs_order,
        "read_back": row.read_back or None,
        "condition": _joined(step.condition if first else "", option.condition, *_provisos(row, option)),
        "citation": _joined(cited, _field_tags(row)),
        "evidence": row.evidence,
        "formula": _joined(_rule(dose), _running(pack, situation, row, dose)),
        **(_numbers(row, dose) if isinstance(dose, Dose) else {}),
    }


def _numbers(row: DrugRow, dose: Dose) -> dict[str, Any]:
    measured = dose.measured_mg is not None
    ranged = dose.dose_max_mg is not None
    shown_mg = dose.measured_mg if measured else dose.dose_mg
    plain_form = not row.injected and not row.unit
    fluid = row.unit == "mL"
    amount = dose.amount_max if row.first_amount == "high" and dose.amount_max is not None else dose.amount
    return {
        "dose_mg": shown_mg,
        "dose_max_mg": (dose.measured_max_mg if measured else dose.dose_max_mg) if ranged else None,
        "volume_ml": dose.amount if fluid else dose.measured_ml if measured else dose.volume_ml,
        "volume_max_ml": dose.amount_max if fluid else _upper_ml(dose) if ranged else None,
        "amount": shown_mg if plain_form else amount,
        "exact_dose_mg": dose.dose_mg,
    }


def _upper_ml(dose: Dose) -> Decimal | None:
    return dose.volume_max_ml if dose.measured_max_ml is None else dose.measured_max_ml


def _provisos(row: DrugRow, option: DoseOption) -> Iterator[str]:
    """Yield what stands before this dose: the physician, the weight, a fresh order, a limit that it would pass."""
    dose = option.dose
    if isinstance(dose, PhysicianDecides):
        yield _asked(dose.why)
    elif not isinstance(dose, Dose):
        yield "the weight is needed first"
    else:
        yield dose.confirm
    if row.fresh_order:
        yield "a fresh order for each dose"
    if option.problem is not None:
        yield f"only if the physician overrides with a reason: {option.problem.sentence.rstrip('.')}"


def _first(dose: Resolution) -> str:
    return f"Dose: {_words(dose)}"


def _words(dose: Resolution) -> str:
    """Say a dose as hands need it: drug, amount, strength, volume, route, place and rate."""
    if not isinstance(dose, Dose):
        return f"{dose.drug} {dose.route}."
    return f"{dose.amount_text}, {dose.rate}." if dose.rate else f"{dose.amount_text}."


def _warnings(pack: Pack, dose: Resolution) -> Iterator[str]:
    """Yield the cautions of a row, its repeats in words, and the names it is mistaken for."""
    row = pack.drug(dose.row_id)
    yield row.caution
    if row.repeat_text:
        yield f"Repeat: {row.repeat_text}."
    yield from (alert.text for alert in pack.look_alikes if alert.drug in row.drug)


def _running(pack: Pack, situation: Situation, row: DrugRow, dose: Resolution) -> str:
    """Say what went in already and what it would be with this dose; "" where nothing did."""
    before = [given for given in situation.given if given.counter == row.counter]
    if not before or not isinstance(dose, Dose) or dose.dose_mg is None:
        return ""
    total = total_mg(pack, before)
    cap = cumulative_cap_mg(row, situation.age_years)
    if row.counter == EPINEPHRINE:
        cap = min(cap or Decimal("Infinity"), pack.value("cumulative_epinephrine_mg"))
    limit = f" of at most {plain(cap)} mg" if cap is not None else ""
    return f"{plain(total)} mg given before, {plain(total + dose.dose_mg)} mg{limit} with this dose"


def _rule(dose: Resolution) -> str:
    return "" if isinstance(dose, PhysicianDecides) else dose.formula


def _asked(what: str) -> str:
    return f"physician decides: {what}" if what else ""


def _field_tags(row: DrugRow) -> str:
    """Name the fields whose evidence is not the row's: the reader must see them."""
    others = sorted((row.evidence_of or {}).items())
    return "evidence of " + ", ".join(f"{name} {tag}" for name, tag in others) if others else ""


def _joined(*parts: str, by: str = "; ") -> str | None:
    return by.join(part for part in parts if part) or None
