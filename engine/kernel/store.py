"""The store as a protocol: what every tenant (memory, SQLite, later PostgreSQL) promises.

Rule: one `commit` is one transaction. Events, outbox, timers, request ids and protected values of a Commit become
durable together or not at all, and nothing is reported before it is durable.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from engine.kernel.ids import Stream


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event as stored. `payload` is canonical JSON; `hash` chains over everything but `position`."""

    position: int
    stream: Stream
    version: int
    type: str
    schema: int
    at: dt.datetime
    actor: str
    correlation: str
    causation: str
    phases: tuple[str, ...]
    flags: tuple[str, ...]
    payload: bytes
    hash: str
    prev_hash: str


class ProtectedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A patient identifier or raw inbound bytes: kept erasable and encrypted; `salt` dies with the row.

    The log holds `commitment` = SHA-256(salt ‖ value), so it proves the value while the row lives and tells
    nothing once it is erased.
    """

    ref: str
    stream: Stream
    commitment: str
    salt: bytes
    value: bytes


class TimerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pending wake-up of a stream.

    `set_at_version` is the stream's version after the commit that set it: it tells two settings of one name apart,
    also when both are due at the same moment.
    """

    stream: Stream
    name: str
    due_at: dt.datetime
    correlation: str
    set_at_version: int = 0


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pending send. `key` is unique; `attempts` counts hand-overs so far."""

    key: str
    kind: str
    stream: Stream
    body: Mapping[str, str]
    correlation: str
    attempts: int = 0


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome kept for a request id: `fingerprint` tells a repeat from a reuse with another body."""

    request_id: str
    fingerprint: str
    stream: Stream
    version: int


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One decision to make durable. `events` have position 0 until the store gives them one.

    `expected_version` is the stream's version before the first event.
    """

    stream: Stream
    expected_version: int
    events: tuple[EventRow, ...]
    request: RequestRow
    timers_set: tuple[TimerRow, ...] = ()
    timers_cancelled: tuple[str, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    protected: tuple[ProtectedValue, ...] = ()


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """The commit is durable; `position` is that of its last event (the log's head when it has none)."""

    position: int
    events: tuple[EventRow, ...]


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """The commit was not made: the stream is at `actual` and not at the expected version. Nothing of it is kept."""

    expected: int
    actual: int


class Store(Protocol):
    """What every store promises. All methods raise Unavailable when nothing can be made durable or read."""

    async def commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Make a batch durable in one transaction, in order. A commit that lost its version does not fail others.

        A request id that is already kept is answered as Lost, whatever the version.
        """
        ...

    async def load(self, stream: Stream) -> list[EventRow]:
        """Return a stream's events by version; empty when there are none."""
        ...

    async def read(
        self, after: int, limit: int, *, correlation: str | None = None, machine: str | None = None
    ) -> list[EventRow]:
        """Return events with position > `after` in position order, at most `limit`, optionally of one session."""
        ...

    async def head(self) -> int:
        """Return the position of the newest event; 0 for an empty log."""
        ...

    async def request(self, request_id: str) -> RequestRow | None:
        """Return the outcome kept for a request id."""
        ...

    async def protected(self, refs: Sequence[str]) -> dict[str, ProtectedValue]:
        """Return the protected values that still exist."""
        ...

    async def erase(self, refs: Sequence[str]) -> int:
        """Erase protected values with their salts; return how many there were."""
        ...

    async def timers(self, due: dt.datetime | None, limit: int) -> list[TimerRow]:
        """Return pending timers due at or before `due` (all when None), earliest first."""
        ...

    async def timer(self, stream: Stream, name: str) -> TimerRow | None:
        """Return the stream's pending timer of that name."""
        ...

    async def outbox(self, limit: int, *, kind: str | None = None) -> list[OutboxRow]:
        """Return pending sends, oldest first, optionally of one kind."""
        ...

    async def outbox_attempted(self, key: str, *, done: bool) -> None:
        """Count a hand-over; a done one is no longer pending and never becomes pending again."""
        ...

    async def cursor(self, name: str) -> int:
        """Return a reader's saved position; 0 when it never saved one."""
        ...

    async def save_cursor(self, name: str, position: int) -> None:
        """Save a reader's position."""
        ...

    async def streams(self, machine: str, after: str, limit: int) -> list[Stream]:
        """Return the machine's streams in id order after an id: for boards and verification."""
        ...

    async def close(self) -> None:
        """Release everything; durable state stays."""
        ...
