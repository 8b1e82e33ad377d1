"""The incident report: everything about one reaction, for the site's safety system.

Source: clinical reference 10.1 (who says what) and 10.2 (field list). What the engine has no field for is listed, to be
completed by hand.
"""

from dataclasses import dataclass

from engine.records.papers import advice
from engine.records.papers.facts import Facts
from engine.records.papers.parts import (
    NOT_RECORDED,
    Advice,
    Contrast,
    Course,
    Dose,
    Exam,
    Head,
    Measure,
    Outcome,
    Patient,
    People,
    Total,
    Vitals,
)
from engine.records.timeline import words

KIND, TITLE = "incident_report", "Incident report: contrast reaction"
BY_HAND = (
    "IV site and gauge",
    "expiry of the contrast",
    "earlier exposures to contrast, and premedication with times",
    "response to each dose",
    "heart rhythm, blood glucose, oxygen flow",
    "when EMS arrived",
    "tryptase: drawn, and when",
    "referrer and family told: by whom, when",
    "safety event number",
    "kit restocked; debrief held",
)
_ANAPHYLAXIS = {
    "a": "skin or mucosa",
    "b": "breathing",
    "c": "low blood pressure or end organ",
    "d": "vomiting or diarrhea that goes on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What was known beforehand."""

    allergies: str
    prior_reaction: str
    asthma: str
    beta_blocker: str
    metformin: str
    egfr_ml_min_173m2: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReport:
    """One reaction, whole. `times` are (what, when); `by_hand` is what the engine does not hold."""

    head: Head
    patient: Patient
    exam: Exam
    risk: Risk
    contrast: tuple[Contrast, ...]
    course: Course
    anaphylaxis_criteria: str
    vitals: tuple[Vitals, ...]
    doses: tuple[Dose, ...]
    totals: tuple[Total, ...]
    measures: tuple[Measure, ...]
    times: tuple[tuple[str, str], ...]
    people: People
    outcome: Outcome
    deviations: tuple[str, ...]
    follow_up: tuple[Advice, ...]
    by_hand: tuple[str, ...]


def incident_report(facts: Facts) -> IncidentReport:
    """Return the report as far as it is known."""
    return IncidentReport(
        head=facts.head(KIND, TITLE),
        patient=facts.patient(),
        exam=facts.exam(),
        risk=Risk(
            allergies=facts.allergies(),
            prior_reaction=facts.screened("prior_reaction"),
            asthma=facts.screened("asthma"),
            beta_blocker=facts.screened("beta_blocker"),
            metformin=facts.screened("metformin"),
            egfr_ml_min_173m2=facts.screened("egfr_ml_min_173m2"),
        ),
        contrast=facts.contrast(),
        course=facts.course(),
        anaphylaxis_criteria=_criteria(facts),
        vitals=facts.vitals(),
        doses=facts.doses(),
        totals=facts.totals(),
        measures=facts.measures(),
        times=_times(facts),
        people=facts.people(),
        outcome=facts.outcome(),
        deviations=tuple(_deviations(facts)),
        follow_up=_follow_up(facts),
        by_hand=BY_HAND,
    )


def _follow_up(facts: Facts) -> tuple[Advice, ...]:
    """Return what is left to decide after a moderate or severe reaction, by its kind."""
    worst = facts.entry("worst_severity")
    serious = (advice.MEDWATCH,) if worst == "severe" else ()
    allergic = facts.nature.kind in ("allergic-like", "unsure") and worst in ("moderate", "severe")
    return serious + (advice.follow_up(facts.case.pack) if allergic else ())


def _criteria(facts: Facts) -> str:
    """Return which parts of the anaphylaxis rule the signs meet, by the pack's column."""
    rows = {row.id: row.criterion for row in facts.case.pack.signs} if facts.case.pack else {}
    letters = sorted(set("".join(rows.get(sign, "") for sign in facts.sign_ids())))
    return ", ".join(f"{letter}: {_ANAPHYLAXIS[letter]}" for letter in letters) or "none"


def _times(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return the moments that are asked for, each with its time or that it is not recorded."""
    call, gone = facts.entry("emergency_call"), facts.entry("disposition")
    reported = facts.entry("reported")
    epinephrine = [dose for dose in facts.doses() if dose.drug.startswith("epinephrine")]
    return (
        ("Contrast given", facts.time(facts.of("contrast.given_at"))),
        ("Onset", facts.time(facts.entry("onset_at"))),
        ("REACTION pressed", facts.time(reported["at"] if reported else None)),
        ("Physician on video, first proven", facts.time(facts.of("times.physician_video"))),
        ("Physician's first directive", facts.time(facts.entry("first_directive_at"))),
        *((f"Epinephrine, dose {number}", dose.given_at) for number, dose in enumerate(epinephrine, 1)),
        *(() if epinephrine else (("Epinephrine", "none given"),)),
        ("Emergency call", facts.time(call["called_at"] if call else None, "none recorded")),
        ("EMS arrived", NOT_RECORDED),
        ("Signs resolved", facts.time(facts.entry("resolved_at"))),
        ("Disposition decided", facts.time(gone["at"] if gone else None)),
    )


def _deviations(facts: Facts) -> list[str]:
    """Return what went past a guard, a cap or an interlock, as sentences."""
    mine = facts.case.reaction_id
    overrides = [
        f"{facts.time(x['at'])}: {facts.name(x['by'])} went past "
        f"{', '.join(words(guard).lower() for guard in x['guards'])} on {words(x['step_id'])}. Reason: {x['reason']}"
        for x in facts.of("exceptions.overrides") or []
        if x["reaction_id"] == mine
    ]
    beyond = [
        f"{facts.time(x['at'])}: {x['drug']} given beyond its row: {', '.join(map(words, x['caps'])).lower()}."
        for x in facts.of("exceptions.beyond_caps") or []
        if x["reaction_id"] == mine
    ]
    bypasses = [
        f"{facts.time(x['at'])}: contrast given past the interlock; missing: {', '.join(map(words, x['missing']))}."
        for x in facts.of("exceptions.bypasses") or []
    ]
    unordered = [
        f"{dose.given_at}: {dose.what}, {dose.note}." for dose in facts.doses() if "no order" in dose.note
    ]
    gaps = [
        f"{facts.time(gap['start'])}: line lost until {facts.time(gap['end'], 'now')} ({words(gap['cause'])}). "
        f"Action: {gap['action'] or NOT_RECORDED}"
        for gap in facts.of("line.gaps") or []
    ]
    return bypasses + overrides + beyond + unordered + gaps
