"""What each event changes in what the engine believes of a reaction and of its steps."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.reactions import events as e
from engine.reactions.dose import usable_weight
from engine.reactions.state import OfferedStep, Offline, ReactionState, StepState
from engine.reactions.step_chart import STEPPER

Change = Callable[[ReactionState, Any, dt.datetime], ReactionState]


def _opened(s: ReactionState, v: e.ReactionOpened, at: dt.datetime) -> ReactionState:
    return replace(
        s,
        session_id=v.session_id,
        organization_id=v.organization_id,
        site_id=v.site_id,
        setting=v.setting,
        modality=v.modality,
        agent=v.agent,
        demo=v.demo,
        drill=v.drill,
        age_years=v.age_years,
        age_days=v.age_days,
        weight_kg=v.weight_kg,
        weight_doubt=v.weight_doubt,
        onset_at=v.onset_at,
        pack_id=v.pack_id,
        pack_hash=v.pack_hash,
        pack_signed_by=v.pack_signed_by,
    )


def _graded(s: ReactionState, v: e.ReactionGraded, at: dt.datetime) -> ReactionState:
    worst = v.severity if s.worst is None or v.severity.rank > s.worst.rank else s.worst
    return replace(
        s,
        severity=v.severity,
        worst=worst,
        presentation=v.presentation,
        also=v.also,
        graded_at=at,
        directed_at=s.directed_at or at,
        resolved_at=None,
    )


def _resolved_protocol(s: ReactionState, v: e.ProtocolResolved, at: dt.datetime) -> ReactionState:
    kept = {
        step_id: replace(step, phases=STEPPER.step(step.phases, "supersede", None))
        if step_id in v.superseded
        else step
        for step_id, step in s.steps.items()
    }
    fresh = {offer.step_id: StepState(offer=offer, phases=STEPPER.initial) for offer in v.steps}
    renewed = {offer.step_id: _renewed(kept[offer.step_id], offer) for offer in v.renewed}
    steps = {**kept, **fresh, **renewed}
    order = tuple(sorted(steps, key=lambda step_id: _place(steps[step_id])))
    return replace(
        s,
        pack_hash=v.pack_hash,
        reference=v.reference,
        steps=_frozen({step_id: steps[step_id] for step_id in order}),
        step_order=order,
    )


def _renewed(step: StepState, offer: OfferedStep) -> StepState:
    """Put other doses on a step that was ordered; an open order of a dose that is another one now is outdated."""
    row_id = step.order.row_id if step.order is not None else ""
    was, now = (next((d for d in one.doses if d.row_id == row_id), None) for one in (step.offer, offer))
    open_order = bool({"ordered", "read_back"} & set(step.phases))
    return replace(step, offer=offer, outdated=step.outdated or (open_order and was != now))


def _place(step: StepState) -> tuple[bool, int, str]:
    """Return what steps are ordered by: their number in the protocol, those of an earlier grade last."""
    return ("superseded" in step.phases, step.offer.number, step.offer.step_id)


def _step(s: ReactionState, step_id: str, event: str, **change: Any) -> ReactionState:
    step = s.steps.get(step_id)
    if step is None:
        return s
    moved = replace(step, phases=STEPPER.step(step.phases, event, None), **change)
    return replace(s, steps=_frozen({**s.steps, step_id: moved}))


def _ordered(s: ReactionState, v: e.StepOrdered, at: dt.datetime) -> ReactionState:
    after = _step(
        s,
        v.step_id,
        "order_step",
        orders=v.order_number,
        order=v.order,
        outdated=False,
        ordered_at=at,
        read_back_at=None,
        done_at=None,
    )
    return replace(after, directed_at=s.directed_at or at)


def _given(s: ReactionState, v: e.MedicationGiven, at: dt.datetime) -> ReactionState:
    """Doses stand in the order of their own times, so that a late report changes no total and no interval."""
    return replace(s, given=tuple(sorted((*s.given, v.medication), key=lambda dose: dose.given_at)))


def _when(v: Any, at: dt.datetime) -> dt.datetime:
    """Return when a fact was: its own time where a console wrote it down offline, else that of its event."""
    offline: Offline | None = v.offline
    return offline.at if offline is not None else at


def _signs(s: ReactionState, v: e.SignsRecorded, at: dt.datetime) -> ReactionState:
    """The newest list is how it is now; an older one that comes later changes nothing."""
    when = _when(v, at)
    newer = s.signs_at is None or when >= s.signs_at
    return replace(s, signs=v.signs, signs_at=when) if newer else s


def _vitals(s: ReactionState, v: e.VitalsRecorded, at: dt.datetime) -> ReactionState:
    return replace(s, vitals=tuple(sorted((*s.vitals, v.vitals), key=lambda one: one.at)))


def _weighed(s: ReactionState, v: e.PatientWeightRecorded, at: dt.datetime) -> ReactionState:
    """The newest weight holds; one that cannot be a weight is kept in the log and used for nothing."""
    when = _when(v, at)
    newer = (s.weight_at is None or when >= s.weight_at) and usable_weight(v.weight_kg) is not None
    return replace(s, weight_kg=v.weight_kg, weight_at=when, weight_doubt=v.doubt) if newer else s


def _called(s: ReactionState, v: e.EmergencyCalled, at: dt.datetime) -> ReactionState:
    first = min(v.called_at, s.emergency_called_at or v.called_at)
    return replace(s, emergency_called_at=first, emergency_address=s.emergency_address or v.address)


def _resolved(s: ReactionState, v: e.ReactionResolved, at: dt.datetime) -> ReactionState:
    """A grade set after the signs went says that they are there again."""
    when = _when(v, at)
    over = s.graded_at is None or when >= s.graded_at
    return replace(s, resolved_at=when) if over else s


def _onset(s: ReactionState, v: e.OnsetReported, at: dt.datetime) -> ReactionState:
    return replace(s, onset_at=min(v.onset_at, s.onset_at or v.onset_at))


def _frozen(steps: Mapping[str, StepState]) -> Mapping[str, StepState]:
    return MappingProxyType(dict(steps))


_CHANGES: dict[type[Event], Change] = {
    e.ReactionOpened: _opened,
    e.DosesElsewhereKnown: lambda s, v, at: replace(s, given_elsewhere=v.given),
    e.SignsRecorded: _signs,
    e.VitalsRecorded: _vitals,
    e.PatientWeightRecorded: _weighed,
    e.SeveritySuggested: lambda s, v, at: replace(
        s,
        suggested=v.severity,
        suggested_rules=v.rules,
        suggested_presentations=v.presentations,
        physician_decides=v.physician_decides,
    ),
    e.ReactionGraded: _graded,
    e.ProtocolResolved: _resolved_protocol,
    e.StepOrdered: _ordered,
    e.StepReadBack: lambda s, v, at: _step(s, v.step_id, "read_back_step", read_back_at=at),
    e.StepDone: lambda s, v, at: _step(s, v.step_id, "record_done", done_at=_when(v, at)),
    e.StepRefused: lambda s, v, at: _step(s, v.step_id, "refuse_step"),
    e.MedicationGiven: _given,
    e.EmergencyCalled: _called,
    e.OnsetReported: _onset,
    e.ReactionResolved: _resolved,
    e.ReactionDisposed: lambda s, v, at: replace(s, disposition=v.disposition),
    e.FollowUpRecorded: lambda s, v, at: replace(s, follow_up=s.follow_up.with_(v.follow_up)),
}


def evolve(state: ReactionState, event: Event, at: dt.datetime) -> ReactionState:
    """Return the state after one event; phases and version are the kernel's business."""
    change = _CHANGES.get(type(event))
    return change(state, event, at) if change else state


def fold_one(state: ReactionState, recorded: Recorded) -> ReactionState:
    """Fold one recorded event; who graded or ordered last directs."""
    after = evolve(state, recorded.event, recorded.at)
    if isinstance(recorded.event, e.ReactionGraded | e.StepOrdered):
        return replace(after, directed_by=recorded.actor.person_id)
    return after
