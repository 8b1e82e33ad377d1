"""What each event changes in what the engine believes of a session. Total: unknown events change nothing here."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.kernel.commands import Actor
from engine.kernel.events import Event, Recorded
from engine.workflows.session import events as e
from engine.workflows.session.offline_log import OfflineLog
from engine.workflows.session.state import (
    PRESENCE_OWED,
    Attestation,
    ContrastDose,
    Gap,
    Kit,
    SessionState,
)

Change = Callable[[SessionState, Any, dt.datetime, Actor], SessionState]


def _scheduled(s: SessionState, v: e.SessionScheduled, at: dt.datetime, by: Actor) -> SessionState:
    return replace(
        s,
        organization_id=v.organization_id,
        site_id=v.site_id,
        room_id=v.room_id,
        site_state=v.site_state,
        setting=v.setting,
        mode=v.mode,
        demo=v.demo,
        drill=v.drill,
        drill_id=v.drill_id,
        opened_at=at,
        planned_at=v.planned_at,
        order=v.order,
        identity=v.identity,
        age_years=v.age_years,
        age_days=v.age_days,
    )


def _kit(s: SessionState, v: e.KitChecked, at: dt.datetime, by: Actor) -> SessionState:
    return replace(
        s,
        kit=Kit(
            kit_id=v.kit_id,
            expires_on=v.expires_on,
            epinephrine_present=v.epinephrine_present,
            oxygen_and_aed_checked=v.oxygen_and_aed_checked,
            checked_at=at,
            items=v.items,
        ),
    )


def _kit_used(s: SessionState, v: e.KitUsed, at: dt.datetime, by: Actor) -> SessionState:
    if s.kit is None:
        return s
    items = tuple(
        replace(i, quantity=v.left) if i.drug == v.drug and v.left is not None else i for i in s.kit.items
    )
    return replace(s, kit=replace(s.kit, items=items, used=(*s.kit.used, v.drug)))


def _assigned(s: SessionState, v: e.PhysicianAssigned, at: dt.datetime, by: Actor) -> SessionState:
    """Another physician has seen and reviewed nothing; for them the line's time out of order starts anew."""
    same = s.physician is not None and s.physician.person_id == v.evidence.person_id
    return replace(
        s if same else _unreviewed(s),
        physician=v.evidence,
        physician_present=True,
        hand_off_to="",
        nobody_to_ring=False,
        view_confirmed=s.view_confirmed and same,
        line_down_since=None,
    )


def _unreviewed(s: SessionState) -> SessionState:
    """What was reviewed and cleared before is to be looked at again; an injection under way keeps its clearance."""
    return replace(s, screening_reviewed=False, cleared=s.cleared and not s.in_phase("cleared"))


def _planned(s: SessionState, agent: str) -> SessionState:
    """Another agent or class than the premedication was chosen for leaves the choice standing, and in doubt."""
    if s.premedication is None:
        return s
    return replace(s, premedication=s.premedication.at(agent, s.order.contrast_class if s.order else ""))


def _taken_over(s: SessionState, v: e.HandOffAccepted, at: dt.datetime, by: Actor) -> SessionState:
    """The new physician has seen, reviewed and cleared nothing."""
    return replace(
        _unreviewed(s), physician=v.evidence, physician_present=True, hand_off_to="", view_confirmed=False
    )


def _line_down(s: SessionState, v: Event, at: dt.datetime, by: Actor) -> SessionState:
    """The line went down once, however often it is reported or tried again."""
    return replace(s, line_down_since=s.line_down_since or at)


def _deferred(s: SessionState, v: e.ContrastDeferred, at: dt.datetime, by: Actor) -> SessionState:
    return replace(
        s,
        cleared=False,
        identity_confirmed=False,
        screening_reviewed=False,
        view_confirmed=False,
        ready=None,
    )


def _verdict(s: SessionState, v: e.VerdictRecorded, at: dt.datetime, by: Actor) -> SessionState:
    """Attestations belong to one answer: another result or other layers need new ones."""
    before = s.verdict
    same = before is not None and (before.result, before.layers) == (v.verdict.result, v.verdict.layers)
    return replace(s, verdict=v.verdict, attestations=s.attestations if same else ())


def _attested(s: SessionState, v: e.VerdictAttested, at: dt.datetime, by: Actor) -> SessionState:
    new = Attestation(person_id=by.person_id, role=v.role, reason=v.reason, at=at)
    return replace(s, attestations=(*s.attestations, new))


def _contrast(s: SessionState, v: e.ContrastGiven, at: dt.datetime, by: Actor) -> SessionState:
    dose = ContrastDose(
        agent=v.agent,
        contrast_class=v.contrast_class,
        concentration=v.concentration,
        volume_ml=v.volume_ml,
        route=v.route,
        lot=v.lot,
        given_at=v.given_at,
        brand=v.brand,
        rate_ml_per_s=v.rate_ml_per_s,
        expires_on=v.expires_on,
        iv_site=v.iv_site,
        iv_gauge=v.iv_gauge,
        bypassed=not s.injecting,
    )
    return replace(s, contrast=(*s.contrast, dose))


def _gap_changed(s: SessionState, number: int, **change: Any) -> SessionState:
    return replace(s, gaps=tuple(replace(g, **change) if g.number == number else g for g in s.gaps))


def _reaction(s: SessionState, v: e.ReactionReported, at: dt.datetime, by: Actor) -> SessionState:
    """Who supervised before the session was over is not there for a late reaction unless the alarm reached them."""
    return replace(
        s,
        physician_present=s.physician_present and (bool(v.alerted) or s.in_phase(*PRESENCE_OWED)),
        reactions=(*s.reactions, v.reaction_id),
        open_reactions=s.open_reactions | {v.reaction_id},
    )


def _offline_log(s: SessionState, v: e.OfflineLogReported, at: dt.datetime, by: Actor) -> SessionState:
    taken = frozenset(entry.key for entry in v.entries)
    before = next((log for log in s.offline_logs if log.log_id == v.log_id), None)
    others = tuple(log for log in s.offline_logs if log.log_id != v.log_id)
    log = OfflineLog(
        log_id=v.log_id,
        reaction_id=v.reaction_id,
        entries=taken | before.entries if before is not None else taken,
    )
    return replace(s, offline_logs=(*others, log))


_CHANGES: dict[type[Event], Change] = {
    e.SessionScheduled: _scheduled,
    e.OrderAmended: lambda s, v, at, by: _planned(
        replace(s, order=v.order, planned_at=v.planned_at, room_id=v.room_id), ""
    ),
    e.PatientAmended: lambda s, v, at, by: replace(
        s, identity=v.identity, age_years=v.age_years, age_days=v.age_days
    ),
    e.PreparationStarted: lambda s, v, at, by: replace(s, technologist_id=v.technologist_id),
    e.ScreeningRecorded: lambda s, v, at, by: _planned(
        replace(_unreviewed(s), screening=v.screening, screened=v.evidence), v.screening.agent
    ),
    e.AllergiesRecorded: lambda s, v, at, by: replace(
        _unreviewed(s), allergies=v.allergies, allergies_source=v.source
    ),
    e.WeightRecorded: lambda s, v, at, by: replace(
        s, weight_kg=v.weight_kg, weight_method=v.method, weight_doubt=v.doubt
    ),
    e.KitChecked: _kit,
    e.KitUsed: _kit_used,
    e.ResponderCheckedIn: lambda s, v, at, by: replace(s, responder=v.evidence, responder_present=True),
    e.ResponderLeft: lambda s, v, at, by: replace(s, responder_present=False),
    e.SupervisionRequested: lambda s, v, at, by: replace(
        s, requests=s.requests + 1, nobody_to_ring=s.nobody_to_ring or v.nobody_to_ring
    ),
    e.PhysicianAssigned: _assigned,
    e.PhysicianLeft: lambda s, v, at, by: replace(s, physician_present=False),
    e.HandOffOffered: lambda s, v, at, by: replace(s, hand_off_to=v.to_physician_id),
    e.HandOffAccepted: _taken_over,
    e.IdentityConfirmed: lambda s, v, at, by: replace(s, identity_confirmed=True),
    e.ScreeningReviewed: lambda s, v, at, by: replace(
        s,
        screened=v.evidence or s.screened,
        screening_reviewed=True,
        premedication=v.premedication or s.premedication,
    ),
    e.ViewConfirmed: lambda s, v, at, by: replace(
        s, view_confirmed=v.patient_visible and v.injection_site_visible
    ),
    e.ContrastCleared: lambda s, v, at, by: _planned(
        replace(s, cleared=True, cleared_agent=v.agent), v.agent
    ),
    e.ContrastDeferred: _deferred,
    e.ContrastDeclined: lambda s, v, at, by: replace(s, cleared=False, ready=None),
    e.SessionCancelled: lambda s, v, at, by: replace(s, cleared=False, ready=None),
    e.VerdictRecorded: _verdict,
    e.VerdictAttested: _attested,
    e.ReadyGranted: lambda s, v, at, by: replace(s, ready=v.ready),
    e.ReadyRevoked: lambda s, v, at, by: replace(s, ready=None),
    e.ReadyExpired: lambda s, v, at, by: replace(s, ready=None),
    e.InjectionStarted: lambda s, v, at, by: replace(s, injection_started_at=at, ready=None),
    e.ContrastGiven: _contrast,
    e.InjectionCompleted: lambda s, v, at, by: replace(s, observation_over=False),
    e.ObservationElapsed: lambda s, v, at, by: replace(s, observation_over=True),
    e.ReactionReported: _reaction,
    e.OfflineLogReported: _offline_log,
    e.ReactionClosed: lambda s, v, at, by: replace(s, open_reactions=s.open_reactions - {v.reaction_id}),
    e.LineVerified: lambda s, v, at, by: replace(s, line_ever_verified=True, line_down_since=None),
    e.LineDegraded: lambda s, v, at, by: replace(s, line_down_since=None),
    e.LineLost: _line_down,
    e.LineOnPhone: _line_down,
    e.LineClosed: _line_down,
    e.GapOpened: lambda s, v, at, by: replace(
        s, gaps=(*s.gaps, Gap(number=v.number, start=v.start, end=None, cause=v.cause, action=v.action))
    ),
    e.GapActionRecorded: lambda s, v, at, by: _gap_changed(s, v.number, action=v.action),
    e.GapClosed: lambda s, v, at, by: _gap_changed(s, v.number, end=v.end),
    e.AddendumOpened: lambda s, v, at, by: replace(
        s, revision=v.revision, confirmed=None, attested=None, sealed_hash=""
    ),
    e.RecordConfirmed: lambda s, v, at, by: replace(s, confirmed=v.signature),
    e.RecordAttested: lambda s, v, at, by: replace(s, attested=v.signature),
    e.RecordSealed: lambda s, v, at, by: replace(s, sealed_hash=v.record_hash),
}


def evolve(state: SessionState, event: Event, at: dt.datetime, by: Actor) -> SessionState:
    """Return the state after one event; phases and version are the kernel's business."""
    change = _CHANGES.get(type(event))
    return change(state, event, at, by) if change else state


def fold_one(state: SessionState, recorded: Recorded) -> SessionState:
    """Fold one recorded event."""
    return evolve(state, recorded.event, recorded.at, recorded.actor)
