"""Two real peers through a real node process on loopback: what proves their line, loses it and brings it back."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from engine.kernel.clock import SystemClock
from engine.kernel.errors import Invalid, Missing, PeerError, Rejected
from media.backend import CallId, Kind, LegCause, LegId, LegState, LineCause, LineState
from media.client import MediaNodeClient, NodeOptions
from media.peer import SyntheticPeer
from tests.media.watching import CALL, DOC, TECH, Observer, into, observing


@pytest.fixture
async def client() -> AsyncIterator[MediaNodeClient]:
    """A media node in its own process."""
    async with MediaNodeClient(NodeOptions(), SystemClock()) as running:
        yield running


async def joined(client: MediaNodeClient) -> tuple[SyntheticPeer, SyntheticPeer]:
    """Open the call and join both sides."""
    await client.open_call(CALL, (TECH, DOC))
    tech, doc = SyntheticPeer(), SyntheticPeer()
    await tech.join(into(client, "tech-1", TECH))
    await doc.join(into(client, "doc-1", DOC))
    return tech, doc


def assert_counted(observer: Observer) -> None:
    """Assert that the proof rows show packets, bytes and frames of both kinds both ways, and delivery."""
    for participant in (TECH, DOC):
        for kind in Kind:
            rows = [
                r for p in observer.proofs for r in p.rows if (r.participant, r.kind) == (participant, kind)
            ]
            assert sum(r.packets for r in rows) > 0
            assert sum(r.bytes for r in rows) > sum(r.packets for r in rows)
            assert sum(r.frames for r in rows) > 0
            assert sum(r.sent_packets for r in rows) > 0


async def test_a_call_is_proven_lost_and_proven_again(client: MediaNodeClient) -> None:
    """Counted media verifies; a stopped camera loses the line within 3 s with its cause; its return verifies again."""
    async with observing(client) as observer:
        tech, doc = await joined(client)
        index, verified = await observer.line(LineState.VERIFIED)

        assert [LineState.ABSENT, LineState.CONNECTING, LineState.VERIFIED] == [
            line.state for line in observer.lines
        ]
        assert all(e.video_frames >= 10 and e.audio_packets >= 80 for e in verified.evidence)

        stopped = time.monotonic()
        tech.mute_video(True)
        index, lost = await observer.line(LineState.LOST, index + 1)

        assert time.monotonic() - stopped < 3
        assert (LineCause.VIDEO_STOPPED, TECH, Kind.VIDEO) == (lost.cause, lost.participant, lost.kind)
        assert lost.silent_ms > 1000

        tech.mute_video(False)
        await observer.line(LineState.VERIFIED, index + 1)

        assert_counted(observer)
        for peer in (tech, doc):
            for kind in Kind:
                assert peer.received(kind).packets > 0 and peer.received(kind).frames > 0
        await asyncio.gather(tech.leave(), doc.leave())
        left = await observer.until(lambda e: getattr(e.body, "cause", None) is LegCause.LEFT, within_s=5)
        assert left > index


async def test_a_reload_needs_nothing_of_the_other_side(client: MediaNodeClient) -> None:
    """A participant who connects anew replaces the old leg; the other peer keeps its one connection and sees it."""
    async with observing(client) as observer:
        tech, doc = await joined(client)
        index, _ = await observer.line(LineState.VERIFIED)
        seen = doc.received(Kind.VIDEO).frames

        again = SyntheticPeer()
        await again.join(into(client, "tech-2", TECH))
        index, _ = await observer.line(LineState.LOST, index + 1)
        await observer.line(LineState.VERIFIED, index + 1)

        assert doc.connected
        assert doc.received(Kind.VIDEO).frames > seen
        ended = [(leg.leg_id, leg.cause) for leg in observer.legs if leg.state is LegState.ENDED]
        assert [(LegId("tech-1"), LegCause.REPLACED)] == ended
        assert 1 == len(
            [leg for leg in observer.legs if (leg.leg_id, leg.state) == ("doc-1", LegState.CONNECTED)]
        )
        await asyncio.gather(tech.leave(), again.leave(), doc.leave())


async def test_the_death_of_the_node_is_reported_and_mended(client: MediaNodeClient) -> None:
    """kill -9 of the node: the call is reported lost at once, the node comes back with the call, peers re-offer."""
    async with observing(client) as observer:
        tech, doc = await joined(client)
        index, _ = await observer.line(LineState.VERIFIED)
        first, killed = client.pid, time.monotonic()
        assert first is not None
        os.kill(first, signal.SIGKILL)

        index, lost = await observer.line(LineState.LOST, index + 1)

        assert time.monotonic() - killed < 3
        assert (CALL, LineCause.NODE_DOWN) == (lost.call_id, lost.cause)

        index, reopened = await observer.line(LineState.ABSENT, index + 1)

        assert LineCause.CALL_OPENED is reopened.cause
        assert client.pid != first and 1 == client.restarts

        new_tech, new_doc = SyntheticPeer(), SyntheticPeer()
        await new_tech.join(into(client, "tech-2", TECH))
        await new_doc.join(into(client, "doc-2", DOC))
        await observer.line(LineState.VERIFIED, index + 1)
        await asyncio.gather(*(peer.leave() for peer in (tech, doc, new_tech, new_doc)))


async def test_refusals_cross_the_wire_as_what_they_are(client: MediaNodeClient) -> None:
    """Every refusal of the node arrives as the same error with the same word."""
    await client.open_call(CALL, (TECH, DOC))
    await client.open_call(CALL, (TECH, DOC))

    with pytest.raises(Rejected) as rejected:
        await client.open_call(CALL, (DOC, TECH))
    with pytest.raises(Invalid) as invalid:
        await client.add_leg(CALL, LegId("leg-1"), TECH, "not an offer")
    with pytest.raises(Invalid) as malformed:
        await client.add_leg(CALL, LegId("a leg"), TECH, "not an offer")
    with pytest.raises(Missing):
        await client.add_leg(CallId("call-2"), LegId("leg-1"), TECH, "not an offer")
    with pytest.raises(Missing):
        await client.remove_leg(CALL, LegId("leg-1"))
    await client.close_call(CALL)
    with pytest.raises(Missing):
        await client.close_call(CALL)

    assert ("CALL_EXISTS", "offer_sdp", "leg_id") == (
        rejected.value.reason,
        invalid.value.field,
        malformed.value.field,
    )


async def test_a_draining_node_takes_nothing_new(client: MediaNodeClient) -> None:
    """After drain, open calls go on and new ones are refused."""
    await client.open_call(CALL, (TECH, DOC))

    assert (1, 0) == await client.drain()
    with pytest.raises(Rejected) as rejected:
        await client.open_call(CallId("call-2"), (TECH, DOC))
    assert "DRAINING" == rejected.value.reason


async def test_a_restart_on_purpose_keeps_the_calls(client: MediaNodeClient) -> None:
    """After restart() another process carries the same calls, empty."""
    await client.open_call(CALL, (TECH, DOC))
    first = client.pid

    await client.restart()

    assert client.pid not in (None, first)
    await client.open_call(CALL, (TECH, DOC))
    with pytest.raises(Rejected):
        await client.open_call(CALL, (DOC, TECH))


async def test_a_client_without_restart_reports_and_stays_down() -> None:
    """With restart switched off the death is reported and commands say that the node is out of reach."""
    async with (
        MediaNodeClient(NodeOptions(restart=False), SystemClock()) as client,
        observing(client) as observer,
    ):
        await client.open_call(CALL, (TECH, DOC))
        await observer.line(LineState.ABSENT)
        assert client.pid is not None
        os.kill(client.pid, signal.SIGKILL)
        await observer.line(LineState.LOST)

        with pytest.raises(PeerError):
            await client.open_call(CALL, (TECH, DOC))

        await client.restart()
        await client.close_call(CALL)
