"""Premedication as a proposal to the physician: the pack's regimens for this patient, doses exact and capped.

Rule: nothing here is given or ordered; what the row does not state stays empty for the physician to say.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext

from engine.reactions.care_rows import Reexposure, Regimen, RegimenDose
from engine.reactions.dose import EXACT, plain, span
from engine.reactions.pack import Pack
from engine.reactions.questionnaire import Questionnaire


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDose:
    """One drug of an offered regimen. `dose_mg` None: by weight, which is unknown, or not stated by the row.

    `dose_max_mg` is the upper end of a range. Hours are before contrast; `now` and every `every_h` until then.
    Doses with the same `either_or` are alternatives. `formula` shows how the mg came about.
    """

    drug: str
    routes: tuple[str, ...]
    dose_mg: Decimal | None
    dose_max_mg: Decimal | None
    hours_before: tuple[Decimal, ...]
    now: bool
    every_h: Decimal | None
    optional: bool
    either_or: str
    formula: str

    @property
    def text(self) -> str:
        """The dose in one line: drug, mg, route and times, with what is left to the physician named."""
        amount = f"{span(self.dose_mg, self.dose_max_mg)} mg" if self.dose_mg is not None else self.formula
        times = ", ".join(f"{plain(hours)} h" for hours in self.hours_before)
        when = f"{times} before" if times else ""
        if self.now:
            when = "now" + (f" and every {plain(self.every_h)} h until contrast" if self.every_h else "")
        route = " or ".join(self.routes) or "route: the physician decides"
        parts = f"{self.drug} {amount} {route}, {when or 'time: the physician decides'}"
        return parts + (" (optional)" if self.optional else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A regimen for the physician to choose or not; `because` is the re-exposure row that allows premedicating."""

    row_id: str
    because: str
    premedicate: str
    situation: str
    text: str
    doses: tuple[PlannedDose, ...]
    citation: str
    evidence: str


def offers(
    pack: Pack, q: Questionnaire, fired: Iterable[Reexposure], *, resolve_doses: bool = True
) -> tuple[Offer, ...]:
    """Return the regimens for a patient's age, once each, when a re-exposure row that fired leaves room for any.

    Nothing is offered for an unknown age: an adult's regimen is not a child's. With `resolve_doses` off (decision
    support switched off) a dose by weight stays a formula.
    """
    because = next((row for row in fired if row.premedicate != "no"), None)
    if because is None or q.age_years is None:
        return ()
    population = "adult" if q.age_years >= pack.value("adult_from_years") else "child"
    weight_kg = q.plausible_kg if resolve_doses else None
    return tuple(_offer(row, because, weight_kg) for row in pack.regimens if row.population == population)


def _offer(row: Regimen, because: Reexposure, weight_kg: Decimal | None) -> Offer:
    with localcontext(EXACT):
        doses = tuple(_dose(dose, weight_kg) for dose in row.doses)
    return Offer(
        row_id=row.id,
        because=because.id,
        premedicate=because.premedicate,
        situation=row.situation,
        text=row.text,
        doses=doses,
        citation=row.citation,
        evidence=row.tags,
    )


def _dose(dose: RegimenDose, weight_kg: Decimal | None) -> PlannedDose:
    low, high, formula = dose.dose_mg, None, ""
    if dose.dose_mg_per_kg is not None:
        rule = f"{span(dose.dose_mg_per_kg, dose.dose_max_mg_per_kg)} mg/kg"
        cap = f", at most {plain(dose.max_single_mg)} mg" if dose.max_single_mg is not None else ""
        formula = f"{rule}{cap}, weight needed"
        if weight_kg is not None:
            low = _capped(dose.dose_mg_per_kg * weight_kg, dose.max_single_mg)
            if dose.dose_max_mg_per_kg is not None:
                high = _capped(dose.dose_max_mg_per_kg * weight_kg, dose.max_single_mg)
            formula = f"{rule} x {plain(weight_kg)} kg{cap} = {span(low, high)} mg"
    elif low is not None:
        formula = f"{plain(low)} mg fixed"
    else:
        formula = "dose: the physician decides"
    return PlannedDose(
        drug=dose.drug,
        routes=dose.routes,
        dose_mg=low,
        dose_max_mg=high if high != low else None,
        hours_before=dose.hours_before,
        now=dose.now,
        every_h=dose.every_h,
        optional=dose.optional,
        either_or=dose.either_or,
        formula=formula,
    )


def _capped(value: Decimal, cap: Decimal | None) -> Decimal:
    return value if cap is None else min(value, cap)


def lines(offer: Offer) -> Iterator[str]:
    """Yield an offered regimen as lines to be read: alternatives joined by "or"."""
    said: dict[str, list[str]] = {}
    for number, dose in enumerate(offer.doses):
        said.setdefault(dose.either_or or str(number), []).append(dose.text)
    yield from (" or ".join(texts) for texts in said.values())
