"""The store's contract: the sentences every tenant must pass. A tenant's test file subclasses this with its fixture."""

import asyncio
import datetime as dt
from typing import Any

import pytest
from msgspec import structs

from engine.kernel.ids import Stream
from engine.kernel.store import Committed, Lost, OutboxRow, ProtectedValue, Store, TimerRow
from engine.store.chain import verify_chain
from tests.store.rows import START, commit_of

A, B = Stream("kettle", "a"), Stream("kettle", "b")


class StoreContract:
    """`store` is an open, empty store; `reopened(store)` closes it and opens the same one again."""

    @pytest.fixture
    async def store(self) -> Any:
        raise NotImplementedError

    async def reopened(self, store: Any) -> Store:
        raise NotImplementedError

    async def test_an_empty_store_answers_with_nothing(self, store: Store) -> None:
        """Every read of an empty store is empty and no error."""
        assert await store.load(A) == []
        assert await store.read(0, 10) == []
        assert await store.head() == 0
        assert await store.request("r") is None
        assert await store.timers(None, 10) == []
        assert await store.timer(A, "t") is None
        assert await store.outbox(10) == []
        assert await store.protected(["x"]) == {}
        assert await store.erase(["x"]) == 0
        assert await store.cursor("c") == 0
        assert await store.streams("kettle", "", 10) == []

    async def test_positions_are_given_in_order_without_gaps(self, store: Store) -> None:
        """Insert order is read order over all streams, and a stream keeps its own versions."""
        first, _, third = await store.commit([commit_of(A, 0, 2), commit_of(B, 0, 1), commit_of(A, 2, 1)])

        assert isinstance(first, Committed)
        assert [row.position for row in first.events] == [1, 2]
        assert isinstance(third, Committed)
        assert third.position == 4
        assert [(row.stream, row.version) for row in await store.read(0, 10)] == [
            (A, 1),
            (A, 2),
            (B, 1),
            (A, 3),
        ]
        assert await store.head() == 4

    async def test_what_was_committed_reads_back_unchanged(self, store: Store) -> None:
        """An event comes back byte for byte, so its hash still holds, also after reopening."""
        commit = commit_of(A, 0, 3)
        (done,) = await store.commit([commit])
        assert isinstance(done, Committed)

        again = await self.reopened(store)

        assert list(done.events) == await again.load(A)
        assert [structs.replace(row, position=0) for row in done.events] == list(commit.events)
        verify_chain(await again.load(A))

    async def test_a_lost_version_keeps_nothing_and_fails_nobody_else(self, store: Store) -> None:
        """Of a batch with a stale commit in the middle the others are durable and the stale one left no trace."""
        stale = commit_of(
            B,
            7,
            1,
            timers_set=(timer(B, "t", 1),),
            outbox=(send(B, "k"),),
            protected=(protected(B, "p"),),
        )
        first, lost, third = await store.commit([commit_of(A, 0, 1), stale, commit_of(A, 1, 1)])

        assert isinstance(first, Committed)
        assert isinstance(third, Committed)
        assert lost == Lost(expected=7, actual=0)
        assert await store.load(B) == []
        assert await store.request(stale.request.request_id) is None
        assert await store.timers(None, 10) == []
        assert await store.outbox(10) == []
        assert await store.protected(["p"]) == {}

    @pytest.mark.hazard("H-35")
    async def test_of_two_writers_on_one_version_one_wins(self, store: Store) -> None:
        """Twenty at once expect the same version: exactly one is committed."""
        results = await asyncio.gather(
            *(store.commit([commit_of(A, 0, 1, request_id=f"r{n}")]) for n in range(20))
        )

        assert sum(isinstance(one, Committed) for (one,) in results) == 1
        assert len(await store.load(A)) == 1

    async def test_a_known_request_id_is_lost(self, store: Store) -> None:
        """A request id is kept once; a second commit under it changes nothing, in the same batch or later."""
        one = commit_of(A, 0, 1, request_id="same")
        first, second = await store.commit([one, commit_of(B, 0, 1, request_id="same")])
        (third,) = await store.commit([commit_of(A, 1, 1, request_id="same")])

        assert isinstance(first, Committed)
        assert isinstance(second, Lost)
        assert isinstance(third, Lost)
        assert await store.load(B) == []
        assert await store.request("same") == one.request

    async def test_a_commit_without_events_keeps_its_request(self, store: Store) -> None:
        """Something asked that led to nothing is still known, with the log's head as its position."""
        await store.commit([commit_of(A, 0, 2)])
        quiet = commit_of(A, 2, 0, request_id="quiet", timers_set=(timer(A, "t", 5),))
        (done,) = await store.commit([quiet])

        assert done == Committed(position=2, events=())
        assert await store.request("quiet") == quiet.request
        assert [row.name for row in await store.timers(None, 10)] == ["t"]

    async def test_reading_from_a_position_by_session_and_machine(self, store: Store) -> None:
        """A reader gets what is after its position, of one session or machine if it asks, at most its limit."""
        lamp = Stream("lamp", "l")
        await store.commit(
            [
                commit_of(A, 0, 2, correlation="ses-1"),
                commit_of(B, 0, 2, correlation="ses-2"),
                commit_of(lamp, 0, 2, correlation="ses-1"),
            ]
        )

        assert [row.position for row in await store.read(1, 3)] == [2, 3, 4]
        assert [row.position for row in await store.read(0, 10, correlation="ses-1")] == [1, 2, 5, 6]
        assert [row.position for row in await store.read(2, 1, correlation="ses-1")] == [5]
        assert [row.position for row in await store.read(0, 10, machine="lamp")] == [5, 6]
        assert [row.position for row in await store.read(0, 3, machine="kettle")] == [1, 2, 3]
        assert [row.position for row in await store.read(5, 9, correlation="ses-1", machine="lamp")] == [6]
        assert await store.read(6, 10) == []
        assert await store.read(99, 10) == []

    async def test_timers_are_replaced_cancelled_and_come_in_due_order(self, store: Store) -> None:
        """One timer a name: the last setting wins, a cancelled one is gone, the rest come earliest first."""
        await store.commit(
            [
                commit_of(
                    A, 0, 1, timers_set=(timer(A, "late", 30), timer(A, "early", 10), timer(A, "gone", 1))
                )
            ]
        )
        await store.commit(
            [
                commit_of(A, 1, 1, timers_set=(timer(A, "late", 20, version=2),), timers_cancelled=("gone",)),
                commit_of(B, 0, 1, timers_set=(timer(B, "early", 15),)),
            ]
        )
        again = await self.reopened(store)

        assert [(row.stream, row.name) for row in await again.timers(None, 10)] == [
            (A, "early"),
            (B, "early"),
            (A, "late"),
        ]
        assert await again.timer(A, "late") == timer(A, "late", 20, version=2)
        assert await again.timer(A, "gone") is None
        assert [row.due_at for row in await again.timers(START + dt.timedelta(seconds=15), 10)] == [
            START + dt.timedelta(seconds=10),
            START + dt.timedelta(seconds=15),
        ]
        assert len(await again.timers(None, 2)) == 2

    @pytest.mark.hazard("H-15")
    async def test_a_send_is_pending_until_done_and_its_key_is_for_ever(self, store: Store) -> None:
        """Attempts are counted, a done send is gone, and neither its key nor a late failure brings it back."""
        await store.commit([commit_of(A, 0, 1, outbox=(send(A, "one"), send(A, "two", kind="fax")))])
        await store.outbox_attempted("one", done=False)
        again = await self.reopened(store)

        assert [(row.key, row.attempts) for row in await again.outbox(10)] == [("one", 1), ("two", 0)]
        assert [row.key for row in await again.outbox(10, kind="fax")] == ["two"]
        assert len(await again.outbox(1)) == 1

        await again.outbox_attempted("one", done=True)
        await again.outbox_attempted("one", done=False)
        await again.outbox_attempted("never heard of", done=True)
        await again.commit([commit_of(A, 1, 1, outbox=(send(A, "one"), send(A, "two")))])

        assert await again.outbox(10) == [send(A, "two", kind="fax")]

    async def test_protected_values_live_until_erased(self, store: Store) -> None:
        """A protected value comes back whole, and after erasing it is gone with its salt while the event stays."""
        value = protected(A, "kettle/a@1.owner")
        await store.commit([commit_of(A, 0, 1, protected=(value, protected(A, "kettle/a@1.other")))])
        again = await self.reopened(store)

        assert await again.protected([value.ref, "unknown"]) == {value.ref: value}
        assert await again.erase([value.ref, "unknown"]) == 1
        assert await again.erase([value.ref]) == 0
        assert await again.protected([value.ref]) == {}
        assert len(await again.load(A)) == 1
        assert len(await again.protected(["kettle/a@1.other"])) == 1

    async def test_cursors_are_kept_by_name(self, store: Store) -> None:
        """Each reader has its own position, also after reopening."""
        await store.save_cursor("policies", 5)
        await store.save_cursor("policies", 9)
        await store.save_cursor("boards", 2)
        again = await self.reopened(store)

        assert (9, 2, 0) == (
            await again.cursor("policies"),
            await again.cursor("boards"),
            await again.cursor("new"),
        )

    async def test_streams_are_listed_page_by_page(self, store: Store) -> None:
        """A machine's streams come in id order after an id, each once, whatever its number of events."""
        names = ["a", "A", "b", "b-1", "c:2", "z"]
        await store.commit([commit_of(Stream("kettle", name), 0, 2) for name in names])
        await store.commit([commit_of(Stream("lamp", "l"), 0, 1)])

        seen: list[str] = []
        while page := await store.streams("kettle", seen[-1] if seen else "", 4):
            seen.extend(one.id for one in page)

        assert sorted(names) == seen


def timer(stream: Stream, name: str, seconds: int, version: int = 1) -> TimerRow:
    """A timer some seconds after the start."""
    due = START + dt.timedelta(seconds=seconds)
    return TimerRow(stream=stream, name=name, due_at=due, correlation="ses-1", set_at_version=version)


def send(stream: Stream, key: str, kind: str = "page") -> OutboxRow:
    """A pending send."""
    return OutboxRow(key=key, kind=kind, stream=stream, body={"b": "2", "a": "ü"}, correlation="ses-1")


def protected(stream: Stream, ref: str) -> ProtectedValue:
    """A protected value."""
    return ProtectedValue(
        ref=ref, stream=stream, commitment="c" * 64, salt=b"s" * 16, value=b'"DEMO^PATIENT"'
    )
