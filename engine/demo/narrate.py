"""The timeline a clinician can follow: one line an event that matters, in words."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from engine.records.timeline import after, follow_up_line, vitals_line, words

Said = Callable[[Mapping[str, Any]], str]


def _dose(order: Mapping[str, Any] | None) -> str:
    return str(order["amount_text"]) if order else "the step"


def _override(e: Mapping[str, Any]) -> str:
    past = ", ".join(map(_words, e["overrides"]))
    return f"; past {past}, because: {e['override_reason']}" if past else ""


def _steps(e: Mapping[str, Any]) -> str:
    read = ", to be read until the physician grades" if e.get("reference") else ""
    return f"{len(e['steps'])} steps from {e['pack_id']}{read}"


def _given(m: Mapping[str, Any]) -> str:
    dose = f" {m['dose_mg']} mg" if m.get("dose_mg") else ""
    return f"{m['drug']}{dose} {m['route']} is in"


def _screened(e: Mapping[str, Any]) -> str:
    findings = (e.get("evidence") or {"findings": ()})["findings"]
    if not findings:
        return "screening recorded"
    first = findings[0]
    return (
        f"screening recorded: {len(findings)} findings, the strictest is {_words(first['outcome'])} "
        f"(row {first['row_id']}: {first['sentence'].split('. ')[0].rstrip('.')})"
    )


def _suggested(e: Mapping[str, Any]) -> str:
    if e["severity"] is None:
        return f"the physician decides: {e['physician_decides'] or 'no rule fires'}"
    return f"the pack suggests {e['severity']} ({', '.join(e['rules'])}); the physician decides"


def _words(code: str) -> str:
    """Return a code as words: `18_RESOURCES` → `18 resources`; a short one like AA stays as it is."""
    return words(code.lower() if "_" in code else code)


def _answered(e: Mapping[str, Any]) -> str:
    return f"{e['physician_id']} answers {after(e['answered_after_s'])} on the {e['rung']} rung"


STORY: dict[str, tuple[str, Said]] = {
    "SessionScheduled": (
        "blue",
        lambda e: f"order {e['order']['accession_number']} becomes a session in {e['room_id']}",
    ),
    "AllergiesRecorded": ("blue", lambda e: f"allergies from {e['source']}: {_names(e['allergies'])}"),
    "PreparationStarted": ("white", lambda e: "the technologist prepares the patient"),
    "ResponderCheckedIn": (
        "white",
        lambda e: f"{e['evidence']['name']} ({e['evidence']['licence_type']}) is the responder",
    ),
    "KitChecked": ("white", lambda e: "emergency kit checked, epinephrine there and in date"),
    "SupervisionRequested": ("yellow", lambda e: f"a physician is asked for ({_words(e['cause'])})"),
    "RingStarted": ("yellow", lambda e: "it rings"),
    "RungRaised": ("yellow", lambda e: f"nobody answered: the {e['name']} rings too"),
    "RingEscalated": ("bold red", lambda e: f"everybody rings, and {e['contact']} by name"),
    "RingRepeated": ("red", lambda e: "it rings again"),
    "RingAnswered": ("green", _answered),
    "RingWithdrawn": ("white", lambda e: "the ring is withdrawn"),
    "PhysicianAssigned": (
        "green",
        lambda e: f"{e['evidence']['name']}, licensed in {e['evidence']['licence_state']}, is responsible",
    ),
    "VerdictRecorded": ("white", lambda e: f"the rules say: {_words(e['verdict']['result'])}"),
    "LineVerified": ("green", lambda e: "line verified: audio and video counted both ways"),
    "LineLost": ("bold red", lambda e: f"line lost: {_words(e['cause'])}"),
    "GapOpened": ("red", lambda e: f"gap {e['number']} opens: {e['action']}"),
    "GapClosed": ("green", lambda e: f"gap {e['number']} is closed"),
    "IdentityConfirmed": (
        "white",
        lambda e: f"identity confirmed by {' and '.join(map(_words, e['matched']))}",
    ),
    "ScreeningRecorded": ("white", _screened),
    "ScreeningReviewed": (
        "white",
        lambda e: f"screening reviewed; unknown: {', '.join(map(_words, e['unknown'])) or 'nothing'}",
    ),
    "ContrastCleared": ("green", lambda e: f"the physician clears {e['agent']}"),
    "ReadyGranted": ("bold green", lambda e: f"READY: {len(e['ready']['facts'])} facts hold"),
    "ReadyRevoked": (
        "bold red",
        lambda e: f"READY falls, no longer: {', '.join(map(_words, e['reasons']))}",
    ),
    "InjectionStarted": ("bold", lambda e: "injection"),
    "ContrastGiven": ("bold", lambda e: f"{e['agent']} {e['volume_ml']} mL {e['route']}"),
    "InterlockBypassed": ("bold red", lambda e: "contrast without READY: recorded as a bypassed interlock"),
    "ReactionReported": ("bold red", lambda e: "REACTION"),
    "ReactionAlarmRepeated": ("bold red", lambda e: "REACTION again, in the one that is open"),
    "SignsRecorded": ("bold", lambda e: f"seen: {'; '.join(e['texts'])}"),
    "VitalsRecorded": ("white", lambda e: vitals_line(e).lower()[:1] + vitals_line(e)[1:]),
    "SeveritySuggested": ("yellow", _suggested),
    "ReactionGraded": (
        "bold red",
        lambda e: f"the physician grades it {e['severity']}: {_words(e['presentation'])}",
    ),
    "ProtocolResolved": ("white", _steps),
    "StepOrdered": ("bold yellow", lambda e: f"order: {_dose(e['order'])}{_override(e)}"),
    "StepReadBack": ("yellow", lambda e: "read back, and it matches"),
    "StepDone": ("green", lambda e: f"done: {e['text']}"),
    "MedicationGiven": ("bold green", lambda e: _given(e["medication"])),
    "RepeatDue": ("yellow", lambda e: "the repeat interval is over: another dose may be ordered"),
    "EmergencyCalled": (
        "bold red",
        lambda e: f"{e['service']} is called" + (f" to {e['address']}" if e.get("address") else ""),
    ),
    "FollowUpRecorded": ("white", lambda e: follow_up_line(e).lower()[:1] + follow_up_line(e)[1:]),
    "VitalsDue": ("yellow", lambda e: "vital signs are due again"),
    "ObservationReached": ("yellow", lambda e: "the shortest observation is over"),
    "ReactionResolved": ("green", lambda e: "every sign has gone"),
    "ReactionDisposed": ("green", lambda e: f"disposition: {_words(e['disposition'])}"),
    "ObservationElapsed": ("white", lambda e: "the observation time is over"),
    "SessionCancelled": ("red", lambda e: f"the exam is cancelled: {_words(e['reason'])}"),
    "RecordConfirmed": ("green", lambda e: "the technologist signs: performed"),
    "RecordAttested": ("green", lambda e: "the physician signs: supervised"),
    "RecordSealed": ("bold green", lambda e: f"record sealed, {e['record_hash'][:16]}…"),
    "DeliveryAcknowledged": ("blue", lambda e: f"delivered ({_words(e['detail'])})"),
    "DeliveryRetrying": ("red", lambda e: f"delivery will be tried again ({_words(e['detail'])})"),
    "DeliveryDied": ("bold red", lambda e: f"delivery failed ({_words(e['detail'])})"),
}


#: What the engine says by itself after somebody's act.
ANSWERS = frozenset({"SeveritySuggested", "ProtocolResolved", "VerdictRecorded", "ReadyGranted"})

#: What may come again with nothing new in it.
REPEATED = frozenset({"SeveritySuggested", "ProtocolResolved", "VerdictRecorded"})


def _names(allergies: list[Mapping[str, Any]]) -> str:
    return ", ".join(str(one["substance"]) for one in allergies) or "none known"


def _who(event: Any) -> str:
    """Name who acted; parts of the engine, and what it answers by itself, are the engine."""
    return "engine" if event.actor_role == "system" or event.type in ANSWERS else str(event.actor_id)


class Narrator:
    """Writes the timeline; time counts from the first event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start: float | None = None
        self._elapsed = 0
        self._last: dict[str, str] = {}
        self._steps: dict[str, Mapping[str, Any]] = {}

    def tell(self, event: Any) -> None:
        """Write one event, if it is part of the story."""
        moment = event.at.ToDatetime().timestamp()
        self._start = moment if self._start is None else self._start
        told = STORY.get(event.type)
        if told is None:
            return
        style, say = told
        summary = json.loads(event.summary_json)
        if event.type == "ProtocolResolved":
            self._steps.update({step["step_id"]: step for step in summary["steps"]})
        if event.type == "StepDone":
            step = self._steps.get(summary["step_id"], {})
            if step.get("doses") and step.get("kind") == "drug":
                return  # the dose was told
            summary["text"] = step.get("text", "a step")
        said = say(summary)
        if event.type in REPEATED and self._last.get(event.type) == said:
            return
        self._last[event.type] = said
        self._elapsed = int(moment - self._start)
        self._write(_who(event), said, style)

    def refused(self, who: str, told: Mapping[str, str]) -> None:
        """Write what was refused to somebody and why; it happened after the newest event."""
        verb = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", told["rpc"]).lower()
        self._write(who, f"{verb} is refused: {told['sentence']}", "bold magenta")

    def _write(self, who: str, said: str, style: str) -> None:
        line = Text(f"{self._elapsed // 60:3d}:{self._elapsed % 60:02d}  ", style="dim")
        line.append(f"{who:<15.15} ", style="cyan")
        line.append(said, style=style)
        self._console.print(line, soft_wrap=True)
