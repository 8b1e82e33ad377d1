"""What the porches need from the rest of the house, as protocols and values; bootstrap hands real parts in.

Rule: a porch knows shapes of its neighbours, never how they work.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.kernel.clock import Clock
from engine.records.debriefing import Debriefing
from engine.records.emergency import SealedPack
from engine.records.papers.render import Paper
from engine.runtime.executor import Executor
from engine.runtime.ids import Ids
from engine.runtime.watchers import Watchers
from engine.workflows.drill.state import DrillState


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingItem:
    """One thing a record lacks: the field, why it is needed, and the role that must act."""

    field: str
    reason: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCopy:
    """A record as it is now: the canonical JSON document, its PDF when asked for, and what people sign."""

    document: bytes
    pdf: bytes
    body_hash: str
    sealed: bool
    missing: tuple[MissingItem, ...]


class Records(Protocol):
    """Gives records of sessions that exist."""

    async def read(self, session_id: str, *, include_pdf: bool) -> RecordCopy:
        """Return a session's record as it is now."""
        ...

    async def missing(self, session_id: str) -> Sequence[MissingItem]:
        """Return what a session's record lacks."""
        ...

    async def reaction_document(self, reaction_id: str, kind: str) -> Paper:
        """Return a document of a reaction as it is now, open or over. Raises Missing."""
        ...


class Emergency(Protocol):
    """Gives emergency packs of sessions that exist."""

    async def make(self, session_id: str) -> SealedPack:
        """Return a session's emergency pack as everything stands now."""
        ...


class Debriefings(Protocol):
    """Gives debriefings of drills that are over."""

    async def of(self, drill: DrillState) -> Debriefing:
        """Return the debriefing of a drill as its events are now."""
        ...


class Lines(Protocol):
    """Connects people to a session's line; the media node's client behind it answers, relays and counts."""

    async def join(self, session_id: str, participant: str, leg_id: str, offer_sdp: str) -> str:
        """Connect a leg and return the SDP answer. Raises Invalid("offer_sdp", …), Overloaded or PeerError."""
        ...

    async def leave(self, session_id: str, participant: str, leg_id: str) -> None:
        """Disconnect a leg of that participant; an unknown one is no error."""
        ...


class DemoClock(Clock, Protocol):
    """A clock that a demonstration may advance."""

    def advance(self, by: dt.timedelta) -> None:
        """Move forward."""
        ...


async def nothing_follows() -> bool:
    """Return that nothing is on its way, for a house without policies."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything the servicers stand on. `demo_clock` is there in a demonstration only.

    `advance` moves that clock and lets what became due fire; without it the clock alone is moved. `follow` waits, not
    for long, until the policies have followed the log, and returns whether there was anything to wait for.
    """

    executor: Executor
    watchers: Watchers
    clock: Clock
    ids: Ids
    records: Records
    debriefings: Debriefings
    emergency: Emergency
    lines: Lines
    demo_clock: DemoClock | None = None
    advance: Callable[[dt.timedelta], Awaitable[None]] | None = None
    follow: Callable[[], Awaitable[bool]] = nothing_follows
