"""Watches: from a position, live, without gap or repeat; a slow watcher is cut with the position to resume from."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from engine.kernel.errors import Overloaded
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
    """Opens watches, bounded in number."""

    def __init__(self, executor: Executor) -> None:
        self._tail = executor.tail
        self._limits = executor.limits
        self.open = 0

    async def watch(
        self, after: int, *, correlation: str | None = None
    ) -> AsyncGenerator[Recorded | Heartbeat, None]:
        """Yield events after a position, then live ones, with heartbeats in between.

        Raises Overloaded("watchers") past the limit and WatcherTooSlow once a watcher that had caught up falls
        further behind than the limit.
        """
        if self.open >= self._limits.watchers:
            raise Overloaded("watchers")
        self.open += 1
        try:
            position, caught_up = after, False
            while True:
                if caught_up and self._tail.head - position > self._limits.watcher_lag_events:
                    raise WatcherTooSlow(position)
                head = self._tail.head
                page = await self._tail.read(
                    position, self._limits.watcher_page_events, correlation=correlation
                )
                for recorded in page:
                    yield recorded
                    position = recorded.position
                if len(page) < self._limits.watcher_page_events:
                    position, caught_up = max(position, head), True
                    if not await self._tail.wait(position, self._limits.heartbeat_s):
                        yield Heartbeat(position)
        finally:
            self.open -= 1
