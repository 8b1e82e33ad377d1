"""Durable timers: rows in the store, fired through the executor with the time they were due.

Rule: a row disappears in the same transaction as the command it fires, so a crash fires it again and its request id
makes the second time a repeat. A timer that cannot fire is tried again for ever, with growing pauses unless
the store was only away.
"""

import asyncio
import datetime as dt
import logging
from dataclasses import dataclass

from engine.kernel.commands import Actor, Request, TimerFired
from engine.kernel.errors import Overloaded, Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import Commit, Committed, TimerRow
from engine.runtime.executor import Executor

log = logging.getLogger(__name__)

Setting = tuple[Stream, str, int]


@dataclass(frozen=True, slots=True)
class _Held:
    """A timer that failed: not before `until`, and after the next failure `pause_s` twice as long."""

    until: dt.datetime
    pause_s: float


class Timers:
    """Fires what is due. `run_due` is one pass; `run` is the loop. While somebody holds `gate`, nothing fires."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._limits = executor.limits
        self._poke = asyncio.Event()
        self.gate = asyncio.Lock()
        self._held: dict[Setting, _Held] = {}
        self.fired = 0
        self.failed = 0
        executor.listeners.append(self._noticed)

    def poke(self) -> None:
        """Look again now: a demo clock was advanced."""
        self._poke.set()

    async def run_due(self, now: dt.datetime) -> int:
        """Fire every timer due at `now`, up to the limit of one pass; return how many. Raises Unavailable."""
        async with self.gate:
            return await self._run_due(now)

    async def _run_due(self, now: dt.datetime) -> int:
        due = await self._executor.store.timers(now, self._limits.timers_per_pass + len(self._held))
        ready = [row for row in due if self._not_before(row) <= now][: self._limits.timers_per_pass]
        await asyncio.gather(*(self._fire(row, now) for row in ready))
        return len(ready)

    async def run(self) -> None:
        """Fire timers for ever; overdue ones first, each with its own due time."""
        while True:
            self._poke.clear()
            try:
                async with self.gate:
                    now = self._executor.clock.now()
                    fired = await self._run_due(now)
                if fired:
                    continue
                wait_s = await self._wait_s(now)
            except Exception as error:  # noqa: BLE001 - the outermost loop: nothing may stop the timers
                log.error("timers cannot be read: %s", type(error).__name__)
                self.failed += 1
                wait_s = self._limits.retry_wait_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._poke.wait()
            except TimeoutError:
                continue

    async def _wait_s(self, now: dt.datetime) -> float:
        upcoming = await self._executor.store.timers(None, len(self._held) + 1)
        pending = {_setting(row) for row in upcoming}
        self._held = {setting: held for setting, held in self._held.items() if setting in pending}
        due = min((self._not_before(row) for row in upcoming), default=None)
        if due is None:
            return self._limits.timer_poll_s
        return min(self._limits.timer_poll_s, max(0.001, (due - now).total_seconds()))

    def _not_before(self, row: TimerRow) -> dt.datetime:
        held = self._held.get(_setting(row))
        return held.until if held is not None else row.due_at

    async def _fire(self, row: TimerRow, now: dt.datetime) -> None:
        request = Request(
            request_id=f"timer:{row.stream}:{row.name}:{row.due_at.isoformat()}:{row.set_at_version}",
            stream=row.stream,
            command=TimerFired(name=row.name, due_at=row.due_at, set_at_version=row.set_at_version),
            actor=Actor.system("timers"),
            correlation=row.correlation,
        )
        try:
            outcome = await self._executor.execute(request)
        except Exception as error:  # noqa: BLE001 - one timer's fault must not stop the others; it stays pending
            self.failed += 1
            self._hold(_setting(row), now, passing=isinstance(error, Overloaded | Unavailable))
            log.error("timer %s of %s did not fire: %s", row.name, row.stream.machine, type(error).__name__)
        else:
            self.fired += not outcome.repeated
            self._held.pop(_setting(row), None)

    def _hold(self, setting: Setting, now: dt.datetime, *, passing: bool) -> None:
        held = self._held.get(setting)
        if held is None or passing:  # a rung must not wait longer than the store was away
            pause_s = self._limits.retry_wait_s
        else:
            pause_s = min(held.pause_s * 2, self._limits.timer_pause_max_s)
        self._held[setting] = _Held(now + dt.timedelta(seconds=pause_s), pause_s)

    def _noticed(self, commit: Commit, done: Committed) -> None:
        if commit.timers_set:
            self._poke.set()


def _setting(row: TimerRow) -> Setting:
    return row.stream, row.name, row.set_at_version
