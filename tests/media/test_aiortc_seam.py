"""The private names of aiortc and aioice that the seam stands on still exist and still mean what it takes them for."""

import asyncio
import importlib
import queue
from importlib.metadata import version
from typing import Any

import aioice
import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtpPacket

from media import aiortc_seam as seam
from media.meters import StreamMeter


def resolve(path: str) -> Any:
    """Return the module or class that `path` names."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        owner, _, name = path.rpartition(".")
        return getattr(importlib.import_module(owner), name)


def test_the_pinned_versions_are_installed() -> None:
    """The seam was read against these versions; another one needs another reading."""
    assert ("1.16", "0.13") == (
        ".".join(version("aiortc").split(".")[:2]),
        ".".join(version("aioice").split(".")[:2]),
    )


@pytest.mark.parametrize(("owner", "name"), seam.PRIVATE_NAMES)
def test_every_private_name_exists(owner: str, name: str) -> None:
    """A name the seam replaces or wraps is there."""
    assert hasattr(resolve(owner), name)


async def test_every_private_attribute_exists() -> None:
    """An attribute the seam reads or replaces is carried by real instances."""
    seam.prepare(("127.0.0.1",))
    connection = seam.new_connection()
    transceiver = connection.addTransceiver("video")
    instances = {
        "aioice.ice.Connection": aioice.Connection(ice_controlling=False),
        "aiortc.rtcrtpreceiver.RTCRtpReceiver": transceiver.receiver,
        "aiortc.rtcrtpreceiver.RemoteStreamTrack": RemoteStreamTrack("video"),
        "aiortc.rtcrtpsender.RTCRtpSender": transceiver.sender,
    }
    await connection.close()

    assert set(instances) == set(seam.PRIVATE_ATTRIBUTES)
    for owner, names in seam.PRIVATE_ATTRIBUTES.items():
        assert isinstance(instances[owner], resolve(owner))
        assert [] == [name for name in names if not hasattr(instances[owner], name)]


async def test_only_the_bound_address_is_offered_and_no_server_asked() -> None:
    """Loopback alone is enough, and the connection knows no STUN server."""
    seam.prepare(("127.0.0.1",))
    connection = seam.new_connection()
    connection.addTransceiver("audio")
    await connection.setLocalDescription(await connection.createOffer())
    text = connection.localDescription.sdp
    ice = connection.getTransceivers()[0].receiver.transport.transport
    await connection.close()

    candidates = [line for line in text.splitlines() if line.startswith("a=candidate:")]
    assert candidates and all(" 127.0.0.1 " in line for line in candidates)
    assert ice._connection.stun_server is None


def test_the_decoder_queue_drops_the_oldest_and_lets_the_end_overtake() -> None:
    """A full queue loses its oldest frame and says so; the end waits behind nothing."""
    drops: list[int] = []
    frames = seam._DecoderQueue(3, lambda: drops.append(1))
    for i in range(5):
        frames.put(i)

    assert 2 == len(drops)
    assert 2 == frames.get_nowait()

    frames.put(None)

    assert frames.get_nowait() is None
    with pytest.raises(queue.Empty):
        frames.get_nowait()


async def test_media_from_elsewhere_than_the_connected_pair_is_dropped() -> None:
    """A datagram that is not STUN passes only from an address that ICE connected with."""
    seam.prepare(("127.0.0.1",))
    one, two = aioice.Connection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    for connection in (one, two):
        await connection.gather_candidates()
    for here, there in ((one, two), (two, one)):
        here.remote_username, here.remote_password = there.local_username, there.local_password
        for candidate in there.local_candidates:
            await here.add_remote_candidate(candidate)
        await here.add_remote_candidate(None)
    await asyncio.gather(one.connect(), two.connect())
    protocol = two._nominated[1].protocol

    protocol.datagram_received(b"\x16forged", ("127.0.0.1", 9))
    protocol.datagram_received(b"", ("127.0.0.1", 9))
    await one.send(b"\x16genuine")

    assert b"\x16genuine" == await two.recv()
    await asyncio.gather(one.close(), two.close())


async def test_a_malformed_packet_is_counted_and_ends_nothing() -> None:
    """A header extension of a wrong length raises struct.error inside aiortc; the guard counts it."""
    seam.prepare(("127.0.0.1",))
    connection = seam.new_connection()
    transport = connection.addTransceiver("audio").receiver.transport
    meter = StreamMeter(48_000, lambda: 0.0)
    parameters = _parameters()
    transport._rtp_header_extensions_map.configure(parameters)
    seam.guard(transport, meter)
    packet = RtpPacket(payload_type=96, payload=b"x")
    # A one-byte header extension 2 (audio level) of two bytes where one is meant.
    data = bytearray(packet.serialize())
    data[0] |= 0x10
    malformed = bytes(data[:12]) + b"\xbe\xde\x00\x01" + b"\x21\x00\x00\x00" + bytes(data[12:])

    await transport._handle_rtp_data(malformed, arrival_time_ms=0)
    await connection.close()

    assert 1 == meter.malformed_packets


def _parameters() -> RTCRtpParameters:
    extension = RTCRtpHeaderExtensionParameters(id=2, uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level")
    return RTCRtpParameters(headerExtensions=[extension])
