"""Watches: from a position, live, without gap or repeat; a slow watcher is cut with the position to resume from."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from engine.kernel.errors import Invalid, Overloaded
from engine.kernel.events import Recorded
from engine.runtime.executor import Executor


class WatcherTooSlow(Overloaded):
    """The watcher fell behind; it resumes from `position`."""

    def __init__(self, position: int) -> None:
        super().__init__("watcher_lag_events")
        self.position = position


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing new up to `position`: the line to the engine lives."""

    position: int


class Watchers:
    """Opens watches, bounded in number. A watch pulls: what its reader has not asked for is not held for it."""

    def __init__(self, executor: Executor) -> None:
        self._tail = executor.tail
        self._limits = executor.limits
        self.open = 0
        self._people: Counter[str] = Counter()

    def connected(self, person_id: str) -> bool:
        """Return whether a person has a watch open now: what is told them by watch reaches a screen."""
        return self._people[person_id] > 0

    async def watch(
        self, after: int, *, correlation: str | None = None, person_id: str = ""
    ) -> AsyncGenerator[Recorded | Heartbeat, None]:
        """Yield events after a position, of one session if asked for, then live ones, with heartbeats in between.

        Raises Overloaded("watchers") past the limit, Invalid for a position that the log has not reached (its data
        were restored from an older copy), and WatcherTooSlow once a watcher that had caught up has more unread events
        than the limit.
        """
        if self.open >= self._limits.watchers:
            raise Overloaded("watchers")
        self.open += 1
        self._people[person_id] += 1
        try:
            await self._check(after)
            position, caught_up, quiet = after, False, False
            while True:
                if caught_up and await self._lags(position, correlation):
                    raise WatcherTooSlow(position)
                head = self._tail.head
                page = await self._tail.read(
                    position, self._limits.watcher_page_events, correlation=correlation
                )
                for recorded in page:
                    yield recorded
                    position = recorded.position
                if len(page) == self._limits.watcher_page_events:
                    continue
                position, caught_up = max(position, head), True
                if quiet and not page:
                    yield Heartbeat(position)
                quiet = not await self._tail.wait(position, self._limits.heartbeat_s, correlation=correlation)
        finally:
            self.open -= 1
            self._people[person_id] -= 1
            if not self._people[person_id]:
                del self._people[person_id]

    async def _check(self, after: int) -> None:
        if after > self._tail.head:
            await self._tail.open()
        if not 0 <= after <= self._tail.head:
            raise Invalid("after_position", "the log has not reached this position; start again from 0")

    async def _lags(self, position: int, correlation: str | None) -> bool:
        """Return whether more than the limit is unread; other sessions' events do not count."""
        limit = self._limits.watcher_lag_events
        if self._tail.head - position <= limit:
            return False
        return len(await self._tail.read(position, limit + 1, correlation=correlation)) > limit
