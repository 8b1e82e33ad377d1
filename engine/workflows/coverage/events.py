"""What happened to a coverage window. Released types are never edited; a new shape is a new `schema`."""

import datetime as dt
from dataclasses import dataclass

from engine.kernel.events import Event, declared
from engine.workflows.coverage.state import RoomRef


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageOffered(Event):
    """A window was offered."""

    organization_id: str
    physician_id: str
    rooms: tuple[RoomRef, ...]
    starts_at: dt.datetime
    ends_at: dt.datetime
    cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageHeld(Event):
    """The physician holds the window under a lease."""

    leased_until: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRenewed(Event):
    """A heartbeat; `revived` says that the window had lapsed."""

    leased_until: dt.datetime
    revived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageLapsed(Event):
    """No heartbeat in time: `sessions` lost their physician. `due_at` is when the lease ended."""

    physician_id: str
    sessions: tuple[str, ...]
    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageEngaged(Event):
    """A session is the physician's."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageUnavailable(Event):
    """The window cannot take a session: `cause` says why, and the session needs another physician."""

    physician_id: str
    session_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageDisengaged(Event):
    """A session is over for the physician."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionEntered(Event):
    """The physician treats a reaction in one session; `released` lost their physician by it."""

    physician_id: str
    session_id: str
    released: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionLeft(Event):
    """The physician is available again."""

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageEnded(Event):
    """The window is over."""


ALL = declared(vars())
