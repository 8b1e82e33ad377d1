"""Named readers of the log: each continues from its own saved position, in order, at least once.

Rule: the position is saved after the work, so a crash repeats the last events and never skips one. What a reader does
must therefore be idempotent (policies are: their request ids derive from the event).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from engine.kernel.commands import Request, verb
from engine.kernel.errors import AttendError, Conflict, Invalid, Overloaded, Unavailable
from engine.kernel.events import Event, Recorded
from engine.runtime.executor import Executor

log = logging.getLogger(__name__)

Reader = Callable[[Recorded], Awaitable[None]]
Policy = Callable[[Recorded, Any], Iterable[Request]]
ViewOf = Callable[[Recorded], Awaitable[Any]]

PASSING = (Overloaded, Unavailable)


class Subscription:
    """One named reader. `drain` works off what is there; `run` is the loop.

    Overloaded and Unavailable pass: the event is handled again. Whatever else a reader raises is counted in `failed`,
    logged without its content, and passed over: one poisonous event never stops the others.
    """

    def __init__(self, name: str, executor: Executor, reader: Reader) -> None:
        self.name = name
        self._executor = executor
        self._limits = executor.limits
        self._reader = reader
        self._position = -1
        self._saved = 0
        self.handled = 0
        self.failed = 0

    async def drain(self) -> int:
        """Handle every event there is; return how many. Raises Overloaded or Unavailable; then call again."""
        if self._position < 0:
            self._position = self._saved = await self._executor.store.cursor(self.name)
        handled = 0
        while events := await self._executor.tail.read(self._position, self._limits.subscription_page_events):
            for recorded in events:
                await self._handle(recorded)
                self._position = recorded.position
                handled += 1
                if self._position - self._saved >= self._limits.subscription_save_events:
                    await self.save()
        return handled

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
        """Save the position."""
        if self._position > self._saved:
            await self._executor.store.save_cursor(self.name, self._position)
            self._saved = self._position

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

    A policy that names its `events` is asked of no others. A refusal is kept in `refused` (the last REMEMBERED of
    them), a fault of a policy is counted in `failed`; neither stops another policy.
    """

    REMEMBERED = 100

    def __init__(self, policies: Sequence[Policy], executor: Executor, view_of: ViewOf) -> None:
        self._policies = tuple(policies)
        self._about: dict[type[Event], list[Policy]] = {}
        self._executor = executor
        self._view_of = view_of
        self.refused: list[str] = []
        self.failed = 0
        self.subscription = Subscription("policies", executor, self._apply)

    async def _apply(self, recorded: Recorded) -> None:
        kind = type(recorded.event)
        if kind not in self._about:
            self._about[kind] = [one for one in self._policies if kind in getattr(one, "events", (kind,))]
        policies = self._about[kind]
        view = await self._view_of(recorded) if policies else None  # most events are nobody's
        for policy in policies:
            try:
                for request in _named(policy, recorded, view):
                    await self._ask(policy, request)
            except PASSING:
                raise
            except Exception as error:  # noqa: BLE001 - one policy's fault must not stop the others
                self.failed += 1
                log.error("policy %s failed: %s at %s", policy.__name__, type(error).__name__, recorded.type)

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
            told("policy %s was refused: %s", policy.__name__, reason)

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
