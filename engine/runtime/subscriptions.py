"""Named readers of the log: each continues from its own saved position, in order, at least once.

Rule: the position is saved after the work, so a crash repeats the last events and never skips one. What a reader does
must therefore be idempotent (policies are: their request ids derive from the event).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from engine.kernel.commands import Request
from engine.kernel.errors import AttendError, Conflict, Overloaded, Unavailable
from engine.kernel.events import Recorded
from engine.runtime.executor import Executor

log = logging.getLogger(__name__)

Reader = Callable[[Recorded], Awaitable[None]]
Policy = Callable[[Recorded, Any], Iterable[Request]]
ViewOf = Callable[[Recorded], Awaitable[Any]]

PASSING = (Conflict, Overloaded, Unavailable)


class Subscription:
    """One named reader. `drain` works off what is there; `run` is the loop."""

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
        """Handle every event there is; return how many."""
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
        """Handle events for ever."""
        while True:
            try:
                await self.drain()
                await self._executor.tail.wait(self._position, self._limits.heartbeat_s)
            except PASSING as error:
                log.warning("%s waits: %s", self.name, type(error).__name__)
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
        except AttendError as error:
            self.failed += 1
            log.warning("%s: %s at %s", self.name, type(error).__name__, recorded.stream.machine)


class PolicyRunner:
    """The subscription that turns events into commands elsewhere."""

    def __init__(self, policies: Sequence[Policy], executor: Executor, view_of: ViewOf) -> None:
        self._policies = tuple(policies)
        self._executor = executor
        self._view_of = view_of
        self.refused: list[str] = []
        self.subscription = Subscription("policies", executor, self._apply)

    async def _apply(self, recorded: Recorded) -> None:
        """Run every policy on one event of a session. A refusal is kept (bounded) and stops no other policy."""
        if not recorded.correlation:
            return
        view = await self._view_of(recorded)
        for policy in self._policies:
            for number, request in enumerate(policy(recorded, view)):
                try:
                    await self._executor.execute(_named(request, policy, recorded, number))
                except PASSING:
                    raise
                except AttendError as error:
                    reason = getattr(error, "reason", type(error).__name__)
                    self.refused = [*self.refused[-99:], f"{policy.__name__}:{reason}"]
                    log.info("policy %s was refused: %s", policy.__name__, reason)


def _named(request: Request, policy: Policy, recorded: Recorded, number: int) -> Request:
    return Request(
        request_id=f"policy:{policy.__name__}:{recorded.id}:{number}",
        stream=request.stream,
        command=request.command,
        actor=request.actor,
        expected_version=request.expected_version,
        correlation=request.correlation or recorded.correlation,
        causation=recorded.id,
    )
