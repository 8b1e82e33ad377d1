"""The outbox: rows become calls, at least once; the key lets the far side drop repeats.

Rule: a handler that returns has done its work; one that raises is tried again later, for ever, and counted.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping

from engine.kernel.errors import AttendError
from engine.kernel.store import Commit, Committed, OutboxRow
from engine.runtime.executor import Executor

log = logging.getLogger(__name__)

Handler = Callable[[OutboxRow], Awaitable[None]]


class Outbox:
    """Hands pending sends to the handler of their kind. `drain_once` is one pass; `run` is the loop."""

    def __init__(self, executor: Executor, handlers: Mapping[str, Handler]) -> None:
        self._executor = executor
        self._limits = executor.limits
        self._handlers = dict(handlers)
        self._held: dict[str, dt.datetime] = {}
        self._bell = asyncio.Event()
        self.done = 0
        self.failed = 0
        executor.listeners.append(self._noticed)

    async def drain_once(self, now: dt.datetime) -> int:
        """Hand over what is pending and not held back; return how many were handed over."""
        rows = await self._executor.store.outbox(self._limits.sends_per_pass + len(self._held))
        ready = [row for row in rows if self._held.get(row.key, now) <= now][: self._limits.sends_per_pass]
        gate = asyncio.Semaphore(self._limits.send_concurrency)
        await asyncio.gather(*(self._hand_over(row, gate, now) for row in ready))
        return len(ready)

    async def run(self) -> None:
        """Hand over for ever."""
        while True:
            self._bell.clear()
            try:
                handed = await self.drain_once(self._executor.clock.now())
            except AttendError as error:
                log.error("the outbox cannot be read: %s", type(error).__name__)
                handed = 0
            if handed:
                continue
            try:
                await asyncio.wait_for(self._bell.wait(), self._limits.outbox_poll_s)
            except TimeoutError:
                continue

    async def _hand_over(self, row: OutboxRow, gate: asyncio.Semaphore, now: dt.datetime) -> None:
        async with gate:
            handler = self._handlers.get(row.kind)
            try:
                if handler is None:
                    raise LookupError(row.kind)
                await handler(row)
            except Exception as error:  # noqa: BLE001 - one bad send must not stop the others; it stays pending
                self.failed += 1
                wait = min(
                    self._limits.send_backoff_max_s, self._limits.send_backoff_s * 2 ** min(row.attempts, 10)
                )
                self._held[row.key] = now + dt.timedelta(seconds=wait)
                log.error("send %s failed: %s", row.kind, type(error).__name__)
                await self._executor.store.outbox_attempted(row.key, done=False)
            else:
                self._held.pop(row.key, None)
                await self._executor.store.outbox_attempted(row.key, done=True)
                self.done += 1

    def _noticed(self, commit: Commit, done: Committed) -> None:
        if commit.outbox:
            self._bell.set()
