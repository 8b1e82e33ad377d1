"""The synthetic participant: what its switches do, and how it is driven as a process."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from engine.kernel.clock import SystemClock
from engine.kernel.errors import Invalid, PeerError
from media.backend import Kind, LegId, LineCause, LineState
from media.peer import PeerSettings, SyntheticPeer
from media.relay import Relay
from media.settings import MediaSettings
from tests.media.watching import CALL, DOC, TECH, into, observing


class PeerProcess:
    """Drives `python -m media.peer_stdio`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "media.peer_stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def hear(self) -> dict[str, Any]:
        """Return the next line."""
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        message: dict[str, Any] = json.loads(line)
        return message

    async def say(self, **message: Any) -> dict[str, Any]:
        """Give a command and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return await self.hear()

    def end(self) -> int:
        """Close stdin and return the exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        return code


async def test_a_peer_process_joins_counts_and_obeys() -> None:
    """Two peer processes make a proven line; a muted camera loses it; stdin's end makes them leave."""
    async with Relay(MediaSettings(), SystemClock(), "node-1") as relay, observing(relay) as observer:
        await relay.open_call(CALL, (TECH, DOC))
        tech, doc = PeerProcess(), PeerProcess()
        for peer, leg, name in ((tech, "tech-1", TECH), (doc, "doc-1", DOC)):
            offer = await peer.hear()
            answer = await relay.add_leg(CALL, LegId(leg), name, offer["offer_sdp"])
            assert {"joined": True} == await peer.say(answer_sdp=answer)
        index, _ = await observer.line(LineState.VERIFIED)
        report = (await doc.say(report=True))["report"]
        await tech.say(mute_video=True)
        _, lost = await observer.line(LineState.LOST, index + 1)

        assert report["connected"] and report["luma"] > 60
        assert min(count for kind in report["received"].values() for count in kind.values()) > 0
        assert (LineCause.VIDEO_STOPPED, TECH) == (lost.cause, lost.participant)
        assert [0, 0] == [await asyncio.to_thread(peer.end) for peer in (tech, doc)]


async def test_a_peer_that_stops_sending_stays_connected() -> None:
    """stop_sending ends both kinds of media, not the connection."""
    async with Relay(MediaSettings(), SystemClock(), "node-1") as relay, observing(relay) as observer:
        await relay.open_call(CALL, (TECH, DOC))
        tech, doc = SyntheticPeer(), SyntheticPeer()
        await tech.join(into(relay, "tech-1", TECH))
        await doc.join(into(relay, "doc-1", DOC))
        index, _ = await observer.line(LineState.VERIFIED)
        doc.stop_sending(True)
        _, lost = await observer.line(LineState.LOST, index + 1)

        assert lost.cause in (LineCause.VIDEO_STOPPED, LineCause.AUDIO_STOPPED)
        assert DOC == lost.participant
        assert doc.connected
        await asyncio.gather(tech.leave(), doc.leave())


async def test_a_peer_whose_exchange_is_refused_says_so_and_closes() -> None:
    """What the exchange raises reaches whoever called join; the peer is not connected and may leave twice."""
    peer = SyntheticPeer()

    async def refuse(offer_sdp: str) -> str:
        raise Invalid("offer_sdp", "no")

    with pytest.raises(Invalid):
        await peer.join(refuse)
    with pytest.raises(PeerError):
        await peer.join(refuse)

    assert not peer.connected
    await peer.leave()
    await peer.leave()


async def test_a_peer_gives_up_when_nobody_connects() -> None:
    """An answer that leads nowhere is a PeerError after connect_s."""
    peer = SyntheticPeer(PeerSettings(connect_s=0.5))

    async def from_nobody(offer_sdp: str) -> str:
        async with Relay(MediaSettings(), SystemClock(), "node-1") as relay:
            await relay.open_call(CALL, (TECH, DOC))
            return await relay.add_leg(CALL, LegId("leg-1"), TECH, offer_sdp)

    with pytest.raises(PeerError):
        await peer.join(from_nobody)

    assert 0 == peer.received(Kind.AUDIO).packets
