"""What each event changes in what the engine believes of a reaction and of its steps."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.reactions import events as e
from engine.reactions.state import ReactionState, StepState
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
        weight_kg=v.weight_kg,
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
    steps = {**kept, **fresh}
    order = tuple(sorted(steps, key=lambda step_id: _place(steps[step_id])))
    return replace(
        s,
        pack_hash=v.pack_hash,
        reference=v.reference,
        steps=_frozen({step_id: steps[step_id] for step_id in order}),
        step_order=order,
    )


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
        ordered_at=at,
        read_back_at=None,
        done_at=None,
    )
    return replace(after, directed_at=s.directed_at or at)


def _given(s: ReactionState, v: e.MedicationGiven, at: dt.datetime) -> ReactionState:
    return replace(s, given=(*s.given, v.medication))


def _frozen(steps: Mapping[str, StepState]) -> Mapping[str, StepState]:
    return MappingProxyType(dict(steps))


_CHANGES: dict[type[Event], Change] = {
    e.ReactionOpened: _opened,
    e.DosesElsewhereKnown: lambda s, v, at: replace(s, given_elsewhere=v.given),
    e.SignsRecorded: lambda s, v, at: replace(s, signs=v.signs),
    e.VitalsRecorded: lambda s, v, at: replace(s, vitals=(*s.vitals, v.vitals)),
    e.PatientWeightRecorded: lambda s, v, at: replace(s, weight_kg=v.weight_kg),
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
    e.StepDone: lambda s, v, at: _step(s, v.step_id, "record_done", done_at=at),
    e.StepRefused: lambda s, v, at: _step(s, v.step_id, "refuse_step"),
    e.MedicationGiven: _given,
    e.EmergencyCalled: lambda s, v, at: replace(
        s,
        emergency_called_at=s.emergency_called_at or v.called_at,
        emergency_address=s.emergency_address or v.address,
    ),
    e.ReactionResolved: lambda s, v, at: replace(s, resolved_at=at),
    e.ReactionDisposed: lambda s, v, at: replace(s, disposition=v.disposition),
}


def evolve(state: ReactionState, event: Event, at: dt.datetime) -> ReactionState:
    """Return the state after one event; phases and version are the kernel's business."""
    change = _CHANGES.get(type(event))
    return change(state, event, at) if change else state


def fold_one(state: ReactionState, recorded: Recorded) -> ReactionState:
    """Fold one recorded event."""
    return evolve(state, recorded.event, recorded.at)
