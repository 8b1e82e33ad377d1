"""Lanes: order where a key is shared, side by side elsewhere, the urgent ahead, nothing lost, nothing twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.events import Recorded
from engine.runtime.lanes import Lanes
from tests.runtime.toy import ANNA, START, Spilt, stream

Work = Callable[[Recorded], Awaitable[None]]


def said(position: int) -> Recorded:
    """Return the event at a position."""
    return Recorded(
        position=position,
        stream=stream("k1"),
        version=position,
        at=START,
        actor=ANNA,
        correlation="",
        causation="",
        phases=("idle",),
        flags=(),
        event=Spilt(millilitres=1),
        hash="",
        prev_hash="",
    )


class Bench:
    """Work that waits at its bench until it is let go; remembers what began and what ended, in order."""

    def __init__(self, places: int = 8) -> None:
        self.began: list[int] = []
        self.ended: list[int] = []
        self.faults: dict[int, Exception] = {}
        self._gates: dict[int, asyncio.Event] = {}
        self.lanes = Lanes(self._work, places)

    async def _work(self, recorded: Recorded) -> None:
        position = recorded.position
        self.began.append(position)
        await self._gates.setdefault(position, asyncio.Event()).wait()
        if position in self.faults:
            raise self.faults.pop(position)
        self.ended.append(position)

    async def step(self, *finish: int) -> set[int]:
        """Let some end, start what may be, and return what is at work."""
        for position in finish:
            self._gates.setdefault(position, asyncio.Event()).set()
        tasks = [task for task, turn in self.lanes.running.items() if turn.recorded.position in finish]
        if tasks:
            await asyncio.wait(tasks)
        self.lanes.collect()
        self.lanes.start()
        await asyncio.sleep(0)
        return {turn.recorded.position for turn in self.lanes.running.values()}


async def test_a_shared_key_keeps_the_order_and_nothing_else_does() -> None:
    """Two of one session follow each other; a slow one of another session holds up neither."""
    bench = Bench()
    for position, keys in ((1, "a"), (2, "b"), (3, "a"), (4, "ab"), (5, "c")):
        bench.lanes.add(said(position), keys)

    assert await bench.step() == {1, 2, 5}
    assert await bench.step(1) == {2, 3, 5}
    assert await bench.step(3) == {2, 5}
    assert await bench.step(2) == {4, 5}
    assert await bench.step(4, 5) == set()
    assert (bench.ended, bench.lanes.handled, bench.lanes.lowest) == ([1, 3, 2, 4, 5], 5, None)


async def test_no_more_than_the_places_are_at_work() -> None:
    """What waits for a place takes it in the order of the log."""
    bench = Bench(places=2)
    for position in range(1, 5):
        bench.lanes.add(said(position), [position])

    assert await bench.step() == {1, 2}
    assert await bench.step(2) == {1, 3}
    assert bench.lanes.lowest == 1
    assert await bench.step(1) == {3, 4}
    assert bench.lanes.lowest == 3
    await bench.step(3, 4)


async def test_an_urgent_one_needs_no_place_and_takes_along_what_it_follows_from() -> None:
    """Every place is taken; the alarm starts as soon as its own session's earlier event is done."""
    bench = Bench(places=1)
    for position, key in ((1, "x"), (2, "y"), (3, "a"), (4, "z")):
        bench.lanes.add(said(position), key)
    assert await bench.step() == {1}
    bench.lanes.add(said(5), "a", urgent=True)

    assert await bench.step() == {1, 3}
    assert await bench.step(3) == {1, 5}
    assert await bench.step(5) == {1}
    assert await bench.step(1) == {2}
    assert await bench.step(2) == {4}
    await bench.step(4)


async def test_what_is_held_starts_again_after_its_release() -> None:
    """Nothing else starts meanwhile, what was at work ends, and what was done is not done again."""
    bench = Bench(places=2)
    for position in (1, 2, 3):
        bench.lanes.add(said(position), [position])
    bench.faults[1] = OSError("away")
    assert await bench.step() == {1, 2}

    assert await bench.step(1, 2) == set()
    assert isinstance(bench.lanes.held, OSError)
    assert bench.lanes.lowest == 1
    bench.lanes.release()
    assert await bench.step() == {1, 3}
    await bench.step(1, 3)
    assert (bench.began, sorted(bench.ended)) == ([1, 2, 1, 3], [1, 2, 3])


async def test_what_was_cancelled_starts_anew() -> None:
    """The engine stops in the middle of an event: it is not done, so the saved position stays before it."""
    bench = Bench()
    bench.lanes.add(said(1), "a")
    bench.lanes.add(said(2), "a")
    await bench.step()
    await bench.lanes.cancel()

    assert (bench.lanes.lowest, bench.lanes.running) == (1, {})
    bench.lanes.release()
    assert await bench.step() == {1}
    await bench.step(1)
    await bench.step(2)
    assert bench.ended == [1, 2]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sets(st.sampled_from("abcd"), min_size=1), st.booleans()), max_size=24),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_every_event_once_and_in_order_within_each_key(
    events: list[tuple[set[str], bool]], places: int, luck: Any
) -> None:
    """Whatever shares keys, is urgent, ends early or late or fails once: the order within a key is the log's."""

    async def play() -> None:
        bench = Bench(places)
        fails = {n for n in range(1, len(events) + 1) if luck.random() < 0.2}
        bench.faults = {position: OSError() for position in fails}
        todo = list(enumerate(events, start=1))
        while todo or bench.lanes.lowest is not None:
            if todo and luck.random() < 0.6:
                position, (keys, urgent) = todo.pop(0)
                bench.lanes.add(said(position), keys, urgent=urgent)
                bench.lanes.collect()  # one that failed before ends by itself, unasked
                done = set(bench.ended)
                assert bench.lanes.lowest == next(n for n in range(1, position + 1) if n not in done)
            bench.lanes.release()
            at_work = sorted(await bench.step())
            ordinary = [n for n in at_work if not events[n - 1][1]]
            assert at_work or todo or bench.lanes.lowest is None
            if ordinary and luck.random() < 0.7:
                await bench.step(luck.choice(at_work))
            elif at_work:
                await bench.step(*at_work)
        assert sorted(bench.ended) == list(range(1, len(events) + 1))
        for key in "abcd":
            ended = [n for n in bench.ended if key in events[n - 1][0]]
            assert ended == sorted(ended)

    asyncio.run(play())
