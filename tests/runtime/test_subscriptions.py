"""A named reader misses nothing and survives everything; a policy's command is asked for once, whatever crashes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import Overloaded, Unavailable
from engine.kernel.events import Recorded
from engine.runtime.executor import Executor
from engine.runtime.limits import Limits
from engine.runtime.subscriptions import PolicyRunner, Subscription, ViewOf
from engine.store.memory import MemoryStore
from tests.runtime.faulty import FaultyStore
from tests.runtime.toy import Cool, Fill, Filled, Heat, Nudge, ReportSpill, Spilt, ask, hall, stream

FEW = Limits(subscription_page_events=3, subscription_save_events=4, tail_events=5, heartbeat_s=0.01)
SYSTEM = Actor.system("policy")


class Ear:
    """Remembers the positions it heard; raises at some."""

    def __init__(self, faults: dict[int, Exception] | None = None) -> None:
        self.heard: list[int] = []
        self.faults = faults or {}
        self.news = asyncio.Event()

    async def __call__(self, recorded: Recorded) -> None:
        self.heard.append(recorded.position)
        self.news.set()
        fault = self.faults.pop(recorded.position, None)
        if fault is not None:
            raise fault


async def spilt(store: MemoryStore, events: int, limits: Limits = FEW) -> Executor:
    """Return an executor over a log of `events` events."""
    executor = hall(store, limits=limits)
    await executor.open()
    await executor.execute(ask("fill", Fill(owner="x", session_id="ses-1")))
    for n in range(events - 1):
        await executor.execute(ask(f"spill-{n}", ReportSpill()))
    return executor


@asynccontextmanager
async def running(subscription: Subscription) -> AsyncIterator[None]:
    """Run a subscription's loop for a while."""
    loop = asyncio.create_task(subscription.run())
    try:
        async with asyncio.timeout(20):
            yield
        assert not loop.done()
    finally:
        loop.cancel()
        await asyncio.wait([loop])


async def test_every_event_is_heard_in_order_from_store_and_tail() -> None:
    """A new reader hears the log from its first event, then what comes later."""
    ear = Ear()
    executor = await spilt(MemoryStore(), 10)
    reader = Subscription("ear", executor, ear)
    assert await reader.drain() == 10
    await executor.execute(ask("more", ReportSpill(millilitres=2)))

    assert await reader.drain() == 2
    assert await reader.drain() == 0
    assert ear.heard == list(range(1, 13))


async def test_a_crash_repeats_at_most_what_was_not_saved() -> None:
    """The position is saved every so many events; a new process continues from there and skips nothing."""
    store, first, second = MemoryStore(), Ear(), Ear()
    executor = await spilt(store, 10)
    await Subscription("ear", executor, first).drain()
    await Subscription("ear", hall(store, limits=FEW), second).drain()

    assert await store.cursor("ear") == 8
    assert second.heard == [9, 10]


async def test_a_poisonous_event_is_counted_and_passed() -> None:
    """A fault at one event is not repeated for ever and stops no later event."""
    ear = Ear({2: KeyError("bug"), 4: ZeroDivisionError()})
    reader = Subscription("ear", await spilt(MemoryStore(), 5), ear)

    assert await reader.drain() == 5
    assert (ear.heard, reader.failed, reader.handled) == ([1, 2, 3, 4, 5], 2, 3)


@pytest.mark.parametrize("passing", [Unavailable("away"), Overloaded("commands_in_flight")])
async def test_what_passes_is_tried_again_at_the_same_event(passing: Exception) -> None:
    """A store that is away, or a full corridor, holds the reader at its event."""
    ear = Ear({3: passing})
    reader = Subscription("ear", await spilt(MemoryStore(), 5), ear)
    with pytest.raises(type(passing)):
        await reader.drain()
    await reader.drain()

    assert (ear.heard, reader.failed) == ([1, 2, 3, 3, 4, 5], 0)


async def test_the_loop_is_woken_by_commits_and_saves_when_quiet() -> None:
    """A running reader hears an event as it is committed, and its position is saved once nothing happens."""
    store, ear = FaultyStore(), Ear()
    executor = await spilt(store, 1)
    reader = Subscription("ear", executor, ear)
    async with running(reader):
        await ear.news.wait()
        ear.news.clear()
        await executor.execute(ask("more", ReportSpill()))
        await ear.news.wait()
        store.called["save_cursor"].clear()
        await store.called["save_cursor"].wait()

    assert (ear.heard, await store.cursor("ear")) == ([1, 2], 2)


async def test_the_loop_outlives_a_store_that_is_away() -> None:
    """The cursor cannot be saved for a while; the reader waits, goes on and misses nothing."""
    store, ear = FaultyStore(), Ear()
    executor = await spilt(store, 6, Limits(subscription_save_events=2, retry_wait_s=0.001))
    store.away.add("save_cursor")
    reader = Subscription("ear", executor, ear)
    async with running(reader):
        await store.refused.wait()
        store.away.clear()
        while ear.heard[-1] < 6:
            ear.news.clear()
            await ear.news.wait()

    assert sorted(set(ear.heard)) == [1, 2, 3, 4, 5, 6]


async def test_a_slow_event_holds_up_only_what_must_follow_it() -> None:
    """The reader hears of other sessions meanwhile; the saved position stays before what is not done, so a crash loses
    nothing."""
    store, gate, others, heard = MemoryStore(), asyncio.Event(), asyncio.Event(), list[int]()
    executor = await spilt(store, 9)

    async def slow(recorded: Recorded) -> None:
        if recorded.position == 2:
            await gate.wait()
        heard.append(recorded.position)
        if len(heard) == 5:
            others.set()

    def by_parity(recorded: Recorded) -> tuple[int]:
        return (recorded.position % 2,)

    reader = Subscription("ear", executor, slow, keys=by_parity)
    async with running(reader):
        await others.wait()
        await reader.save()
        assert (heard, reader.done, await store.cursor("ear")) == ([1, 3, 5, 7, 9], 1, 1)
        gate.set()
        assert await reader.follow(20)
    assert (heard[5:], reader.done, await reader.follow(20)) == ([2, 4, 6, 8], 9, False)


async def test_work_that_is_cut_off_from_below_is_done_again() -> None:
    """Something under the reader is cancelled: the loop goes on, and the event is not taken for done."""
    ear = Ear({2: asyncio.CancelledError()})  # type: ignore[dict-item]  # it is no Exception, which is the point
    reader = Subscription("ear", await spilt(MemoryStore(), 3, Limits(retry_wait_s=0.001)), ear)
    async with running(reader):
        assert await reader.follow(20)

    assert (ear.heard, reader.done, reader.failed) == ([1, 2, 2, 3], 3, 0)


async def test_following_ends_after_its_time() -> None:
    """Somebody waits for a reader that nobody runs: they are told that there was something, and wait no longer."""
    reader = Subscription("ear", await spilt(MemoryStore(), 3), Ear())

    assert await reader.follow(0.001)


async def test_an_event_that_is_nobodys_is_passed_over() -> None:
    """Without a key it is not heard, counts as handled, and holds no position back."""
    ear = Ear()
    reader = Subscription(
        "ear", await spilt(MemoryStore(), 6), ear, keys=lambda one: () if one.position % 3 else (1,)
    )

    assert await reader.drain() == 6
    assert (ear.heard, reader.done) == ([3, 6], 6)


async def test_a_reader_takes_in_no_more_than_its_limit_ahead() -> None:
    """One event does not end: what is held behind it is bounded, and the rest follows once it does."""
    gate, many, heard = asyncio.Event(), asyncio.Event(), list[int]()
    executor = await spilt(MemoryStore(), 40, Limits(subscription_page_events=2, subscription_ahead_events=6))

    async def slow(recorded: Recorded) -> None:
        heard.append(recorded.position)
        if len(heard) == 6:
            many.set()
        if recorded.position == 1:
            await gate.wait()

    reader = Subscription("ear", executor, slow, keys=lambda one: (one.position,))
    async with running(reader):
        await many.wait()
        await asyncio.sleep(0.02)
        assert len(heard) <= 7
        gate.set()
        await reader.follow(20)
    assert sorted(heard) == list(range(1, 41))


def seeing(view: Any) -> ViewOf:
    """Return a view that is the same for every event."""

    @asynccontextmanager
    async def view_of(recorded: Recorded) -> AsyncIterator[Any]:
        yield view

    return view_of


def spill_fills(recorded: Recorded, view: Any) -> Iterable[Request]:
    """When a kettle spills, fill those the view names."""
    if isinstance(recorded.event, Spilt):
        for name in view:
            yield Request(request_id="ignored", stream=stream(name), command=Fill(owner="y"), actor=SYSTEM)


def fill_heats_nothing(recorded: Recorded, view: Any) -> Iterable[Request]:
    """When a kettle is filled, cool it: refused, for it is idle."""
    if isinstance(recorded.event, Filled):
        yield Request(request_id="", stream=recorded.stream, command=Cool(), actor=SYSTEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Command):
    """No command of a kettle."""


def broken(recorded: Recorded, view: Any) -> Iterable[Request]:
    """A policy with a bug."""
    raise KeyError(recorded.type)


async def test_a_policy_turns_an_event_into_a_command_of_the_same_session() -> None:
    """The command lands once, with the event as its cause and the session it belongs to."""
    store = MemoryStore()
    executor = await spilt(store, 2)
    runner = PolicyRunner([spill_fills], executor, seeing(["k2"]))
    await runner.subscription.drain()
    (filled,) = await executor.history(stream("k2"))

    assert (filled.causation, filled.correlation, filled.actor) == ("kettle/k1@2", "ses-1", SYSTEM)
    assert await runner.subscription.drain() == 0


async def test_after_a_crash_a_policy_asks_for_nothing_twice() -> None:
    """The cursor was not saved: the events come again, and their commands are known."""
    store = MemoryStore()
    executor = await spilt(store, 3)
    await PolicyRunner([spill_fills], executor, seeing(["k2", "k3"])).subscription.drain()
    head = await store.head()
    runner = PolicyRunner([spill_fills], hall(store, limits=FEW), seeing(["k2", "k3"]))
    await runner.subscription.drain()

    assert await store.head() == head
    assert (runner.refused, runner.failed) == ([], 0)


async def test_a_request_keeps_its_name_when_the_view_asks_for_fewer() -> None:
    """Half of an event's commands were done before a crash; the rest are done after it, under their own names."""
    store = MemoryStore()
    executor = await spilt(store, 2)
    await PolicyRunner([spill_fills], executor, seeing(["k2"])).subscription.drain()
    runner = PolicyRunner([spill_fills], hall(store, limits=FEW), seeing(["k3"]))
    await runner.subscription.drain()

    assert len(await store.load(stream("k3"))) == 1
    assert runner.refused == []


async def test_two_equal_commands_of_one_event_have_two_names() -> None:
    """A policy that asks for the same twice gets it twice, once each."""
    executor = await spilt(MemoryStore(), 2)
    await PolicyRunner([spill_fills], executor, seeing(["k2", "k2"])).subscription.drain()

    assert len(await executor.history(stream("k2"))) == 2


async def test_a_request_that_was_done_with_an_older_view_is_not_done_again() -> None:
    """After a crash the view has changed and the policy words its command otherwise: the first wording stands."""
    store = MemoryStore()
    executor = await spilt(store, 2)

    def as_seen(recorded: Recorded, view: Any) -> Iterable[Request]:
        if isinstance(recorded.event, Spilt):
            yield Request(request_id="", stream=stream("k2"), command=Fill(owner=view), actor=SYSTEM)

    await PolicyRunner([as_seen], executor, seeing("anna")).subscription.drain()
    runner = PolicyRunner([as_seen], hall(store, limits=FEW), seeing("bert"))
    await runner.subscription.drain()

    assert len(await store.load(stream("k2"))) == 1
    assert runner.refused == []


async def test_a_refusal_or_a_bug_of_one_policy_stops_no_other() -> None:
    """The refusal is kept by its reason, the bug is counted, and the third policy's command lands."""
    executor = await spilt(MemoryStore(), 2)
    runner = PolicyRunner([broken, fill_heats_nothing, spill_fills], executor, seeing(["k2"]))
    await runner.subscription.drain()
    await runner.subscription.drain()

    assert len(await executor.history(stream("k2"))) == 1
    assert runner.refused == ["fill_heats_nothing:WRONG_PHASE"] * 2
    assert (runner.failed, runner.subscription.failed) == (3, 0)


async def test_refusals_are_remembered_to_a_limit() -> None:
    """Only the newest are kept."""
    executor = await spilt(MemoryStore(), 1)
    runner = PolicyRunner([fill_heats_nothing], executor, seeing(None))
    for n in range(PolicyRunner.REMEMBERED + 5):
        await executor.execute(ask(f"f{n}", Fill(owner="x")))
    await runner.subscription.drain()

    assert len(runner.refused) == PolicyRunner.REMEMBERED


async def test_a_conflict_is_tried_again_and_then_kept_as_a_refusal() -> None:
    """A policy that insists on a version that is gone does not hold up the log."""
    executor = await spilt(MemoryStore(), 2)

    def insists(recorded: Recorded, view: Any) -> Iterable[Request]:
        yield Request(
            request_id="", stream=recorded.stream, command=Nudge(), actor=SYSTEM, expected_version=1
        )

    runner = PolicyRunner([insists], executor, seeing(None))
    assert await runner.subscription.drain() == 2

    assert runner.refused == ["insists:Conflict"] * 2


async def test_an_unavailable_store_holds_the_policies_and_loses_none_of_their_commands() -> None:
    """The command of an event is asked for again once the store is back."""
    store = FaultyStore()
    executor = await spilt(store, 2)
    runner = PolicyRunner([spill_fills], executor, seeing(["k2"]))
    store.away.add("commit")
    with pytest.raises(Unavailable):
        await runner.subscription.drain()
    store.away.clear()
    await runner.subscription.drain()

    assert len(await executor.history(stream("k2"))) == 1
    assert (runner.refused, runner.failed) == ([], 0)


async def test_policies_follow_each_other() -> None:
    """An event that a policy's command made is itself an event for the policies."""
    executor = await spilt(MemoryStore(), 1)

    def heats_what_is_filled(recorded: Recorded, view: Any) -> Iterable[Request]:
        if isinstance(recorded.event, Filled):
            yield Request(request_id="", stream=recorded.stream, command=Heat(), actor=SYSTEM)

    runner = PolicyRunner([spill_fills, heats_what_is_filled], executor, seeing(["k2"]))
    await executor.execute(ask("spill", ReportSpill()))
    await runner.subscription.drain()

    assert (await executor.state(stream("k2"))).phases == ("heating",)


async def test_a_form_broken_between_rooms_is_loud_and_a_late_request_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each is told with the reason and the name of what was asked; only the fault is an error."""
    executor = await spilt(MemoryStore(), 1)

    def to_nowhere(recorded: Recorded, view: Any) -> Iterable[Request]:
        yield Request(request_id="", stream=recorded.stream, command=Unknown(), actor=SYSTEM)

    with caplog.at_level("INFO"):
        await PolicyRunner([to_nowhere], executor, seeing(None)).subscription.drain()
        await executor.execute(ask("f", Fill(owner="x")))
        await PolicyRunner([fill_heats_nothing], executor, seeing(None)).subscription.drain()
    told = {one.args[0]: one for one in caplog.records if "was refused" in one.msg and one.args}

    assert {name: one.levelname for name, one in told.items()} == {
        "to_nowhere": "ERROR",
        "fill_heats_nothing": "INFO",
    }
    assert "policy:to_nowhere:kettle/k1@" in told["to_nowhere"].getMessage()


async def test_the_alarm_of_one_stream_is_followed_ahead_of_all_others() -> None:
    """A policy marked urgent has its event handled first, after what its own stream has to tell before it."""
    executor = await spilt(MemoryStore(), 2, Limits(subscription_concurrency=1))
    asked: list[str] = []

    def cools(recorded: Recorded, view: Any) -> Iterable[Request]:
        asked.append(f"{recorded.stream.id} filled")
        return ()

    def alarm(recorded: Recorded, view: Any) -> Iterable[Request]:
        asked.append(f"{recorded.stream.id} alarm")
        return ()

    cools.events = frozenset({Filled})  # type: ignore[attr-defined]  # as `on` marks one
    alarm.events, alarm.urgent = frozenset({Spilt}), True  # type: ignore[attr-defined]  # as `on` marks one
    for name in ("k2", "k3"):
        await executor.execute(
            Request(request_id=name, stream=stream(name), command=Fill(owner="x"), actor=SYSTEM)
        )
    await executor.execute(
        Request(
            request_id="late", stream=stream("k4"), command=Fill(owner="x", session_id="s4"), actor=SYSTEM
        )
    )
    await executor.execute(
        Request(request_id="spill", stream=stream("k4"), command=ReportSpill(), actor=SYSTEM)
    )
    await PolicyRunner([cools, alarm], executor, seeing(None)).subscription.drain()

    assert asked == ["k1 filled", "k4 filled", "k1 alarm", "k4 alarm", "k2 filled", "k3 filled"]
