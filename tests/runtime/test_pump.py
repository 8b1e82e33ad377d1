"""The commit pump groups what queued while the store was busy, answers after it, and a failure stays in its batch."""

import asyncio

import pytest

from engine.kernel.errors import Overloaded, Unavailable
from engine.kernel.store import Committed, Lost
from engine.runtime.limits import Limits
from engine.runtime.pump import CommitPump
from tests.runtime.faulty import FaultyStore
from tests.runtime.toy import stream
from tests.store.rows import commit_of


def ignore(done: Committed) -> None:
    """Tell nobody."""


async def queued(pump: CommitPump, store: FaultyStore, count: int) -> list["asyncio.Task[Committed | Lost]"]:
    """Start one commit and hold it in the store, then queue `count` more behind it."""
    store.commits.clear()
    tasks = [asyncio.create_task(pump.commit(commit_of(stream("k0"), 0, 1), ignore))]
    await store.arrived.wait()
    for n in range(1, count + 1):
        tasks.append(asyncio.create_task(pump.commit(commit_of(stream(f"k{n}"), 0, 1), ignore)))
    await asyncio.wait(tasks, timeout=0)
    return tasks


async def test_what_queued_meanwhile_goes_into_the_next_batch() -> None:
    """One in flight, ten behind it: two batches, nobody answered before the store answered."""
    store = FaultyStore()
    pump = CommitPump(store, Limits())
    tasks = await queued(pump, store, 10)
    assert not any(task.done() for task in tasks)
    store.commits.set()
    done = await asyncio.gather(*tasks)

    assert store.batches == [1, 10]
    assert [one.position for one in done if isinstance(one, Committed)] == list(range(1, 12))


async def test_a_batch_is_capped() -> None:
    """Nothing is dropped past the cap: it goes into the next batch."""
    store = FaultyStore()
    pump = CommitPump(store, Limits(commit_batch=4))
    tasks = await queued(pump, store, 9)
    store.commits.set()
    await asyncio.gather(*tasks)

    assert store.batches == [1, 4, 4, 1]


async def test_the_queue_is_bounded() -> None:
    """At the limit a commit waits; one past it is refused with the limit's name."""
    store = FaultyStore()
    pump = CommitPump(store, Limits(commit_queue=3))
    tasks = await queued(pump, store, 3)
    with pytest.raises(Overloaded) as refused:
        await pump.commit(commit_of(stream("late"), 0, 1), ignore)
    store.commits.set()

    assert refused.value.limit == "commit_queue"
    assert all(isinstance(one, Committed) for one in await asyncio.gather(*tasks))


async def test_a_failed_batch_fails_its_callers_and_only_them() -> None:
    """The store is away for one batch: its callers hear so, are told nothing else, and the next batch is durable."""
    store = FaultyStore()
    pump = CommitPump(store, Limits())
    told: list[Committed] = []
    store.away.add("commit")
    failed = [
        asyncio.create_task(pump.commit(commit_of(stream(f"k{n}"), 0, 1), told.append)) for n in range(5)
    ]
    results = await asyncio.gather(*failed, return_exceptions=True)
    store.away.clear()
    after = await pump.commit(commit_of(stream(), 0, 1), told.append)

    assert all(isinstance(one, Unavailable) for one in results)
    assert told == [after]


async def test_the_log_is_told_in_its_order_before_anyone_is_answered() -> None:
    """All of a batch are told, in position order, before the first caller goes on; a lost commit is not told."""
    store = FaultyStore()
    pump = CommitPump(store, Limits())
    order: list[str] = []

    async def caller(n: int, after: int) -> None:
        await pump.commit(
            commit_of(stream(f"k{n}"), after, 1), lambda done: order.append(f"told {done.position}")
        )
        order.append(f"answered {n}")

    await asyncio.gather(caller(1, 0), caller(2, 5), caller(3, 0))

    assert order == ["told 1", "told 2", "answered 1", "answered 2", "answered 3"]


async def test_a_fault_while_telling_hangs_nobody() -> None:
    """One commit's teller breaks: its caller hears the fault, the others their answer, and the pump goes on."""
    store = FaultyStore()
    pump = CommitPump(store, Limits())

    def broken(done: Committed) -> None:
        raise ZeroDivisionError

    one, two = await asyncio.gather(
        pump.commit(commit_of(stream("a"), 0, 1), broken),
        pump.commit(commit_of(stream("b"), 0, 1), ignore),
        return_exceptions=True,
    )

    assert isinstance(one, ZeroDivisionError)
    assert isinstance(two, Committed)
    assert isinstance(await pump.commit(commit_of(stream("a"), 1, 1), ignore), Committed)


async def test_a_fault_of_the_store_is_unavailable() -> None:
    """Whatever else a store raises reaches the callers as Unavailable, by its type's name only."""

    class Broken(FaultyStore):
        async def commit(self, batch: object) -> list[Committed | Lost]:
            raise KeyError("DEMO^PATIENT")

    with pytest.raises(Unavailable, match=r"^the store failed: KeyError$"):
        await CommitPump(Broken(), Limits()).commit(commit_of(stream(), 0, 1), ignore)


async def test_an_emergency_goes_ahead_of_the_queue_even_when_it_is_full() -> None:
    """Behind one in flight and a full queue: the emergency is in the very next batch, and the others lose nothing."""
    store = FaultyStore()
    pump = CommitPump(store, Limits(commit_queue=3, commit_batch=2))
    tasks = await queued(pump, store, 3)
    alarm = asyncio.create_task(pump.commit(commit_of(stream("alarm"), 0, 1), ignore, urgent=True))
    await asyncio.wait([alarm], timeout=0)
    store.commits.set()
    done = await asyncio.gather(alarm, *tasks)

    assert isinstance(done[0], Committed) and done[0].position == 2
    assert store.batches == [1, 2, 2]


async def test_an_emergency_waits_for_nobody_on_the_way() -> None:
    """While commits keep arriving the pump would gather them; an emergency is committed with what is there."""
    store = FaultyStore()
    store.commits.set()
    pump = CommitPump(store, Limits(commit_patience=10_000))
    patient = asyncio.create_task(pump.commit(commit_of(stream("k1"), 0, 1), ignore))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not patient.done()
    alarm = await pump.commit(commit_of(stream("alarm"), 0, 1), ignore, urgent=True)

    assert isinstance(alarm, Committed) and alarm.position == 1
    assert isinstance(await patient, Committed)
    assert store.batches == [2]
