"""The commit pump: one commit in flight; everything that queued meanwhile goes into the next.

It waits for no caller, but lets what is on its way into the queue arrive: a commit's fixed cost is then shared. An idle
event loop goes round in microseconds, a busy one brings the next callers in.

Rule: a caller is answered only after its batch is durable; a failed batch fails every caller in it, and only them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import cached_property

from engine.kernel.errors import Overloaded, Unavailable
from engine.kernel.store import Commit, Committed, Lost, Store
from engine.runtime.limits import Limits

log = logging.getLogger(__name__)

OnDurable = Callable[[Committed], None]
Waiting = tuple[Commit, OnDurable, "asyncio.Future[Committed | Lost]"]


class CommitPump:
    """Groups commits over one store."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._hurry = False
        self.batches = 0

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one event loop it runs in; asking asyncio which that is costs a system call every time."""
        return asyncio.get_running_loop()

    async def commit(
        self, commit: Commit, on_durable: OnDurable, *, urgent: bool = False
    ) -> Committed | Lost:
        """Make one commit durable; `on_durable` runs in log order, before any caller of the batch is answered.

        An urgent one goes to the head of the queue, which then waits for nobody else. Raises Overloaded when the queue
        is full, Unavailable when the store fails.
        """
        if len(self._waiting) >= self._limits.commit_queue and not urgent:
            raise Overloaded("commit_queue")
        answer: asyncio.Future[Committed | Lost] = self.loop.create_future()
        if urgent:
            self._waiting.appendleft((commit, on_durable, answer))
            self._hurry = True
        else:
            self._waiting.append((commit, on_durable, answer))
        if self._task is None or self._task.done():
            self._task = self.loop.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            await self._gather()
            self._hurry = False
            size = min(len(self._waiting), self._limits.commit_batch)
            batch = [self._waiting.popleft() for _ in range(size)]
            try:
                results = await self._store.commit([commit for commit, _, _ in batch])
            except Exception as error:  # noqa: BLE001 - the pump's outermost loop: nobody may be left waiting
                self._fail(batch, error)
                continue
            self.batches += 1
            for (_, on_durable, answer), result in zip(batch, results, strict=True):
                if isinstance(result, Committed):
                    self._tell(on_durable, answer, result)
            for (_, _, answer), result in zip(batch, results, strict=True):
                if not answer.done():
                    answer.set_result(result)

    async def _gather(self) -> None:
        """Give way until the event loop went round `commit_patience` times without a new commit in the queue."""
        queued = still = 0
        full = self._limits.commit_batch
        while still < self._limits.commit_patience and len(self._waiting) < full and not self._hurry:
            still = still + 1 if queued == len(self._waiting) else 0
            queued = len(self._waiting)
            await asyncio.sleep(0)

    @staticmethod
    def _tell(on_durable: OnDurable, answer: "asyncio.Future[Committed | Lost]", done: Committed) -> None:
        try:
            on_durable(done)
        except Exception as error:  # noqa: BLE001 - the pump's outermost loop: one fault must not hang the others
            log.error("a durable commit could not be told: %s", type(error).__name__)
            if not answer.done():
                answer.set_exception(error)

    @staticmethod
    def _fail(batch: list[Waiting], error: Exception) -> None:
        known = (
            error
            if isinstance(error, Unavailable)
            else Unavailable(f"the store failed: {type(error).__name__}")
        )
        log.error("nothing can be stored, %d commands were not taken: %s", len(batch), known)
        for _, _, answer in batch:
            if not answer.done():
                answer.set_exception(known)
