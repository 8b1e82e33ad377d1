"""The dose of one drug row for one patient, exact, with the formula and the row it came from.

Computed exactly and rounded down only for the syringe: a measured dose is never above the exact one, the exact one
never above the row's cap. Where the row holds no number the physician decides; nothing is guessed.
"""

from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from engine.kernel.errors import Invalid
from engine.reactions.pack import DrugRow, Pack, SyringeMark

# Weights and pack values have few digits; this precision keeps every product and quotient of them exact or far
# finer than any syringe.
EXACT = Context(prec=34)
WEIGHT_LIMIT_KG = Decimal(1000)
MG_PER_G = Decimal(1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """A resolved dose. `*_max_*` fields are the upper end of a range, None without one.

    `dose_mg` and `volume_ml` are exact; `measured_ml` is rounded down to the syringe's mark and `measured_mg` is
    what that volume holds, both None below the syringe's first mark. `concentration_mg_per_ml` None prints "see
    vial". `confirm` is a sentence when the physician has to confirm before this row is used, else "".
    """

    row_id: str
    drug: str
    form: str
    route: str
    site: str
    counter: str
    dose_mg: Decimal | None
    dose_max_mg: Decimal | None
    concentration_mg_per_ml: Decimal | None
    volume_ml: Decimal | None
    volume_max_ml: Decimal | None
    measured_ml: Decimal | None
    measured_max_ml: Decimal | None
    measured_mg: Decimal | None
    measured_max_mg: Decimal | None
    amount: Decimal | None
    amount_max: Decimal | None
    unit: str
    rate: str
    formula: str
    cap_applied: bool
    max_single_mg: Decimal | None
    max_cumulative_mg: Decimal | None
    repeat_min_s: int | None
    repeat_max_s: int | None
    repeat_text: str
    fresh_order: bool
    needs_order: bool
    read_back: str
    confirm: str
    caution: str
    name_alert: str
    citation: str
    evidence: str

    @property
    def amount_text(self) -> str:
        """The dose in one line: drug, mg, mg/mL, mL, route and site, or amount, unit, form and route.

        The mg are those in the mL drawn up; the exact dose stands beside them where it differs.
        """
        parts = [self.drug]
        if self.amount is not None:
            parts.append(f"{span(self.amount, self.amount_max)} {self.unit}")
            if self.dose_mg is not None:
                parts.append(f"= {mass(self.dose_mg, self.dose_max_mg)}")
            parts.append(self.form)
        elif self.dose_mg is not None:
            low = self.dose_mg if self.measured_mg is None else self.measured_mg
            high = self.dose_max_mg if self.measured_max_mg is None else self.measured_max_mg
            parts.append(mass(low, high))
            if self.form in ("injection", "kit"):
                parts.append(self._product())
            else:
                parts.append(self.form)
        return " ".join([*parts, self.route, into(self.site)]).strip()

    def _product(self) -> str:
        if self.concentration_mg_per_ml is None:
            return "(concentration: see vial)"
        if self.measured_ml is None:
            return f"({plain(self.concentration_mg_per_ml)} mg/mL, below the syringe's first mark)"
        drawn = (
            f"{plain(self.concentration_mg_per_ml)} mg/mL, {span(self.measured_ml, self.measured_max_ml)} mL"
        )
        if self.dose_mg is None or (self.measured_mg, self.measured_max_mg) == (
            self.dose_mg,
            self.dose_max_mg,
        ):
            return f"({drawn})"
        return f"({drawn}; exactly {mass(self.dose_mg, self.dose_max_mg)})"


def into(site: str) -> str:
    """Return where on the body a dose goes, "" where its row does not say."""
    return f"into the {site}" if site else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicianDecides:
    """The pack holds no number for this patient: the physician gives one."""

    row_id: str
    drug: str
    route: str
    why: str
    citation: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightNeeded:
    """The row goes by weight, which is not known yet. `formula` is the rule, to be shown meanwhile."""

    row_id: str
    drug: str
    route: str
    formula: str
    citation: str
    evidence: str


Resolution = Dose | PhysicianDecides | WeightNeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Amount:
    """An amount on its way through floor and cap, with the words of each stage."""

    value: Decimal
    words: str
    capped: bool = False
    floored: bool = False


def usable_weight(weight_kg: Decimal | None) -> Decimal | None:
    """Return a weight that can be one, above 0 and up to 1,000 kg; None for any other."""
    if weight_kg is None or not weight_kg.is_finite() or not 0 < weight_kg <= WEIGHT_LIMIT_KG:
        return None
    return weight_kg


def resolve_dose(pack: Pack, row: DrugRow, *, age_years: int | None, weight_kg: Decimal | None) -> Resolution:
    """Resolve one drug row. A weight that cannot be one counts as not known: no fact is refused for it (H-13)."""
    weight_kg = usable_weight(weight_kg)
    by_weight = row.dose_mg_per_kg is not None or row.dose_bands or row.amount_per_kg is not None
    if by_weight and weight_kg is None:
        return WeightNeeded(
            row_id=row.id,
            drug=row.drug,
            route=row.route,
            formula=rule_text(row),
            citation=row.citation,
            evidence=row.tags,
        )
    if not by_weight and row.dose_mg is None and row.amount is None:
        return PhysicianDecides(
            row_id=row.id,
            drug=row.drug,
            route=row.route,
            why="the pack holds no dose for this drug",
            citation=row.citation,
            evidence=row.tags,
        )
    with localcontext(EXACT):
        return _dose(pack, row, age_years, weight_kg)


def _dose(pack: Pack, row: DrugRow, age_years: int | None, weight_kg: Decimal | None) -> Dose:
    low, high = _milligrams(row, weight_kg)
    volume = _volume(row, low)
    volume_max = _volume(row, high)
    measured, measured_max = _measured(pack, row, volume), _measured(pack, row, volume_max)
    amount, amount_max = _amount_of(row, weight_kg)
    return Dose(
        row_id=row.id,
        drug=row.drug,
        form=row.form,
        route=row.route,
        site=row.site,
        counter=row.counter,
        dose_mg=low.value if low else None,
        dose_max_mg=_upper(low, high),
        concentration_mg_per_ml=row.concentration_mg_per_ml,
        volume_ml=volume,
        volume_max_ml=volume_max,
        measured_ml=measured,
        measured_max_ml=measured_max,
        measured_mg=_mass(row, measured),
        measured_max_mg=_mass(row, measured_max),
        amount=amount.value if amount else None,
        amount_max=_upper(amount, amount_max),
        unit=row.unit,
        rate=row.rate,
        formula=_formula(row, low, high, amount, amount_max, (volume, volume_max), (measured, measured_max)),
        cap_applied=any(part.capped for part in (low, high, amount, amount_max) if part),
        max_single_mg=row.max_single_mg,
        max_cumulative_mg=cumulative_cap_mg(row, age_years),
        repeat_min_s=row.repeat_min_s,
        repeat_max_s=row.repeat_max_s,
        repeat_text=row.repeat_text,
        fresh_order=row.fresh_order,
        needs_order=row.needs_order,
        read_back=row.read_back,
        confirm=_confirm(
            row,
            weight_kg,
            floored=bool(low and low.floored),
            lost=volume is not None and row.injected and measured is None,
        ),
        caution=row.caution,
        name_alert="; ".join(alert.text for alert in pack.look_alikes if alert.drug in row.drug),
        citation=row.citation,
        evidence=row.tags,
    )


def _milligrams(row: DrugRow, weight_kg: Decimal | None) -> tuple[_Amount | None, _Amount | None]:
    """Return the dose in mg and, for a range, its upper end; floor and cap applied."""
    if row.dose_mg is not None:
        high = _fixed(row.dose_max_mg) if row.dose_max_mg is not None else None
        return _fixed(row.dose_mg), high
    if weight_kg is None:
        return None, None
    if row.dose_bands:
        band = [band for band in row.dose_bands if band.from_kg <= weight_kg][-1]
        return _bounded(row, band.dose_mg, f"{band_text(row, weight_kg)}: {plain(band.dose_mg)} mg"), None
    return _per_kg(row, row.dose_mg_per_kg, weight_kg), _per_kg(row, row.dose_max_mg_per_kg, weight_kg)


def _fixed(dose_mg: Decimal) -> _Amount:
    return _Amount(value=dose_mg, words=f"{mass(dose_mg)} fixed")


def _per_kg(row: DrugRow, rate_mg: Decimal | None, weight_kg: Decimal) -> _Amount | None:
    if rate_mg is None:
        return None
    value = rate_mg * weight_kg
    return _bounded(row, value, f"{plain(rate_mg)} mg/kg x {plain(weight_kg)} kg = {mass(value)}")


def _bounded(row: DrugRow, value: Decimal, words: str) -> _Amount:
    """Apply the floor, then the cap: the cap always has the last word."""
    floored = row.min_single_mg is not None and value < row.min_single_mg
    if floored and row.min_single_mg is not None:
        value, words = row.min_single_mg, f"{words}, raised to the minimum of {mass(row.min_single_mg)}"
    capped = row.max_single_mg is not None and value > row.max_single_mg
    if capped and row.max_single_mg is not None:
        value, words = row.max_single_mg, f"{words}, capped at {mass(row.max_single_mg)}"
    return _Amount(value=value, words=words, capped=capped, floored=floored)


def _amount_of(row: DrugRow, weight_kg: Decimal | None) -> tuple[_Amount | None, _Amount | None]:
    """Return the amount of a row that is not measured in mg (fluid, puffs, litres a minute), with its upper end."""
    if row.amount is not None:
        upper = _unit(row, row.amount_max) if row.amount_max is not None else None
        return _unit(row, row.amount), upper
    if row.amount_per_kg is None or weight_kg is None:
        return None, None
    low = _unit_per_kg(row, row.amount_per_kg, weight_kg)
    high = None
    if row.amount_max_per_kg is not None:
        high = _unit_per_kg(row, row.amount_max_per_kg, weight_kg)
    return low, high


def _unit(row: DrugRow, value: Decimal) -> _Amount:
    return _Amount(value=value, words=f"{plain(value)} {row.unit} at any weight")


def _unit_per_kg(row: DrugRow, rate: Decimal, weight_kg: Decimal) -> _Amount:
    value = rate * weight_kg
    words = f"{plain(rate)} {row.unit}/kg x {plain(weight_kg)} kg = {plain(value)} {row.unit}"
    cap = row.max_single_amount
    if cap is not None and value > cap:
        return _Amount(value=cap, words=f"{words}, capped at {plain(cap)} {row.unit}", capped=True)
    return _Amount(value=value, words=words)


def _upper(low: _Amount | None, high: _Amount | None) -> Decimal | None:
    return high.value if low is not None and high is not None and high.value != low.value else None


def _volume(row: DrugRow, dose: _Amount | None) -> Decimal | None:
    """Return the exact volume that holds a dose; None where the product's concentration is not known."""
    if dose is None:
        return None
    if row.concentration_mg_per_ml:
        return dose.value / row.concentration_mg_per_ml
    return row.volume_ml


def _measured(pack: Pack, row: DrugRow, volume_ml: Decimal | None) -> Decimal | None:
    """Return the volume drawn up; None for what is not drawn up and for less than the first mark, never 0."""
    if volume_ml is None or not row.injected:
        return None
    return measure(pack.syringe_marks, volume_ml) or None


def _mass(row: DrugRow, volume_ml: Decimal | None) -> Decimal | None:
    if volume_ml is None or row.concentration_mg_per_ml is None:
        return None
    return volume_ml * row.concentration_mg_per_ml


def _formula(
    row: DrugRow,
    low: _Amount | None,
    high: _Amount | None,
    amount: _Amount | None,
    amount_max: _Amount | None,
    exact: tuple[Decimal | None, Decimal | None],
    measured: tuple[Decimal | None, Decimal | None],
) -> str:
    first, last = (low, high) if low is not None else (amount, amount_max)
    words = " to ".join(part.words for part in (first, last) if part is not None)
    for said in (" fixed", " at any weight"):
        if words.count(said) > 1:
            words = words.replace(said, "", 1)
    if row.dose_mg is not None and amount is not None and low is not None:
        words = f"{amount.words} = {mass(low.value)}"
    if not row.injected or low is None:
        return words
    volume, volume_max = exact
    if volume is None or row.concentration_mg_per_ml is None:
        return f"{words}; concentration: see vial"
    words = f"{words}; {plain(row.concentration_mg_per_ml)} mg/mL → {span(volume, volume_max)} mL"
    if measured != exact and measured[0] is not None:
        words = f"{words}, drawn up {span(measured[0], measured[1])} mL"
    return words


def _confirm(row: DrugRow, weight_kg: Decimal | None, *, floored: bool, lost: bool) -> str:
    """Return why the physician has to confirm first, or ""."""
    if lost:
        return "less than the syringe's first mark: the physician decides how it is given"
    if row.confirm_below_kg is not None and weight_kg is not None and weight_kg < row.confirm_below_kg:
        return f"below {plain(row.confirm_below_kg)} kg: the physician confirms this row before use"
    if floored:
        return "the row's minimum is more than its dose per kg for this weight: the physician confirms"
    return ""


def measure(marks: tuple[SyringeMark, ...], volume_ml: Decimal) -> Decimal:
    """Round a volume down to the mark of the syringe that holds it; never up."""
    with localcontext(EXACT):
        for mark in marks:
            if mark.up_to_ml is None or volume_ml <= mark.up_to_ml:
                return (volume_ml // mark.step_ml) * mark.step_ml
    raise Invalid("syringe_mark", "the pack has no mark for this volume")


def cumulative_cap_mg(row: DrugRow, age_years: int | None) -> Decimal | None:
    """Return the row's cumulative cap at an age; an unknown age gets the lowest one."""
    if not row.cumulative_by_age:
        return row.max_cumulative_mg
    reached = [cap for cap in row.cumulative_by_age if cap.from_years <= (age_years or 0)]
    return reached[-1].max_cumulative_mg if reached else None


def rule_text(row: DrugRow) -> str:
    """Say a weight-based row's rule in words, for a patient whose weight is not known yet."""
    if row.dose_bands:
        return ", ".join(f"from {plain(band.from_kg)} kg {plain(band.dose_mg)} mg" for band in row.dose_bands)
    if row.dose_mg_per_kg is not None:
        words = f"{span(row.dose_mg_per_kg, row.dose_max_mg_per_kg)} mg/kg"
        cap = f", at most {plain(row.max_single_mg)} mg" if row.max_single_mg is not None else ""
        return words + cap
    if row.amount_per_kg is not None:
        words = f"{span(row.amount_per_kg, row.amount_max_per_kg)} {row.unit}/kg"
        most = row.max_single_amount
        return words + (f", at most {plain(most)} {row.unit}" if most is not None else "")
    return ""


def band_text(row: DrugRow, weight_kg: Decimal) -> str:
    """Name the weight band a patient is in: "below 30 kg" or "30 kg and over"."""
    above = [band.from_kg for band in row.dose_bands if band.from_kg > weight_kg]
    if above:
        return f"{plain(weight_kg)} kg is below {plain(above[0])} kg"
    return f"{plain(weight_kg)} kg is {plain(row.dose_bands[-1].from_kg)} kg or more"


def span(low: Decimal, high: Decimal | None) -> str:
    """Write an amount or a range of it: "25" or "25-50"."""
    return plain(low) if high is None or high == low else f"{plain(low)}-{plain(high)}"


def mass(low_mg: Decimal, high_mg: Decimal | None = None) -> str:
    """Write a mass or a range of it in mg, from 1 g on in g: "25-50 mg", "25 g"."""
    if low_mg < MG_PER_G:
        return f"{span(low_mg, high_mg)} mg"
    return f"{span(low_mg / MG_PER_G, None if high_mg is None else high_mg / MG_PER_G)} g"


def plain(value: Decimal) -> str:
    """Write a number without exponent and without trailing zeros: a trailing zero is read as ten times the dose."""
    text = format(value, "f")
    whole = text.rstrip("0").rstrip(".") if "." in text else text
    # ISMP: a leading zero before the point is always there, which format() guarantees.
    return whole or "0"
