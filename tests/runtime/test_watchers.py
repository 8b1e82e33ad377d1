"""A watch gives every event after a position once and in order, live, and cuts whoever cannot keep up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import Invalid, Overloaded
from engine.kernel.events import Recorded
from engine.runtime.executor import Executor
from engine.runtime.limits import Limits
from engine.runtime.watchers import Heartbeat, Watchers, WatcherTooSlow
from engine.store.memory import MemoryStore
from tests.runtime.faulty import FaultyStore
from tests.runtime.toy import Fill, ReportSpill, ask, hall, stream

News = AsyncGenerator[Recorded | Heartbeat, None]
QUIET = Limits(heartbeat_s=3600)


async def spilling(store: MemoryStore, limits: Limits = QUIET) -> Executor:
    """Return an executor with two kettles of two sessions: events 1 and 2."""
    executor = hall(store, limits=limits)
    await executor.open()
    await executor.execute(ask("fill-1", Fill(owner="x", session_id="ses-1"), "k1", correlation="ses-1"))
    await executor.execute(ask("fill-2", Fill(owner="x", session_id="ses-2"), "k2", correlation="ses-2"))
    return executor


async def spill(executor: Executor, number: int, events: int = 1, to: str = "k1") -> None:
    """Make some events in one commit."""
    await executor.execute(ask(f"spill-{number}", ReportSpill(millilitres=events), to))


async def take(news: News, count: int) -> list[int]:
    """Return the positions of the next events."""
    got: list[int] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            one = await anext(news)
            if isinstance(one, Recorded):
                got.append(one.position)
    return got


async def test_a_watch_gives_what_was_and_then_what_comes() -> None:
    """From position 1 on: the past, then an event that is committed while it waits."""
    executor = await spilling(MemoryStore())
    async with aclosing(Watchers(executor).watch(1)) as news:
        assert await take(news, 1) == [2]
        waiting = asyncio.create_task(take(news, 3))
        await asyncio.wait([waiting], timeout=0)
        await spill(executor, 1, 2)
        await spill(executor, 2)

        assert await waiting == [3, 4, 5]


async def test_a_watch_of_one_session_hears_only_its_events() -> None:
    """Other sessions' events neither come nor wake it; its heartbeat says how far the log was looked at."""
    executor = await spilling(MemoryStore(), Limits(heartbeat_s=0.01))
    async with aclosing(Watchers(executor).watch(0, correlation="ses-2")) as news:
        assert await take(news, 1) == [2]
        await spill(executor, 1, 5)
        assert await anext(news) == Heartbeat(7)
        await spill(executor, 2, to="k2")

        assert await take(news, 1) == [8]


async def test_nothing_is_seen_before_it_is_durable() -> None:
    """While the store has not answered, a watch is silent."""
    store = FaultyStore()
    executor = await spilling(store)
    async with aclosing(Watchers(executor).watch(2)) as news:
        waiting = asyncio.create_task(take(news, 1))
        store.commits.clear()
        store.arrived.clear()
        spilling_ = asyncio.create_task(spill(executor, 1))
        await store.arrived.wait()
        await asyncio.wait([waiting], timeout=0)
        assert not waiting.done()
        store.commits.set()
        await spilling_

        assert await waiting == [3]


async def test_an_idle_watch_beats() -> None:
    """With nothing new the line shows that it lives, from which position."""
    executor = await spilling(MemoryStore(), Limits(heartbeat_s=0.001))
    async with aclosing(Watchers(executor).watch(2)) as news:
        assert [await anext(news) for _ in range(3)] == [Heartbeat(2)] * 3


@pytest.mark.parametrize("correlation", [None, "ses-1"])
async def test_a_slow_watcher_is_cut_and_resumes_without_gap(correlation: str | None) -> None:
    """At the limit it goes on; one past it, it is told from where to resume, and from there nothing is missing."""
    limits = Limits(heartbeat_s=3600, watcher_lag_events=4, watcher_page_events=2, tail_events=3)
    for behind in (4, 5):
        executor = await spilling(MemoryStore(), limits)
        watchers = Watchers(executor)
        async with aclosing(watchers.watch(2, correlation=correlation)) as news:
            first = asyncio.create_task(take(news, 1))
            await asyncio.wait([first], timeout=0)
            await spill(executor, 0)
            assert await first == [3]
            await spill(executor, 1, behind)
            if behind == 4:
                assert await take(news, 4) == [4, 5, 6, 7]
                continue
            with pytest.raises(WatcherTooSlow) as cut:
                await take(news, 1)
        assert (cut.value.limit, cut.value.position) == ("watcher_lag_events", 3)
        async with aclosing(watchers.watch(cut.value.position, correlation=correlation)) as news:
            assert await take(news, 5) == [4, 5, 6, 7, 8]


async def test_other_sessions_do_not_make_a_watcher_slow() -> None:
    """A quiet session's watcher is not cut because the rest of the house is busy."""
    limits = Limits(heartbeat_s=3600, watcher_lag_events=4)
    executor = await spilling(MemoryStore(), limits)
    async with aclosing(Watchers(executor).watch(2, correlation="ses-2")) as news:
        waiting = asyncio.create_task(take(news, 1))
        await asyncio.wait([waiting], timeout=0)
        await spill(executor, 1, 50)
        await spill(executor, 2, to="k2")

        assert await waiting == [53]


async def test_a_long_past_does_not_count_as_slow() -> None:
    """Who starts from 0 may be any number of events behind until it has caught up."""
    limits = Limits(heartbeat_s=3600, watcher_lag_events=2, watcher_page_events=3, tail_events=2)
    executor = await spilling(MemoryStore(), limits)
    await spill(executor, 1, 20)
    async with aclosing(Watchers(executor).watch(0)) as news:
        assert await take(news, 22) == list(range(1, 23))


async def test_watchers_are_bounded() -> None:
    """At the limit a watch opens; one past it is refused by name; a closed one makes room."""
    executor = await spilling(MemoryStore(), Limits(heartbeat_s=3600, watchers=2))
    watchers = Watchers(executor)
    open_ = [watchers.watch(0) for _ in range(2)]
    for news in open_:
        await anext(news)
    with pytest.raises(Overloaded) as refused:
        await anext(watchers.watch(0))
    assert refused.value.limit == "watchers"
    await open_.pop().aclose()
    async with aclosing(watchers.watch(0)) as news:
        assert await take(news, 1) == [1]

    await open_.pop().aclose()
    assert watchers.open == 0


@pytest.mark.parametrize("after", [-1, 3])
async def test_a_position_the_log_never_reached_is_refused(after: int) -> None:
    """A watcher whose position is not of this log is told, instead of missing what comes up to it."""
    executor = await spilling(MemoryStore())
    watchers = Watchers(executor)
    with pytest.raises(Invalid, match="after_position"):
        await anext(watchers.watch(after))

    assert watchers.open == 0


async def test_what_somebody_else_wrote_is_not_skipped() -> None:
    """Two writers share a store: a watch of one gives the other's events too, from the store."""
    store = MemoryStore()
    one = await spilling(store)
    other = hall(store)
    await spill(one, 1)
    await spill(other, 2, to="k2")
    await spill(one, 3)
    async with aclosing(Watchers(one).watch(0)) as news:
        assert await take(news, 5) == [1, 2, 3, 4, 5]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("spill"), st.integers(1, 9), st.sampled_from(["k1", "k2"])),
        st.tuples(st.just("read"), st.integers(1, 9), st.just("")),
        st.tuples(st.just("resume"), st.just(0), st.just("")),
    ),
    max_size=25,
)


@given(steps, st.integers(1, 6), st.integers(1, 6), st.sampled_from([None, "ses-1", "ses-2"]))
def test_any_mix_of_reading_and_resuming_gives_every_event_once(
    script: list[tuple[str, int, str]], tail: int, page: int, correlation: str | None
) -> None:
    """Whatever is committed while a watcher reads, stops and resumes, it gets its events exactly once, in order."""
    limits = Limits(heartbeat_s=0.0005, tail_events=tail, watcher_page_events=page, watcher_lag_events=10_000)
    asyncio.run(mixed(script, limits, correlation))


async def mixed(script: list[tuple[str, int, str]], limits: Limits, correlation: str | None) -> None:
    """Play a script against one watcher that resumes from the last position it got."""
    store = MemoryStore()
    executor = await spilling(store, limits)
    watchers = Watchers(executor)
    got: list[int] = []
    position = 0
    news = watchers.watch(position, correlation=correlation)
    for number, (what, count, to) in enumerate([*script, ("read", 1000, "")]):
        if what == "spill":
            await spill(executor, number, count, to)
        elif what == "resume":
            await news.aclose()
            news = watchers.watch(position, correlation=correlation)
        else:
            for _ in range(count):
                one = await anext(news)
                position = one.position
                if isinstance(one, Heartbeat):
                    break
                got.append(position)
    await news.aclose()
    wanted = [row.position for row in await store.read(0, 10_000, correlation=correlation)]
    assert wanted == got
    assert len(await executor.history(stream())) >= 1
