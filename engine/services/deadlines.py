"""Deadlines of calls: one timer for all that end in the same moment, instead of one for each.

Rule: nothing is cut before its time, nor later than GRAIN_S after it.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")
GRAIN_S = 0.05


class Deadlines:
    """Holds the tasks of calls under way by the moment they end at; a task has one deadline at a time."""

    def __init__(self) -> None:
        self._due: dict[int, set[asyncio.Task[Any]]] = {}

    def __len__(self) -> int:
        """Return how many timers are set."""
        return len(self._due)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """Return what comes of the work. Raises TimeoutError, with the work cancelled, when it takes longer."""
        task = asyncio.current_task()
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

    def _at(self, seconds: float) -> "set[asyncio.Task[Any]]":
        """Return who else ends by then; the first one there sets the timer."""
        loop = asyncio.get_running_loop()
        tick = int((loop.time() + seconds) / GRAIN_S) + 1
        if tick not in self._due:
            self._due[tick] = set()
            loop.call_at(tick * GRAIN_S, self._end, tick)
        return self._due[tick]

    def _end(self, tick: int) -> None:
        late = self._due.pop(tick)
        while late:
            late.pop().cancel()
