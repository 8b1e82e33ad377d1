"""The store as one life of the engine sees it: the memory store, behind faults that a seed arms.

Rule: with no fault armed it keeps the store's contract; a life whose store died never writes again.
"""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from engine.kernel.clock import Clock
from engine.kernel.errors import Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import (
    Commit,
    Committed,
    EventRow,
    Lost,
    OutboxRow,
    ProtectedValue,
    RequestRow,
    TimerRow,
)
from engine.store.memory import MemoryStore


class CrashPoint(StrEnum):
    """Where a crash hits: before anything is durable, or after it is durable and before anybody is told."""

    BEFORE_COMMIT = "crash_before_commit"
    AFTER_COMMIT = "crash_after_commit"


class Disk(MemoryStore):
    """What survives a crash."""

    def next_due(self) -> dt.datetime | None:
        """Return when the earliest pending timer is due."""
        return min((timer.due_at for timer in self._timers.values()), default=None)

    def requests(self) -> dict[str, int]:
        """Return every request id that is kept, with the version its stream had after it."""
        return {name: row.version for name, row in self._requests.items()}

    def rows(self) -> tuple[EventRow, ...]:
        """Return the whole log."""
        return tuple(self._log)


class LifeStore:
    """One process's handle on the disk. `crash_in` counts commits down to a crash; `away_until` is a full disk."""

    def __init__(self, disk: Disk, clock: Clock, counts: Counter[str]) -> None:
        self._disk = disk
        self._clock = clock
        self._counts = counts
        self.crash_in: int | None = None
        self.crash_point = CrashPoint.BEFORE_COMMIT
        self.away_until: dt.datetime | None = None
        self.dead = False

    def _alive(self) -> None:
        if self.dead:
            raise Unavailable("this process is gone")
        if self.away_until is not None and self._clock.now() < self.away_until:
            raise Unavailable("the store is away")

    async def commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Commit, unless the store is away or the process dies around it."""
        self._alive()
        if self.crash_in is None or self.crash_in > 0:
            self.crash_in = None if self.crash_in is None else self.crash_in - 1
            return await self._disk.commit(batch)
        if self.crash_point is CrashPoint.AFTER_COMMIT:
            await self._disk.commit(batch)
        self.die(self.crash_point.value)
        raise Unavailable("the process died")

    def die(self, kind: str) -> None:
        """End this life: nothing is read or written through this handle again."""
        self._counts[kind] += 1
        self.dead = True

    async def load(self, stream: Stream) -> list[EventRow]:
        """Return a stream's events."""
        self._alive()
        return await self._disk.load(stream)

    async def read(
        self, after: int, limit: int, *, correlation: str | None = None, machine: str | None = None
    ) -> list[EventRow]:
        """Return events after a position."""
        self._alive()
        return await self._disk.read(after, limit, correlation=correlation, machine=machine)

    async def head(self) -> int:
        """Return the newest position."""
        self._alive()
        return await self._disk.head()

    async def request(self, request_id: str) -> RequestRow | None:
        """Return the outcome kept for a request id."""
        self._alive()
        return await self._disk.request(request_id)

    async def protected(self, refs: Sequence[str]) -> dict[str, ProtectedValue]:
        """Return the protected values that exist."""
        self._alive()
        return await self._disk.protected(refs)

    async def erase(self, refs: Sequence[str]) -> int:
        """Erase protected values."""
        self._alive()
        return await self._disk.erase(refs)

    async def timers(self, due: dt.datetime | None, limit: int) -> list[TimerRow]:
        """Return pending timers, earliest first."""
        self._alive()
        return await self._disk.timers(due, limit)

    async def timer(self, stream: Stream, name: str) -> TimerRow | None:
        """Return the stream's pending timer of that name."""
        self._alive()
        return await self._disk.timer(stream, name)

    async def outbox(self, limit: int, *, kind: str | None = None) -> list[OutboxRow]:
        """Return pending sends, oldest first."""
        self._alive()
        return await self._disk.outbox(limit, kind=kind)

    async def outbox_attempted(self, key: str, *, done: bool) -> None:
        """Count a hand-over."""
        self._alive()
        await self._disk.outbox_attempted(key, done=done)

    async def cursor(self, name: str) -> int:
        """Return a reader's position."""
        self._alive()
        return await self._disk.cursor(name)

    async def save_cursor(self, name: str, position: int) -> None:
        """Save a reader's position."""
        self._alive()
        await self._disk.save_cursor(name, position)

    async def streams(self, machine: str, after: str, limit: int) -> list[Stream]:
        """Return the machine's streams after an id."""
        self._alive()
        return await self._disk.streams(machine, after, limit)

    async def close(self) -> None:
        """Nothing to release."""
