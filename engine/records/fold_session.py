"""What each event of a session writes into the record: order, people, rules, READY, contrast, closing, signatures."""

from collections.abc import Callable
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.records.book import Book, plain
from engine.workflows.session import events as e
from engine.workflows.session.state import CredentialEvidence, Order, PremedicationChoice, ScreeningEvidence

Change = Callable[[Book, Recorded, Any], None]

CARE = frozenset(
    {
        "unscheduled",
        "scheduled",
        "preparing",
        "requested",
        "identifying",
        "reviewing",
        "cleared",
        "injecting",
        "monitoring",
        "closing",
        "signed",
        "sealed",
        "deferred",
        "declined",
        "cancelled",
    }
)
_OUTCOMES = {
    "closing": "completed",
    "signed": "completed",
    "sealed": "completed",
    "cancelled": "cancelled",
    "declined": "declined",
    "deferred": "deferred",
}


def care_phase(phases: tuple[str, ...]) -> str:
    """Return the phase of the care region; `unscheduled` when there is none."""
    return next((phase for phase in phases if phase in CARE), "unscheduled")


def outcome(phases: tuple[str, ...]) -> str:
    """Return how the session ended so far; `open` while it has not."""
    return _OUTCOMES.get(care_phase(phases), "open")


def _order(b: Book, order: Order, event_id: str) -> None:
    for name, value in plain(order).items():
        b.put(f"order.{name}", value, event_id)


def _identity(b: Book, r: Recorded) -> None:
    ref = f"{r.id}.identity"
    commitment = b.commitments.get(ref)
    b.put("patient.identity", {"commitment": commitment, "ref": ref} if commitment else None, r.id)


def _scheduled(b: Book, r: Recorded, v: e.SessionScheduled) -> None:
    b.put("session.session_id", r.stream.id, r.id)
    b.put("session.organization_id", v.organization_id, r.id)
    b.put("session.mode", v.mode, r.id)
    b.put("session.planned_at", v.planned_at, r.id)
    b.put("session.outcome", "open", r.id)
    b.put("site.site_id", v.site_id, r.id)
    b.put("site.room_id", v.room_id, r.id)
    b.put("site.site_state", v.site_state, r.id)
    b.put("site.setting", v.setting, r.id)
    b.put("engine.demo", v.demo, r.id)
    if v.drill:
        b.put("engine.drill", v.drill_id, r.id)
    b.put("patient.age_years", v.age_years, r.id)
    _identity(b, r)
    _order(b, v.order, r.id)


def _order_amended(b: Book, r: Recorded, v: e.OrderAmended) -> None:
    before = {name: b.values.get(f"order.{name}", "") for name in plain(v.order)}
    _order(b, v.order, r.id)
    b.put("session.planned_at", v.planned_at, r.id)
    b.put("site.room_id", v.room_id, r.id)
    changed = sorted(name for name, old in before.items() if old != plain(v.order)[name])
    b.add("order.order_edits", {"at": r.at, "by": r.actor.person_id, "changed": changed}, r.id)


def _patient_amended(b: Book, r: Recorded, v: e.PatientAmended) -> None:
    _identity(b, r)
    b.put("patient.age_years", v.age_years, r.id)
    b.add("patient.identity_edits", {"at": r.at, "by": r.actor.person_id}, r.id)


def _ended(b: Book, r: Recorded, result: str, reason: str) -> None:
    b.put("session.outcome", result, r.id)
    b.put("session.outcome_reason", reason, r.id)
    b.put("times.closed", r.at, r.id)
    _all_left(b, r, result)


def _all_left(b: Book, r: Recorded, cause: str) -> None:
    """Presence is owed until here; who stays on longer is not of the record."""
    for group in ("physician", "responder"):
        _left(b, group, r, cause)


def _prepared(b: Book, r: Recorded, v: e.PreparationStarted) -> None:
    b.put("technologist.person_id", v.technologist_id, r.id)
    b.put("session.outcome", "open", r.id)
    b.drop("session.outcome_reason")
    b.drop("times.closed")


def _weight(b: Book, r: Recorded, v: e.WeightRecorded) -> None:
    b.put("patient.weight_kg", v.weight_kg, r.id)
    b.put("patient.weight_method", v.method, r.id)


def _kit(b: Book, r: Recorded, v: e.KitChecked) -> None:
    b.put("site.kit", {**plain(v), "checked_at": r.at, "checked_by": r.actor.person_id}, r.id)


def _screened(b: Book, r: Recorded, v: e.ScreeningRecorded) -> None:
    b.put("screening.answers", v.screening, r.id)
    _planned(b, r, v.screening.agent)
    _found(b, r, v.evidence)


def _found(b: Book, r: Recorded, found: ScreeningEvidence | None) -> None:
    """What the protocols said; nothing is left of what they had said of other answers."""
    for name in ("findings", "premedication", "pack"):
        b.drop(f"screening.{name}")
    if found is not None:
        b.put("screening.findings", list(found.findings), r.id)
        b.put("screening.premedication", list(found.premedication), r.id)
        b.put("screening.pack", {"pack_id": found.pack_id, "pack_hash": found.pack_hash}, r.id)


def _allergies(b: Book, r: Recorded, v: e.AllergiesRecorded) -> None:
    b.put("screening.allergies", list(v.allergies), r.id)
    b.put("screening.allergies_source", v.source, r.id)


def _reviewed(b: Book, r: Recorded, v: e.ScreeningReviewed) -> None:
    if v.evidence is not None:
        _found(b, r, v.evidence)
    seen = {"unknown": list(v.unknown), "findings": list(v.findings)}
    b.put("screening.reviewed", {"at": r.at, "by": r.actor.person_id, **seen}, r.id)
    if v.premedication is not None:
        b.memory["premedication"] = v.premedication
        b.put("screening.premedication_choice", v.premedication, r.id)


def _planned(b: Book, r: Recorded, agent: str) -> None:
    """Premedication chosen for another agent or class stays as chosen, and is named outdated from here on."""
    chosen: PremedicationChoice | None = b.memory.get("premedication")
    if chosen is None:
        return
    now = chosen.at(agent, b.values.get("order.contrast_class", ""))
    if now != chosen:
        b.memory["premedication"] = now
        b.put("screening.premedication_choice", now, *b.sources["screening.premedication_choice"], r.id)


def _cleared(b: Book, r: Recorded, v: e.ContrastCleared) -> None:
    _planned(b, r, v.agent)
    answered = {"reason": v.reason, "against": list(v.against)}
    b.put("contrast.cleared", {"agent": v.agent, "at": r.at, "by": r.actor.person_id, **answered}, r.id)


def _credentials(b: Book, group: str, found: CredentialEvidence, event_id: str) -> None:
    names = ("person_id", "name", "licence_type", "licence_state", "licence_number")
    for name in names:
        b.put(f"{group}.{name}", getattr(found, name), event_id)
    b.put(f"{group}.verified_at", found.checked_at, event_id)


def _responder(b: Book, r: Recorded, v: e.ResponderCheckedIn) -> None:
    _left(b, "responder", r, "replaced")
    _credentials(b, "responder", v.evidence, r.id)
    b.put("responder.role", v.evidence.role, r.id)
    b.put("responder.competency_expires_on", v.evidence.competency_expires_on, r.id)
    _arrived(b, "responder", v.evidence, r)


def _arrived(b: Book, group: str, found: CredentialEvidence, r: Recorded) -> None:
    present = {
        "person_id": found.person_id,
        "name": found.name,
        "from": r.at,
        "until": None,
        "ended_by": None,
    }
    b.memory[group] = b.add(f"{group}.presence", present, r.id)


def _left(b: Book, group: str, r: Recorded, cause: str) -> None:
    present = b.memory.pop(group, None)
    if present is not None:
        present.update(until=plain(r.at), ended_by=cause)
        b.source(f"{group}.presence", r.id)


def _physician(b: Book, r: Recorded, found: CredentialEvidence, cause: str) -> None:
    _left(b, "physician", r, cause)
    _credentials(b, "physician", found, r.id)
    b.put("physician.npi", found.npi, r.id)
    b.put("physician.verified_until", found.valid_until, r.id)
    b.put("physician.problems", list(found.problems), r.id)
    _arrived(b, "physician", found, r)


def _assigned(b: Book, r: Recorded, v: e.PhysicianAssigned) -> None:
    b.first("times.accepted", r.at, r.id)
    _physician(b, r, v.evidence, "replaced")


def _hand_off_offered(b: Book, r: Recorded, v: e.HandOffOffered) -> None:
    entry = {
        "offered_at": r.at,
        "offered_by": r.actor.person_id,
        "to": v.to_physician_id,
        "accepted_at": None,
        "released": None,
    }
    b.memory["hand_off"] = b.add("hand_offs.changes", entry, r.id)


def _hand_off_accepted(b: Book, r: Recorded, v: e.HandOffAccepted) -> None:
    offer = b.memory.pop("hand_off", None)
    if offer is not None:
        offer.update(accepted_at=plain(r.at), released=v.replaces)
        b.source("hand_offs.changes", r.id)
    _physician(b, r, v.evidence, "handed_off")


def _identified(b: Book, r: Recorded, v: e.IdentityConfirmed) -> None:
    b.put("patient.identifiers_matched", list(v.matched), r.id)
    b.put("times.identity_confirmed", r.at, r.id)


def _viewed(b: Book, r: Recorded, v: e.ViewConfirmed) -> None:
    if v.patient_visible and v.injection_site_visible:
        b.put("times.view_confirmed", r.at, r.id)


def _verdict(b: Book, r: Recorded, v: e.VerdictRecorded) -> None:
    """The verdict in force when contrast went in stays; every later answer is listed."""
    answer = {"evaluated_at": v.verdict.evaluated_at, "result": v.verdict.result}
    b.add("rules.answers", answer, r.id)
    if "contrast.given_at" in b.values:
        return
    b.put("rules.verdict", v.verdict.result, r.id)
    b.put("rules.layers", [plain(layer) for layer in v.verdict.layers], r.id)
    b.put("rules.assumed", list(v.verdict.assumed), r.id)
    b.put("rules.rulebook_version", v.verdict.rulebook_version, r.id)
    b.put("rules.rulebook_hash", v.verdict.rulebook_hash, r.id)
    b.put("rules.evaluated_at", v.verdict.evaluated_at, r.id)


def _attested(b: Book, r: Recorded, v: e.VerdictAttested) -> None:
    entry = {"at": r.at, "by": r.actor.person_id, "role": v.role, "reason": v.reason}
    b.add("rules.attestations", entry, r.id)


def _ready(b: Book, r: Recorded, v: e.ReadyGranted) -> None:
    token = {
        "token": v.ready.token,
        "granted_at": v.ready.granted_at,
        "expires_at": v.ready.expires_at,
        "facts": [fact.name for fact in v.ready.facts],
        "ended_at": None,
        "ended_by": None,
        "reasons": [],
    }
    b.memory["ready"] = b.add("ready.tokens", token, r.id)
    b.put("times.ready", v.ready.granted_at, r.id)


def _ready_ended(b: Book, r: Recorded, by: str, reasons: tuple[str, ...] = ()) -> None:
    token = b.memory.pop("ready", None)
    if token is not None:
        token.update(ended_at=plain(r.at), ended_by=by, reasons=list(reasons))
        b.source("ready.tokens", r.id)


def _injected(b: Book, r: Recorded, v: e.InjectionStarted) -> None:
    _ready_ended(b, r, "injection_started")
    b.put("times.injection_started", r.at, r.id)


def _contrast(b: Book, r: Recorded, v: e.ContrastGiven) -> None:
    dose = plain(v)
    if "contrast.given_at" in b.values:
        b.add("contrast.further_doses", dose, r.id)
        return
    for name, value in dose.items():
        b.put(f"contrast.{name}", value, r.id)


def _bypassed(b: Book, r: Recorded, v: e.InterlockBypassed) -> None:
    entry = {"at": r.at, "by": r.actor.person_id, "missing": list(v.missing)}
    b.add("exceptions.bypasses", entry, r.id)
    b.put("session.outcome", "open", r.id)


def _injection_over(b: Book, r: Recorded, v: e.InjectionCompleted) -> None:
    b.put("times.injection_ended", r.at, r.id)
    b.put("monitoring.observe_until", v.observe_until, r.id)


def _monitored(b: Book, r: Recorded, v: e.MonitoringCompleted) -> None:
    b.put("times.monitoring_ended", r.at, r.id)
    b.put("times.closed", r.at, r.id)
    b.put("session.outcome", "completed", r.id)
    _all_left(b, r, "monitoring_ended")


def _vitals(b: Book, r: Recorded, v: e.VitalsRecorded) -> None:
    b.add("monitoring.vitals", {"at": r.at, **plain(v)}, r.id)


def _addendum(b: Book, r: Recorded, v: e.AddendumOpened) -> None:
    """What was signed before stays, as earlier; the record as it is now needs new signatures."""
    for who in ("technologist", "physician"):
        signed = b.values.get(f"signatures.{who}")
        if signed is not None:
            b.add("signatures.earlier", {**signed, "revision": b.revision}, b.sources[f"signatures.{who}"][0])
        b.drop(f"signatures.{who}")
    b.revision = v.revision
    entry = {"at": r.at, "by": r.actor.person_id, "revision": v.revision, "source": v.source}
    b.add("exceptions.late_entries", entry, r.id)


def _late(b: Book, r: Recorded, v: e.LateEntryReported) -> None:
    entry = {"at": r.at, "by": r.actor.person_id, "revision": b.revision, "source": v.source}
    b.add("exceptions.late_entries", entry, r.id)


def _signed(who: str) -> Change:
    def change(b: Book, r: Recorded, v: e.RecordConfirmed | e.RecordAttested) -> None:
        b.put(f"signatures.{who}", v.signature, r.id)

    return change


SESSION: dict[type[Event], Change] = {
    e.SessionScheduled: _scheduled,
    e.OrderAmended: _order_amended,
    e.PatientAmended: _patient_amended,
    e.SessionCancelled: lambda b, r, v: _ended(b, r, "cancelled", v.reason.value),
    e.ContrastDeferred: lambda b, r, v: _ended(b, r, "deferred", v.reason),
    e.ContrastDeclined: lambda b, r, v: _ended(b, r, "declined", v.reason),
    e.PreparationStarted: _prepared,
    e.ScreeningRecorded: _screened,
    e.AllergiesRecorded: _allergies,
    e.WeightRecorded: _weight,
    e.KitChecked: _kit,
    e.ResponderCheckedIn: _responder,
    e.ResponderLeft: lambda b, r, v: _left(b, "responder", r, "left"),
    e.SupervisionRequested: lambda b, r, v: b.first("times.requested", r.at, r.id),
    e.PhysicianAssigned: _assigned,
    e.PhysicianLeft: lambda b, r, v: _left(b, "physician", r, v.cause),
    e.HandOffOffered: _hand_off_offered,
    e.HandOffAccepted: _hand_off_accepted,
    e.IdentityConfirmed: _identified,
    e.ScreeningReviewed: _reviewed,
    e.ViewConfirmed: _viewed,
    e.ContrastCleared: _cleared,
    e.VerdictRecorded: _verdict,
    e.VerdictAttested: _attested,
    e.ReadyGranted: _ready,
    e.ReadyRevoked: lambda b, r, v: _ready_ended(b, r, "revoked", v.reasons),
    e.ReadyExpired: lambda b, r, v: _ready_ended(b, r, "expired"),
    e.InjectionStarted: _injected,
    e.ContrastGiven: _contrast,
    e.InterlockBypassed: _bypassed,
    e.InjectionCompleted: _injection_over,
    e.MonitoringCompleted: _monitored,
    e.VitalsRecorded: _vitals,
    e.AddendumOpened: _addendum,
    e.LateEntryReported: _late,
    e.RecordConfirmed: _signed("technologist"),
    e.RecordAttested: _signed("physician"),
    e.RecordSealed: lambda b, r, v: None,
}
