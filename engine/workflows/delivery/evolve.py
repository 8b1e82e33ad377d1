"""What each event changes in what the engine believes of a delivery."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.workflows.delivery import events as e
from engine.workflows.delivery.state import DeliveryState


def _created(s: DeliveryState, v: e.DeliveryCreated) -> DeliveryState:
    return replace(
        s,
        session_id=v.session_id,
        organization_id=v.organization_id,
        site_id=v.site_id,
        kind=v.kind,
        destination=v.destination,
        record_hash=v.record_hash,
    )


def _attempted(s: DeliveryState, detail: str) -> DeliveryState:
    return replace(
        s, attempts=s.attempts + 1, attempts_since_replay=s.attempts_since_replay + 1, last_detail=detail
    )


_CHANGES: dict[type[Event], Callable[[DeliveryState, Any], DeliveryState]] = {
    e.DeliveryCreated: _created,
    e.DeliveryAcknowledged: lambda s, v: _attempted(s, v.detail),
    e.DeliveryRetrying: lambda s, v: _attempted(s, v.detail),
    e.DeliveryDied: lambda s, v: _attempted(s, v.detail),
    e.DeliveryResent: lambda s, v: replace(s, attempts_since_replay=0) if v.cause == "replay" else s,
}


def fold_one(state: DeliveryState, recorded: Recorded) -> DeliveryState:
    """Fold one recorded event."""
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded.event) if change else state
