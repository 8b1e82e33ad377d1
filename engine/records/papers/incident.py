"""The incident report: everything about one reaction, for the site's safety system.

Source: clinical reference 10.1 (who says what) and 10.2 (field list). What nobody told is said to be not recorded, and
listed to be completed by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.records.papers import advice
from engine.records.papers.agent import exact
from engine.records.papers.facts import Facts, recorded
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
    Told,
    Total,
    Vitals,
)
from engine.records.strip import moment
from engine.records.timeline import words

KIND, TITLE = "incident_report", "Incident report: contrast reaction"
_ANAPHYLAXIS = {
    "a": "skin or mucosa",
    "b": "breathing",
    "c": "low blood pressure or end organ",
    "d": "vomiting or diarrhea that goes on",
}
_IN_VIEW = ("verified", "degraded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What was known beforehand."""

    allergies: str
    prior_reaction: str
    asthma: str
    beta_blocker: str
    metformin: str
    egfr_ml_min_173m2: str
    atopy: str
    prior_reactions: str
    earlier_contrast: str
    premedication_ordered: str
    premedication_given: str
    agent_switched: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReport:
    """One reaction, whole. `times` are (what, when); `line` its intervals; `by_hand` what nobody has told yet."""

    head: Head
    patient: Patient
    exam: Exam
    risk: Risk
    contrast: tuple[Contrast, ...]
    iv_access: str
    course: Course
    anaphylaxis_criteria: str
    vitals: tuple[Vitals, ...]
    doses: tuple[Dose, ...]
    totals: tuple[Total, ...]
    measures: tuple[Measure, ...]
    times: tuple[tuple[str, str], ...]
    people: People
    line: tuple[str, ...]
    outcome: Outcome
    told: Told
    deviations: tuple[str, ...]
    offline: tuple[str, ...]
    follow_up: tuple[Advice, ...]
    by_hand: tuple[str, ...]


def incident_report(facts: Facts) -> IncidentReport:
    """Return the report as far as it is known."""
    return IncidentReport(
        head=facts.head(KIND, TITLE),
        patient=facts.patient(),
        exam=facts.exam(),
        risk=_risk(facts),
        contrast=facts.contrast(),
        iv_access=facts.iv_access(),
        course=facts.course(),
        anaphylaxis_criteria=_criteria(facts),
        vitals=facts.vitals(),
        doses=facts.doses(),
        totals=facts.totals(),
        measures=facts.measures(),
        times=_times(facts),
        people=facts.people(),
        line=tuple(_line(facts)),
        outcome=facts.outcome(),
        told=facts.told(),
        deviations=tuple(_deviations(facts)),
        offline=tuple(_offline(facts)),
        follow_up=_follow_up(facts),
        by_hand=tuple(_by_hand(facts)),
    )


def _risk(facts: Facts) -> Risk:
    return Risk(
        allergies=facts.allergies(),
        prior_reaction=facts.screened("prior_reaction"),
        asthma=facts.screened("asthma"),
        beta_blocker=facts.screened("beta_blocker"),
        metformin=facts.screened("metformin"),
        egfr_ml_min_173m2=facts.screened("egfr_ml_min_173m2"),
        atopy=facts.screened("atopy"),
        prior_reactions="; ".join(_priors(facts)) or NOT_RECORDED,
        earlier_contrast=recorded((facts.of("screening.answers") or {}).get("earlier_contrast")),
        premedication_ordered=_premedication_ordered(facts),
        premedication_given=_premedication_given(facts),
        agent_switched=_switched(facts),
    )


def _prior_agents(facts: Facts) -> list[dict[str, str]]:
    return (facts.of("screening.answers") or {}).get("prior_reactions") or []


def _priors(facts: Facts) -> Iterator[str]:
    for one in _prior_agents(facts):
        agent = one["agent"] or f"agent unknown, {words(one['contrast_class'])}"
        yield f"{agent}: {words(one['kind'])}, severity {one['severity']}"


def _switched(facts: Facts) -> str:
    """Return whether this is another agent than one that the patient reacted to; not recorded where none was named."""
    before = sorted({one["agent"] for one in _prior_agents(facts) if one["agent"]})
    given = sorted({dose.agent for dose in facts.contrast() if exact(dose.agent)})
    if not before or not given:
        return NOT_RECORDED
    same = {agent.casefold() for agent in before} & {agent.casefold() for agent in given}
    return f"{'NO' if same else 'yes'}: reacted to {', '.join(before)}; given {', '.join(given)}"


def _premedication_ordered(facts: Facts) -> str:
    choice = facts.of("screening.premedication_choice")
    if choice is None:
        return NOT_RECORDED
    said = f"{choice['row_id']} ordered" if choice["row_id"] else f"declined: {choice['reason']}"
    late = "; for another agent or class than given" if choice["outdated"] else ""
    return f"{said}, {facts.name(choice['physician_id'])}, {facts.time(choice['chosen_at'])}{late}"


def _premedication_given(facts: Facts) -> str:
    answers = facts.of("screening.answers") or {}
    given = [
        " ".join(
            part
            for part in (
                one["drug"],
                f"{one['dose_mg']} mg" if one["dose_mg"] else "dose not recorded",
                one["route"],
                f"at {facts.time(one['given_at'])}" if one["given_at"] else "at a time not recorded",
            )
            if part
        )
        for one in answers.get("premedication_given") or []
    ]
    return "; ".join(given) or ("no, as told" if answers.get("no_premedication") else NOT_RECORDED)


def _by_hand(facts: Facts) -> Iterator[str]:
    """Yield what a reader has to find out and write down: nobody has told the engine."""
    told, risk = facts.told(), _risk(facts)
    asked = (
        ("IV site and gauge", facts.iv_access()),
        ("earlier exposures to contrast", risk.earlier_contrast),
        ("premedication given, with times", risk.premedication_given),
        ("what else it could have been", told.differential),
        ("when EMS arrived", told.ems_arrived_at),
        ("tryptase: drawn, and when", told.tryptase),
        ("allergist referral", told.referred_to_allergist),
        ("referrer told", told.referrer_told_at),
        ("family told", told.family_told_at),
        ("call-back", told.called_back_at),
        ("safety event number", told.safety_event_number),
        ("MedWatch", told.medwatch_reported),
        ("kit restocked", told.kit_restocked_at),
        ("debrief held", told.debriefed_at),
        ("inpatient or outpatient", told.patient_class),
        ("where the physician was", told.physician_location),
        *(_of_extravasation(told) if facts.course().kind == "extravasation" else ()),
    )
    yield from (what for what, said in asked if said == NOT_RECORDED)
    doses = facts.doses()
    if any(dose.response == NOT_RECORDED for dose in doses):
        yield "response to each dose"
    if any(dose.lot == NOT_RECORDED for dose in doses):
        yield "lot of each dose"


def _of_extravasation(told: Told) -> Iterator[tuple[str, str]]:
    """Yield what row E-12 of the reference wants recorded besides what every report has."""
    yield "volume beside the vein", told.extravasated_ml
    yield "examinations of the place", told.extravasation_exam
    yield "who was told of the extravasation", told.extravasation_notified
    yield "photograph", told.photo_taken


def _follow_up(facts: Facts) -> tuple[Advice, ...]:
    """Return what is left to decide after a moderate or severe reaction, by its kind."""
    worst = facts.entry("worst_severity")
    serious = (advice.MEDWATCH,) if worst == "severe" else ()
    rows = advice.follow_up(facts.case.pack, "tryptase", "referral") if facts.calls_for_follow_up else ()
    return serious + rows


def _criteria(facts: Facts) -> str:
    """Return which parts of the anaphylaxis rule the signs meet, by the pack's column."""
    rows = {row.id: row.criterion for row in facts.case.pack.signs} if facts.case.pack else {}
    letters = sorted(set("".join(rows.get(sign, "") for sign in facts.sign_ids())))
    if not facts.sign_ids():
        return NOT_RECORDED
    met = ", ".join(f"{letter}: {_ANAPHYLAXIS[letter]}" for letter in letters)
    return met or "no sign recorded is one of a to d"


def _times(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Return the moments that are asked for, each with its time or that it is not recorded."""
    call, gone = facts.entry("emergency_call"), facts.entry("disposition")
    reported, told = facts.entry("reported"), facts.told()
    epinephrine = [dose for dose in facts.doses() if dose.drug.startswith("epinephrine")]
    return (
        ("Injection started", facts.time(facts.of("times.injection_started"))),
        ("Contrast given", facts.time(facts.of("contrast.given_at"))),
        ("Injection ended", facts.time(facts.of("times.injection_ended"))),
        ("Onset", facts.time(facts.entry("onset_at"))),
        ("Recognized: REACTION pressed", facts.time(reported["at"] if reported else None)),
        ("Physician called", facts.time(_physician_called(facts))),
        ("Physician on video", facts.time(_on_video(facts))),
        ("Physician's first directive", facts.time(facts.entry("first_directive_at"))),
        *((f"Epinephrine, dose {number}", dose.given_at) for number, dose in enumerate(epinephrine, 1)),
        *(() if epinephrine else (("Epinephrine", NOT_RECORDED),)),
        ("Emergency call", facts.time(call["called_at"] if call else None)),
        ("EMS arrived", told.ems_arrived_at),
        ("Signs resolved", facts.time(facts.entry("resolved_at"))),
        ("Released: disposition decided", facts.time(gone["at"] if gone else None)),
    )


def _physician_called(facts: Facts) -> str | None:
    """Return when the physician was called to the reaction: alerted by REACTION itself, or rung after it."""
    reported = facts.entry("reported")
    if reported is None or reported["alerted"]:
        return reported["at"] if reported else None
    rings = (ring["started_at"] for ring in facts.of("rings.ladders") or [])
    return next((at for at in rings if moment(at) >= moment(reported["at"])), None)


def _on_video(facts: Facts) -> str | None:
    """Return from when on the line carried video in the reaction; the report's own time when it did already."""
    reported = facts.entry("reported")
    for one in facts.of("line.intervals") or []:
        if reported is None or one["phase"] not in _IN_VIEW:
            continue
        if one["end"] is None or moment(one["end"]) > moment(reported["at"]):
            return str(max(one["start"], reported["at"], key=moment))
    return None


def _line(facts: Facts) -> Iterator[str]:
    """Yield the line's intervals as words."""
    for one in facts.of("line.intervals") or []:
        cause = f" ({words(one['cause'])})" if one["cause"] else ""
        yield f"{words(one['phase'])}{cause}: {facts.time(one['start'])} to {facts.time(one['end'], 'now')}"


def _offline(facts: Facts) -> Iterator[str]:
    """Yield what a console wrote down without the network: whose log, from when to when, and its notes."""
    mine = facts.case.reaction_id
    for log in facts.of("exceptions.offline_logs") or []:
        if log["reaction_id"] == mine:
            yield (
                f"{facts.name(log['written_by'])}, {log['entries']} entries, {facts.time(log['first_at'])} to "
                f"{facts.time(log['last_at'])} by the console's clock; received {facts.time(log['received_at'])} "
                f"from {facts.name(log['sent_by'])}."
            )
    for note in (facts.of("reaction.notes") or {}).get(mine, []):
        yield f"{facts.time(note['at'])}, {facts.name(note['by'])}: {note['text']}"


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
