"""The world of one run: virtual time on a heap of next actions, the present life of the engine, and every fault.

Rule: nothing happens but from the heap or from a timer's due time; every draw comes from a stream named after what
draws it, so the same seed gives the same log.
"""

import asyncio
import datetime as dt
import hashlib
import heapq
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from engine.kernel.clock import ManualClock
from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import AttendError, Overloaded, Rejected, Unavailable
from engine.kernel.ids import Stream
from engine.records.seal import SealingKey
from engine.runtime.executor import Outcome
from engine.simulation.checkers import Acknowledged
from engine.simulation.life import Ground, Life
from engine.simulation.store import CrashPoint, Disk

START = dt.datetime(2026, 11, 2, 20, 0, tzinfo=dt.UTC)
AGAIN_S = 2.0
PASS_S = 1.0
LAG_S = 1.0
Action = Callable[[], Awaitable[None]]
Answered = Callable[[Outcome | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How often a request meets each fault, out of one."""

    dropped: float = 0.004
    lost_reply: float = 0.004
    duplicate: float = 0.006
    crash: float = 0.0015
    unreached: float = 0.03
    lag: float = 0.2


@dataclass(slots=True)
class Told:
    """What callers were told, and what should never have happened."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    outages: list[tuple[dt.datetime, dt.datetime]] = field(default_factory=list)
    debriefings: dict[str, list[bytes]] = field(default_factory=dict)


class World:
    """Runs actions in order of their time. `send` is how every person asks something of the engine."""

    def __init__(self, base: Ground, seed: str, odds: Odds) -> None:
        self.seed = seed
        self.base = base
        self.odds = odds
        self.clock = ManualClock(START)
        self.disk = Disk()
        self.faults: Counter[str] = Counter()
        self.told = Told()
        self._key = SealingKey.from_bytes(hashlib.sha256(f"seal:{seed}".encode()).digest())
        self._rng = self.stream("faults")
        self._pace = self.stream("policies")
        self._lives = 0
        self._requests = 0
        self._scheduled = 0
        self._heap: list[tuple[dt.datetime, int, Action]] = []
        self._not_before = START
        self.life = self.born()

    def stream(self, name: str) -> Random:
        """Return the stream of draws that belongs to one actor."""
        return Random(f"{self.seed}:{name}")

    @property
    def now(self) -> dt.datetime:
        """The present moment."""
        return self.clock.now()

    def after(self, seconds: float, action: Action) -> None:
        """Do something later."""
        self._scheduled += 1
        at = self.now + dt.timedelta(milliseconds=round(seconds * 1000))
        heapq.heappush(self._heap, (at, self._scheduled, action))

    async def run(self) -> None:
        """Work the heap off."""
        await self._open()
        while self._heap:
            at, _, action = heapq.heappop(self._heap)
            await self.advance_to(at)
            try:
                await action()
            except (Unavailable, Overloaded):
                self.after(AGAIN_S, action)
            if self._policies_lag():
                self.faults["policies_lag"] += 1
            else:
                await self._settle()
        await self._settle()

    async def advance_to(self, at: dt.datetime) -> None:
        """Let time pass, firing each timer at its moment."""
        while True:
            due = self.disk.next_due()
            wake = None if due is None else max(due, self._not_before)
            if wake is None or wake > at:
                break
            self._move(wake)
            fired = 0
            with suppress(Unavailable):
                fired = await self.life.timers.run_due(self.now)
            await self._settle()
            still = self.disk.next_due()
            if not fired or (still is not None and still <= self.now):
                self._not_before = self.now + dt.timedelta(seconds=PASS_S)
        self._move(at)

    def _move(self, at: dt.datetime) -> None:
        if at > self.now:
            self.clock.advance(at - self.now)

    async def jump(self, by: dt.timedelta) -> None:
        """Jump the clock: whatever was due meanwhile is late."""
        self.faults["clock_jump"] += 1
        self.told.outages.append((self.now, self.now + by))
        self.clock.advance(by)

    async def fill_disk(self, for_s: float) -> None:
        """Let the store be away for a while."""
        self.faults["store_away"] += 1
        until = self.now + dt.timedelta(seconds=for_s)
        self.told.outages.append((self.now, until))
        self.life.store.away_until = until

    async def crash(self) -> None:
        """Kill the engine between two steps."""
        self.life.store.die("crash_between")

    async def state(self, stream: Stream) -> Any:
        """Return what a person sees of a stream. Raises Unavailable."""
        return await self.life.executor.state(stream)

    async def send(
        self, stream: Stream, command: Command, actor: Actor, *, session_id: str = "", answered: Answered
    ) -> None:
        """Ask something of the engine until it answers; `answered` hears the outcome, None for a refusal."""
        await self._ask(self.request(stream, command, actor, session_id), answered, first=True)

    def request(self, stream: Stream, command: Command, actor: Actor, session_id: str = "") -> Request:
        """Return the next request."""
        self._requests += 1
        return Request(
            request_id=f"sim-{self._requests}",
            stream=stream,
            command=command,
            actor=actor,
            correlation=session_id,
        )

    async def _ask(self, request: Request, answered: Answered, *, first: bool) -> None:
        async def again() -> None:
            await self._ask(request, answered, first=False)

        fault = self._fault() if first else ""
        if fault == "dropped_request":
            self.after(AGAIN_S, again)
            return
        try:
            outcome = await self._execute(request, twice=fault == "duplicate_request")
        except (Unavailable, Overloaded):
            self.after(AGAIN_S, again)
            return
        except Rejected as refusal:
            self.told.refused[refusal.reason] += 1
            answered(None)
            return
        except AttendError as error:
            self.told.wrong.append(f"{type(request.command).__name__} on {request.stream}: {error!r}")
            answered(None)
            return
        if fault == "lost_reply":
            self.after(AGAIN_S, again)
            return
        self.told.acknowledged.append(Acknowledged(request.request_id, outcome.stream, outcome.version))
        answered(outcome)

    def _policies_lag(self) -> bool:
        """Return whether the next action comes before the policies have followed this one, in the same second."""
        soon = bool(self._heap) and self._heap[0][0] - self.now <= dt.timedelta(seconds=LAG_S)
        return soon and self._pace.random() < self.odds.lag

    def _fault(self) -> str:
        draw, odds = self._rng.random(), self.odds
        for kind, chance in (
            ("dropped_request", odds.dropped),
            ("lost_reply", odds.lost_reply),
            ("duplicate_request", odds.duplicate),
        ):
            if draw < chance:
                self.faults[kind] += 1
                return kind
            draw -= chance
        if draw < odds.crash and self.life.store.crash_in is None:
            self.life.store.crash_in = self._rng.randrange(4)
            self.life.store.crash_point = self._rng.choice(tuple(CrashPoint))
        return ""

    async def _execute(self, request: Request, *, twice: bool) -> Outcome:
        executor = self.life.executor
        if not twice:
            return await executor.execute(request)
        first, second = await asyncio.gather(
            executor.execute(request), executor.execute(request), return_exceptions=True
        )
        for one in (first, second):
            if isinstance(one, BaseException):
                raise one
        assert isinstance(first, Outcome)
        assert isinstance(second, Outcome)
        if first.version != second.version or not second.repeated:
            self.told.wrong.append(f"{request.request_id}: a duplicate was done twice")
        return first

    async def _settle(self) -> None:
        """Let policies and pages work off what is there; a dead engine is started again."""
        for _ in range(50):
            try:
                worked = await self.life.policies.subscription.drain()
                worked += await self.life.outbox.drain_once(self.now)
            except (Unavailable, Overloaded):
                worked = 0
            if self.life.store.dead:
                await self._reborn()
                worked = 1
            if not worked:
                return

    async def _reborn(self) -> None:
        """Throw everything in memory away and start on the same disk; a full disk stays full."""
        away = self.life.store.away_until
        self._notice_failures()
        self.life = self.born()
        self.life.store.away_until = away
        await self._open()

    async def _open(self) -> None:
        """Open the engine; while the disk is away, somebody starts it again."""
        try:
            await self.life.open()
        except Unavailable:
            until = self.life.store.away_until
            self.life = self.born()
            if until is not None:
                self._move(until)
            await self.life.open()

    def born(self) -> Life:
        """Return a new engine on the same disk, with nothing in memory."""
        self._lives += 1
        name = f"{self.seed}/{self._lives}"
        return Life(self.base, self.disk, self.clock, self._key, name, self.faults, self._reached)

    def _reached(self) -> bool:
        return self._rng.random() >= self.odds.unreached

    def finish(self) -> None:
        """Close the books of the last life."""
        self._notice_failures()

    def _notice_failures(self) -> None:
        policies = self.life.policies
        if policies.failed or policies.subscription.failed:
            self.told.wrong.append(f"policies failed {policies.failed + policies.subscription.failed} times")
        if self.life.executor.listeners_failed:
            self.told.wrong.append("a listener failed")
        for refusal in policies.refused:
            self.told.refused[f"policy {refusal}"] += 1
