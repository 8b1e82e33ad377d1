"""The coverage window's verbs."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.commands import Command
from engine.workflows.coverage.state import RoomRef


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferCoverage(Command):
    """Offer a window to a physician: rooms, time, and how many sessions at once."""

    creates: ClassVar[bool] = True
    organization_id: str
    physician_id: str
    rooms: tuple[RoomRef, ...]
    starts_at: dt.datetime
    ends_at: dt.datetime
    cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCoverage(Command):
    """The physician (the actor) takes the window; the lease begins. `problems` is filled by the engine."""

    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewLease(Command):
    """The heartbeat of the physician's console; revives a lapsed window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngageCoverage(Command):
    """A session is the physician's now; a window that cannot take it gives it back at once, never silently."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisengageCoverage(Command):
    """A session is over for the physician."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterReaction(Command):
    """The physician treats a reaction: every other session is released."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveReaction(Command):
    """The reaction is over for the physician."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCoverage(Command):
    """The window is over; refused while a session needs it."""
