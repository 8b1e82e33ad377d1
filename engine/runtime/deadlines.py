"""Deadlines of what waits: one timer for all that end in the same moment, instead of one for each.

Rule: nothing is cut before its time, nor later than GRAIN_S after it.
"""

import asyncio
from collections.abc import Awaitable
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")
GRAIN_S = 0.05


class Deadlines:
    """Holds waiting tasks by the moment their time is over; a task waits for one thing at a time."""

    def __init__(self) -> None:
        self._due: dict[int, set[asyncio.Task[Any]]] = {}

    def __len__(self) -> int:
        """Return how many timers are set."""
        return len(self._due)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Return what comes of the work. Raises TimeoutError, with the work cancelled, when it takes longer."""
        task = asyncio.current_task(self._loop)
        assert task is not None  # it is awaited, so something runs it
        asked = task.cancelling()
        due = self._at(seconds)
        due.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if task not in due and task.cancelling() - 1 <= asked:
                raise TimeoutError from None
            raise
        finally:
            if task in due:
                due.remove(task)
            else:
                task.uncancel()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The one event loop it runs in; asking asyncio which that is costs a system call every time."""
        return asyncio.get_running_loop()

    def _at(self, seconds: float) -> "set[asyncio.Task[Any]]":
        """Return who else ends by then; the first one there sets the timer."""
        tick = int((self._loop.time() + seconds) / GRAIN_S) + 1
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = set()
            self._loop.call_at(tick * GRAIN_S, self._end, tick)
        return due

    def _end(self, tick: int) -> None:
        late = self._due.pop(tick)
        while late:
            late.pop().cancel()
