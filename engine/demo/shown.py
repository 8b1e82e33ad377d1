"""A protocol resolved for one patient, as plain values for the command line."""

from decimal import Decimal
from typing import Any

from engine.kernel.quantities import amount
from engine.reactions.dose import Dose, PhysicianDecides, Resolution
from engine.reactions.pack import Pack
from engine.reactions.resolve import ProtocolStep, Situation, resolve
from engine.reactions.state import Severity


def shown_steps(
    pack: Pack,
    *,
    presentation: str,
    severity: str,
    age_years: int | None,
    weight_kg: str | None,
    setting: str,
) -> list[dict[str, Any]]:
    """Return the steps with their doses. Raises Invalid naming the field that is wrong."""
    weight = None
    if weight_kg is not None:
        weight = amount("weight_kg", weight_kg, low=Decimal("0.1"), high=Decimal(500))
    situation = Situation(
        presentation=presentation,
        severity=Severity(severity),
        age_years=age_years,
        weight_kg=weight,
        setting=setting,
    )
    return [_step(step) for step in resolve(pack, situation)]


def _step(step: ProtocolStep) -> dict[str, Any]:
    return {
        "number": step.number,
        "step_id": step.step_id,
        "kind": step.kind,
        "text": step.text,
        "condition": step.condition,
        "call_level": step.call_level,
        "physician_decides": step.physician_decides,
        "row_id": step.row_id,
        "citation": step.citation,
        "evidence": step.evidence,
        "doses": [_dose(option.dose) for option in step.options],
    }


def _dose(dose: Resolution) -> dict[str, Any]:
    shown = {
        "row_id": dose.row_id,
        "drug": dose.drug,
        "route": dose.route,
        "citation": dose.citation,
        "evidence": dose.evidence,
    }
    if isinstance(dose, Dose):
        exact = {
            "dose_mg": dose.dose_mg,
            "volume_ml": dose.volume_ml,
            "measured_ml": dose.measured_ml,
            "concentration_mg_per_ml": dose.concentration_mg_per_ml,
        }
        numbers = {
            name: None if value is None else format(value.normalize(), "f") for name, value in exact.items()
        }
        return {**shown, **numbers, "amount_text": dose.amount_text, "formula": dose.formula}
    words = dose.why if isinstance(dose, PhysicianDecides) else dose.formula
    waits = "physician decides" if isinstance(dose, PhysicianDecides) else "weight needed"
    return {**shown, "amount_text": f"{dose.drug} {dose.route}: {waits}", "formula": words}
