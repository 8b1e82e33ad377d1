"""What a legal command of a delivery leads to: events out."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator

from engine.kernel.commands import Command, TimerFired
from engine.kernel.events import Event
from engine.kernel.machine import Context, Facts
from engine.workflows.delivery import commands as c
from engine.workflows.delivery import events as e
from engine.workflows.delivery.chart import hopeless
from engine.workflows.delivery.state import DeliveryState, Objectives


def _create(s: DeliveryState, m: c.CreateDelivery, x: Context) -> Iterator[Event]:
    yield e.DeliveryCreated(
        session_id=m.session_id,
        organization_id=m.organization_id,
        site_id=m.site_id,
        kind=m.kind,
        destination=m.destination,
        record_hash=m.record_hash,
    )


def _started(s: DeliveryState, m: c.ReportDeliveryStarted, x: Context) -> Iterator[Event]:
    if "pending" in s.phases:
        yield e.DeliveryStarted()


def _attempt(s: DeliveryState, m: c.RecordDeliveryAttempt, x: Context) -> Iterator[Event]:
    if m.outcome == c.AttemptOutcome.ACCEPTED:
        if "acknowledged" not in s.phases:
            yield e.DeliveryAcknowledged(detail=m.detail)
    elif s.phases in (("pending",), ("sending",)):
        if hopeless(Facts(state=s, command=m, context=x)):
            yield e.DeliveryDied(detail=m.detail)
        else:
            yield e.DeliveryRetrying(detail=m.detail, next_at=x.now + _wait(s, x.objectives))


def _wait(s: DeliveryState, objectives: Objectives) -> dt.timedelta:
    """Double the wait after each attempt, up to the longest."""
    wait_s = objectives.first_wait_s * 2 ** min(s.attempts_since_replay, 20)
    return dt.timedelta(seconds=min(wait_s, objectives.longest_wait_s))


def _timer(s: DeliveryState, m: TimerFired, x: Context) -> Iterator[Event]:
    if m.name == "retry" and "retrying" in s.phases:
        yield e.DeliveryResent(cause="retry")


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.CreateDelivery: _create,
    c.ReportDeliveryStarted: _started,
    c.RecordDeliveryAttempt: _attempt,
    c.ReplayDelivery: lambda s, m, x: [e.DeliveryResent(cause="replay")],
    TimerFired: _timer,
}
