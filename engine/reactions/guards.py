"""What stands against a dose: caps, totals and intervals, as pure checks with a reason word and a sentence.

A problem never blocks a fact and never an arrest dose; for an order it means "override with a reason or change it".
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.reactions.dose import Dose, cumulative_cap_mg, measure, plain, resolve_dose
from engine.reactions.names import EPINEPHRINE, fits
from engine.reactions.pack import DrugRow, Pack


class GivenDose(Protocol):
    """A dose that went in; `state.Medication` is one."""

    @property
    def row_id(self) -> str:
        """The drug row it was given by, "" when not known."""

    @property
    def drug(self) -> str:
        """What it was called, "" when not known."""

    @property
    def counter(self) -> str:
        """What it is summed with."""

    @property
    def dose_mg(self) -> Decimal | None:
        """How much, None when not known."""

    @property
    def given_at(self) -> dt.datetime:
        """When."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A dose that went in, for callers without a reaction's state."""

    row_id: str
    counter: str
    dose_mg: Decimal | None
    given_at: dt.datetime
    drug: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`reason` is the word on the wire, `sentence` what the room reads, `row_id` the row whose limit it is."""

    reason: str
    sentence: str
    row_id: str


def cap_problem(
    pack: Pack,
    row: DrugRow,
    dose_mg: Decimal | None,
    given: Iterable[GivenDose],
    *,
    age_years: int | None = None,
    weight_kg: Decimal | None = None,
) -> Problem | None:
    """Return the first cap that a dose of a row would go past, or None. Landing exactly on a cap is allowed.

    DOSE_OVER_CAP: above the row's single cap, or above what it gives for the weight. CUMULATIVE_EXCEEDED: the row's
    total, or 1 mg of epinephrine over IM, IV and auto-injector together (decision (g)). A dose of unknown amount counts
    as the row's largest single one.
    """
    if row.never_blocked or dose_mg is None:
        return None
    single = single_problem(pack, row, dose_mg, age_years=age_years, weight_kg=weight_kg)
    return single or cumulative_problem(pack, row, dose_mg, given, age_years=age_years)


def single_problem(
    pack: Pack,
    row: DrugRow,
    dose_mg: Decimal,
    *,
    age_years: int | None = None,
    weight_kg: Decimal | None = None,
) -> Problem | None:
    """Return DOSE_OVER_CAP when one dose is above the row's single cap, or above what it gives for a known weight."""
    cap = patient_cap_mg(pack, row, age_years, weight_kg)
    if row.never_blocked or cap is None or dose_mg <= cap:
        return None
    return Problem(
        reason="DOSE_OVER_CAP",
        sentence=f"{plain(dose_mg)} mg of {row.drug} {row.route} is above the single maximum of {plain(cap)} mg.",
        row_id=row.id,
    )


def patient_cap_mg(
    pack: Pack, row: DrugRow, age_years: int | None, weight_kg: Decimal | None
) -> Decimal | None:
    """Return the largest single dose for a patient: of a row by weight what it gives, or else the row's cap."""
    cap = single_cap_mg(row)
    by_weight = row.dose_mg_per_kg is not None or bool(row.dose_bands)
    if not by_weight or weight_kg is None:
        return cap
    dose = resolve_dose(pack, row, age_years=age_years, weight_kg=weight_kg)
    upper = (dose.dose_max_mg or dose.dose_mg) if isinstance(dose, Dose) else None
    return cap if upper is None else upper


def single_cap_mg(row: DrugRow) -> Decimal | None:
    """Return the largest single dose that a row allows, None where the source states none."""
    if row.max_single_mg is not None:
        return row.max_single_mg
    return max((band.dose_mg for band in row.dose_bands), default=None)


def cumulative_problem(
    pack: Pack,
    row: DrugRow,
    dose_mg: Decimal,
    given: Iterable[GivenDose],
    *,
    age_years: int | None = None,
) -> Problem | None:
    """Return CUMULATIVE_EXCEEDED when the total with this dose would be strictly above a limit."""
    if row.never_blocked:
        return None
    before = tuple(given)
    limits: list[tuple[Decimal, Decimal, str]] = []
    cap = cumulative_cap_mg(row, age_years)
    if cap is not None:
        same = [dose for dose in before if _counts(pack, row, dose)]
        limits.append((total_mg(pack, same), cap, row.id))
    if row.counter == EPINEPHRINE:
        same = [dose for dose in before if dose.counter == EPINEPHRINE]
        limits.append((total_mg(pack, same), pack.value("cumulative_epinephrine_mg"), "VAL-EPI-TOTAL"))
    for total, limit, limit_row in limits:
        if total + dose_mg > limit:
            return Problem(
                reason="CUMULATIVE_EXCEEDED",
                sentence=f"{plain(total)} mg of {row.counter} went in; with {plain(dose_mg)} mg more it would be "
                f"above the total of {plain(limit)} mg.",
                row_id=limit_row,
            )
    return None


def total_mg(pack: Pack, given: Iterable[GivenDose]) -> Decimal:
    """Sum doses; one of unknown amount counts as its row's largest single dose."""
    return sum((_at_most(pack, dose) for dose in given), Decimal(0))


def _at_most(pack: Pack, dose: GivenDose) -> Decimal:
    if dose.dose_mg is not None:
        return dose.dose_mg
    for row in pack.drugs:
        if row.id == pack.row_id(dose.row_id):
            return single_cap_mg(row) or Decimal(0)
    caps = [single_cap_mg(row) or Decimal(0) for row in pack.drugs if row.counter == dose.counter]
    return max(caps, default=Decimal(0))


def _counts(pack: Pack, row: DrugRow, dose: GivenDose) -> bool:
    """Return whether a dose counts toward a row's total and times.

    Another pack or version calls the row by another id: a dose of a row that this pack does not hold, or of no row,
    is judged by its name.
    """
    if row.cumulative_over == "counter" or dose.counter != row.counter:
        return dose.counter == row.counter
    row_id = pack.row_id(dose.row_id)
    if any(row_id == known.id for known in pack.drugs):
        return row_id == row.id
    return dose.drug == row.drug


def times_problem(pack: Pack, row: DrugRow, given: Iterable[GivenDose]) -> Problem | None:
    """Return TOO_MANY_TIMES when the row's number of doses is used up (albuterol three times, a steroid once)."""
    if row.max_times is None or row.never_blocked:
        return None
    times = sum(1 for dose in given if _counts(pack, row, dose))
    if times < row.max_times:
        return None
    return Problem(
        reason="TOO_MANY_TIMES",
        sentence=f"{row.drug} was given {times} times; the row allows {row.max_times}.",
        row_id=row.id,
    )


def repeat_too_soon(row: DrugRow, given: Iterable[GivenDose], now: dt.datetime) -> Problem | None:
    """Return REPEAT_TOO_SOON when a dose at `now` is inside the row's interval of any dose of its counter.

    Every route counts, and so does a dose after `now`: a late report is judged by its own time. At exactly the
    interval the repeat is due. A row without an interval is never too soon; each of its doses needs its own order
    instead (`fresh_order`).
    """
    if row.repeat_min_s is None or row.never_blocked:
        return None
    interval = dt.timedelta(seconds=row.repeat_min_s)
    near = [
        dose.given_at for dose in given if dose.counter == row.counter and abs(now - dose.given_at) < interval
    ]
    if not near:
        return None
    left_s = -(-(max(near) - now + interval) // dt.timedelta(seconds=1))
    return Problem(
        reason="REPEAT_TOO_SOON",
        sentence=f"The next {row.drug} {row.route} is due in {left_s} s.",
        row_id=row.id,
    )


def fresh_order_problem(row: DrugRow, *, ordered: int, given: int) -> Problem | None:
    """Return FRESH_ORDER_NEEDED when a `fresh_order` row has had as many doses as orders."""
    if not row.fresh_order or row.never_blocked or ordered > given:
        return None
    return Problem(
        reason="FRESH_ORDER_NEEDED",
        sentence=f"Every dose of {row.drug} {row.route} needs its own order from the physician.",
        row_id=row.id,
    )


def product_problem(row: DrugRow, *, concentration_mg_per_ml: Decimal | None, route: str) -> Problem | None:
    """Return WRONG_ROUTE or WRONG_PRODUCT when what is in the hand is not what the row says.

    Catches the tenfold errors between 1 mg/mL and 0.1 mg/mL (traps X-1, X-2 and X-4). A concentration the row does not
    state is not judged.
    """
    if not fits(row.route, route):
        return Problem(
            reason="WRONG_ROUTE",
            sentence=f"This row is {row.drug} {row.route}, not {route}.",
            row_id=row.id,
        )
    expected = row.concentration_mg_per_ml
    if expected is not None and concentration_mg_per_ml is not None and concentration_mg_per_ml != expected:
        return Problem(
            reason="WRONG_PRODUCT",
            sentence=f"{row.drug} {row.route} is given from {plain(expected)} mg/mL, "
            f"not from {plain(concentration_mg_per_ml)} mg/mL.",
            row_id=row.id,
        )
    return None


def volume_problem(
    pack: Pack,
    row: DrugRow,
    *,
    volume_ml: Decimal | None,
    concentration_mg_per_ml: Decimal | None,
    doses_mg: Iterable[Decimal],
) -> Problem | None:
    """Return WRONG_VOLUME when a volume does not hold one of the doses that it is said to be (traps X-3 and X-6).

    `doses_mg` are the dose reported and the one ordered, as far as known; a volume that was rounded down to the
    syringe's mark holds them. Where neither is known the row's largest single dose is the most that it may hold. How
    large a dose may be is another guard's: a dose past its cap in its own volume is no wrong volume.
    """
    concentration = concentration_mg_per_ml or row.concentration_mg_per_ml
    if volume_ml is None or not concentration:
        return None
    held, said, cap = volume_ml * concentration, tuple(doses_mg), single_cap_mg(row)
    wrong = [
        dose
        for dose in said
        if held != dose and volume_ml != measure(pack.syringe_marks, dose / concentration)
    ]
    if not said and cap is not None and held > cap:
        wrong = [cap]
    if not wrong:
        return None
    return Problem(
        reason="WRONG_VOLUME",
        sentence=f"{plain(volume_ml)} mL of {plain(concentration)} mg/mL is {plain(held)} mg, "
        f"not {plain(wrong[0])} mg.",
        row_id=row.id,
    )


def order_problems(
    pack: Pack,
    row: DrugRow,
    dose_mg: Decimal | None,
    given: Iterable[GivenDose],
    now: dt.datetime,
    *,
    age_years: int | None = None,
    weight_kg: Decimal | None = None,
) -> tuple[Problem, ...]:
    """Return everything that stands against an order of a row now; () means it may be ordered as it is."""
    if row.never_blocked:
        return ()
    before = tuple(given)
    found = [times_problem(pack, row, before), repeat_too_soon(row, before, now)]
    if dose_mg is not None:
        single = single_problem(pack, row, dose_mg, age_years=age_years, weight_kg=weight_kg)
        found.insert(0, single)
        found.insert(1, cumulative_problem(pack, row, dose_mg, before, age_years=age_years))
    return tuple(problem for problem in found if problem is not None)
