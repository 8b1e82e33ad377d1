"""The newest events in memory and a doorbell: readers continue from a position and never miss or repeat one.

Rule: the tail only saves reads. What it no longer holds is read from the store, which is the truth.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from engine.kernel.events import Recorded
from engine.kernel.store import EventRow, Store
from engine.runtime.limits import Limits
from engine.store.codec import Codec


class Tail:
    """Reads the log by position, from memory where it can."""

    def __init__(self, store: Store, codec: Codec, limits: Limits) -> None:
        self._store = store
        self._codec = codec
        self._recent: deque[Recorded] = deque(maxlen=limits.tail_events)
        self._bell = asyncio.Event()
        self.head = 0

    async def open(self) -> None:
        """Learn where the log stands."""
        self.head = max(self.head, await self._store.head())

    def append(self, events: Sequence[Recorded]) -> None:
        """Take newly durable events, in order, and ring."""
        if not events:
            return
        self._recent.extend(events)
        self.head = events[-1].position
        self._bell.set()
        self._bell = asyncio.Event()

    async def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until there is an event after `after`; return whether there is one."""
        bell = self._bell
        if self.head > after:
            return True
        try:
            await asyncio.wait_for(bell.wait(), timeout_s)
        except TimeoutError:
            return False
        return self.head > after

    async def read(self, after: int, limit: int, *, correlation: str | None = None) -> list[Recorded]:
        """Return events after a position, in order; from the store when they are older than the tail."""
        if self._recent and self._recent[0].position <= after + 1:
            skip = after + 1 - self._recent[0].position
            found = []
            for n in range(skip, len(self._recent)):
                recorded = self._recent[n]
                if correlation is None or recorded.correlation == correlation:
                    found.append(recorded)
                    if len(found) == limit:
                        break
            return found
        return await self.decode(await self._store.read(after, limit, correlation=correlation))

    async def decode(self, rows: Sequence[EventRow]) -> list[Recorded]:
        """Decode stored rows with their protected values."""
        refs = [ref for row in rows for ref in self._codec.refs(row)]
        protected = await self._store.protected(refs) if refs else {}
        return [self._codec.decode(row, protected) for row in rows]
