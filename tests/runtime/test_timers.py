"""Timers are rows: they survive a crash, fire once with the time they were due, and one set anew is never lost."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.kernel.clock import ManualClock, OffsetClock, SystemClock
from engine.kernel.errors import Unavailable
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.kernel.store import Store
from engine.runtime.executor import Executor
from engine.runtime.limits import Limits
from engine.runtime.timers import Timers
from engine.runtime.watchers import Watchers
from engine.store.memory import MemoryStore
from engine.store.sqlite import SqliteStore
from tests.runtime.faulty import FaultyStore
from tests.runtime.toy import START, Boiled, Cool, Delay, Fill, Heat, ask, hall, stream
from tests.store.contract import timer
from tests.store.rows import commit_of

MINUTE = dt.timedelta(minutes=1)


async def heating(
    store: Store, clock: ManualClock, seconds: int = 60, limits: Limits | None = None
) -> Executor:
    """Return an executor with one kettle that boils in `seconds`."""
    executor = hall(store, clock, limits)
    await executor.open()
    await executor.execute(ask("fill", Fill(owner="x")))
    await executor.execute(ask("heat", Heat(seconds=seconds)))
    return executor


async def boiled(executor: Executor, name: str = "k1") -> list[Boiled]:
    """Return the times a kettle boiled."""
    history = await executor.history(stream(name))
    return [one.event for one in history if isinstance(one.event, Boiled)]


@asynccontextmanager
async def running(timers: Timers) -> AsyncIterator[None]:
    """Run the timers' loop for a while."""
    loop = asyncio.create_task(timers.run())
    try:
        yield
        assert not loop.done()
    finally:
        loop.cancel()
        await asyncio.wait([loop])


async def seen(executor: Executor, after: int) -> Recorded:
    """Wait for the next Boiled."""
    async with asyncio.timeout(20):
        async for one in Watchers(executor).watch(after):
            if isinstance(one, Recorded) and isinstance(one.event, Boiled):
                return one
    raise AssertionError


async def test_a_timer_fires_once_it_is_due_with_the_time_it_was_due() -> None:
    """Not before, once, and the machine hears when it should have been."""
    clock = ManualClock(START)
    executor = await heating(MemoryStore(), clock)
    timers = Timers(executor)

    assert await timers.run_due(clock.now()) == 0
    clock.advance(MINUTE * 5)
    assert await timers.run_due(clock.now()) == 1
    assert await timers.run_due(clock.now()) == 0
    assert [one.due_at for one in await boiled(executor)] == [START + MINUTE]
    assert (await executor.history(stream()))[-1].at == START + MINUTE * 5
    assert timers.fired == 1


async def test_timers_are_armed_again_after_a_restart(tmp_path: Path) -> None:
    """A process dies with timers pending; the next one fires the overdue at once and the others at their time."""
    clock = ManualClock(START)
    store = SqliteStore(tmp_path / "attend.db", bytes(32))
    executor = await heating(store, clock)
    await executor.execute(ask("fill-2", Fill(owner="x"), "k2"))
    await executor.execute(ask("heat-2", Heat(seconds=600), "k2"))
    await store.close()

    clock.advance(MINUTE * 3)
    store = SqliteStore(tmp_path / "attend.db", bytes(32))
    executor = hall(store, clock)
    await executor.open()
    timers = Timers(executor)

    assert await timers.run_due(clock.now()) == 1
    assert [one.due_at for one in await boiled(executor)] == [START + MINUTE]
    assert await boiled(executor, "k2") == []
    clock.advance(MINUTE * 10)
    assert await timers.run_due(clock.now()) == 1
    assert [one.due_at for one in await boiled(executor, "k2")] == [START + MINUTE * 10]
    await store.close()


async def test_a_crash_between_firing_and_hearing_of_it_fires_no_second_time() -> None:
    """The command's commit took the row with it, so a new process finds nothing to fire."""
    clock = ManualClock(START)
    store = MemoryStore()
    executor = await heating(store, clock)
    clock.advance(MINUTE)
    await Timers(executor).run_due(clock.now())
    after = hall(store, clock)

    assert await Timers(after).run_due(clock.now()) == 0
    assert len(await boiled(after)) == 1


async def test_a_timer_set_anew_while_the_old_one_fires_is_not_lost() -> None:
    """A delay wins the race for the stream: the old setting fires into nothing and the new one is still pending."""
    clock = ManualClock(START)
    store = FaultyStore()
    executor = await heating(store, clock)
    clock.advance(MINUTE)
    store.commits.clear()
    store.arrived.clear()
    delay = asyncio.create_task(executor.execute(ask("delay", Delay(seconds=60))))
    await store.arrived.wait()
    timers = Timers(executor)
    firing = asyncio.create_task(timers.run_due(clock.now()))
    await asyncio.wait([firing], timeout=0)
    store.commits.set()
    await delay
    await firing

    assert await boiled(executor) == []
    assert timers.fired == 0
    clock.advance(MINUTE)
    assert await timers.run_due(clock.now()) == 1
    assert [one.due_at for one in await boiled(executor)] == [START + MINUTE * 2]


async def test_a_timer_set_twice_for_one_moment_fires_twice() -> None:
    """The same name for the same moment, set anew after it fired, is another timer."""
    clock = ManualClock(START)
    executor = await heating(MemoryStore(), clock, seconds=0)
    timers = Timers(executor)
    assert await timers.run_due(clock.now()) == 1
    await executor.execute(ask("heat-again", Heat(seconds=0)))

    assert await timers.run_due(clock.now()) == 1
    assert [one.due_at for one in await boiled(executor)] == [START, START]


async def test_a_cancelled_timer_does_not_fire() -> None:
    """Cooling in time means no boiling."""
    clock = ManualClock(START)
    executor = await heating(MemoryStore(), clock)
    await executor.execute(ask("cool", Cool()))
    clock.advance(MINUTE)

    assert await Timers(executor).run_due(clock.now()) == 0


async def test_a_pass_is_bounded() -> None:
    """At most the limit in one pass, earliest first; the rest in the next."""
    clock = ManualClock(START)
    executor = await heating(MemoryStore(), clock, limits=Limits(timers_per_pass=2))
    for n in (2, 3):
        await executor.execute(ask(f"fill-{n}", Fill(owner="x"), f"k{n}"))
        await executor.execute(ask(f"heat-{n}", Heat(seconds=60 - n), f"k{n}"))
    clock.advance(MINUTE)
    timers = Timers(executor)

    assert await timers.run_due(clock.now()) == 2
    assert await boiled(executor) == []
    assert await timers.run_due(clock.now()) == 1
    assert len(await boiled(executor)) == 1


async def test_a_timer_that_cannot_fire_waits_longer_each_time_and_starves_nobody() -> None:
    """A stream of an unknown machine fails for ever; the kettle behind it in a pass of one still boils."""
    clock = ManualClock(START)
    store = MemoryStore()
    ghost = Stream("ghost", "g")
    await store.commit([commit_of(ghost, 0, 1, timers_set=(timer(ghost, "t", -60),))])
    executor = await heating(
        store, clock, limits=Limits(timers_per_pass=1, retry_wait_s=1, timer_pause_max_s=3)
    )
    timers = Timers(executor)
    clock.advance(MINUTE)

    assert [await timers.run_due(clock.now()) for _ in range(3)] == [1, 1, 0]
    assert (timers.failed, timers.fired) == (1, 1)
    pauses = []
    for second in range(1, 15):
        clock.advance(dt.timedelta(seconds=1))
        if await timers.run_due(clock.now()):
            pauses.append(second)
    assert pauses == [1, 3, 6, 9, 12]


async def test_a_timer_does_not_wait_longer_than_the_store_was_away() -> None:
    """An unavailable store costs one short wait, however often it failed."""
    clock = ManualClock(START)
    store = FaultyStore()
    executor = await heating(store, clock, limits=Limits(retry_wait_s=1))
    timers = Timers(executor)
    clock.advance(MINUTE)
    store.away.add("commit")
    for _ in range(5):
        assert await timers.run_due(clock.now()) == 1
        clock.advance(dt.timedelta(seconds=1))
    store.away.clear()

    assert await timers.run_due(clock.now()) == 1
    assert len(await boiled(executor)) == 1
    store.away.add("timers")
    with pytest.raises(Unavailable):
        await timers.run_due(clock.now())


async def test_the_loop_notices_a_new_timer_and_an_advanced_clock() -> None:
    """A timer set while the loop sleeps is noticed at its commit, and a poke makes it look at the clock again."""
    clock = OffsetClock(SystemClock())
    executor = hall(MemoryStore(), clock, Limits(timer_poll_s=3600))
    timers = Timers(executor)
    async with running(timers):
        await executor.execute(ask("fill", Fill(owner="x")))
        await executor.execute(ask("heat", Heat(seconds=0)))
        first = await seen(executor, 0)
        await executor.execute(ask("heat-2", Heat(seconds=3000)))
        clock.advance(MINUTE * 50)
        timers.poke()
        second = await seen(executor, first.position)

    assert second.at - first.at >= MINUTE * 50


async def test_the_loop_outlives_a_store_that_is_away() -> None:
    """Reading timers fails for a while; the loop counts it, tries again and fires."""
    clock = ManualClock(START)
    store = FaultyStore()
    executor = await heating(store, clock, limits=Limits(retry_wait_s=0.001))
    clock.advance(MINUTE)
    store.away.add("timers")
    timers = Timers(executor)
    async with running(timers):
        async with asyncio.timeout(20):
            await store.refused.wait()
        store.away.clear()
        await seen(executor, 0)

    assert timers.failed >= 1
