"""What a pharmacist would strike out in a pack, as rules: each finding names its rule, the row and what is wrong.

The schema says whether a pack can be read; the lint says whether it may be signed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

from engine.reactions.dose import Dose, plain, resolve_dose
from engine.reactions.finding import Finding
from engine.reactions.guards import single_cap_mg
from engine.reactions.lint_care import CARE_CHECKS
from engine.reactions.pack import ChildBand, DrugRow, Pack, ProtocolRow, StepRow
from engine.reactions.row import ALL_SEVERITIES
from engine.reactions.severity import child_band

RATIO = re.compile(r"(?<![\d.])1\s*(?:[:/∶]|in|to)\s*\d[\d ,.']*0{2}\b", re.IGNORECASE)
TRAILING_ZERO = re.compile(r"\d\.0+(?![\d.])")
NAKED_POINT = re.compile(r"(?<![\d.])\.\d")
BAD_UNIT = re.compile(r"\d\s*(?:µg|μg|ug|cc|u)\b", re.IGNORECASE)
FEW_MINUTES = re.compile(r"\bevery (?:a )?few\b|\bfew min", re.IGNORECASE)
STATED_INTERVAL = re.compile(r"\bevery \d", re.IGNORECASE)
PLACEHOLDER = re.compile(r"\{(?!agent\})")
ALIKE = 0.8
# The weights at which the caps of the reference's rows by weight begin to bind: 10 kg (C-EPI-IV) to 100 kg (arrest).
CAP_BINDS_KG = (10, 100)
# The shortest interval of the reference is 180 s: what is below a minute was written in minutes.
SHORTEST_INTERVAL_S = 60
IM_FIRST: dict[str, tuple[str, ...]] = {
    "anaphylaxis": ALL_SEVERITIES,
    "laryngeal_edema": ALL_SEVERITIES,
    "hypotension_tachycardia": ALL_SEVERITIES,
    "diffuse_erythema": ("severe",),
    "bronchospasm": ("severe",),
}
REFERENCES = frozenset(
    {
        "id",
        "citation",
        "evidence_of",
        "source_row",
        "replaces",
        "sets",
        "sets_after",
        "row",
        "instead_of",
        "without_weight",
    }
)
NEVER_EPINEPHRINE_FIRST = ("hypotension_bradycardia", "hypotension")


def lint(pack: Pack) -> tuple[Finding, ...]:
    """Return every objection to a pack, in the order of its rows; () means that it may be put up for signing."""
    return tuple(finding for check in CHECKS for finding in check(pack))


def _sourced(pack: Pack) -> Iterator[Finding]:
    """No row without a citation and a tag."""
    for row in pack.rows():
        if not row.citation.strip():
            yield Finding(rule="citation", row_id=row.id, sentence="the row has no citation")
        if not row.evidence.strip():
            yield Finding(rule="citation", row_id=row.id, sentence="the row has no evidence tag")


def _wording(pack: Pack) -> Iterator[Finding]:
    """No ratio labels, no trailing zero, no naked decimal point, no unit that is misread."""
    for row in pack.rows():
        if RATIO.search(row.citation):
            yield Finding(rule="ratio_label", row_id=row.id, sentence="a ratio label: write mg/mL")
        for words in _texts(row):
            if RATIO.search(words):
                yield Finding(rule="ratio_label", row_id=row.id, sentence="a ratio label: write mg/mL")
            if TRAILING_ZERO.search(words):
                yield Finding(
                    rule="number_form", row_id=row.id, sentence="a trailing zero reads as ten times"
                )
            if NAKED_POINT.search(words):
                yield Finding(rule="number_form", row_id=row.id, sentence="a naked point: write 0 before it")
            if BAD_UNIT.search(words):
                yield Finding(rule="unit_form", row_id=row.id, sentence="a unit that is misread: use mcg, mL")
            if PLACEHOLDER.search(words):
                yield Finding(rule="placeholder", row_id=row.id, sentence="only {agent} may stand in a text")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _texts(part)
    elif is_dataclass(value):
        for part in fields(value):
            if part.name not in REFERENCES:
                yield from _texts(getattr(value, part.name))


def _named(pack: Pack) -> Iterator[Finding]:
    """An injectable has name, mg, route and its volume; any other form name, amount, unit, form and route."""
    for row in pack.drugs:
        if not (row.drug.strip() and row.form.strip() and row.route.strip() and row.counter.strip()):
            yield Finding(rule="complete", row_id=row.id, sentence="name, form, route and counter are needed")
        if row.unit or not _has_mg(row):
            if row.unit and row.amount is None and row.amount_per_kg is None:
                yield Finding(rule="complete", row_id=row.id, sentence=f"a unit ({row.unit}) without amount")
            continue
        shown = resolve_dose(pack, row, age_years=0, weight_kg=Decimal(10))
        if (
            row.injected
            and row.concentration_mg_per_ml is not None
            and isinstance(shown, Dose)
            and not shown.volume_ml
        ):
            yield Finding(rule="complete", row_id=row.id, sentence="no volume follows from dose and product")
        if row.concentration_mg_per_ml == 0:
            yield Finding(
                rule="complete", row_id=row.id, sentence="a concentration of 0: leave it out instead"
            )


def _has_mg(row: DrugRow) -> bool:
    return row.dose_mg is not None or row.dose_mg_per_kg is not None or bool(row.dose_bands)


def _volumes(pack: Pack) -> Iterator[Finding]:
    """Volume times concentration is the dose, for every pair that a row states."""
    for row in pack.drugs:
        strength = row.concentration_mg_per_ml
        pairs = (
            ("dose", row.volume_ml, row.dose_mg),
            ("dose range", row.volume_max_ml, row.dose_max_mg),
            ("dose per kg", row.volume_ml_per_kg, row.dose_mg_per_kg),
            ("single cap", row.max_single_ml, row.max_single_mg),
            ("total cap", row.max_cumulative_ml, row.max_cumulative_mg),
        )
        for name, volume, mass in pairs:
            if strength is None and volume is not None and row.form == "injection":
                yield Finding(rule="volume", row_id=row.id, sentence=f"{name}: mL without a concentration")
            if strength is not None and volume is not None and (mass is None or volume * strength != mass):
                yield Finding(
                    rule="volume", row_id=row.id, sentence=f"{name}: mL x mg/mL is not the mg stated"
                )


def _caps(pack: Pack) -> Iterator[Finding]:
    """Floors, doses, single and total caps and intervals are in order."""
    for row in pack.drugs:
        total = row.max_cumulative_mg
        ascending = (
            ("the minimum is above the single cap", row.min_single_mg, row.max_single_mg),
            ("the dose is above the single cap", row.dose_mg, row.max_single_mg),
            ("the range is above the single cap", row.dose_max_mg, row.max_single_mg),
            ("the range ends below its start", row.dose_mg, row.dose_max_mg),
            ("the range per kg ends below its start", row.dose_mg_per_kg, row.dose_max_mg_per_kg),
            ("the single cap is above the total cap", single_cap_mg(row), total),
            ("the amount is above its cap", row.amount, row.max_single_amount),
            ("the amount's range ends below its start", row.amount, row.amount_max),
            ("the amount per kg ends below its start", row.amount_per_kg, row.amount_max_per_kg),
        )
        for sentence, low, high in ascending:
            if low is not None and high is not None and low > high:
                yield Finding(rule="caps", row_id=row.id, sentence=sentence)
        if any(row.max_single_mg is not None and band.dose_mg > row.max_single_mg for band in row.dose_bands):
            yield Finding(rule="caps", row_id=row.id, sentence="a band is above the single cap")
        most = single_cap_mg(row)
        if (
            total is not None
            and row.max_times is not None
            and most is not None
            and total > most * row.max_times
        ):
            yield Finding(rule="caps", row_id=row.id, sentence="the total is above times x single cap")
        low_s, high_s = row.repeat_min_s, row.repeat_max_s
        if high_s is not None and (low_s is None or low_s > high_s):
            yield Finding(rule="interval", row_id=row.id, sentence="the interval ends before it starts")


def _fresh_orders(pack: Pack) -> Iterator[Finding]:
    """ "Every few minutes" is no number, so each dose is a new order; IV epinephrine always is, with a read-back."""
    for row in pack.drugs:
        vague = bool(FEW_MINUTES.search(row.repeat_text))
        if vague and not row.fresh_order:
            yield Finding(
                rule="fresh_order", row_id=row.id, sentence="no numeric interval: needs fresh_order"
            )
        if vague and row.repeat_min_s is not None:
            yield Finding(rule="fresh_order", row_id=row.id, sentence="a number was made of a vague interval")
        if STATED_INTERVAL.search(row.repeat_text) and row.repeat_min_s is None:
            yield Finding(
                rule="interval", row_id=row.id, sentence="the interval in the text is not in the row"
            )
        if row.counter == "epinephrine" and row.route == "IV" and not (row.fresh_order and row.read_back):
            yield Finding(
                rule="fresh_order", row_id=row.id, sentence="IV epinephrine needs fresh_order and a read-back"
            )


def _look_alikes(pack: Pack) -> Iterator[Finding]:
    """Two names that look alike are flagged by a row of the pack."""
    flagged = {frozenset((row.drug, row.mistaken_for)) for row in pack.look_alikes}
    owner = {row.drug: row.id for row in reversed(pack.drugs) if row.drug.strip()}
    for first, second in combinations(sorted(owner), 2):
        if first in second or second in first or frozenset((first, second)) in flagged:
            continue
        if first.split()[0] == second.split()[0]:
            # One substance in two strengths: the strength is part of the name and is shown with it.
            continue
        if SequenceMatcher(a=first.lower(), b=second.lower()).ratio() >= ALIKE:
            yield Finding(
                rule="look_alike",
                row_id=owner[second],
                sentence=f"{first} and {second} look alike: add a row",
            )
    if "epinephrine" in owner and not any(row.drug == "epinephrine" for row in pack.look_alikes):
        yield Finding(
            rule="look_alike", row_id=owner["epinephrine"], sentence="epinephrine and ephedrine: add it"
        )


def _children(pack: Pack) -> Iterator[Finding]:
    """A child's dose has a cap and is at most the adult's for the same drug, form and route."""
    for row in pack.drugs:
        if row.population != "child":
            continue
        if row.dose_mg_per_kg is not None and row.max_single_mg is None:
            yield Finding(rule="child_cap", row_id=row.id, sentence="a dose per kg for a child needs a cap")
        if row.amount_per_kg is not None and row.max_single_amount is None:
            yield Finding(
                rule="child_cap", row_id=row.id, sentence="an amount per kg for a child needs a cap"
            )
        most = _largest(row)
        for adult in pack.drugs:
            same = (adult.counter, adult.form, _way(adult)) == (row.counter, row.form, _way(row))
            if adult.population != "adult" or not same or adult.unit != row.unit:
                continue
            limit = _largest(adult)
            if most is not None and limit is not None and most > limit:
                yield Finding(
                    rule="child_above_adult", row_id=row.id, sentence=f"more than the adult's in {adult.id}"
                )


def _unweighed(pack: Pack) -> Iterator[Finding]:
    """An adult's IM epinephrine has a number without a weight: a fixed dose of the same product within its cap."""
    for row in pack.drugs:
        wanted = (row.population, row.counter, row.route, row.form) == (
            "adult",
            "epinephrine",
            "IM",
            "injection",
        )
        if not row.without_weight:
            if wanted and row.dose_mg is None:
                yield Finding(
                    rule="without_weight", row_id=row.id, sentence="no dose while the weight is unknown"
                )
            continue
        fixed, most = pack.drug(row.without_weight), single_cap_mg(row)
        same = [
            (one.population, one.drug, one.form, one.route, one.counter, one.concentration_mg_per_ml)
            for one in (row, fixed)
        ]
        if same[0] != same[1] or fixed.dose_mg is None or (most is not None and fixed.dose_mg > most):
            yield Finding(
                rule="without_weight",
                row_id=row.id,
                sentence=f"{fixed.id} is no fixed dose of the same within the cap",
            )


def _way(row: DrugRow) -> str:
    """Return the route, bone taken for vein: the dose is the same."""
    return row.route.removesuffix("/IO")


def _largest(row: DrugRow) -> Decimal | None:
    """Return the largest single amount that a row can lead to, None where nothing bounds it."""
    if row.max_single_amount is not None:
        return row.max_single_amount
    return (
        row.amount_max or row.amount
        if not _has_mg(row)
        else single_cap_mg(row) or row.dose_max_mg or row.dose_mg
    )


def _first_drug(pack: Pack) -> Iterator[Finding]:
    """IM epinephrine is the first drug order where decision (b) says so, and never in a vasovagal row."""
    for protocol in pack.protocols:
        for severity in protocol.severities:
            first = next(_drug_steps(pack, protocol, severity), None)
            row = pack.drug(first.choices[0].row) if first and first.choices else None
            im = row is not None and (row.counter, row.route, row.form) == ("epinephrine", "IM", "injection")
            if severity in IM_FIRST.get(protocol.presentation, ()) and not im:
                yield Finding(
                    rule="first_drug",
                    row_id=protocol.id,
                    sentence=f"{severity}: the first drug is IM epinephrine",
                )
        if protocol.presentation in NEVER_EPINEPHRINE_FIRST:
            for step in protocol.steps:
                if any(pack.drug(choice.row).counter == "epinephrine" for choice in step.choices):
                    yield Finding(
                        rule="first_drug",
                        row_id=protocol.id,
                        sentence=f"{step.id}: epinephrine in a vasovagal row",
                    )


def _drug_steps(pack: Pack, protocol: ProtocolRow, severity: str) -> Iterator[StepRow]:
    """Yield the drug orders of a protocol at a severity; fluid is one of them."""
    for _, step in pack.written(protocol):
        if step.kind == "drug" and severity in step.severities:
            yield step


def _calls(pack: Pack) -> Iterator[Finding]:
    """A protocol that calls for help has the step that says so, at the same severities."""
    for protocol in pack.protocols:
        for severity in ALL_SEVERITIES:
            if severity not in protocol.severities:
                continue
            stated = protocol.level(severity) != "none" or severity in protocol.emergency_severities
            stated |= (protocol.evidence_of or {}).get("calls") == "UNSURE"
            shown = any(step.kind == "call" and severity in step.severities for step in protocol.steps)
            if stated != shown:
                yield Finding(
                    rule="call", row_id=protocol.id, sentence=f"{severity}: call level and call step disagree"
                )


def _steps(pack: Pack) -> Iterator[Finding]:
    """A drug step names its drug, and only epinephrine IM for anaphylaxis may be a standing order by default."""
    owned = [("", row.steps) for row in pack.sets]
    owned += [(row.presentation, row.steps) for row in pack.protocols]
    for presentation, steps in owned:
        for step in steps:
            if step.kind == "drug" and not step.choices and not step.physician_decides:
                yield Finding(rule="step", row_id=step.id, sentence="a drug step without a drug row")
            if step.standing_order:
                row = pack.drug(step.choices[0].row) if step.choices else None
                if presentation != "anaphylaxis" or row is None or row.route != "IM":
                    yield Finding(
                        rule="standing_order", row_id=step.id, sentence="only IM epinephrine for anaphylaxis"
                    )


def _bands(pack: Pack) -> Iterator[Finding]:
    """Every age below the adult boundary has one band of normal vital signs."""
    for age in range(int(pack.value("adult_from_years"))):
        if child_band(pack, age) is None:
            before = max((b for b in pack.child_bands if b.from_years <= age), key=_start, default=None)
            row_id = before.id if before else "child_band"
            yield Finding(rule="child_band", row_id=row_id, sentence=f"no band for a child of {age} years")
    newborn = child_band(pack, 0, 0)
    if newborn is None or newborn.max_age_days is None:
        yield Finding(rule="child_band", row_id="child_band", sentence="no band for a newborn")


def _slips(pack: Pack) -> Iterator[Finding]:
    """A misplaced decimal point or a minute written as a second, by what no row of the reference comes near."""
    low, high = CAP_BINDS_KG
    for row in pack.drugs:
        if row.repeat_min_s is not None and row.repeat_min_s < SHORTEST_INTERVAL_S:
            sentence = f"a repeat after {row.repeat_min_s} s: were minutes meant?"
            yield Finding(rule="slips", row_id=row.id, sentence=sentence)
        per_kg = row.dose_max_mg_per_kg or row.dose_mg_per_kg
        if per_kg and row.max_single_mg is not None and not low <= row.max_single_mg / per_kg <= high:
            sentence = (
                f"the single maximum binds from {plain(row.max_single_mg / per_kg)} kg on, outside {low} to {high} kg: "
                "is a decimal point misplaced?"
            )
            yield Finding(rule="slips", row_id=row.id, sentence=sentence)


def _start(band: ChildBand) -> int:
    return band.from_years


CHECKS: tuple[Callable[[Pack], Iterator[Finding]], ...] = (
    _sourced,
    _wording,
    _named,
    _volumes,
    _caps,
    _fresh_orders,
    _look_alikes,
    _children,
    _unweighed,
    _slips,
    _first_drug,
    _calls,
    _steps,
    _bands,
    *CARE_CHECKS,
)
