"""A session's events as sentences a clinician reads, in the order they happened.

Rule: sentences are made from what the file says and nothing else; single pages and repeats, of a proof or of the
grade that was suggested before, are left out.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.records.people import People

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline; `kind` is one of plain, line, reaction, drill, exception, signature."""

    at: str
    text: str
    who: str
    event_id: str
    kind: str


def words(code: str) -> str:
    """Return a code as words: `no_packets_from_physician` → `no packets from physician`."""
    said = code.replace("_", " ").replace(":", ": ")
    return re.sub(r"\b(ems|mrn)\b", lambda found: found.group().upper(), said)


def spaced(name: str) -> str:
    """Return a name of events as words: `ContrastGiven` → `Contrast given`."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f" {found.group(1).lower()}", name)


def after(seconds: Any) -> str:
    """Return a time that passed as a person says it: `within a second`, `after 38 s`."""
    whole = round(float(seconds))
    return f"after {whole} s" if whole else "within a second"


def dose_text(dose: Mapping[str, Any] | None) -> str:
    """Return a drug in one line: name, mg, mg/mL, mL, route; what is not known is left out."""
    if dose is None:
        return ""
    parts = [str(dose["drug"])]
    if dose.get("dose_mg"):
        parts.append(f"{dose['dose_mg']} mg")
    if dose.get("concentration_mg_per_ml"):
        parts.append(f"{dose['concentration_mg_per_ml']} mg/mL")
    if dose.get("volume_ml"):
        parts.append(f"{dose['volume_ml']} mL")
    if len(parts) == 1 and dose.get("amount_text"):
        return str(dose["amount_text"])
    return " · ".join([*parts, str(dose["route"])]) if dose.get("route") else " · ".join(parts)


def signs_text(p: Payload) -> str:
    """Return signs in the pack's words, by their ids where the event has no words."""
    return ", ".join(p.get("texts") or map(words, p["signs"]))


def step_name(step_id: str, text: str | None) -> str:
    """Return a step as a person knows it: its first sentence, or its id when the protocol holds no such step."""
    return text.split(". ")[0].rstrip(".") if text else words(step_id)


def vitals_line(p: Payload) -> str:
    """Say a set of vital signs in one line; what was not measured is left out."""
    vitals = p.get("vitals", p)
    shown = []
    if vitals.get("systolic_mmhg") is not None:
        diastolic = vitals.get("diastolic_mmhg")
        shown.append(f"BP {vitals['systolic_mmhg']}/{diastolic if diastolic is not None else '–'} mmHg")
    for name, label in (
        ("heart_rate_bpm", "HR {} /min"),
        ("spo2_percent", "SpO2 {} %"),
        ("respiratory_rate_bpm", "RR {} /min"),
        ("oxygen_l_per_min", "on {} L/min of oxygen"),
        ("glucose_mg_per_dl", "glucose {} mg/dL"),
    ):
        if vitals.get(name) is not None:
            shown.append(label.format(vitals[name]))
    if vitals.get("rhythm"):
        shown.append(f"rhythm: {vitals['rhythm']}")
    response = f"; response: {vitals['response']}" if vitals.get("response") else ""
    return "Vital signs: " + (", ".join(shown) or "none measured") + response


def _contrast(p: Payload) -> str:
    return f"Contrast given: {p['agent']} {p['concentration']}, {p['volume_ml']} mL {p['route']}"


def _graded(p: Payload) -> str:
    reason = f" ({p['reason']})" if p["reason"] else ""
    return f"Physician graded it {p['severity']}, {words(p['presentation'])}{reason}"


def _ordered(p: Payload) -> str:
    past = f"; override: {p['override_reason']}" if p["overrides"] else ""
    return f"Ordered: {dose_text(p['order']) or p['step']}{past}"


def _cleared(p: Payload) -> str:
    rows = ", ".join(
        f"{finding['row_id']} ({words(finding['outcome'])})" for finding in p.get("against") or ()
    )
    return f"Contrast cleared: {p['agent']}" + (f"; AGAINST {rows}, because: {p['reason']}" if rows else "")


def _premedication(choice: Payload | None) -> str:
    if not choice:
        return ""
    said = f"{choice['row_id']} ordered" if choice["row_id"] else "declined"
    return f"; premedication {said}" + (f", because: {choice['reason']}" if choice["reason"] else "")


_AUTHORITY = {"none": " without an order", "standing_order": " by standing order"}


def _given(p: Payload) -> str:
    caps = ", ".join(words(cap).lower() for cap in p["beyond"])
    beyond = f"; beyond its row: {caps}" if caps else ""
    word = _AUTHORITY.get(p.get("authority", ""), "")
    return f"Given{word}: {dose_text(p['medication'])}, by {p['shown'](p['medication']['given_by'])}{beyond}"


def follow_up_line(p: Payload) -> str:
    """Say what was told besides the treatment in one line."""
    said = {name: value for name, value in p["follow_up"].items() if value not in (None, "")}
    return "Follow-up: " + "; ".join(
        f"{words(name.removesuffix('_at'))} {_shown(value)}" for name, value in said.items()
    )


def _shown(value: Any) -> str:
    """Return a value that was told as a word: a yes or no, a moment in UTC to the second, or itself."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if at.tzinfo else str(value)


def _assigned(p: Payload) -> str:
    found = p["evidence"]
    return f"Physician accepted: {found['name'] or found['person_id']}"


def _escalated(p: Payload) -> str:
    if p["contact"]:
        return f"Ring escalated; {p['shown'](p['contact'])} named"
    if p["cause"] == "nobody_on_the_ladder":
        return "Ring escalated; nobody can be rung: call your own physician, do not inject"
    return "Ring escalated; no coverage manager is named"


_SAID: dict[str, tuple[str, str | Callable[[Payload], str]]] = {
    "SessionScheduled": ("plain", "Session opened from the order"),
    "OrderAmended": ("plain", "Order amended"),
    "PatientAmended": ("plain", "Patient's demographics amended"),
    "SessionCancelled": ("exception", lambda p: f"Cancelled: {words(p['reason'])}"),
    "PreparationStarted": ("plain", "Preparation started"),
    "ScreeningRecorded": ("plain", "Screening recorded"),
    "KitUsed": (
        "reaction",
        lambda p: f"From the kit: {p['drug']}" + (f", {p['left']} left" if p.get("left") is not None else ""),
    ),
    "KitChecked": ("plain", lambda p: f"Emergency kit {p['kit_id']} checked, in date to {p['expires_on']}"),
    "ResponderCheckedIn": ("plain", lambda p: f"Responder checked in: {p['evidence']['name']}"),
    "ResponderLeft": ("exception", "Responder left"),
    "SupervisionRequested": ("plain", lambda p: f"Physician requested ({words(p['cause'])})"),
    "RingStarted": ("plain", "Ringing"),
    "RungRaised": ("plain", lambda p: f"Ring raised to {words(p['name'])}"),
    "RingEscalated": (
        "exception",
        _escalated,
    ),
    "RingDeclined": ("plain", lambda p: f"Ring declined: {p['reason']}"),
    "RingAnswered": ("plain", lambda p: f"Ring answered {after(p['answered_after_s'])}"),
    "PhysicianAssigned": ("plain", _assigned),
    "PhysicianLeft": ("exception", lambda p: f"Physician no longer available: {words(p['cause'])}"),
    "HandOffOffered": ("plain", lambda p: f"Hand-off offered to {p['shown'](p['to_physician_id'])}"),
    "HandOffAccepted": ("plain", lambda p: f"Hand-off accepted by {p['shown'](p['evidence']['person_id'])}"),
    "LineVerified": ("line", "Line verified: audio and video counted both ways"),
    "LineDegraded": ("line", lambda p: f"Line degraded: {words(p['cause'])}"),
    "LineLost": ("line", lambda p: f"Line lost: {words(p['cause'])}"),
    "LineOnPhone": ("line", lambda p: f"Telephone only: {words(p['cause'])}"),
    "LineClosed": ("line", "Call ended"),
    "GapOpened": ("line", lambda p: f"Gap {p['number']} opened: {p['action']}"),
    "GapActionRecorded": ("line", lambda p: f"Gap {p['number']}: {p['action']}"),
    "GapClosed": ("line", lambda p: f"Gap {p['number']} closed: {words(p['cause'])}"),
    "IdentityConfirmed": ("plain", lambda p: f"Identity confirmed by {', '.join(map(words, p['matched']))}"),
    "ScreeningReviewed": (
        "plain",
        lambda p: (
            "History and screening reviewed by the physician"
            + (f"; rows seen: {', '.join(filter(None, p['findings']))}" if p.get("findings") else "")
            + _premedication(p.get("premedication"))
        ),
    ),
    "ViewConfirmed": ("plain", "View of patient and injection site confirmed"),
    "ContrastCleared": ("plain", _cleared),
    "ContrastDeferred": ("exception", lambda p: f"Contrast deferred: {p['reason']}"),
    "ContrastDeclined": ("exception", lambda p: f"Contrast declined: {p['reason']}"),
    "VerdictRecorded": ("plain", lambda p: f"Rules answered: {words(p['verdict']['result'])}"),
    "VerdictAttested": ("exception", lambda p: f"Verdict attested: {p['reason']}"),
    "ReadyGranted": ("plain", "READY"),
    "ReadyRevoked": ("exception", lambda p: f"READY fell: {', '.join(map(words, p['reasons']))}"),
    "ReadyExpired": ("plain", "READY expired"),
    "InjectionStarted": ("plain", "Injection started"),
    "ContrastGiven": ("plain", _contrast),
    "InterlockBypassed": (
        "exception",
        lambda p: f"INTERLOCK BYPASSED; missing: {', '.join(map(words, p['missing']))}",
    ),
    "InjectionCompleted": ("plain", "Injection ended; observation begins"),
    "ObservationElapsed": ("plain", "Observation time over"),
    "MonitoringCompleted": ("plain", "Monitoring ended"),
    "VitalsRecorded": ("plain", vitals_line),
    "ReactionReported": ("reaction", "REACTION reported"),
    "SignsRecorded": ("reaction", lambda p: f"Signs: {signs_text(p) or 'none'}"),
    "SeveritySuggested": (
        "reaction",
        lambda p: f"Suggested grade: {p['severity'] or 'physician decides'} ({'; '.join(p['reasons'])})",
    ),
    "ReactionGraded": ("reaction", _graded),
    "StepOrdered": ("reaction", _ordered),
    "StepReadBack": ("reaction", lambda p: f"Read back: {p['step']}"),
    "StepDone": ("reaction", lambda p: f"Done: {p['step']}"),
    "StepRefused": ("reaction", lambda p: f"Decided against: {p['step']} ({p['reason']})"),
    "MedicationGiven": ("reaction", _given),
    "EmergencyCalled": (
        "reaction",
        lambda p: f"Emergency call: {p['service']}" + (f", to {p['address']}" if p.get("address") else ""),
    ),
    "OnsetReported": ("reaction", "REACTION pressed without the network"),
    "ReadBackReported": ("reaction", lambda p: f"Read back as said: {dose_text({'drug': p['step'], **p})}"),
    "NoteRecorded": ("reaction", lambda p: f"Note: {p['text']}"),
    "OfflineLogReported": (
        "exception",
        lambda p: (
            f"Console's log received: {len(p['entries'])} entries written without the network by "
            f"{p['shown'](p['written_by'])}"
        ),
    ),
    "ReactionImproving": ("reaction", "Patient improving"),
    "ReactionResolved": ("reaction", "Signs resolved"),
    "ReactionDisposed": ("reaction", lambda p: f"Disposition: {words(p['disposition'])}"),
    "FollowUpRecorded": ("reaction", follow_up_line),
    "ReactionDocumented": ("reaction", "Reaction documented"),
    "AddendumOpened": (
        "exception",
        lambda p: f"LATE ENTRY: addendum {p['revision']} opened by {p['source']}",
    ),
    "LateEntryReported": ("exception", lambda p: f"LATE ENTRY: {words(p['source'])}"),
    "DrillStarted": ("drill", lambda p: "Drill began" + (" unannounced" if p["by_timer"] else "")),
    "PatientChanged": ("drill", lambda p: f"Scripted patient ({words(p['cause'])}): {p['said']}"),
    "DrillEnded": ("drill", lambda p: f"Drill over: {words(p['cause'])}"),
    "DrillCancelled": ("drill", lambda p: f"Drill called off: {p['reason']}"),
    "RecordConfirmed": ("signature", "Technologist signed: performed"),
    "RecordAttested": ("signature", "Physician signed: supervised"),
    "RecordSealed": ("signature", "Record sealed"),
}


def _suggested_again(event: Mapping[str, Any], suggested: dict[str, Any]) -> bool:
    """Return whether an event suggests the grade that its reaction had been suggested before; remember what it does."""
    if event["type"] != "SeveritySuggested":
        return False
    now = event["payload"]["severity"] or event["payload"].get("physician_decides")
    before = suggested.get(event["stream"])
    suggested[event["stream"]] = now
    return bool(before == now)


ENGINE = "system:rules"
#: What the engine makes of a report; the one who reported did not say it.
_COMPUTED = frozenset({"SeveritySuggested", "InterlockBypassed", "ReadyRevoked"})


def timeline(events: Sequence[Mapping[str, Any]]) -> list[Moment]:
    """Return the moments of a file's events, in its order."""
    moments = []
    steps: dict[tuple[str, str], str] = {}
    suggested: dict[str, Any] = {}
    people = People(events)
    for event in events:
        payload = event["payload"]
        if event["type"] == "ProtocolResolved":
            steps.update({(event["stream"], step["step_id"]): step["text"] for step in payload["steps"]})
        said = _SAID.get(event["type"])
        if said is None or _suggested_again(event, suggested):
            continue
        kind, text = said
        if "step_id" in payload:
            step_id = payload["step_id"]
            payload = {**payload, "step": step_name(step_id, steps.get((event["stream"], step_id)))}
        sentence = text if isinstance(text, str) else text({**payload, "shown": people.shown})
        if event["stream"].startswith("reaction/"):
            kind = "reaction"
        if payload.get("against"):
            kind = "exception"
        who = ENGINE if event["type"] in _COMPUTED else event["actor"]["person_id"]
        offline = payload.get("offline")
        if offline is not None and event["type"] not in _COMPUTED:
            who = offline["by"]
        moments.append(
            Moment(
                at=event["at"] if offline is None else offline["at"],
                text=sentence + (f" [{', '.join(map(words, event['flags']))}]" if event["flags"] else ""),
                who=people.shown(who),
                event_id=f"{event['stream']}@{event['version']}",
                kind=kind,
            )
        )
        moments.extend(_findings(event, moments[-1].at, people.shown(ENGINE)))
    if any("offline" in event["flags"] for event in events):
        # What was written without the network stands where it happened; the rest is in the order of the log already.
        moments.sort(key=lambda moment: dt.datetime.fromisoformat(moment.at))
    return moments


def _findings(event: Mapping[str, Any], at: str, who: str) -> Iterator[Moment]:
    """Yield what the protocols said of a screening where it is more than to proceed."""
    if event["type"] not in ("ScreeningRecorded", "ScreeningReviewed"):
        return
    found = event["payload"].get("evidence") or {"findings": ()}
    for finding in found["findings"]:
        if finding["outcome"] != "proceed":
            yield Moment(
                at=at,
                text=f"{words(finding['outcome']).capitalize()}, row {finding['row_id'] or 'none'}: "
                f"{finding['sentence']}",
                who=who,
                event_id=f"{event['stream']}@{event['version']}",
                kind="exception" if finding["outcome"] in ("hold", "alternative_study") else "plain",
            )
