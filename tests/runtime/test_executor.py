"""The executor decides, makes durable, then tells; a request id is answered once, and a refusal changes nothing."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.kernel.clock import ManualClock
from engine.kernel.commands import Actor, Command, Request, TimerFired
from engine.kernel.errors import (
    AttendError,
    Conflict,
    Corrupt,
    Forbidden,
    Invalid,
    Missing,
    Rejected,
    Unavailable,
)
from engine.kernel.ids import Stream
from engine.kernel.machine import Machine
from engine.runtime.executor import Executor, Outcome
from engine.runtime.limits import Limits
from engine.store.memory import MemoryStore
from tests.runtime import toy
from tests.runtime.faulty import FaultyStore
from tests.runtime.toy import CheckLid, Cool, Fill, Heat, Nudge, ReportSpill, ask, hall, stream

FILL = Fill(owner="DEMO^PATIENT", session_id="ses-1")


async def filled(store: MemoryStore, **more: Any) -> Executor:
    """Return an executor over a store with one filled kettle."""
    executor = hall(store, **more)
    await executor.open()
    await executor.execute(ask("fill", FILL))
    return executor


async def test_a_wish_is_decided_and_durable_when_it_is_answered() -> None:
    """The outcome carries the events and the state they lead to, and the store holds them."""
    store = MemoryStore()
    executor = await filled(store)
    outcome = await executor.execute(ask("heat", Heat(seconds=60)))

    assert (outcome.version, outcome.repeated, outcome.state.phases) == (2, False, ("heating",))
    assert outcome.events == tuple(await executor.history(stream()))[1:]
    assert [row.hash for row in await store.load(stream())][1:] == [one.hash for one in outcome.events]
    assert outcome.events[0].correlation == "ses-1"
    assert outcome.events[0].causation == "heat"


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (ask("r", Heat(), "nobody"), Missing, "no such kettle"),
        (ask("r", ReportSpill(), "nobody"), Missing, "no such kettle"),
        (structs.replace(ask("r", Heat()), stream=Stream("lamp", "l")), Invalid, "no such machine"),
        (ask("r", Command()), Invalid, "not a command of kettle"),
        (ask("r", Cool()), Rejected, "WRONG_PHASE"),
        (ask("r", Heat(), expected_version=0), Conflict, "expected version 0, found 1"),
        (ask("r", Heat(), expected_version=9), Conflict, "expected version 9, found 1"),
        (ask("fill", Fill(owner="other")), Invalid, "request_id"),
        (structs.replace(ask("fill", FILL), actor=Actor(person_id="eve", role="r")), Invalid, "request_id"),
        (ask("fill", FILL, "k2"), Invalid, "request_id"),
    ],
    ids=["stream", "fact", "machine", "verb", "phase", "old", "future", "body", "actor", "other-stream"],
)
async def test_a_refusal_says_why_and_changes_nothing(
    request_: Request, error: type[AttendError], said: str
) -> None:
    """Whatever is refused leaves the log, the state and the request ids as they were."""
    store = MemoryStore()
    executor = await filled(store)
    before = await executor.state(stream())
    with pytest.raises(error, match=said):
        await executor.execute(request_)

    assert await store.head() == 1
    assert await store.request("r") is None
    assert before == await executor.state(stream())


async def test_a_guard_refuses_by_its_name() -> None:
    """The machine's own reasons reach the caller unchanged."""
    executor = await filled(MemoryStore())
    await executor.execute(ask("dry", Fill(owner="x", litres=Decimal(-1))))
    with pytest.raises(Rejected) as refused:
        await executor.execute(ask("heat", Heat()))

    assert refused.value.reason == "EMPTY"


async def test_a_repeat_gets_the_first_outcome_again() -> None:
    """The same id with the same body from the same person does nothing and answers with the first version."""
    store = MemoryStore()
    executor = await filled(store)
    first = await executor.execute(ask("heat", Heat()))
    await executor.execute(ask("spill", ReportSpill()))
    again = await executor.execute(ask("heat", Heat()))

    assert (again.version, again.repeated, again.events) == (first.version, True, ())
    assert await store.head() == 3


async def test_ten_at_once_under_one_id_are_one() -> None:
    """A retry storm of one request makes one event; one caller gets it, nine hear that it is done."""
    store = MemoryStore()
    executor = await filled(store)
    outcomes = await asyncio.gather(*(executor.execute(ask("spill", ReportSpill())) for _ in range(10)))

    assert sorted(one.repeated for one in outcomes) == [False] + [True] * 9
    assert await store.head() == 2


async def test_a_command_without_events_is_known_by_its_id() -> None:
    """Something that leads to nothing is still answered once."""
    store = MemoryStore()
    executor = await filled(store)
    first = await executor.execute(ask("nudge", Nudge()))
    again = await executor.execute(ask("nudge", Nudge()))

    assert (first.events, first.repeated, again.repeated) == ((), False, True)
    assert await store.head() == 1


async def test_of_two_wishes_at_one_version_one_conflicts() -> None:
    """Two people saw version 1 and both act: one succeeds, the other is told what it missed."""
    executor = await filled(MemoryStore())
    results = await asyncio.gather(
        *(executor.execute(ask(f"heat-{n}", Heat(), expected_version=1)) for n in range(2)),
        return_exceptions=True,
    )

    assert isinstance(results[0], Outcome)
    assert isinstance(results[1], Conflict)
    assert (results[1].expected, results[1].actual) == (1, 2)


async def test_a_fact_with_a_stale_version_is_kept_and_flagged() -> None:
    """What happened is never refused for being reported late; with the present version it carries no flag."""
    executor = await filled(MemoryStore())
    fresh = await executor.execute(ask("s1", ReportSpill(), expected_version=1))
    stale = await executor.execute(ask("s2", ReportSpill(), expected_version=1))

    assert fresh.events[0].flags == ()
    assert stale.events[0].flags == ("stale_version",)


async def test_evidence_is_looked_up_just_before_the_decision_and_only_for_what_exists() -> None:
    """An enricher fills in a field that the caller cannot; a repeat is known although the evidence changed."""
    lids = iter(["open", "shut"])
    asked: list[str] = []

    async def look(state: Any, command: CheckLid, request: Request) -> Command:
        asked.append(request.request_id)
        return replace(command, lid=next(lids))

    executor = await filled(MemoryStore(), enrichers={CheckLid: look})
    with pytest.raises(Missing):
        await executor.execute(ask("check-0", CheckLid(), "nobody"))
    first = await executor.execute(ask("check", CheckLid()))
    again = await executor.execute(ask("check", CheckLid()))

    assert (first.state.lid, again.repeated, asked) == ("open", True, ["check"])


async def test_who_may_not_is_refused_before_the_decision_and_for_a_repeat() -> None:
    """The hook sees the state before; somebody whose right was withdrawn does not get the first outcome again."""
    allowed = {"anna"}

    def authorize(principal: Any, machine: Machine, state: Any, command: Command) -> None:
        if principal not in allowed:
            raise Forbidden(f"not at {state.phases[0]}")

    store = MemoryStore()
    executor = hall(store, authorize=authorize)
    await executor.execute(ask("fill", FILL), "anna")
    with pytest.raises(Forbidden, match="not at idle"):
        await executor.execute(ask("heat", Heat()), "eve")
    allowed.clear()
    with pytest.raises(Forbidden):
        await executor.execute(ask("fill", FILL), "anna")

    assert await store.head() == 1


async def test_nothing_is_known_before_it_is_durable() -> None:
    """While the store has not answered, the caller waits and nobody sees the new state."""
    store = FaultyStore()
    executor = await filled(store)
    store.commits.clear()
    store.arrived.clear()
    heating = asyncio.create_task(executor.execute(ask("heat", Heat())))
    await store.arrived.wait()

    assert not heating.done()
    assert (await executor.state(stream())).phases == ("idle",)
    assert executor.tail.head == 1

    store.commits.set()
    assert (await heating).state.phases == ("heating",)
    assert executor.tail.head == 2


async def test_a_caller_that_goes_away_leaves_no_half_known_state() -> None:
    """A cancelled caller's command runs to its end, and asking again gives its outcome."""
    store = FaultyStore()
    executor = await filled(store)
    store.commits.clear()
    store.arrived.clear()
    heating = asyncio.create_task(executor.execute(ask("heat", Heat())))
    await store.arrived.wait()
    heating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await heating
    store.commits.set()
    await executor.settle()

    assert (await executor.state(stream())).phases == ("heating",)
    assert (await executor.execute(ask("heat", Heat()))).repeated


async def test_an_unavailable_store_changes_nothing_and_a_retry_works() -> None:
    """Callers are told, nothing is published, and the same request succeeds when the store is back."""
    store = FaultyStore()
    executor = await filled(store)
    store.away.add("commit")
    with pytest.raises(Unavailable):
        await executor.execute(ask("heat", Heat()))

    assert (await executor.state(stream())).phases == ("idle",)
    assert executor.tail.head == 1

    store.away.clear()
    outcome = await executor.execute(ask("heat", Heat()))

    assert (outcome.repeated, outcome.state.phases) == (False, ("heating",))


async def test_what_is_done_is_told_again_while_nothing_can_be_stored() -> None:
    """A full disk refuses what is new; a repeat of what is durable hears of it all the same."""
    store = FaultyStore()
    executor = await filled(store)
    first = await executor.execute(ask("spill", ReportSpill()))
    store.away = {"commit"}
    with pytest.raises(Unavailable):
        await executor.execute(ask("more", ReportSpill()))
    again = await executor.execute(ask("spill", ReportSpill()))

    assert (again.version, again.repeated) == (first.version, True)


async def test_a_crash_after_the_commit_repeats_as_the_first_outcome() -> None:
    """The answer was lost with the process; the next process knows the request."""
    store = MemoryStore()
    await (await filled(store)).execute(ask("heat", Heat()))

    after = hall(store)
    again = await after.execute(ask("heat", Heat()))

    assert (again.repeated, again.version, again.state.phases) == (True, 2, ("heating",))
    assert await store.head() == 2


def overtaken(store: MemoryStore, times: int, **more: Any) -> tuple[Executor, list[int]]:
    """Return an executor that somebody else overtakes `times` times while it looks up evidence for CheckLid."""
    other, seen = hall(store), []

    async def look(state: Any, command: CheckLid, request: Request) -> Command:
        seen.append(state.version)
        if len(seen) <= times:
            await other.execute(ask(f"other-{len(seen)}", ReportSpill()))
        return command

    return hall(store, enrichers={CheckLid: look}, **more), seen


async def test_a_lost_race_is_decided_again_on_the_newer_state() -> None:
    """Another writer was faster: the state is read again and decided again, and the chain holds both."""
    store = MemoryStore()
    await filled(store)
    executor, seen = overtaken(store, times=2)
    outcome = await executor.execute(ask("check", CheckLid()))

    assert (seen, outcome.version, outcome.state.spills) == ([1, 2, 3], 4, 2)
    assert len(await executor.history(stream())) == 4


async def test_a_race_lost_up_to_the_limit_is_a_conflict() -> None:
    """At the limit it still succeeds; one past it the caller hears of a conflict, and nothing was stored of it."""
    for times, limit in ((2, 3), (3, 3)):
        store = MemoryStore()
        await filled(store)
        executor, seen = overtaken(store, times, limits=Limits(conflict_retries=limit))
        if times < limit:
            assert (await executor.execute(ask("check", CheckLid()))).version == times + 2
        else:
            with pytest.raises(Conflict):
                await executor.execute(ask("check", CheckLid()))
            assert await store.request("check") is None
        assert len(seen) == limit


async def test_a_reader_that_was_slow_does_not_bring_back_an_old_state() -> None:
    """A state read before a commit and delivered after it does not replace the newer one."""
    store = FaultyStore()
    await filled(store)
    executor = hall(store)
    store.loads.clear()
    store.arrived.clear()
    slow = asyncio.create_task(executor.state(stream()))
    await store.arrived.wait()
    held, store.loads = store.loads, asyncio.Event()
    store.loads.set()
    await executor.execute(ask("heat", Heat()))
    held.set()

    assert (await slow).phases == ("heating",)
    assert (await executor.state(stream())).phases == ("heating",)


async def test_cached_streams_are_bounded_and_come_back_from_the_store() -> None:
    """With room for two streams, the oldest is read again and the newest are not."""
    store = FaultyStore()
    executor = hall(store, limits=Limits(cached_streams=2))
    for name in ("a", "b", "c"):
        await executor.execute(ask(f"fill-{name}", FILL, name))
    loads = store.calls["load"]
    for name in ("c", "b"):
        await executor.state(stream(name))
    assert store.calls["load"] == loads

    assert (await executor.state(stream("a"))).owner == "DEMO^PATIENT"
    assert store.calls["load"] == loads + 1


async def test_effects_are_rows_of_the_same_commit() -> None:
    """Timers are set, replaced and forgotten with the events that say so; a fired one is gone and its send is there."""
    store = MemoryStore()
    executor = await filled(store)
    await executor.execute(ask("heat", Heat(seconds=60)))
    first = await store.timer(stream(), "boil")
    await executor.execute(ask("delay", toy.Delay(seconds=90)))
    second = await store.timer(stream(), "boil")
    await executor.execute(ask("cool", Cool()))
    assert first is not None
    assert second is not None
    assert (second.due_at - first.due_at).total_seconds() == 30
    assert (first.set_at_version, second.set_at_version) == (2, 3)
    assert await store.timers(None, 10) == []

    await executor.execute(ask("heat-2", Heat(seconds=5)))
    await executor.execute(ask("fired", TimerFired(name="boil", due_at=toy.START)))

    assert await store.timers(None, 10) == []
    assert [row.key for row in await store.outbox(10)] == ["whistle:kettle/k1@6"]


async def test_erasing_reaches_everything_held_in_memory() -> None:
    """After erasing an identifier neither the state, the history nor a watch from the tail still knows it."""
    store = MemoryStore()
    executor = await filled(store)
    assert (await executor.state(stream())).owner == "DEMO^PATIENT"
    erased = await executor.erase(["kettle/k1@1.owner", "kettle/k1@1.never"])

    assert erased == 1
    assert (await executor.state(stream())).owner is None
    assert [one.event.owner for one in await executor.history(stream())] == [None]  # type: ignore[attr-defined]  # a Filled
    assert [one.event.owner for one in await executor.tail.read(0, 10)] == [None]  # type: ignore[attr-defined]  # a Filled
    assert (await executor.execute(ask("heat", Heat()))).state.owner is None


class Tampered(MemoryStore):
    """A store whose bytes somebody changed."""

    async def load(self, stream: Stream) -> list[Any]:
        """Return rows with another payload."""
        return [structs.replace(row, payload=row.payload + b" ") for row in await super().load(stream)]


async def test_bytes_that_do_not_verify_are_not_used() -> None:
    """A changed event stops its stream with its name, and every other stream goes on."""
    store = Tampered()
    await filled(store)
    executor = hall(store)
    with pytest.raises(Corrupt, match="kettle/k1@1 Filled"):
        await executor.execute(ask("heat", Heat()))
    with pytest.raises(Corrupt, match="kettle/k1@1 Filled"):
        await executor.history(stream())

    assert (await executor.execute(ask("fill-2", FILL, "k2"))).version == 1


async def test_a_listener_that_fails_changes_no_answer() -> None:
    """What is durable is answered, the other listeners hear of it, and the fault is counted."""
    executor = hall(MemoryStore())
    heard: list[int] = []
    executor.listeners.append(lambda commit, done: heard.extend([1 // (done.position - 1)]))
    executor.listeners.append(lambda commit, done: heard.append(done.position))
    outcome = await executor.execute(ask("fill", FILL))

    assert (outcome.version, heard, executor.listeners_failed) == (1, [1], 1)


def test_no_limit_is_zero() -> None:
    """None of the limits can be switched off."""
    with pytest.raises(ValueError, match="watchers must be above zero"):
        Limits(watchers=0)


commands = st.sampled_from(
    [
        FILL,
        Heat(),
        Cool(),
        Nudge(),
        CheckLid(lid="open"),
        ReportSpill(),
        ReportSpill(millilitres=3),
        toy.Delay(seconds=9),
    ]
)
scripts = st.lists(st.tuples(st.sampled_from(["k1", "k2"]), commands), min_size=1, max_size=12)


async def played(store: MemoryStore, script: list[tuple[str, Command]], order: list[int]) -> None:
    """Send the script's requests in this order, each under its own id; the states must be what the store says."""
    executor = hall(store)
    for number in order:
        name, command = script[number]
        try:
            await executor.execute(ask(f"r{number}", command, name))
        except AttendError:
            continue
    live = [await executor.state(stream(name)) for name in ("k1", "k2")]
    replayed = [await hall(store).state(stream(name)) for name in ("k1", "k2")]
    assert live == replayed


@given(scripts)
def test_a_replayed_history_gives_the_live_state(script: list[tuple[str, Command]]) -> None:
    """Whatever was commanded, folding what is stored gives what was held in memory."""
    asyncio.run(played(MemoryStore(), script, list(range(len(script)))))


@given(scripts, st.data())
def test_repeats_change_nothing(script: list[tuple[str, Command]], data: st.DataObject) -> None:
    """Sending accepted requests again, any number of times and at any later moment, adds no event."""
    once, often = MemoryStore(), MemoryStore()
    plain = list(range(len(script)))
    asyncio.run(played(once, script, plain))
    accepted = [n for n in plain if asyncio.run(once.request(f"r{n}")) is not None]
    noisy = []
    for number in plain:
        noisy.append(number)
        earlier = [n for n in accepted if n <= number]
        if earlier:
            noisy.extend(data.draw(st.lists(st.sampled_from(earlier), max_size=3)))
    asyncio.run(played(often, script, noisy))

    def shape(store: MemoryStore) -> list[tuple[str, int, str]]:
        return [(str(row.stream), row.version, row.type) for row in asyncio.run(store.read(0, 1000))]

    assert shape(once) == shape(often)


@pytest.mark.hazard("H-16")
async def test_time_is_read_once_at_the_decision() -> None:
    """All events of a decision carry the clock's one moment."""
    clock = ManualClock(toy.START)
    executor = hall(MemoryStore(), clock)
    await executor.execute(ask("fill", FILL))
    outcome = await executor.execute(ask("spill", ReportSpill(millilitres=3)))

    assert [one.at for one in outcome.events] == [toy.START] * 3
    assert [one.version for one in outcome.events] == [2, 3, 4]
