"""The outbox: rows become calls, at least once; the key lets the far side drop repeats.

Rule: a handler that returns has done its work; one that raises is tried again later, for ever, and counted. Each kind
has a lane of its own, so that a peer that hangs never delays a page to a physician.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from engine.kernel.errors import AttendError, PeerError
from engine.kernel.store import Commit, Committed, OutboxRow
from engine.runtime.executor import Executor

log = logging.getLogger(__name__)

Handler = Callable[[OutboxRow], Awaitable[None]]
GivenUp = Callable[[OutboxRow, PeerError], Awaitable[None]]


@dataclass(slots=True)
class _Lane:
    """One kind of send: what is under way, and which keys wait until when after a failure."""

    handler: Handler
    gate: asyncio.Semaphore
    flying: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    held: dict[str, dt.datetime] = field(default_factory=dict)


class Outbox:
    """Hands pending sends to the handler of their kind. `drain_once` is one pass; `run` is the loop.

    `given_up` is told of a PeerError that trying again cannot mend; when it returns, the send is done. Without it
    such a send is tried again like any other.
    """

    def __init__(
        self, executor: Executor, handlers: Mapping[str, Handler], *, given_up: GivenUp | None = None
    ) -> None:
        self._executor = executor
        self._limits = executor.limits
        self._lanes = {
            kind: _Lane(handler, asyncio.Semaphore(self._limits.send_concurrency))
            for kind, handler in handlers.items()
        }
        self._given_up = given_up
        self._bell = asyncio.Event()
        self.unknown: set[str] = set()
        self.done = 0
        self.failed = 0
        executor.listeners.append(self._noticed)

    async def drain_once(self, now: dt.datetime) -> int:
        """Hand over what is pending and not held back, wait for the answers; return how many. Raises Unavailable."""
        started = await self._start(now)
        if started:
            await asyncio.wait(started)
        return len(started)

    async def run(self) -> None:
        """Hand over for ever. A slow hand-over holds up nothing but its place in its lane."""
        try:
            while True:
                self._bell.clear()
                try:
                    await self._start(self._executor.clock.now())
                except Exception as error:  # noqa: BLE001 - the outermost loop: nothing may stop the sends
                    log.error("the outbox cannot be read: %s", type(error).__name__)
                try:
                    async with asyncio.timeout(self._limits.outbox_poll_s):
                        await self._bell.wait()
                except TimeoutError:
                    continue
        finally:
            for lane in self._lanes.values():
                for task in lane.flying.values():
                    task.cancel()

    async def _start(self, now: dt.datetime) -> "list[asyncio.Task[None]]":
        started = []
        for kind, lane in self._lanes.items():
            room = self._limits.sends_per_pass - len(lane.flying)
            if room <= 0:
                continue
            passed = len(lane.flying) + min(len(lane.held), self._limits.sends_held)
            rows = await self._executor.store.outbox(room + passed, kind=kind)
            ready = [row for row in rows if row.key not in lane.flying and lane.held.get(row.key, now) <= now]
            for row in ready[:room]:
                task = asyncio.create_task(self._hand_over(lane, row))
                lane.flying[row.key] = task
                started.append(task)
        await self._notice_unknown()
        return started

    async def _notice_unknown(self) -> None:
        for row in await self._executor.store.outbox(self._limits.sends_per_pass):
            if row.kind not in self._lanes and row.kind not in self.unknown:
                self.unknown.add(row.kind)
                log.error("nothing handles sends of the kind %s; they stay pending", row.kind)

    async def _hand_over(self, lane: _Lane, row: OutboxRow) -> None:
        try:
            async with lane.gate:
                await self._call(lane, row)
                await self._executor.store.outbox_attempted(row.key, done=True)
        except Exception as error:  # noqa: BLE001 - one bad send must not stop the others; it stays pending
            self.failed += 1
            log.error("send %s failed: %s", row.kind, type(error).__name__)
            await self._hold(lane, row)
        else:
            self.done += 1
            lane.held.pop(row.key, None)
        finally:
            lane.flying.pop(row.key, None)
            self._bell.set()

    async def _call(self, lane: _Lane, row: OutboxRow) -> None:
        try:
            await lane.handler(row)
        except PeerError as error:
            if not error.permanent or self._given_up is None:
                raise
            await self._given_up(row, error)

    async def _hold(self, lane: _Lane, row: OutboxRow) -> None:
        wait_s = self._limits.send_backoff_s * 2 ** min(row.attempts, 10)
        now = self._executor.clock.now()
        lane.held[row.key] = now + dt.timedelta(seconds=min(self._limits.send_backoff_max_s, wait_s))
        try:
            await self._executor.store.outbox_attempted(row.key, done=False)
        except AttendError as error:
            log.error("an attempt could not be counted: %s", type(error).__name__)

    def _noticed(self, commit: Commit, done: Committed) -> None:
        if commit.outbox:
            self._bell.set()
