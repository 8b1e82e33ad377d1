"""The newest events in memory and a doorbell: readers continue from a position and never miss or repeat one.

Rule: the tail only saves reads. What it no longer holds is read from the store, which is the truth.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

from engine.kernel.events import Recorded
from engine.kernel.store import EventRow, Store
from engine.runtime.deadlines import Deadlines
from engine.runtime.limits import Limits
from engine.store.codec import Codec


class Tail:
    """Reads the log by position, from memory where it can."""

    def __init__(self, store: Store, codec: Codec, limits: Limits) -> None:
        self._store = store
        self._codec = codec
        self._recent: deque[Recorded] = deque(maxlen=limits.tail_events)
        self._deadlines = Deadlines()
        self._waiting: dict[str | None, set[asyncio.Future[None]]] = {}
        self.head = 0

    async def open(self) -> None:
        """Learn where the log stands."""
        self.head = max(self.head, await self._store.head())

    def append(self, events: Sequence[Recorded]) -> None:
        """Take newly durable events, in order, and ring for those who wait for them."""
        if not events:
            return
        if self._recent and events[0].position != self._recent[-1].position + 1:
            self._recent.clear()  # somebody else wrote in between: only the store has it all
        self._recent.extend(events)
        self.head = events[-1].position
        for session in {None, *[event.correlation for event in events]}:
            for waiting in self._waiting.get(session, ()):
                if not waiting.done():
                    waiting.set_result(None)

    def forget(self) -> None:
        """Drop what is held in memory: some of it was erased from the store."""
        self._recent.clear()

    async def wait(self, after: int, timeout_s: float, *, correlation: str | None = None) -> bool:
        """Wait for an event after `after`, of one session if asked for; return whether there may be one."""
        if self.head > after:
            return True
        ring: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(correlation, set())
        waiting.add(ring)
        try:
            await self._deadlines.within(timeout_s, ring)
        except TimeoutError:
            return False
        finally:
            waiting.discard(ring)
            if not waiting and self._waiting.get(correlation) is waiting:
                del self._waiting[correlation]
        return True

    async def read(self, after: int, limit: int, *, correlation: str | None = None) -> list[Recorded]:
        """Return events after a position, in order; from the store when they are older than the tail."""
        if self._recent and self._recent[0].position <= after + 1:
            skip = after + 1 - self._recent[0].position
            wanted = (self._recent[n] for n in range(skip, len(self._recent)))
            return list(islice((one for one in wanted if correlation in (None, one.correlation)), limit))
        return await self.decode(await self._store.read(after, limit, correlation=correlation))

    async def decode(self, rows: Sequence[EventRow]) -> list[Recorded]:
        """Decode stored rows with their protected values."""
        refs = [ref for row in rows for ref in self._codec.refs(row)]
        protected = await self._store.protected(refs) if refs else {}
        return [self._codec.decode(row, protected) for row in rows]
