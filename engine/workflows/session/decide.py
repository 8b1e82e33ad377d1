"""What a legal command leads to: one handler a verb, events out. Nothing is refused here; the chart did that.

Every decision ends by asking whether READY still stands: a fact that takes one of its grounds away revokes it in the
same decision, so no caller ever sees a READY whose ground is gone.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from engine.kernel.canonical import canonical_hash
from engine.kernel.commands import Command, TimerFired
from engine.kernel.events import Event
from engine.kernel.machine import Context
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session import readiness
from engine.workflows.session.chart import against, given_identifiers
from engine.workflows.session.evolve import evolve
from engine.workflows.session.offline import fresh, opens, reaction_of
from engine.workflows.session.offline_log import OfflineEntry, OfflineKind
from engine.workflows.session.state import (
    PRESENCE_OWED,
    Objectives,
    PremedicationChoice,
    Ready,
    SessionState,
    Signature,
)

# Nobody has been older, and systems write 1850 or year 1 where they do not know: the age is asked for, not believed.
OLDEST_YEARS = 130


def age_on(birth_date: dt.date, day: dt.date) -> int | None:
    """Return full years of age on a day; None of nobody's: a birth date that stands in for an unknown one."""
    years = day.year - birth_date.year - ((day.month, day.day) < (birth_date.month, birth_date.day))
    return years if years <= OLDEST_YEARS else None


def days_on(birth_date: dt.date, day: dt.date) -> int | None:
    """Return the age in days of an infant below one year, None of anybody older."""
    years = age_on(birth_date, day)
    return (day - birth_date).days if years is not None and years < 1 else None


def _schedule(s: SessionState, m: c.ScheduleSession, x: Context) -> Iterator[Event]:
    yield e.SessionScheduled(
        organization_id=m.organization_id,
        site_id=m.site_id,
        room_id=m.room_id,
        site_state=m.site_state,
        setting=m.setting,
        mode=m.mode,
        demo=m.demo,
        planned_at=m.planned_at,
        order=m.order,
        identity=m.identity,
        age_years=age_on(m.identity.birth_date, m.planned_at.date()),
        age_days=days_on(m.identity.birth_date, m.planned_at.date()),
        drill=bool(m.drill_id),
        drill_id=m.drill_id,
    )
    if m.allergies_source:
        yield e.AllergiesRecorded(allergies=m.allergies, source=m.allergies_source)
    if m.weight_kg is not None:
        yield e.WeightRecorded(weight_kg=m.weight_kg, method="order")


def _amend_patient(s: SessionState, m: c.AmendPatient, x: Context) -> Iterator[Event]:
    day = (s.planned_at or x.now).date()
    born = m.identity.birth_date
    yield e.PatientAmended(identity=m.identity, age_years=age_on(born, day), age_days=days_on(born, day))


def _request(s: SessionState, cause: str, *, nobody_to_ring: bool = False) -> e.SupervisionRequested:
    return e.SupervisionRequested(
        ring_id=f"{s.session_id}-{s.requests + 1}",
        cause=cause,
        site_id=s.site_id,
        room_id=s.room_id,
        nobody_to_ring=nobody_to_ring,
    )


def _assign(s: SessionState, m: c.AssignPhysician, x: Context) -> Iterator[Event]:
    assert m.evidence is not None
    replaces = s.physician.person_id if s.physician is not None and s.physician_present else ""
    yield e.PhysicianAssigned(
        ring_id=m.ring_id, evidence=m.evidence, replaces=replaces if replaces != m.physician_id else ""
    )
    if s.in_phase("verified", "degraded"):
        yield from _close_gap(s, x.now, "physician_assigned")


def _physician_away(s: SessionState, m: c.ReportPhysicianAway, x: Context) -> Iterator[Event]:
    if s.physician is None or s.physician.person_id != m.physician_id or not s.physician_present:
        return
    yield e.PhysicianLeft(physician_id=m.physician_id, cause=m.cause)
    if s.in_phase(*PRESENCE_OWED) or s.open_reactions:
        yield from _open_gap(s, x, f"physician_away:{m.cause}")
        yield _request(s, "physician_away")


def _accept_hand_off(s: SessionState, m: c.AcceptHandOff, x: Context) -> Iterator[Event]:
    assert m.evidence is not None
    yield e.HandOffAccepted(evidence=m.evidence, replaces=s.physician.person_id if s.physician else "")


def _confirm_identity(s: SessionState, m: c.ConfirmIdentity, x: Context) -> Iterator[Event]:
    yield e.IdentityConfirmed(matched=tuple(sorted(given_identifiers(m))))


def _review(s: SessionState, m: c.ReviewScreening, x: Context) -> Iterator[Event]:
    assert s.screening is not None
    answers = ("prior_reaction", "asthma", "renal_risk", "metformin", "pregnancy", "beta_blocker")
    unknown = [name for name in answers if s.screening.answer(name) == "unknown"]
    if not s.allergies_source:
        unknown.append("allergies")
    found = m.evidence or s.screened
    findings = found.findings if found else ()
    unknown += [name for finding in findings for name in finding.unknown]
    yield e.ScreeningReviewed(
        unknown=tuple(dict.fromkeys(unknown)),
        findings=tuple(dict.fromkeys(finding.row_id for finding in findings)),
        evidence=m.evidence if m.evidence != s.screened else None,
        premedication=_premedication(s, m, x),
    )


def _premedication(s: SessionState, m: c.ReviewScreening, x: Context) -> PremedicationChoice | None:
    if not m.premedication_row_id and not m.premedication_reason.strip():
        return None
    return PremedicationChoice(
        row_id=m.premedication_row_id,
        reason=m.premedication_reason,
        agent=s.screening.agent if s.screening else "",
        contrast_class=s.order.contrast_class if s.order else "",
        physician_id=x.actor.person_id,
        chosen_at=x.now,
    )


def _clear(s: SessionState, m: c.ClearForContrast, x: Context) -> Iterator[Event]:
    yield e.ContrastCleared(agent=m.agent, reason=m.reason, against=against(s, m))


def _evaluate(s: SessionState, m: c.EvaluateRules, x: Context) -> Iterator[Event]:
    assert m.verdict is not None
    yield e.VerdictRecorded(verdict=m.verdict)


def _grant(s: SessionState, m: c.GrantReady, x: Context) -> Iterator[Event]:
    assert m.verdict is not None
    verdict = e.VerdictRecorded(verdict=m.verdict)
    yield verdict
    after = evolve(s, verdict, x.now, x.actor)
    facts = readiness.present(after, x.now)
    objectives: Objectives = x.objectives
    limits = [fact.until for fact in facts if fact.until is not None]
    expires = min([x.now + dt.timedelta(seconds=objectives.ready_s), *limits])
    token = canonical_hash([s.session_id, s.version, x.now, facts])[:32]
    yield e.ReadyGranted(ready=Ready(token=token, facts=facts, granted_at=x.now, expires_at=expires))


def _contrast(s: SessionState, m: c.RecordContrastGiven, x: Context) -> Iterator[Event]:
    yield e.ContrastGiven(
        agent=m.agent,
        contrast_class=m.contrast_class,
        concentration=m.concentration,
        volume_ml=m.volume_ml,
        route=m.route,
        lot=m.lot,
        given_at=m.given_at,
        brand=m.brand,
        rate_ml_per_s=m.rate_ml_per_s,
        expires_on=m.expires_on,
        iv_site=m.iv_site,
        iv_gauge=m.iv_gauge,
    )
    if not s.injecting:
        lost = readiness.missing(s, x.now)
        yield e.InterlockBypassed(missing=lost or ("start_injection",))


def _complete_injection(s: SessionState, m: c.CompleteInjection, x: Context) -> Iterator[Event]:
    yield e.InjectionCompleted(observe_until=x.now + dt.timedelta(seconds=x.objectives.observation_s))


def _complete_monitoring(s: SessionState, m: c.CompleteMonitoring, x: Context) -> Iterator[Event]:
    yield e.MonitoringCompleted()
    yield from _close_gap(s, x.now, "presence_no_longer_owed")


def _reachable(s: SessionState) -> str:
    """Return the physician whom an alarm reaches over the line; empty when there is none."""
    there = s.physician_present and s.in_phase("verified", "degraded")
    return s.physician.person_id if s.physician is not None and there else ""


def _reaction(s: SessionState, m: c.ReportReaction, x: Context) -> Iterator[Event]:
    """Open a reaction. A press during one rings no second time by itself: a policy looks at what rings."""
    alerted = _reachable(s)
    if s.open_reactions:
        joined = next(name for name in reversed(s.reactions) if name in s.open_reactions)
        yield e.ReactionAlarmRepeated(reaction_id=joined, alerted=alerted)
        return
    yield e.ReactionReported(
        reaction_id=f"{s.session_id}-r{len(s.reactions) + 1}",
        onset_at=m.onset_at or x.now,
        alerted=alerted,
        age_years=s.age_years,
        age_days=s.age_days,
        weight_kg=s.weight_kg,
        weight_doubt=s.weight_doubt,
        setting=s.setting,
        modality=s.order.modality if s.order else "",
        agent=s.contrast[-1].agent if s.contrast else "",
        organization_id=s.organization_id,
        site_id=s.site_id,
        demo=s.demo,
        drill=s.drill,
    )
    if not alerted:
        yield _request(s, "reaction")


def _unheard(s: SessionState, m: c.ReportAlarmUnheard, x: Context) -> Iterator[Event]:
    if s.open_reactions and not _reachable(s):
        yield _request(s, "reaction")


def _offline_log(s: SessionState, m: c.ReportOfflineLog, x: Context) -> Iterator[Event]:
    entries = fresh(s, m)
    if not entries:
        return
    reaction_id = reaction_of(s, m)
    if opens(s, m):
        reaction_id = f"{s.session_id}-r{len(s.reactions) + 1}"
        yield from _reaction(s, c.ReportReaction(onset_at=_onset(entries)), x)
    yield e.OfflineLogReported(
        log_id=m.log_id,
        reaction_id=reaction_id,
        pack_hash=m.pack_hash,
        began_at=m.began_at,
        device_at=m.device_at,
        written_by=m.written_by,
        signed_in_until=m.signed_in_until,
        entries=entries,
    )


def _onset(entries: tuple[OfflineEntry, ...]) -> dt.datetime:
    """Return when a reaction began: when REACTION was first pressed, or else with the first entry."""
    return next((one.at for one in entries if one.kind is OfflineKind.ONSET), entries[0].at)


def _line_verified(s: SessionState, m: c.ReportLineVerified, x: Context) -> Iterator[Event]:
    yield e.LineVerified(evidence=m.evidence)
    yield from _close_gap(s, x.now, "line_verified")


def _line_lost(s: SessionState, m: c.ReportLineLost, x: Context) -> Iterator[Event]:
    yield e.LineLost(cause=m.cause)
    yield from _open_gap(s, x, m.cause)


def _on_phone(s: SessionState, m: c.ReportOnPhone, x: Context) -> Iterator[Event]:
    yield e.LineOnPhone(cause=m.cause)
    yield from _open_gap(s, x, f"on_phone:{m.cause}")


def _line_closed(s: SessionState, m: c.ReportLineClosed, x: Context) -> Iterator[Event]:
    yield e.LineClosed()
    yield from _open_gap(s, x, "call_ended")


def _open_gap(s: SessionState, x: Context, cause: str) -> Iterator[Event]:
    """Open a gap once, while presence is owed and had begun."""
    if s.open_gap is None and s.line_ever_verified and s.in_phase(*PRESENCE_OWED):
        action = (
            "injection on hold, line is being restored"
            if s.injection_started_at is None
            else "line is being restored"
        )
        yield e.GapOpened(number=len(s.gaps) + 1, start=x.now, cause=cause, action=action)


def _close_gap(s: SessionState, now: dt.datetime, cause: str) -> Iterator[Event]:
    if s.open_gap is not None:
        yield e.GapClosed(number=s.open_gap.number, end=now, cause=cause)


def _timer(s: SessionState, m: TimerFired, x: Context) -> Iterator[Event]:
    """A timer that came too late for what it was set for leads to nothing."""
    if m.name == "ready_expiry" and s.ready is not None and s.ready.expires_at <= x.now:
        yield e.ReadyExpired(token=s.ready.token, due_at=m.due_at)
    if m.name == "observation" and s.in_phase("monitoring") and not s.observation_over:
        yield e.ObservationElapsed(due_at=m.due_at)
    owed = s.in_phase(*PRESENCE_OWED) or s.open_reactions
    if m.name == "line_lost" and owed and not s.in_phase("verified", "degraded"):
        yield _request(s, "line_lost")


def _signature(x: Context, meaning: str, record_hash: str) -> Signature:
    return Signature(
        person_id=x.actor.person_id,
        role=x.actor.role,
        meaning=meaning,
        record_hash=record_hash,
        signed_at=x.now,
    )


def _confirm(s: SessionState, m: c.ConfirmRecord, x: Context) -> Iterator[Event]:
    yield e.RecordConfirmed(signature=_signature(x, "performed", m.record_hash))


def _attest(s: SessionState, m: c.AttestRecord, x: Context) -> Iterator[Event]:
    yield e.RecordAttested(signature=_signature(x, "supervised", m.record_hash))


def _seal(s: SessionState, m: c.SealRecord, x: Context) -> Iterator[Event]:
    yield e.RecordSealed(
        revision=s.revision,
        record_hash=m.record_hash,
        key_id=m.key_id,
        public_key=m.public_key,
        signature=m.signature,
        sealed_at=m.sealed_at or x.now,
        through=m.through,
    )


def _kit(s: SessionState, m: c.RecordKitChecked, x: Context) -> Iterator[Event]:
    yield e.KitChecked(
        kit_id=m.kit_id,
        expires_on=m.expires_on,
        epinephrine_present=m.epinephrine_present,
        oxygen_and_aed_checked=m.oxygen_and_aed_checked,
        items=m.items,
    )


def _kit_used(s: SessionState, m: c.ReportKitUsed, x: Context) -> Iterator[Event]:
    counted = s.kit.left(m.drug) if s.kit else None
    left = None if counted is None else max(0, counted - 1)
    yield e.KitUsed(drug=m.drug, reaction_id=m.reaction_id, left=left)


def _vitals(s: SessionState, m: c.RecordVitals, x: Context) -> Iterator[Event]:
    yield e.VitalsRecorded(
        systolic_mmhg=m.systolic_mmhg,
        diastolic_mmhg=m.diastolic_mmhg,
        heart_rate_bpm=m.heart_rate_bpm,
        spo2_percent=m.spo2_percent,
        respiratory_rate_bpm=m.respiratory_rate_bpm,
    )


def _check_in(s: SessionState, m: c.CheckInResponder, x: Context) -> Iterator[Event]:
    assert m.evidence is not None
    yield e.ResponderCheckedIn(evidence=m.evidence)


def _responder_left(s: SessionState, m: c.ReportResponderLeft, x: Context) -> Iterator[Event]:
    if s.responder is not None and s.responder_present:
        yield e.ResponderLeft(responder_id=s.responder.person_id)


_HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.ScheduleSession: _schedule,
    c.AmendOrder: lambda s, m, x: [e.OrderAmended(order=m.order, planned_at=m.planned_at, room_id=m.room_id)],
    c.AmendPatient: _amend_patient,
    c.CancelSession: lambda s, m, x: [
        e.SessionCancelled(reason=m.reason),
        *_close_gap(s, x.now, "cancelled"),
    ],
    c.StartPreparation: lambda s, m, x: [e.PreparationStarted(technologist_id=x.actor.person_id)],
    c.RecordScreening: lambda s, m, x: [e.ScreeningRecorded(screening=m.screening, evidence=m.evidence)],
    c.RecordAllergies: lambda s, m, x: [e.AllergiesRecorded(allergies=m.allergies, source=m.source)],
    c.RecordWeight: lambda s, m, x: [e.WeightRecorded(weight_kg=m.weight_kg, method=m.method, doubt=m.doubt)],
    c.RecordKitChecked: _kit,
    c.ReportKitUsed: _kit_used,
    c.CheckInResponder: _check_in,
    c.ReportResponderLeft: _responder_left,
    c.RequestSupervision: lambda s, m, x: [_request(s, "request", nobody_to_ring=m.nobody_to_ring)],
    c.AssignPhysician: _assign,
    c.ReportPhysicianAway: _physician_away,
    c.OfferHandOff: lambda s, m, x: [e.HandOffOffered(to_physician_id=m.to_physician_id)],
    c.AcceptHandOff: _accept_hand_off,
    c.ConfirmIdentity: _confirm_identity,
    c.ReviewScreening: _review,
    c.ConfirmView: lambda s, m, x: [
        e.ViewConfirmed(patient_visible=m.patient_visible, injection_site_visible=m.injection_site_visible)
    ],
    c.ClearForContrast: _clear,
    c.DeferContrast: lambda s, m, x: [e.ContrastDeferred(reason=m.reason)],
    c.DeclineContrast: lambda s, m, x: [e.ContrastDeclined(reason=m.reason)],
    c.AttestVerdict: lambda s, m, x: [e.VerdictAttested(reason=m.reason, role=x.actor.role)],
    c.EvaluateRules: _evaluate,
    c.GrantReady: _grant,
    c.StartInjection: lambda s, m, x: [e.InjectionStarted(ready_token=m.ready_token)],
    c.RecordContrastGiven: _contrast,
    c.CompleteInjection: _complete_injection,
    c.CompleteMonitoring: _complete_monitoring,
    c.RecordVitals: _vitals,
    c.ReportReaction: _reaction,
    c.ReportOfflineLog: _offline_log,
    c.ReportReactionClosed: lambda s, m, x: [e.ReactionClosed(reaction_id=m.reaction_id)],
    c.ReportLineConnecting: lambda s, m, x: [e.LineConnecting()],
    c.ReportLineVerified: _line_verified,
    c.ReportLineDegraded: lambda s, m, x: [
        e.LineDegraded(cause=m.cause),
        *_close_gap(s, x.now, "line_degraded"),
    ],
    c.ReportLineLost: _line_lost,
    c.ReportOnPhone: _on_phone,
    c.ReportLineClosed: _line_closed,
    c.RecordGapAction: lambda s, m, x: [e.GapActionRecorded(number=m.gap_number, action=m.action)],
    c.ReportAlarmUnheard: _unheard,
    c.ReportLateEntry: lambda s, m, x: [e.LateEntryReported(source=m.source)],
    c.ConfirmRecord: _confirm,
    c.AttestRecord: _attest,
    c.SealRecord: _seal,
    TimerFired: _timer,
}

REOPENING = (
    c.RecordScreening,
    c.RecordAllergies,
    c.RecordWeight,
    c.RecordVitals,
    c.RecordContrastGiven,
    c.RecordGapAction,
    c.ReportReaction,
    c.ReportOfflineLog,
    c.ReportLateEntry,
)


def _whole(handler: Callable[..., Iterable[Event]]) -> Callable[..., Iterable[Event]]:
    """Wrap a handler: reopen a signed record first, revoke a READY that lost its ground last."""

    def decide(s: SessionState, m: Command, x: Context) -> Iterator[Event]:
        after = s
        # A report of nothing new reopens nothing.
        happened = list(handler(s, m, x))
        if happened and isinstance(m, REOPENING) and s.in_phase("signed", "sealed"):
            reopened = e.AddendumOpened(revision=s.revision + s.in_phase("sealed"), source=type(m).__name__)
            yield reopened
            after = evolve(after, reopened, x.now, x.actor)
        for event in happened:
            yield event
            after = evolve(after, event, x.now, x.actor)
        if s.ready is not None and after.ready is not None and s.ready.token == after.ready.token:
            lost = readiness.missing(_with_line(after, m), x.now)
            if lost:
                yield e.ReadyRevoked(token=s.ready.token, reasons=lost)

    return decide


def _with_line(s: SessionState, m: Command) -> SessionState:
    """Return the state with the line phase this command leads to, which the fold takes from the chart later."""
    if not isinstance(m, c.ReportLineDegraded | c.ReportLineLost | c.ReportOnPhone | c.ReportLineClosed):
        return s
    return replace(s, phases=tuple(phase for phase in s.phases if phase != "verified"))


HANDLERS = {kind: _whole(handler) for kind, handler in _HANDLERS.items()}
