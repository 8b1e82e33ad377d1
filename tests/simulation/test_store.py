"""The simulation's store passes the contract while no fault is armed."""

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from engine.kernel.clock import ManualClock
from engine.kernel.errors import Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import Store
from engine.simulation.store import CrashPoint, Disk, LifeStore
from tests.store.contract import StoreContract
from tests.store.rows import START, commit_of

A = Stream("kettle", "a")


class TestLifeStore(StoreContract):
    """A life's handle as a tenant: reopening is another life on the same disk."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        self.disk, self.clock = Disk(), ManualClock(START)
        yield LifeStore(self.disk, self.clock, Counter())

    async def reopened(self, store: Store) -> Store:
        await store.close()
        return LifeStore(self.disk, self.clock, Counter())


@pytest.mark.parametrize(("point", "kept"), [(CrashPoint.BEFORE_COMMIT, 0), (CrashPoint.AFTER_COMMIT, 2)])
async def test_a_crash_hits_before_or_after_the_commit(point: CrashPoint, kept: int) -> None:
    """A life that dies tells nobody; what was durable by then is there for the next one, and only that."""
    disk, clock, counts = Disk(), ManualClock(START), Counter[str]()
    life = LifeStore(disk, clock, counts)
    life.crash_in, life.crash_point = 0, point
    with pytest.raises(Unavailable):
        await life.commit([commit_of(A, 0, 2)])
    with pytest.raises(Unavailable):
        await life.load(A)
    assert len(await LifeStore(disk, clock, counts).load(A)) == kept
    assert counts == {point.value: 1}


async def test_a_full_disk_ends_by_itself() -> None:
    """While it is away nothing is read or written; afterwards everything is as before."""
    disk, clock = Disk(), ManualClock(START)
    life = LifeStore(disk, clock, Counter())
    life.away_until = clock.now() + dt.timedelta(seconds=30)
    with pytest.raises(Unavailable):
        await life.commit([commit_of(A, 0, 2)])
    clock.advance(dt.timedelta(seconds=30))
    await life.commit([commit_of(A, 0, 2)])
    assert len(await life.load(A)) == 2
