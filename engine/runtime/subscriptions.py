"""Named readers of the log: each continues from its own saved position and misses nothing.

Rule: the position is saved after the work, so a crash repeats the last events and never skips one. What a reader does
must therefore be idempotent (policies are: their request ids derive from the event). Events that share a key are
handled in the order of the log, others side by side.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from engine.kernel.commands import Request, verb
from engine.kernel.errors import AttendError, Conflict, Invalid, Overloaded, Unavailable
from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.runtime.lanes import Lanes

log = logging.getLogger(__name__)

Reader = Callable[[Recorded], Awaitable[None]]
Policy = Callable[[Recorded, Any], Iterable[Request]]
ViewOf = Callable[[Recorded], AbstractAsyncContextManager[Any]]
Keys = Callable[[Recorded], Iterable[Hashable]]

PASSING = (Overloaded, Unavailable)


def in_order(recorded: Recorded) -> tuple[Hashable, ...]:
    """Return the one key of a reader that hears the whole log in order."""
    return ("log",)


def never(recorded: Recorded) -> bool:
    """Return that an event is not urgent."""
    return False


class Subscription:
    """One named reader. `drain` works off what is there; `run` is the loop.

    `keys` says what an event must be in order with: nothing for one that is not for this reader. `urgent` says which
    goes ahead of the others. Overloaded and Unavailable pass: the event is handled again. Whatever else a reader
    raises is counted in `failed`, logged without its content, and passed over: one poisonous event never stops the
    others.
    """

    def __init__(
        self,
        name: str,
        executor: Executor,
        reader: Reader,
        *,
        keys: Keys = in_order,
        urgent: Callable[[Recorded], bool] = never,
    ) -> None:
        self.name = name
        self._executor = executor
        self._limits = executor.limits
        self._reader = reader
        self._keys = keys
        self._urgent = urgent
        self._lanes = Lanes(self._handle, executor.limits.subscription_concurrency)
        self._position = -1
        self._saved = 0
        self._followers: list[tuple[int, asyncio.Future[None]]] = []
        self.handled = 0
        self.failed = 0

    @property
    def done(self) -> int:
        """The position up to which every event is done."""
        lowest = self._lanes.lowest
        return self._position if lowest is None else lowest - 1

    async def drain(self) -> int:
        """Handle every event there is; return how many. Raises Overloaded or Unavailable; then call again."""
        if self._position < 0:
            self._position = self._saved = await self._executor.store.cursor(self.name)
        self._lanes.release()
        passed, before = 0, self._lanes.handled
        try:
            while True:
                passed += await self._read()
                self._lanes.start()
                self._tell()
                if not self._lanes.running:
                    break
                await self._wait()
                self._lanes.collect()
                if self.done - self._saved >= self._limits.subscription_save_events:
                    await self.save()
        finally:
            await self._lanes.cancel()
        if self._lanes.held is not None:
            raise self._lanes.held
        return passed + self._lanes.handled - before

    async def run(self) -> None:
        """Handle events for ever; the position is also saved whenever nothing happens."""
        while True:
            try:
                await self.drain()
                if not await self._executor.tail.wait(self._position, self._limits.heartbeat_s):
                    await self.save()
            except Exception as error:  # noqa: BLE001 - the outermost loop: a reader that stops would be silence
                log.error("%s waits: %s", self.name, type(error).__name__)
                await asyncio.sleep(self._limits.retry_wait_s)

    async def save(self) -> None:
        """Save the position up to which every event is done."""
        done = self.done
        if done > self._saved:
            await self._executor.store.save_cursor(self.name, done)
            self._saved = done

    async def follow(self, timeout_s: float) -> bool:
        """Wait until all that the log has now is done, but no longer than that; return whether anything was not."""
        head = self._executor.tail.head
        if self.done >= head:
            return False
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        follower = (head, told)
        self._followers.append(follower)
        try:
            async with asyncio.timeout(timeout_s):
                await told
        except TimeoutError:
            pass
        finally:
            self._followers.remove(follower)
        return True

    def _tell(self) -> None:
        for head, told in self._followers:
            if head <= self.done and not told.done():
                told.set_result(None)

    async def _read(self) -> int:
        """Take in what the log has, as far ahead as is held; return how many events are nobody's."""
        passed = 0
        while self._room() and self._lanes.held is None:
            page = await self._executor.tail.read(self._position, self._limits.subscription_page_events)
            for recorded in page:
                keys = tuple(self._keys(recorded))
                if keys:
                    self._lanes.add(recorded, keys, urgent=self._urgent(recorded))
                else:
                    passed += 1
                self._position = recorded.position
            if len(page) < self._limits.subscription_page_events:
                break
        return passed

    def _room(self) -> bool:
        return len(self._lanes) < self._limits.subscription_ahead_events

    async def _wait(self) -> None:
        """Wait until something in hand has ended, or there is more to take in."""
        waiting: set[asyncio.Task[Any]] = set(self._lanes.running)
        more = None
        if self._room() and self._lanes.held is None:
            more = asyncio.create_task(self._executor.tail.wait(self._position, self._limits.heartbeat_s))
            waiting.add(more)
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if more is not None:
                more.cancel()

    async def _handle(self, recorded: Recorded) -> None:
        try:
            await self._reader(recorded)
            self.handled += 1
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - a poisonous event is counted and stops no other
            self.failed += 1
            log.error(
                "%s: %s at a %s of %s",
                self.name,
                type(error).__name__,
                recorded.type,
                recorded.stream.machine,
            )


class PolicyRunner:
    """The subscription that turns events into commands elsewhere.

    A policy that names its `events` is asked of no others; one marked `urgent` has them handled ahead of other events.
    What follows from one stream, and from one session, follows in order; sessions do not wait for each other. A
    refusal is kept in `refused` (the last REMEMBERED of them), a fault of a policy is counted in `failed`; neither
    stops another policy.
    """

    REMEMBERED = 100

    def __init__(self, policies: Sequence[Policy], executor: Executor, view_of: ViewOf) -> None:
        self._policies = tuple(policies)
        self._about: dict[type[Event], list[Policy]] = {}
        self._executor = executor
        self._view_of = view_of
        self.refused: list[str] = []
        self.failed = 0
        self.subscription = Subscription(
            "policies", executor, self._apply, keys=self._keys, urgent=self._urgent
        )

    def _of(self, recorded: Recorded) -> list[Policy]:
        """Return the policies about an event; most events are nobody's."""
        kind = type(recorded.event)
        if kind not in self._about:
            self._about[kind] = [one for one in self._policies if kind in getattr(one, "events", (kind,))]
        return self._about[kind]

    def _keys(self, recorded: Recorded) -> Iterable[Stream]:
        if not self._of(recorded):
            return ()
        session = (Stream("session", recorded.correlation),) if recorded.correlation else ()
        return (recorded.stream, *session)

    def _urgent(self, recorded: Recorded) -> bool:
        return any(getattr(policy, "urgent", False) for policy in self._of(recorded))

    async def _apply(self, recorded: Recorded) -> None:
        async with self._view_of(recorded) as view:
            for policy in self._of(recorded):
                try:
                    for request in _named(policy, recorded, view):
                        await self._ask(policy, request)
                except PASSING:
                    raise
                except Exception as error:  # noqa: BLE001 - one policy's fault must not stop the others
                    self.failed += 1
                    name, kind = policy.__name__, type(error).__name__
                    log.error("policy %s failed: %s at %s", name, kind, recorded.type)

    async def _ask(self, policy: Policy, request: Request) -> None:
        try:
            await self._again_on_conflict(request)
        except PASSING:
            raise
        except AttendError as error:
            if isinstance(error, Invalid) and error.field == "request_id":
                return  # it was done before a crash, with what the view said then
            reason = getattr(error, "reason", type(error).__name__)
            self.refused = [*self.refused[1 - self.REMEMBERED :], f"{policy.__name__}:{reason}"]
            # A chart refuses what came too late, which is no news; a form that is broken between rooms is a fault.
            told = log.error if isinstance(error, Invalid) else log.info
            told("policy %s was refused: %s at %s", policy.__name__, reason, request.request_id)

    async def _again_on_conflict(self, request: Request) -> None:
        for _ in range(self._executor.limits.conflict_retries - 1):
            try:
                await self._executor.execute(request)
            except Conflict:
                continue
            return
        await self._executor.execute(request)


def _named(policy: Policy, recorded: Recorded, view: Any) -> list[Request]:
    """Name a policy's requests after the event and what each is for, so that a repeat is known as one.

    Their order does not enter: after a crash the view may ask for fewer, and the rest must keep their names.
    """
    named: dict[str, Request] = {}
    for request in policy(recorded, view):
        name = f"policy:{policy.__name__}:{recorded.id}:{request.stream}:{verb(type(request.command))}"
        while name in named:
            name += "+"
        named[name] = Request(
            request_id=name,
            stream=request.stream,
            command=request.command,
            actor=request.actor,
            expected_version=request.expected_version,
            correlation=request.correlation or recorded.correlation,
            causation=recorded.id,
        )
    return list(named.values())
