"""The relay in this process: its limits at the limit and one past it, its slots, its journal and its meters."""

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engine.kernel.clock import ManualClock, SystemClock
from engine.kernel.errors import Invalid, Missing, Overloaded, Rejected
from media.aiortc_seam import new_connection, prepare
from media.backend import (
    CallId,
    Kind,
    LegCause,
    LegId,
    LegState,
    LineCause,
    LineChanged,
    LineState,
    Participant,
)
from media.journal import Journal
from media.meters import StreamMeter
from media.peer import SyntheticPeer
from media.relay import Relay
from media.settings import MediaSettings
from tests.media.offers import offer
from tests.media.watching import CALL, DOC, TECH, into, observing

SMALL = MediaSettings(calls_per_node=2, legs_per_call=3, join_timeout_s=15)


@asynccontextmanager
async def relaying(settings: MediaSettings = SMALL) -> AsyncIterator[Relay]:
    """Run a relay, and require that no judgement of it failed."""
    async with Relay(settings, SystemClock(), "node-1") as relay:
        yield relay
        assert 0 == relay.failed_ticks


async def an_offer() -> str:
    """Return a real offer of a peer that never connects."""
    prepare(("127.0.0.1",))
    connection = new_connection()
    connection.addTransceiver("audio")
    connection.addTransceiver("video")
    await connection.setLocalDescription(await connection.createOffer())
    text = str(connection.localDescription.sdp)
    await connection.close()
    return text


async def test_calls_are_taken_up_to_the_limit_and_not_one_more() -> None:
    """calls_per_node calls open; the next is Overloaded; a closed one makes room."""
    async with relaying() as relay:
        for i in range(SMALL.calls_per_node):
            await relay.open_call(CallId(f"call-{i}"), (TECH, DOC))

        with pytest.raises(Overloaded) as refused:
            await relay.open_call(CallId("call-more"), (TECH, DOC))
        assert "limit reached: calls_per_node" == str(refused.value)

        await relay.close_call(CallId("call-0"))
        await relay.open_call(CallId("call-more"), (TECH, DOC))


async def test_legs_are_taken_up_to_the_limit_and_not_one_more() -> None:
    """legs_per_call participants join; one more is Overloaded; a reload of one who is there is not one more."""
    async with relaying() as relay:
        await relay.open_call(CALL, (TECH, DOC))
        for i, name in enumerate((TECH, DOC, Participant("interpreter"))):
            await relay.add_leg(CALL, LegId(f"leg-{i}"), name, await an_offer())

        with pytest.raises(Overloaded):
            await relay.add_leg(CALL, LegId("leg-more"), Participant("responder"), await an_offer())
        with pytest.raises(Rejected):
            await relay.add_leg(CALL, LegId("leg-0"), TECH, await an_offer())
        await relay.add_leg(CALL, LegId("leg-again"), TECH, await an_offer())

        assert (1, 3) == relay.load


async def test_a_call_needs_two_different_participants() -> None:
    """One, the same twice, or more than may join is Invalid."""
    async with relaying() as relay:
        many = tuple(Participant(f"p{i}") for i in range(SMALL.legs_per_call + 1))
        for required in ((), (TECH,), (TECH, TECH), many):
            with pytest.raises(Invalid):
                await relay.open_call(CALL, required)


async def test_a_browsers_offer_is_answered_with_the_one_bound_candidate() -> None:
    """An offer without any candidate is answered at once, with the node's address and the codecs kept."""
    async with relaying() as relay:
        await relay.open_call(CALL, (TECH, DOC))

        answer = await relay.add_leg(CALL, LegId("leg-1"), TECH, offer())

    candidates = [line for line in answer.splitlines() if line.startswith("a=candidate:")]
    assert candidates and all(" 127.0.0.1 " in line for line in candidates)
    assert 2 == answer.count("a=sendrecv")
    assert "a=setup:active" in answer


async def test_a_leg_that_never_connects_is_ended() -> None:
    """After join_timeout_s the leg is gone with its cause, and the line is absent again."""
    async with relaying(replace(SMALL, join_timeout_s=0.3)) as relay, observing(relay) as observer:
        await relay.open_call(CALL, (TECH, DOC))
        await relay.add_leg(CALL, LegId("leg-1"), TECH, await an_offer())
        index, _ = await observer.line(LineState.CONNECTING)
        _, absent = await observer.line(LineState.ABSENT, index + 1)

        assert LineCause.PARTICIPANT_LEFT is absent.cause
        assert [(LegState.JOINING, None), (LegState.ENDED, LegCause.TIMED_OUT)] == [
            (leg.state, leg.cause) for leg in observer.legs
        ]
        assert (1, 0) == relay.load


async def test_removing_and_closing_end_legs_with_their_cause() -> None:
    """remove_leg and close_call say why; what is unknown is Missing; no decoder thread stays."""
    async with relaying() as relay, observing(relay) as observer:
        await relay.open_call(CALL, (TECH, DOC))
        tech, doc = SyntheticPeer(), SyntheticPeer()
        await tech.join(into(relay, "tech-1", TECH))
        await doc.join(into(relay, "doc-1", DOC))
        await relay.remove_leg(CALL, LegId("tech-1"))
        with pytest.raises(Missing):
            await relay.remove_leg(CALL, LegId("tech-1"))
        await relay.close_call(CALL)
        await observer.until(lambda e: getattr(e.body, "cause", None) is LineCause.CALL_CLOSED)
        await asyncio.gather(tech.leave(), doc.leave())

        assert [LegCause.REMOVED, LegCause.CALL_CLOSED] == [
            leg.cause for leg in observer.legs if leg.state is LegState.ENDED
        ]
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.endswith("-decoder")]


async def test_a_lone_participant_gets_silence_and_black_and_then_the_other() -> None:
    """A slot always sends: black until somebody is there, the other's picture then, black again when it stops."""
    async with relaying() as relay:
        await relay.open_call(CALL, (TECH, DOC))
        tech, doc = SyntheticPeer(), SyntheticPeer()
        await tech.join(into(relay, "tech-1", TECH))
        async with asyncio.timeout(10):
            await tech.picture_until(lambda luma: luma == 16)

            assert tech.received(Kind.AUDIO).packets > 0

            await doc.join(into(relay, "doc-1", DOC))
            await tech.picture_until(lambda luma: luma > 60)
            await doc.leave()
            await tech.picture_until(lambda luma: luma == 16)
        await tech.leave()


def line(cause: LineCause = LineCause.CALL_OPENED) -> LineChanged:
    """Return some observation."""
    return LineChanged(
        call_id=CALL, state=LineState.ABSENT, cause=cause, at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )


async def test_a_watcher_resumes_where_it_was_and_is_cut_when_that_is_gone() -> None:
    """The journal gives what comes after a sequence, whole or not at all."""
    journal = Journal("node-1", events=3)
    for _ in range(5):
        journal.append(line())

    assert [3, 4, 5] == [event.sequence for event in journal.after(0)]
    assert [4, 5] == [event.sequence for event in journal.after(3)]
    assert [3, 4, 5] == [event.sequence for event in journal.after(2)]
    assert [] == journal.after(5)
    with pytest.raises(Overloaded):
        journal.after(1)


async def test_a_watcher_hears_what_comes_later_and_that_nothing_came() -> None:
    """An idle watch yields a heartbeat; a new observation wakes it."""
    journal = Journal("node-1", events=3)
    watch = journal.read(0, idle_s=0.01)

    assert await anext(watch) is None

    journal.append(line())
    event = await anext(watch)
    while event is None:
        event = await anext(watch)

    assert 1 == event.sequence


def test_the_meter_counts_losses_jitter_gaps_and_delivery() -> None:
    """Counters follow RFC 3550, across the wrap of the sequence number and a change of source."""
    now = [100.0]
    meter = StreamMeter(90_000, lambda: now[0])
    for i, sequence in enumerate((65_533, 65_534, 65_535, 0, 3, 2)):
        meter.packet(7, sequence, 3_000 * i, 100)
        now[0] += 0.1
    meter.packet(8, 500, 0, 100)
    now[0] += 0.5

    totals = meter.totals()

    assert (7, 700, 1) == (totals.packets, totals.bytes, totals.lost_packets)
    assert 500 == meter.take_longest_gap_ms()

    meter.report(65_000, 0, True)
    meter.report(65_100, 10, False)
    meter.report(20, 10, False)

    assert 90 + 456 == meter.totals().delivered_packets


def test_the_jitter_of_a_steady_stream_is_nothing() -> None:
    """Packets that arrive as they were sent have no jitter; late ones have."""
    now = [0.0]
    meter = StreamMeter(48_000, lambda: now[0])
    for i in range(50):
        now[0] = i * 0.02
        meter.packet(7, i, 960 * i, 100)

    assert 0 == meter.jitter_us()

    now[0] += 0.1
    meter.packet(7, 50, 960 * 50, 100)

    assert 5_000 == meter.jitter_us()


def test_the_wall_clock_of_a_report_is_the_clock_handed_in() -> None:
    """Times come from the engine's clock and nowhere else."""
    clock = ManualClock(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC))

    async def opened() -> LineChanged:
        async with Relay(SMALL, clock, "node-1") as relay:
            await relay.open_call(CALL, (TECH, DOC))
            event = await anext(aiter(relay.watch()))
            assert isinstance(event.body, LineChanged)
            return event.body

    assert clock.now() == asyncio.run(opened()).at
