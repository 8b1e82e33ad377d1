"""What a reaction's events write into the record: its course, each directed step and each drug, with who and when."""

import datetime as dt
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.reactions import events as e
from engine.reactions.state import FollowUp, Medication, OfferedDose
from engine.records.book import Book, plain
from engine.records.fold_session import Change
from engine.workflows.session import events as session


def _at(r: Recorded, v: Any) -> Any:
    """Return when a fact was: by the device where a console wrote it down offline, else by the engine."""
    offline = getattr(v, "offline", None)
    return offline.at if offline is not None else r.at


def _by(r: Recorded, v: Any) -> str:
    """Return who reported a fact."""
    offline = getattr(v, "offline", None)
    return offline.by if offline is not None else r.actor.person_id


def _in_time(entries: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return entries by when they happened; what a console wrote down offline came in after what it came before."""
    return sorted(entries, key=lambda entry: dt.datetime.fromisoformat(entry[name]))


def _reported(b: Book, r: Recorded, v: session.ReactionReported) -> None:
    b.memory.setdefault("reactions", []).append(v.reaction_id)
    reported = {"at": r.at, "by": r.actor.person_id, "alerted": v.alerted or None}
    b.under("reaction.reported", v.reaction_id, reported, r.id)
    b.under("reaction.onset_at", v.reaction_id, v.onset_at, r.id)


def _opened(b: Book, r: Recorded, v: e.ReactionOpened) -> None:
    b.under("reaction.pack", r.stream.id, {"pack_id": v.pack_id, "pack_hash": v.pack_hash}, r.id)


def _signs(b: Book, r: Recorded, v: e.SignsRecorded) -> None:
    before = b.values.get("reaction.signs", {}).get(r.stream.id, [])
    b.under(
        "reaction.signs", r.stream.id, _in_time([*before, plain({**plain(v), "at": _at(r, v)})], "at"), r.id
    )


def _vitals(b: Book, r: Recorded, v: e.VitalsRecorded) -> None:
    before = b.values.get("reaction.vitals", {}).get(r.stream.id, [])
    b.under("reaction.vitals", r.stream.id, _in_time([*before, plain(v.vitals)], "at"), r.id)


def _weighed(b: Book, r: Recorded, v: e.PatientWeightRecorded) -> None:
    b.put("patient.weight_kg", v.weight_kg, r.id)
    b.put("patient.weight_method", v.method, r.id)


def _suggested(b: Book, r: Recorded, v: e.SeveritySuggested) -> None:
    grade = v.severity or f"physician decides: {v.physician_decides}"
    entry = {"at": r.at, "severity": grade, "rules": list(v.rules), "reasons": list(v.reasons)}
    b.under("reaction.suggested_severity", r.stream.id, entry, r.id)


def _directed(b: Book, r: Recorded) -> None:
    if r.stream.id not in b.values.get("reaction.first_directive_at", {}):
        b.under("reaction.first_directive_at", r.stream.id, r.at, r.id)


def _graded(b: Book, r: Recorded, v: e.ReactionGraded) -> None:
    key = r.stream.id
    b.under("reaction.severity", key, v.severity, r.id)
    b.under("reaction.presentation", key, v.presentation, r.id)
    worst = b.memory.setdefault("worst", {})
    if key not in worst or v.severity.rank > worst[key].rank:
        worst[key] = v.severity
        b.under("reaction.worst_severity", key, v.severity, r.id)
    before = b.values.get("reaction.grades", {}).get(key, [])
    grade = {"at": r.at, "by": r.actor.person_id, **plain(v)}
    b.under("reaction.grades", key, [*before, grade], r.id)
    _directed(b, r)


def _protocol(b: Book, r: Recorded, v: e.ProtocolResolved) -> None:
    offers = b.memory.setdefault("offers", {})
    offers.update({(r.stream.id, step.step_id): step for step in v.steps})
    b.under("reaction.pack", r.stream.id, {"pack_id": v.pack_id, "pack_hash": v.pack_hash}, r.id)
    for step_id in v.superseded:
        entry = b.memory.get("current", {}).get((r.stream.id, step_id))
        if entry is not None and entry["done_at"] is None:
            entry["superseded_at"] = plain(r.at)
            b.source("interventions.directed", r.id)


def _entry(b: Book, r: Recorded, step_id: str, number: int) -> dict[str, Any]:
    """Begin an intervention: one order of one step, or one step done without an order."""
    offer = b.memory.get("offers", {}).get((r.stream.id, step_id))
    entry = b.add(
        "interventions.directed",
        {
            "reaction_id": r.stream.id,
            "step_id": step_id,
            "order_number": number,
            "text": offer.text if offer else None,
            "kind": offer.kind if offer else None,
            "citation": offer.citation if offer else None,
            "evidence": offer.evidence if offer else None,
            "ordered_by": None,
            "ordered_at": None,
            "order": None,
            "overrides": [],
            "override_reason": None,
            "read_back_by": None,
            "read_back_at": None,
            "done_by": None,
            "done_at": None,
            "refused_by": None,
            "refused_at": None,
            "refused_reason": None,
            "superseded_at": None,
        },
        r.id,
    )
    b.memory.setdefault("current", {})[(r.stream.id, step_id)] = entry
    return entry


def _current(b: Book, r: Recorded, step_id: str) -> dict[str, Any]:
    """Return the step's present intervention; begin one when nothing was ordered."""
    found: dict[str, Any] | None = b.memory.get("current", {}).get((r.stream.id, step_id))
    b.source("interventions.directed", r.id)
    return found if found is not None else _entry(b, r, step_id, 0)


def _ordered(b: Book, r: Recorded, v: e.StepOrdered) -> None:
    entry = _entry(b, r, v.step_id, v.order_number)
    entry.update(ordered_by=r.actor.person_id, ordered_at=plain(r.at))
    entry["overrides"] = list(v.overrides)
    entry["override_reason"] = v.override_reason or None
    if v.order is not None:
        entry["order"] = plain(v.order)
        entry["citation"], entry["evidence"] = v.order.citation, v.order.evidence
    if v.overrides:
        past = {"at": r.at, "by": r.actor.person_id, "reaction_id": r.stream.id, "step_id": v.step_id}
        past = {**past, "guards": list(v.overrides), "reason": v.override_reason}
        b.add("exceptions.overrides", past, r.id)
    _directed(b, r)


def _read_back(b: Book, r: Recorded, v: e.StepReadBack) -> None:
    _current(b, r, v.step_id).update(read_back_by=r.actor.person_id, read_back_at=plain(r.at))


def _done(b: Book, r: Recorded, v: e.StepDone) -> None:
    _current(b, r, v.step_id).update(done_by=_by(r, v), done_at=plain(_at(r, v)))


def _refused(b: Book, r: Recorded, v: e.StepRefused) -> None:
    found = _current(b, r, v.step_id)
    found.update(refused_by=r.actor.person_id, refused_at=plain(r.at), refused_reason=v.reason)


def _row(b: Book, r: Recorded, row_id: str) -> OfferedDose | None:
    """Return the dose row a drug goes by, as it was offered in this reaction; None when it was not."""
    offers = b.memory.get("offers", {}).items()
    doses = (dose for (stream_id, _), step in offers if stream_id == r.stream.id for dose in step.doses)
    return next((dose for dose in doses if dose.row_id == row_id), None)


def _as_told(dose: Medication) -> dict[str, Any]:
    """Return a dose as it was reported: how intervals count it is no part of the report."""
    told = plain(dose)
    del told["counted_from"]
    if not told["told_as"]:
        del told["told_as"]
    return dict(told)


def _given(b: Book, r: Recorded, v: e.MedicationGiven) -> None:
    """A drug that went in, beside the order it answers if there was one."""
    order = (b.memory.get("current", {}).get((r.stream.id, v.medication.step_id)) or {}).get("order") or {}
    row = _row(b, r, v.medication.row_id)
    drug = {
        "reaction_id": r.stream.id,
        **_as_told(v.medication),
        "recorded_by": _by(r, v),
        "offline": v.offline is not None,
        "amount_text": order.get("amount_text"),
        "formula": order.get("formula"),
        "row_site": row.site if row else None,
        "citation": order.get("citation") or (row.citation if row else None),
        "evidence": order.get("evidence") or (row.evidence if row else None),
        "ordered": v.authority == "order" if v.authority else bool(order),
        "authority": v.authority or ("order" if order else "none"),
        "beyond": list(v.beyond),
    }
    b.add("interventions.medications", drug, r.id)
    b.values["interventions.medications"] = _in_time(b.values["interventions.medications"], "given_at")
    if v.beyond:
        past = {
            "at": _at(r, v),
            "drug": v.medication.drug,
            "reaction_id": r.stream.id,
            "caps": list(v.beyond),
        }
        b.add("exceptions.beyond_caps", past, r.id)


def _called(b: Book, r: Recorded, v: e.EmergencyCalled) -> None:
    if r.stream.id not in b.values.get("reaction.emergency_call", {}):
        call = {"called_at": v.called_at, "service": v.service, "address": v.address or None}
        call["recorded_by"] = _by(r, v)
        b.under("reaction.emergency_call", r.stream.id, call, r.id)


def _disposed(b: Book, r: Recorded, v: e.ReactionDisposed) -> None:
    entry = {"at": r.at, "by": r.actor.person_id, "disposition": v.disposition, "reason": v.reason or None}
    b.under("reaction.disposition", r.stream.id, entry, r.id)


def _documented(b: Book, r: Recorded, v: e.ReactionDocumented) -> None:
    stated = {"allergy_documented": v.allergy_documented, "instructions_given": v.instructions_given}
    b.under("reaction.documentation", r.stream.id, stated, r.id)


def _follow_up(b: Book, r: Recorded, v: e.FollowUpRecorded) -> None:
    """Of each thing what was said last, in this order."""
    said: dict[str, FollowUp] = b.memory.setdefault("follow_up", {})
    said[r.stream.id] = said.get(r.stream.id, FollowUp()).with_(v.follow_up)
    b.under("reaction.follow_up", r.stream.id, said[r.stream.id], r.id)


def _onset(b: Book, r: Recorded, v: e.OnsetReported) -> None:
    """An onset that a console noted earlier than the engine heard of it counts."""
    known = b.values.get("reaction.onset_at", {}).get(r.stream.id)
    earlier = plain(v.onset_at)
    b.under("reaction.onset_at", r.stream.id, min(known or earlier, earlier), r.id)


def _said_back(b: Book, r: Recorded, v: e.ReadBackReported) -> None:
    said = {"at": _at(r, v), "by": _by(r, v), "reaction_id": r.stream.id, "step_id": v.step_id}
    dose = {"dose_mg": v.dose_mg, "concentration_mg_per_ml": v.concentration_mg_per_ml, "route": v.route}
    b.add("interventions.read_backs", {**said, **dose, "volume_ml": v.volume_ml}, r.id)


def _noted(b: Book, r: Recorded, v: e.NoteRecorded) -> None:
    before = b.values.get("reaction.notes", {}).get(r.stream.id, [])
    b.under(
        "reaction.notes", r.stream.id, [*before, {"at": _at(r, v), "by": _by(r, v), "text": v.text}], r.id
    )


def _offline_log(b: Book, r: Recorded, v: session.OfflineLogReported) -> None:
    """A console's log, told apart from what was reported on the line: who wrote it, who sent it, when."""
    until = v.signed_in_until
    log = {
        "log_id": v.log_id,
        "reaction_id": v.reaction_id,
        "received_at": r.at,
        "sent_by": r.actor.person_id,
        "written_by": v.written_by,
        "began_at": v.began_at,
        "device_at": v.device_at,
        "pack_hash": v.pack_hash,
        "entries": len(v.entries),
        "first_at": v.entries[0].at,
        "last_at": v.entries[-1].at,
        "after_sign_in": sum(1 for entry in v.entries if until is None or entry.at >= until),
    }
    b.add("exceptions.offline_logs", log, r.id)


REACTION: dict[type[Event], Change] = {
    session.ReactionReported: _reported,
    e.ReactionOpened: _opened,
    e.SignsRecorded: _signs,
    e.VitalsRecorded: _vitals,
    e.PatientWeightRecorded: _weighed,
    e.SeveritySuggested: _suggested,
    e.ReactionGraded: _graded,
    e.ProtocolResolved: _protocol,
    e.StepOrdered: _ordered,
    e.StepReadBack: _read_back,
    e.StepDone: _done,
    e.StepRefused: _refused,
    e.MedicationGiven: _given,
    e.EmergencyCalled: _called,
    e.OnsetReported: _onset,
    e.ReadBackReported: _said_back,
    e.NoteRecorded: _noted,
    session.OfflineLogReported: _offline_log,
    e.ReactionResolved: lambda b, r, v: b.under("reaction.resolved_at", r.stream.id, _at(r, v), r.id),
    e.ReactionDisposed: _disposed,
    e.ReactionDocumented: _documented,
    e.FollowUpRecorded: _follow_up,
}
