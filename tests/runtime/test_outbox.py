"""The outbox hands over at least once, keeps what fails, and lets no slow peer hold up another kind of send."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.kernel.clock import ManualClock
from engine.kernel.commands import TimerFired
from engine.kernel.errors import PeerError
from engine.kernel.store import OutboxRow
from engine.runtime.limits import Limits
from engine.runtime.outbox import Outbox
from engine.store.memory import MemoryStore
from tests.runtime.faulty import FaultyStore
from tests.runtime.toy import START, Fill, Heat, ask, hall, stream
from tests.store.contract import send
from tests.store.rows import commit_of


class Peer:
    """Remembers what it was handed; fails as often as it is told."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.got: list[str] = []
        self.failures = failures
        self.error = error or PeerError("the peer is away", permanent=False)
        self.heard = asyncio.Event()
        self.wanted = 1
        self.open = asyncio.Event()
        self.open.set()
        self.inside = 0
        self.most = 0

    async def __call__(self, row: OutboxRow) -> None:
        self.got.append(row.key)
        if len(self.got) >= self.wanted:
            self.heard.set()
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        if self.failures:
            self.failures -= 1
            raise self.error


async def pending(store: MemoryStore, *keys: str, kind: str = "page") -> None:
    """Put sends into a store."""
    history = await store.load(stream())
    rows = tuple(send(stream(), key, kind=kind) for key in keys)
    await store.commit([commit_of(stream(), len(history), 1, outbox=rows)])


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    """Run the outbox's loop for a while."""
    loop = asyncio.create_task(outbox.run())
    try:
        async with asyncio.timeout(20):
            yield
        assert not loop.done()
    finally:
        loop.cancel()
        await asyncio.wait([loop])


async def test_what_a_decision_sends_is_handed_over_once() -> None:
    """A send leaves with its key and body, oldest first, and is done."""
    store, clock, peer = MemoryStore(), ManualClock(START), Peer()
    await pending(store, "one", "two", "three")
    outbox = Outbox(hall(store, clock), {"page": peer})

    assert await outbox.drain_once(clock.now()) == 3
    assert await outbox.drain_once(clock.now()) == 0
    assert (peer.got, outbox.done, await store.outbox(10)) == (["one", "two", "three"], 3, [])


async def test_a_failed_send_waits_longer_each_time_and_is_never_dropped() -> None:
    """It stays pending, its attempts are counted, the pauses double up to a limit, and in the end it is done."""
    store, clock, peer = MemoryStore(), ManualClock(START), Peer(failures=5)
    await pending(store, "one")
    outbox = Outbox(hall(store, clock, Limits(send_backoff_s=1, send_backoff_max_s=6)), {"page": peer})
    handed = []
    for second in range(30):
        if await outbox.drain_once(clock.now()):
            handed.append(second)
        if second == 2:
            assert [row.attempts for row in await store.outbox(10)] == [2]
        clock.advance(dt.timedelta(seconds=1))

    assert handed == [0, 1, 3, 7, 13, 19]
    assert (outbox.failed, outbox.done, await store.outbox(10)) == (5, 1, [])


async def test_a_fault_of_a_handler_stops_nobody() -> None:
    """Whatever a handler raises keeps its send pending and the others are done."""
    store, clock = MemoryStore(), ManualClock(START)
    peer, broken = Peer(), Peer(failures=1, error=KeyError("bug"))
    await pending(store, "one", kind="fax")
    await pending(store, "two")
    outbox = Outbox(hall(store, clock), {"fax": broken, "page": peer})

    assert await outbox.drain_once(clock.now()) == 2
    assert [row.key for row in await store.outbox(10)] == ["one"]


async def test_a_permanent_failure_is_given_up_on_when_somebody_takes_it() -> None:
    """What trying again cannot mend is handed to `given_up`; without one it is tried again like the rest."""
    for taken in (True, False):
        store, clock = MemoryStore(), ManualClock(START)
        peer = Peer(failures=1, error=PeerError("unknown receiver", permanent=True))
        dead: list[str] = []

        async def bury(row: OutboxRow, error: PeerError, dead: list[str] = dead) -> None:
            dead.append(f"{row.key}: {error}")

        await pending(store, "one")
        outbox = Outbox(hall(store, clock), {"page": peer}, given_up=bury if taken else None)
        await outbox.drain_once(clock.now())

        assert dead == (["one: unknown receiver"] if taken else [])
        assert len(await store.outbox(10)) == (0 if taken else 1)


async def test_a_crash_after_the_call_repeats_it() -> None:
    """The call was made and the store could not note it: the same key is handed over again, never lost."""
    store, clock, peer = FaultyStore(), ManualClock(START), Peer()
    await pending(store, "one")
    store.away.add("outbox_attempted")
    outbox = Outbox(hall(store, clock), {"page": peer})
    assert await outbox.drain_once(clock.now()) == 1
    store.away.clear()
    clock.advance(dt.timedelta(minutes=1))
    after = Outbox(hall(store, clock), {"page": peer})

    assert await after.drain_once(clock.now()) == 1
    assert peer.got == ["one", "one"]
    assert await store.outbox(10) == []


async def test_a_kind_nobody_handles_stays_pending_and_is_named() -> None:
    """A send without a handler is neither lost nor in the way."""
    store, clock, peer = MemoryStore(), ManualClock(START), Peer()
    await pending(store, "odd", kind="telegram")
    await pending(store, "one")
    outbox = Outbox(hall(store, clock), {"page": peer})

    assert await outbox.drain_once(clock.now()) == 1
    assert outbox.unknown == {"telegram"}
    assert [row.key for row in await store.outbox(10)] == ["odd"]


@pytest.mark.hazard("H-15")
async def test_a_pass_and_its_concurrency_are_bounded() -> None:
    """At most the limit in a pass, at most so many at once, and the rest in the next pass."""
    store, clock, peer = MemoryStore(), ManualClock(START), Peer()
    await pending(store, *(f"s{n}" for n in range(12)))
    outbox = Outbox(hall(store, clock, Limits(sends_per_pass=10, send_concurrency=3)), {"page": peer})
    peer.open.clear()
    drain = asyncio.create_task(outbox.drain_once(clock.now()))
    await peer.heard.wait()
    await asyncio.wait([drain], timeout=0)
    assert peer.inside == 3
    peer.open.set()

    assert await drain == 10
    assert peer.most == 3
    assert await outbox.drain_once(clock.now()) == 2


async def test_held_sends_are_passed_over_to_a_limit() -> None:
    """Failing sends do not hide the ones behind them, as long as no more than the limit are held."""
    store, clock = MemoryStore(), ManualClock(START)
    peer = Peer(failures=2)
    await pending(store, "a", "b", "c", "d")
    outbox = Outbox(hall(store, clock, Limits(sends_per_pass=1, sends_held=2)), {"page": peer})
    for _ in range(4):
        await outbox.drain_once(clock.now())

    assert peer.got == ["a", "b", "c", "d"]
    assert [row.key for row in await store.outbox(10)] == ["a", "b"]


async def test_a_peer_that_hangs_does_not_delay_another_kind() -> None:
    """The loop hands a page over while faxes hang, however many of them wait."""
    store, clock, fax, page = MemoryStore(), ManualClock(START), Peer(), Peer()
    fax.open.clear()
    await pending(store, *(f"fax-{n}" for n in range(200)), kind="fax")
    executor = hall(store, clock, Limits(send_concurrency=2, outbox_poll_s=3600))
    await executor.open()
    outbox = Outbox(executor, {"fax": fax, "whistle": page})
    async with running(outbox):
        await fax.heard.wait()
        await executor.execute(ask("fill", Fill(owner="x"), "k2"))
        await executor.execute(ask("heat", Heat(seconds=0), "k2"))
        row = (await store.timers(None, 1))[0]
        await executor.execute(ask("boil", TimerFired(name="boil", due_at=row.due_at), "k2"))
        await page.heard.wait()
        assert fax.inside == 2
        fax.open.set()

    assert page.got == ["whistle:kettle/k2@3"]


async def test_the_loop_works_off_more_than_a_pass_and_stops_with_its_calls() -> None:
    """Each call that ends makes room for the next; when the loop is stopped, calls under way are cancelled and kept."""
    store, clock, peer = MemoryStore(), ManualClock(START), Peer()
    await pending(store, *(f"s{n}" for n in range(9)))
    outbox = Outbox(
        hall(store, clock, Limits(sends_per_pass=2, send_concurrency=2, outbox_poll_s=0.01)), {"page": peer}
    )
    peer.wanted = 9
    async with running(outbox):
        await peer.heard.wait()
        assert sorted(peer.got) == [f"s{n}" for n in range(9)]
        peer.open.clear()
        peer.heard.clear()
        await pending(store, "hangs")
        await peer.heard.wait()

    assert [row.key for row in await store.outbox(10)] == ["hangs"]
