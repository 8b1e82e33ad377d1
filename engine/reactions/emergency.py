"""The emergency pack: for one patient at one site every path already resolved, as one plain object without a patient.

Rule: no number is made here, everything is a row of the pack resolved as the engine itself would; equal steps and doses
are written once and named by key. A console that lost the network guides by this object alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, product
from typing import Any

from engine.reactions.dose import Dose, WeightNeeded
from engine.reactions.guards import total_mg
from engine.reactions.overlay import SiteOverlay
from engine.reactions.pack import Pack, Threshold, Value
from engine.reactions.resolve import DoseOption, ProtocolStep, Situation, resolve_protocol
from engine.reactions.row import ALL_SEVERITIES, Row
from engine.reactions.severity import child_band, hypotension_limit_mmhg, is_adult
from engine.reactions.state import Medication, Severity

PATH = (
    "presentation",
    "severities",
    "row_id",
    "text",
    "nature",
    "emergency_call",
    "progressions",
    "runs",
)
FORMAT = "attend-emergency-pack/1"
# The newest doses stand one by one, so that the document stays small; every one is in the totals.
DOSES_SHOWN = 8
GIVEN = ("row_id", "drug", "route", "dose_mg", "volume_ml", "given_at", "counter")
ROUTES = {
    "allergic_sign": "anaphylaxis",
    "tachycardia": "hypotension_tachycardia",
    "bradycardia": "hypotension_bradycardia",
    "otherwise": "hypotension",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where help comes to, as the directory has it; "" is not known."""

    ems_phone: str = ""
    ems_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What the doses rest on. Age and weight in kilograms are all that is known of the patient here.

    `age_years` are full years, `age_days` the days of an infant below one year.
    `weight_doubt` is what speaks against the weight, "" nothing: it is said wherever the doses are.
    `mri_zone` is "IV" in an MRI room. `given` went in so far, in every reaction of the session.
    """

    age_years: int | None
    weight_kg: Decimal | None
    setting: str
    modality: str
    age_days: int | None = None
    weight_doubt: str = ""
    mri_zone: str = ""
    agent: str = ""
    given: tuple[Medication, ...] = ()


def emergency_pack(pack: Pack, patient: Patient, place: Place, overlay: SiteOverlay | None) -> dict[str, Any]:
    """Return the object: patient, site, steps, doses, protocols, and the tables to suggest a grade by."""
    shelf = _Shelf()
    protocols = _protocols(pack, patient, shelf)
    tables = _tables(pack, patient, shelf)
    return {
        "format": FORMAT,
        "pack": {
            "pack_id": pack.pack_id,
            "version": pack.version,
            "hash": pack.hash,
            "title": pack.title,
            "disclaimer": pack.disclaimer,
        },
        "patient": {
            "age_years": patient.age_years,
            "weight_kg": patient.weight_kg,
            "setting": patient.setting,
            "modality": patient.modality,
            "agent": patient.agent,
            **({} if patient.age_days is None else {"age_days": patient.age_days}),
            **({"weight_doubt": patient.weight_doubt} if patient.weight_doubt else {}),
        },
        "site": _site(place, overlay),
        "given": [_given(dose) for dose in patient.given[-DOSES_SHOWN:]],
        "given_before": max(len(patient.given) - DOSES_SHOWN, 0),
        "totals_mg": _totals(pack, patient.given),
        "protocols": protocols,
        "runs": shelf.runs,
        "dose_columns": ["row_id", "instead_of", "condition"],
        "conditions": shelf.conditions,
        "steps": shelf.steps,
        "doses": shelf.doses,
        **tables,
        "sources": shelf.sources,
    }


def _given(dose: Medication) -> dict[str, Any]:
    return _kept({name: getattr(dose, name) for name in GIVEN})


class _Shelf:
    """What is written once: steps, runs and doses by key, sources (citation, evidence) and conditions by number."""

    def __init__(self) -> None:
        self.steps: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.doses: dict[str, Any] = {}
        self.sources: list[list[str]] = []
        self.conditions: list[str] = [""]

    def sourced(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return content with the number of its source in the place of citation and evidence."""
        return content | {"source": self.source(content.pop("citation"), content.pop("evidence"))}

    def source(self, citation: str, evidence: str) -> int:
        """Return the number of a source."""
        return _number(self.sources, [citation, evidence])

    def path(self, steps: tuple[ProtocolStep, ...]) -> list[str]:
        """Return the keys of runs: the steps of one row after another, as every path that has them shares them."""
        runs = groupby(steps, key=lambda step: step.row_id)
        return [_put(self.runs, row_id, [self._step(step) for step in run]) for row_id, run in runs]

    def _step(self, step: ProtocolStep) -> str:
        doses = [
            [option.row_id, option.instead_of, _number(self.conditions, option.condition)]
            for option in step.options
        ]
        return _put(self.steps, step.step_id, self.sourced(_step(step)) | _kept({"doses": doses}))


def _number(shelf: list[Any], content: Any) -> int:
    """Return the number of content on a shelf, put there if it is new."""
    if content not in shelf:
        shelf.append(content)
    return shelf.index(content)


def _put(shelf: dict[str, Any], name: str, content: Any) -> str:
    """Return the key of content: its name, with a number where the name is taken by another wording."""
    key, number = name, 1
    while key in shelf and shelf[key] != content:
        number += 1
        key = f"{name}~{number}"
    shelf[key] = content
    return key


def _site(place: Place, overlay: SiteOverlay | None) -> dict[str, Any]:
    """Return phones and places: the site's own plan, and the directory where it says nothing."""
    plan = _slim(overlay) if overlay is not None else {}
    return {"emergency_phone": place.ems_phone, "ems_address": place.ems_address} | plan


def _totals(pack: Pack, given: tuple[Medication, ...]) -> dict[str, Decimal]:
    counters = sorted({dose.counter for dose in given})
    return {name: total_mg(pack, (dose for dose in given if dose.counter == name)) for name in counters}


def _protocols(pack: Pack, patient: Patient, shelf: _Shelf) -> dict[str, Any]:
    """Resolve every path; those of one presentation that differ in nothing but the grade are one row."""
    rows: list[list[Any]] = []
    for presentation, grade in product(pack.presentations, ALL_SEVERITIES):
        path = _path(pack, patient, presentation, Severity(grade), shelf)
        if rows and rows[-1][0] == presentation and rows[-1][2:] == path:
            rows[-1][1].append(grade)
        else:
            rows.append([presentation, [grade], *path])
    return {"columns": list(PATH), "rows": rows}


def _path(pack: Pack, patient: Patient, presentation: str, severity: Severity, shelf: _Shelf) -> list[Any]:
    """Return one path as the columns of PATH after the grade; put its steps and doses on the shelf."""
    found = resolve_protocol(
        pack,
        Situation(
            presentation=presentation,
            severity=severity,
            age_years=patient.age_years,
            age_days=patient.age_days,
            weight_kg=patient.weight_kg,
            agent=patient.agent,
            mri_zone=patient.mri_zone,
            setting=patient.setting,
            given=patient.given,
        ),
    )
    row = next((one for one in pack.protocols if one.id == found.row_id), None)
    for option in (option for step in found.steps for option in step.options):
        if option.row_id not in shelf.doses:
            shelf.doses[option.row_id] = shelf.sourced(_dose(pack, option))
    return [
        found.row_id,
        found.text,
        row.nature if row is not None else "",
        found.emergency_call,
        [[one.finding, one.presentation, one.severity] for one in row.progressions]
        if row is not None
        else [],
        shelf.path(found.steps),
    ]


def _step(step: ProtocolStep) -> dict[str, Any]:
    """Return a step with the keys of its doses, the first choice first; its id and number are its key and place."""
    left = ("step_id", "number", "dose", "alternatives", "row_id", "needs_order")
    plain = {name: value for name, value in _slim(step).items() if name not in left}
    if step.call_level == "none":
        del plain["call_level"]
    return plain


def _dose(pack: Pack, option: DoseOption) -> dict[str, Any]:
    """Return a dose as it is shown, or what it waits for; `warning` is what its caps say after the doses so far."""
    row, dose = pack.drug(option.row_id), option.dose
    limits = {"max_times": row.max_times, "never_blocked": row.never_blocked, "counter": row.counter}
    shown = _slim(dose) | _kept({**limits, "warning": option.problem.sentence if option.problem else ""})
    # The key is the row, and the look-alikes stand in a table of their own.
    shown = {
        name: value for name, value in shown.items() if name not in ("row_id", "name_alert", "needs_order")
    }
    if not row.needs_order:
        shown["needs_order"] = False
    if isinstance(dose, Dose):
        return shown | {"amount_text": dose.amount_text}
    return shown | {"waits_for": "weight" if isinstance(dose, WeightNeeded) else "physician"}


def _tables(pack: Pack, patient: Patient, shelf: _Shelf) -> dict[str, Any]:
    """Return what a grade is suggested from, and what stands beside the treatment: columns, then rows of them."""

    def table(found: Iterable[Row], *names: str) -> dict[str, Any]:
        return {
            "columns": ["id", *names, "source"],
            "rows": [
                [row.id, *(getattr(row, name) for name in names), shelf.source(row.citation, row.evidence)]
                for row in found
            ],
        }

    thresholds = table(_thresholds(pack, patient.age_years), "finding", "side", "value", "unit", "text")
    thresholds["rows"] += _child(pack, patient, shelf)
    return {
        "signs": table(pack.signs, "text", "kind", "severity", "system", "criterion", "presentations"),
        "severity_rules": table(pack.severity_rules, "rule", "text", "need"),
        "thresholds": thresholds,
        "hypotension_routes": ROUTES,
        "values": table(_values(pack), "name", "value", "unit"),
        "observations": table(
            (row for row in pack.observations if row.default),
            "situation",
            "counted_from",
            "minimum_s",
            "maximum_s",
            "disposition",
        ),
        "look_alikes": table(pack.look_alikes, "drug", "mistaken_for", "text"),
        "discriminators": table(pack.discriminators, "feature", "vasovagal", "anaphylaxis"),
    }


def _values(pack: Pack) -> Iterator[Value]:
    """Yield the single numbers that guide treatment; when an item of the kit is announced is none of them."""
    return (row for row in pack.values if not row.name.startswith("kit_"))


def _thresholds(pack: Pack, age_years: int | None) -> Iterator[Threshold]:
    """Yield the limits for this age; with an unknown age only those that hold at every age."""
    population = None if age_years is None else "adult" if is_adult(pack, age_years) else "child"
    for row in pack.thresholds:
        if len(row.populations) == 2 if population is None else population in row.populations:
            yield row


def _child(pack: Pack, patient: Patient, shelf: _Shelf) -> Iterator[list[Any]]:
    """Yield the limits of a child's age band as rows of the same table."""
    age_years = patient.age_years
    adult = age_years is None or is_adult(pack, age_years)
    band = None if age_years is None or adult else child_band(pack, age_years, patient.age_days)
    if band is None or age_years is None:
        return
    limits = (
        ("hypotension", "below", hypotension_limit_mmhg(band, age_years), "mmHg"),
        ("bradycardia", "below", Decimal(band.heart_rate_low_bpm), "1/min"),
        ("tachycardia", "above", Decimal(band.heart_rate_high_bpm), "1/min"),
    )
    for finding, side, value, unit in limits:
        yield [band.id, finding, side, value, unit, band.text, shelf.source(band.citation, band.evidence)]


def _slim(value: Any) -> dict[str, Any]:
    """Return a dataclass with slots as an object without what is empty."""
    return _kept({name: getattr(value, name) for name in value.__slots__})


def _kept(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is None, false, "" or of no length; 0 stays."""
    return {
        name: value
        for name, value in content.items()
        if value is not None and value is not False and value not in ("", (), [])
    }
