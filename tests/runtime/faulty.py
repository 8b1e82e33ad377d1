"""A memory store that can be away or slow when a test says so; otherwise it keeps the store's contract."""

import asyncio
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence

from engine.kernel.errors import Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import Commit, Committed, EventRow, Lost, TimerRow
from engine.store.memory import MemoryStore


class FaultyStore(MemoryStore):
    """`away` names the methods that raise Unavailable; `commits` and `loads` hold calls while they are clear."""

    def __init__(self) -> None:
        super().__init__()
        self.away: set[str] = set()
        self.commits = asyncio.Event()
        self.commits.set()
        self.loads = asyncio.Event()
        self.loads.set()
        self.arrived = asyncio.Event()
        self.refused = asyncio.Event()
        self.batches: list[int] = []
        self.calls: Counter[str] = Counter()
        self.called: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def _asked(self, method: str) -> None:
        self.calls[method] += 1
        self.called[method].set()
        if method in self.away:
            self.refused.set()
            raise Unavailable(f"{method} is away")

    async def commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Commit, once it may."""
        self.arrived.set()
        await self.commits.wait()
        self._asked("commit")
        self.batches.append(len(batch))
        return await super().commit(batch)

    async def load(self, stream: Stream) -> list[EventRow]:
        """Load, then wait until the answer may arrive."""
        self._asked("load")
        rows = await super().load(stream)
        self.arrived.set()
        await self.loads.wait()
        return rows

    async def read(
        self, after: int, limit: int, *, correlation: str | None = None, machine: str | None = None
    ) -> list[EventRow]:
        """Read, unless away."""
        self._asked("read")
        return await super().read(after, limit, correlation=correlation, machine=machine)

    async def timers(self, due: dt.datetime | None, limit: int) -> list[TimerRow]:
        """Read timers, unless away."""
        self._asked("timers")
        return await super().timers(due, limit)

    async def outbox_attempted(self, key: str, *, done: bool) -> None:
        """Count an attempt, unless away."""
        self._asked("outbox_attempted")
        await super().outbox_attempted(key, done=done)

    async def save_cursor(self, name: str, position: int) -> None:
        """Save a position, unless away."""
        self._asked("save_cursor")
        await super().save_cursor(name, position)
