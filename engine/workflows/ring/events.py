"""What happened in a ring. Released types are never edited; a new shape is a new `schema`."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from engine.kernel.events import Event, declared
from engine.workflows.ring.state import Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class RingStarted(Event):
    """A ring began at its first rung that has people."""

    session_id: str
    organization_id: str
    site_id: str
    room_id: str
    cause: str
    urgent: bool
    ladder: tuple[Rung, ...]
    contact: str
    first_rung: int
    drill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RungRaised(Event):
    """The next rung rings too. `due_at` is when it should have; `skipped` counts empty rungs passed over."""

    rung: int
    name: str
    due_at: dt.datetime
    skipped: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RingEscalated(Event):
    """The highest rung: everybody and a named human ring until somebody answers."""

    contact: str
    due_at: dt.datetime
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RingRepeated(Event):
    """The highest rung rang again."""

    number: int
    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RingDeclined(Event):
    """Somebody cannot."""

    person_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RingAnswered(Event):
    """A physician took the session, at this rung, after this long."""

    session_id: str
    physician_id: str
    coverage_id: str
    rung: str
    answered_after_s: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RingWithdrawn(Event):
    """The session no longer needs a physician."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSent(Event):
    """A page left."""

    person_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFailed(Event):
    """A page reached nobody."""

    person_id: str
    channel: str
    cause: str


ALL = declared(vars())
