"""Kilograms or pounds: a weight is read twice before a dose rests on it, because an error is 2.2 times the dose.

Tolerances are rows of the pack. What a patient of an age or a length weighs is said only where the pack has a row for
it; no row of the shipped packs does.
"""

from dataclasses import dataclass
from decimal import Decimal

from engine.kernel.quantities import LB_PER_KG, kg_from_lb
from engine.reactions.dose import plain, usable_weight
from engine.reactions.pack import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightProblem:
    """Why a weight needs a second look; `reason` is a word, `sentence` for the room."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A weight to assume by a row of the pack; `sentence` for the room."""

    row_id: str
    weight_kg: Decimal
    sentence: str


def estimates(pack: Pack, *, age_years: int | None, length_cm: Decimal | None) -> tuple[Estimate, ...]:
    """Return the pack's estimates for an age or a length; () where it has no row for them."""
    known = {"age_years": age_years, "length_cm": length_cm}
    return tuple(
        Estimate(
            row_id=row.id,
            weight_kg=row.weight_kg,
            sentence=f"Not to be had: about {plain(row.weight_kg)} kg, estimated by row {row.id}.",
        )
        for row in pack.weight_estimates
        if (value := known[row.by]) is not None and row.at_least <= value < row.below
    )


def weight_problem(
    pack: Pack,
    weight_kg: Decimal,
    *,
    stated_lb: Decimal | None = None,
    other_kg: Decimal | None = None,
) -> WeightProblem | None:
    """Compare a weight in kg with the same one stated in pounds and with another record of this patient.

    `other_kg` comes from the order or an earlier entry. Returns None when nothing speaks against the weight.
    """
    if stated_lb is not None:
        expected = stated_lb / LB_PER_KG
        tolerance = expected * pack.value("weight_agreement_percent") / 100
        if abs(weight_kg - expected) > tolerance:
            return WeightProblem(
                reason="WEIGHT_UNITS_DISAGREE",
                sentence=f"{plain(stated_lb)} lb is {plain(kg_from_lb(stated_lb))} kg, "
                f"not {plain(weight_kg)} kg: weigh again or correct one of them.",
            )
    if other_kg:
        window = pack.value("pounds_ratio_window_percent") / 100
        if _about(weight_kg / other_kg, LB_PER_KG, window):
            return WeightProblem(
                reason="POUNDS_AS_KILOGRAMS",
                sentence=f"{plain(weight_kg)} kg is 2.2 times the {plain(other_kg)} kg known before: "
                "was it read in pounds?",
            )
        if _about(other_kg / weight_kg, LB_PER_KG, window):
            return WeightProblem(
                reason="KILOGRAMS_AS_POUNDS",
                sentence=f"{plain(weight_kg)} kg is less than half of the {plain(other_kg)} kg known before: "
                "was one of them in pounds?",
            )
    return None


def weight_doubt(pack: Pack, weight_kg: Decimal, known_kg: Decimal | None) -> str:
    """Return the sentence for the room when a new weight looks like the known one in the other unit, else ""."""
    if usable_weight(weight_kg) is None or usable_weight(known_kg) is None:
        return ""
    problem = weight_problem(pack, weight_kg, other_kg=known_kg)
    return f"{problem.sentence} {both_readings(weight_kg)}." if problem is not None else ""


def both_readings(weight: Decimal) -> str:
    """Say what a number means in either unit, to be confirmed aloud: "44 kg is 97 lb; 44 lb would be 20 kg"."""
    pounds = (weight * LB_PER_KG).quantize(Decimal(1))
    return f"{plain(weight)} kg is {plain(pounds)} lb; {plain(weight)} lb would be {plain(kg_from_lb(weight))} kg"


def _about(ratio: Decimal, target: Decimal, window: Decimal) -> bool:
    return abs(ratio - target) <= target * window
