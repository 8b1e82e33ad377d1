"""Lanes: what one reader has in hand, side by side, and in order wherever two events share a key.

Rule: an event starts when every earlier one that shares a key with it is done. An urgent one takes those along ahead of
all others and needs no free place; it overtakes nothing that it follows from.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field

from engine.kernel.errors import Unavailable
from engine.kernel.events import Recorded


@dataclass(slots=True, eq=False)
class _Turn:
    """One event on its way: what it waits for, and who waits for it."""

    recorded: Recorded
    keys: frozenset[Hashable]
    before: "set[_Turn]" = field(default_factory=set)
    behind: "list[_Turn]" = field(default_factory=list)
    urgent: bool = False
    started: bool = False
    done: bool = False


class Lanes:
    """Works events off with `work`, at most `places` at once besides the urgent ones.

    What `work` raises ends up in `held`: its event is started again after `release`, and meanwhile no other one is.
    """

    def __init__(self, work: Callable[[Recorded], Awaitable[None]], places: int) -> None:
        self._work = work
        self._places = places
        self._turns: deque[_Turn] = deque()
        self._last: dict[Hashable, _Turn] = {}
        self._ready: list[tuple[bool, int, _Turn]] = []
        self.running: dict[asyncio.Task[None], _Turn] = {}
        self.held: BaseException | None = None
        self.handled = 0

    def __len__(self) -> int:
        """Return how many events are in hand, with those done behind one that is not."""
        return len(self._turns)

    @property
    def lowest(self) -> int | None:
        """The position of the first event that is not done, None when every one is."""
        while self._turns and self._turns[0].done:
            self._turns.popleft()
        return self._turns[0].recorded.position if self._turns else None

    def add(self, recorded: Recorded, keys: Iterable[Hashable], *, urgent: bool = False) -> None:
        """Take the next event of the log."""
        turn = _Turn(recorded, frozenset(keys))
        turn.before = {self._last[key] for key in turn.keys if key in self._last}
        for earlier in turn.before:
            earlier.behind.append(turn)
        self._last.update(dict.fromkeys(turn.keys, turn))
        self._turns.append(turn)
        self._offer(turn)
        if urgent:
            self._hasten(turn)

    def start(self) -> None:
        """Start what may be: the urgent first, then in the order of the log, as far as there are places."""
        while self._ready and self.held is None:
            ordinary, _, turn = self._ready[0]
            if not turn.started:
                if ordinary and len(self.running) >= self._places:
                    return
                turn.started = True
                self.running[asyncio.create_task(self._one(turn))] = turn
            heapq.heappop(self._ready)

    def collect(self) -> None:
        """Note what has ended: it lets those behind it start, or it is held."""
        for task in [task for task in self.running if task.done()]:
            turn = self.running.pop(task)
            error = Unavailable("the work was cut off") if task.cancelled() else task.exception()
            if error is None:
                self._finish(turn)
            else:
                turn.started = False
                self._offer(turn)
                self.held = error

    def release(self) -> None:
        """Let what was held start again."""
        self.held = None

    async def cancel(self) -> None:
        """End what runs; it starts anew when it is worked on again."""
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.wait(tuple(self.running))
        self.collect()

    async def _one(self, turn: _Turn) -> None:
        await self._work(turn.recorded)

    def _finish(self, turn: _Turn) -> None:
        turn.done = True
        self.handled += 1
        for key in turn.keys:
            if self._last.get(key) is turn:
                del self._last[key]
        for later in turn.behind:
            later.before.discard(turn)
            self._offer(later)
        turn.behind = []

    def _offer(self, turn: _Turn) -> None:
        if not turn.before and not turn.started:
            heapq.heappush(self._ready, (not turn.urgent, turn.recorded.position, turn))

    def _hasten(self, turn: _Turn) -> None:
        """Make one urgent, with everything it waits for."""
        wanted = [turn]
        while wanted:
            one = wanted.pop()
            if not one.urgent:
                one.urgent = True
                self._offer(one)
                wanted.extend(one.before)
