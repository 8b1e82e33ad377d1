"""Durable timers: rows in the store, fired through the executor with the time they were due.

Rule: a row disappears in the same transaction as the command it fires, so a crash fires it again and its request id
makes the second time a repeat.
"""

import asyncio
import datetime as dt
import logging

from engine.kernel.commands import Actor, Request, TimerFired
from engine.kernel.errors import AttendError
from engine.kernel.store import Commit, Committed, TimerRow
from engine.runtime.executor import Executor

log = logging.getLogger(__name__)


class Timers:
    """Fires what is due. `run_due` is one pass; `run` is the loop."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._limits = executor.limits
        self._poke = asyncio.Event()
        self._held: dict[tuple[str, str], dt.datetime] = {}
        self.fired = 0
        self.failed = 0
        executor.listeners.append(self._noticed)

    def poke(self) -> None:
        """Look again now: a demo clock was advanced."""
        self._poke.set()

    async def run_due(self, now: dt.datetime) -> int:
        """Fire every timer due at `now`, up to the limit of one pass; return how many."""
        due = await self._executor.store.timers(now, self._limits.timers_per_pass)
        ready = [row for row in due if self._held.get((str(row.stream), row.name), now) <= now]
        await asyncio.gather(*(self._fire(row, now) for row in ready))
        return len(ready)

    async def run(self) -> None:
        """Fire timers for ever; overdue ones first, each with its own due time."""
        while True:
            self._poke.clear()
            now = self._executor.clock.now()
            if await self._safely(now):
                continue
            try:
                await asyncio.wait_for(self._poke.wait(), await self._wait_s(now))
            except TimeoutError:
                continue

    async def _safely(self, now: dt.datetime) -> int:
        try:
            return await self.run_due(now)
        except AttendError as error:
            log.error("timers cannot be read: %s", error)
            self.failed += 1
            await asyncio.sleep(self._limits.retry_wait_s)
            return 0

    async def _wait_s(self, now: dt.datetime) -> float:
        upcoming = await self._executor.store.timers(None, 1)
        if not upcoming:
            return self._limits.timer_poll_s
        return min(self._limits.timer_poll_s, max(0.001, (upcoming[0].due_at - now).total_seconds()))

    async def _fire(self, row: TimerRow, now: dt.datetime) -> None:
        request = Request(
            request_id=f"timer:{row.stream}:{row.name}:{row.due_at.isoformat()}",
            stream=row.stream,
            command=TimerFired(name=row.name, due_at=row.due_at),
            actor=Actor.system("timers"),
            correlation=row.correlation,
        )
        try:
            await self._executor.execute(request)
            self.fired += 1
        except AttendError as error:
            self.failed += 1
            self._held[(str(row.stream), row.name)] = now + dt.timedelta(seconds=self._limits.timer_poll_s)
            log.error("timer %s of %s did not fire: %s", row.name, row.stream.machine, type(error).__name__)
        else:
            self._held.pop((str(row.stream), row.name), None)

    def _noticed(self, commit: Commit, done: Committed) -> None:
        if commit.timers_set:
            self._poke.set()
