"""What happened to a delivery. Released types are never edited; a new shape is a new `schema`."""

import datetime as dt
from dataclasses import dataclass

from engine.kernel.events import Event, declared


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCreated(Event):
    """Something is to be sent."""

    session_id: str
    organization_id: str
    site_id: str
    kind: str
    destination: str
    record_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStarted(Event):
    """It was taken up; from here on the far side may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAcknowledged(Event):
    """The far side took it."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRetrying(Event):
    """The attempt failed; the next one is due at `next_at`."""

    detail: str
    next_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDied(Event):
    """Refused for good, or tried too often: a person must look."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResent(Event):
    """The retry is due, or a person replayed it."""

    cause: str


ALL = declared(vars())
