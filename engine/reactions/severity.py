"""Signs and vital signs to a suggested grade, with the rules that fired and the reasons in words.

The physician sets the grade. The worst sign wins; the pack's rules can only lift it. What the rows do not decide is
said to be the physician's and is never answered with silence.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from engine.reactions.pack import ChildBand, Pack, SeverityRule, Sign, Threshold
from engine.reactions.state import Severity, Vitals

CRITERIA = {
    "a": "skin or mucosa",
    "b": "breathing",
    "c": "low pressure or end organ",
    "d": "persistent vomiting or severe diarrhea",
}
SYSTEMS = {
    "skin_mucosa": "skin and mucosa",
    "upper_airway": "upper airway",
    "lower_airway": "lower airway",
    "circulation": "circulation",
    "gastrointestinal": "gut",
    "neurologic": "nervous system",
    "limb": "limb",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalFindings:
    """What a set of vital signs shows by the pack's limits. None: not measured, or no limit for this patient."""

    hypotension: bool | None = None
    bradycardia: bool | None = None
    tachycardia: bool | None = None
    hypertension: bool | None = None
    hypoxia_flag: bool | None = None
    hypoxia_severe: bool | None = None
    rows: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveritySuggestion:
    """A suggested grade with its reasons. `severity` None: `physician_decides` says what is left to decide."""

    severity: Severity | None
    rules: tuple[str, ...]
    reasons: tuple[str, ...]
    presentations: tuple[str, ...]
    physician_decides: str = ""


def is_adult(pack: Pack, age_years: int) -> bool:
    """Return whether the adult rows apply at an age (decision (f): the pack's boundary)."""
    return age_years >= pack.value("adult_from_years")


# The reference grades no loss of consciousness alone; rows T-A-ARR and T-C-ARR begin with it.
UNCONSCIOUS = "not conscious: without a pulse it is cardiac arrest, with one the physician grades"


def classify(
    pack: Pack, vitals: Vitals, *, age_years: int | None, age_days: int | None = None
) -> VitalFindings:
    """Compare vital signs with the pack's limits for an adult or for the child's age band.

    An infant without an age in days gets the band of 29 days to 1 year, whose limits flag more. With an unknown age
    only limits that hold at every age are looked at.
    """
    rows: list[str] = []
    reasons: list[str] = []
    found: dict[str, bool] = {}
    population = None if age_years is None else ("adult" if is_adult(pack, age_years) else "child")
    for row in pack.thresholds:
        applies = len(row.populations) == 2 if population is None else population in row.populations
        measured = _measured(vitals, row)
        if applies and measured is not None:
            hit = measured < row.value if row.side == "below" else measured > row.value
            found[row.finding] = hit
            if hit:
                rows.append(row.id)
                reasons.append(f"{row.text}: {measured} {row.unit}, limit {row.value} ({row.id})")
    if population == "child" and age_years is not None:
        band = child_band(pack, age_years, age_days)
        if band is not None:
            _classify_child(vitals, band, age_years, found, rows, reasons)
    pressures = [found[name] for name in ("hypertension_systolic", "hypertension_diastolic") if name in found]
    return VitalFindings(
        hypotension=found.get("hypotension"),
        bradycardia=found.get("bradycardia"),
        tachycardia=found.get("tachycardia"),
        hypertension=any(pressures) if pressures else None,
        hypoxia_flag=found.get("hypoxia_flag"),
        hypoxia_severe=found.get("hypoxia_severe"),
        rows=tuple(rows),
        reasons=tuple(reasons),
    )


def _measured(vitals: Vitals, row: Threshold) -> int | None:
    if row.finding in ("bradycardia", "tachycardia"):
        return vitals.heart_rate_bpm
    if row.finding in ("hypotension", "hypertension_systolic"):
        return vitals.systolic_mmhg
    return vitals.diastolic_mmhg if row.finding == "hypertension_diastolic" else vitals.spo2_percent


def child_band(pack: Pack, age_years: int, age_days: int | None = None) -> ChildBand | None:
    """Return the age band of a child; one that ends at an age in days only when the days are known, and then first."""
    bands = [
        band
        for band in pack.child_bands
        if band.from_years <= age_years and (band.to_years is None or age_years < band.to_years)
    ]
    for band in bands:
        if band.max_age_days is not None and age_days is not None and age_days <= band.max_age_days:
            return band
    return next((band for band in bands if band.max_age_days is None), None)


def hypotension_limit_mmhg(band: ChildBand, age_years: int) -> Decimal:
    """Return the systolic pressure below which a child of an age is hypotensive."""
    return band.systolic_mmhg + band.systolic_per_year_mmhg * age_years


def _classify_child(
    vitals: Vitals,
    band: ChildBand,
    age_years: int,
    found: dict[str, bool],
    rows: list[str],
    reasons: list[str],
) -> None:
    if vitals.systolic_mmhg is not None:
        limit = hypotension_limit_mmhg(band, age_years)
        found["hypotension"] = vitals.systolic_mmhg < limit
        if found["hypotension"]:
            reasons.append(
                f"low blood pressure for {band.text}: {vitals.systolic_mmhg} mmHg, limit {limit} ({band.id})"
            )
    if vitals.heart_rate_bpm is not None:
        rate, low, high = vitals.heart_rate_bpm, band.heart_rate_low_bpm, band.heart_rate_high_bpm
        found["bradycardia"], found["tachycardia"] = rate < low, rate > high
        if not low <= rate <= high:
            word = "slow" if rate < low else "fast"
            reasons.append(f"{word} pulse for {band.text}: {rate} 1/min, normal {low}-{high} ({band.id})")
    if any(found.get(name) for name in ("hypotension", "bradycardia", "tachycardia")):
        rows.append(band.id)


def suggest(
    pack: Pack,
    sign_ids: Iterable[str],
    vitals: Vitals | None = None,
    *,
    age_years: int | None = None,
    age_days: int | None = None,
) -> SeveritySuggestion:
    """Suggest a grade from signs and vital signs. An id that the pack does not know is named and not dropped."""
    known = {sign.id: sign for sign in pack.signs}
    wanted = tuple(dict.fromkeys(sign_ids))
    signs = [known[sign_id] for sign_id in wanted if sign_id in known]
    unknown = [sign_id for sign_id in wanted if sign_id not in known]
    findings = classify(pack, vitals, age_years=age_years, age_days=age_days) if vitals else VitalFindings()
    fired = _worst_signs(signs)
    fired += [hit for rule in pack.severity_rules if (hit := _fires(rule, signs, findings)) is not None]
    if findings.hypoxia_severe:
        rows = [row for row in findings.rows if row in _rows_of(pack, "hypoxia_severe")]
        fired += [(row, Severity.SEVERE, "oxygen clearly low is severe (proposed limit)") for row in rows]
    severity = max((grade for _, grade, _ in fired), key=lambda grade: grade.rank, default=None)
    presentations = _presentations(signs, fired, findings)
    undecided = _undecided(signs, findings, unknown, severity)
    if vitals is not None and vitals.conscious is False:
        undecided = "; ".join(filter(None, (UNCONSCIOUS, undecided)))
    reasons = [*(why for _, _, why in fired), *findings.reasons]
    reasons += [f"sign {sign_id} is not in this pack" for sign_id in unknown]
    return SeveritySuggestion(
        severity=severity,
        rules=tuple(dict.fromkeys(rule for rule, _, _ in fired)),
        reasons=tuple(dict.fromkeys(reasons)),
        presentations=presentations,
        physician_decides=undecided,
    )


_Fired = tuple[str, Severity, str]


def _worst_signs(signs: list[Sign]) -> list[_Fired]:
    """The worst sign wins; every sign of that grade is named."""
    worst = max((Severity(sign.severity).rank for sign in signs), default=None)
    return [
        (sign.id, Severity(sign.severity), f"{sign.text}: {sign.severity} ({sign.id})")
        for sign in signs
        if Severity(sign.severity).rank == worst
    ]


def _fires(rule: SeverityRule, signs: list[Sign], findings: VitalFindings) -> _Fired | None:
    """Return what a rule adds, or None. Every rule of the pack leads to severe."""
    why = ""
    if rule.rule == "two_systems":
        systems = sorted({s.system for s in signs if s.kind == "allergic" and s.severity == "moderate"})
        if len(systems) >= rule.need:
            why = f"moderate signs in {' and '.join(SYSTEMS[name] for name in systems)}"
    elif rule.rule == "anaphylaxis":
        met = criteria(signs, findings)
        if len(met) >= rule.need:
            why = f"anaphylaxis rule: {' and '.join(CRITERIA[letter] for letter in met)}"
    elif rule.rule == "hypotension_with_allergic_sign":
        if findings.hypotension and _allergic(signs):
            why = "low blood pressure with an allergic-like sign, whatever the pulse"
    elif findings.hypotension and findings.tachycardia:
        why = "low blood pressure with a fast pulse"
    return (rule.id, Severity.SEVERE, f"{why}: severe ({rule.id})") if why else None


def criteria(signs: Iterable[Sign], findings: VitalFindings) -> tuple[str, ...]:
    """Return the letters of the anaphylaxis rule (1C) that signs and vital signs meet, each once."""
    met = {letter for sign in signs for letter in sign.criterion}
    if findings.hypotension:
        met.add("c")
    if findings.hypoxia_severe:
        met.add("b")
    return tuple(sorted(met))


def _allergic(signs: list[Sign]) -> bool:
    return any(sign.kind == "allergic" for sign in signs)


def _rows_of(pack: Pack, finding: str) -> tuple[str, ...]:
    return tuple(row.id for row in pack.thresholds if row.finding == finding)


def _presentations(signs: list[Sign], fired: list[_Fired], findings: VitalFindings) -> tuple[str, ...]:
    """Return the presentations to offer, the most urgent first."""
    found: list[str] = []
    if {rule for rule, _, _ in fired} & {"1C", "VS-4", "S-A3-5-VITALS"}:
        found.append("anaphylaxis")
    found.extend(name for sign in sorted(signs, key=_urgency) for name in sign.presentations)
    if findings.hypotension:
        found.append(route_hypotension(findings, allergic=_allergic(signs)))
    if findings.hypertension:
        found.append("hypertensive_crisis")
    return tuple(dict.fromkeys(found))


def _urgency(sign: Sign) -> int:
    return -Severity(sign.severity).rank


def route_hypotension(findings: VitalFindings, *, allergic: bool) -> str:
    """Return the presentation of a low blood pressure; no heart rate falls through (decision (d), rows 1D and VS-4).

    An allergic-like sign makes it anaphylaxis whatever the pulse. Without one a slow pulse is vasovagal, a fast one
    anaphylactoid, anything between or unmeasured the supportive row, which asks the physician.
    """
    if allergic:
        return "anaphylaxis"
    if findings.tachycardia:
        return "hypotension_tachycardia"
    if findings.bradycardia:
        return "hypotension_bradycardia"
    return "hypotension"


def _undecided(
    signs: list[Sign], findings: VitalFindings, unknown: list[str], severity: Severity | None
) -> str:
    """Say what no row decides."""
    open_points: list[str] = []
    if unknown:
        open_points.append("a sign is not in the pack: the physician grades it")
    if findings.hypotension and not findings.tachycardia and not _allergic(signs):
        if findings.bradycardia:
            open_points.append(
                "vasovagal: mild if it passes by itself, moderate if it needs treatment, severe if it resists it"
            )
        else:
            open_points.append(
                "low blood pressure, pulse neither slow nor fast or not measured: the physician decides, "
                "anaphylaxis is to be considered"
            )
    if findings.hypertension and severity is not Severity.SEVERE:
        open_points.append("very high pressure: severe with end-organ symptoms, moderate without")
    if findings.hypoxia_flag and not findings.hypoxia_severe:
        open_points.append("oxygen a little low: watch it")
    if severity is None and not open_points and findings.rows:
        open_points.append("abnormal vital signs without a sign: the physician grades")
    return "; ".join(open_points)
