"""Every private or undocumented name of aiortc and aioice that Attend uses, in one file (aiortc 1.16, aioice 0.13).

Rule: no other file touches such a name, and tests/media/test_aiortc_seam.py asserts that each one exists.
"""

import queue
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aioice.ice
import aiortc.rtp
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection
from aiortc.rtp import RtcpRrPacket, RtcpSrPacket

PRIVATE_NAMES: tuple[tuple[str, str], ...] = (
    ("aioice.ice", "get_host_addresses"),
    ("aioice.ice", "StunProtocol"),
    ("aioice.ice.StunProtocol", "datagram_received"),
    ("aioice.ice.CandidatePair", "remote_addr"),
    ("aiortc.rtcdtlstransport.RTCDtlsTransport", "_handle_rtp_data"),
    ("aiortc.rtcdtlstransport.RTCDtlsTransport", "_handle_rtcp_data"),
    ("aiortc.rtcrtpreceiver.RTCRtpReceiver", "_handle_rtp_packet"),
    ("aiortc.rtcrtpsender.RTCRtpSender", "_handle_rtcp_packet"),
    ("aiortc.rtp", "compute_audio_level_dbov"),
    ("aiortc.rtp", "RtcpRrPacket"),
    ("aiortc.rtp", "RtcpSrPacket"),
)
"""(owner, name) of what is replaced or wrapped on a module or class."""

PRIVATE_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "aioice.ice.Connection": ("_nominated", "_check_list"),
    "aiortc.rtcrtpreceiver.RTCRtpReceiver": (
        "_track",
        "_RTCRtpReceiver__decoder_queue",
        "_RTCRtpReceiver__decoder_error",
        "_RTCRtpReceiver__decoder_thread",
    ),
    "aiortc.rtcrtpreceiver.RemoteStreamTrack": ("_queue",),
    "aiortc.rtcrtpsender.RTCRtpSender": ("_ssrc",),
}
"""Attributes that instances carry and that are read or replaced here."""

_MALFORMED = (struct.error, ValueError, IndexError, KeyError, AssertionError, OverflowError)
_STUN_LAST_BYTE = 3


class PacketMeter(Protocol):
    """Hears of every RTP packet of one kind from one peer."""

    def packet(self, ssrc: int, sequence: int, timestamp: int, size_bytes: int) -> None:
        """Take note of a packet at the moment it arrives."""
        ...

    def report(self, highest_sequence: int, lost_packets: int, sequence_start: bool) -> None:
        """Take note of the peer's receiver report on what is sent to it."""
        ...

    def malformed(self) -> None:
        """Take note of a packet that no parser could read."""
        ...


FrameSink = Callable[[Any], None]


class _FilteredStun(aioice.ice.StunProtocol):  # type: ignore[misc] # aioice is skipped by the type checker
    """Drops media and DTLS that do not come from where ICE connected.

    Without it anybody who can reach the port can break a DTLS handshake with one forged datagram.
    """

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass STUN on, which authenticates itself, and the rest only from a peer that ICE knows."""
        if not data or (data[0] > _STUN_LAST_BYTE and not self._known((addr[0], addr[1]))):
            return
        super().datagram_received(data, addr)

    def _known(self, address: tuple[str, int]) -> bool:
        nominated = self.receiver._nominated
        pairs = nominated.values() if nominated else self.receiver._check_list
        return any(pair.remote_addr == address for pair in pairs)


def prepare(addresses: tuple[str, ...]) -> None:
    """Make every later connection of this process use `addresses` as its only host candidates, loopback included.

    Also spares the level of sound that aiortc computes in Python over every sample, a quarter of the relay's work:
    the extension that would carry it is not negotiated (see media.sdp).
    """

    def get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return list(addresses)

    aioice.ice.get_host_addresses = get_host_addresses
    aioice.ice.StunProtocol = _FilteredStun
    aiortc.rtp.compute_audio_level_dbov = _no_level


def _no_level(frame: Any) -> None:
    return None


def new_connection() -> Any:
    """Return an RTCPeerConnection that asks no STUN server (aiortc's default would ask a public one)."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


class _DecoderQueue(queue.Queue[Any]):
    """A bounded queue to a decoder thread: the oldest frame is dropped, and the end overtakes everything.

    aiortc joins the thread on the event loop, so whatever is queued before the end would stop the whole process.
    """

    def __init__(self, frames: int, on_drop: Callable[[], None]) -> None:
        super().__init__()
        self._frames = frames
        self._on_drop = on_drop

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put `item`, dropping what is in its way."""
        while item is None or self.qsize() >= self._frames:
            try:
                self.get_nowait()
            except queue.Empty:
                break
            if item is not None:
                self._on_drop()
        super().put(item, block, timeout)


class _FrameOutlet:
    """Stands where aiortc keeps a track's unbounded frame queue and hands each decoded frame on at once."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink

    async def put(self, frame: Any) -> None:
        """Take a decoded frame, or None at the end."""
        if frame is not None:
            self._sink(frame)


def receive(receiver: Any, meter: PacketMeter, sink: FrameSink, decoder_queue_frames: int) -> None:
    """Count every packet of `receiver` in `meter` and hand each decoded frame to `sink`.

    Call it after the remote description is set and before the connection starts. Nothing queues without a bound.
    """
    handle: Callable[..., Awaitable[None]] = receiver._handle_rtp_packet

    async def handle_rtp_packet(packet: Any, arrival_time_ms: int) -> None:
        size = len(packet.payload) + packet.padding_size + 12
        meter.packet(packet.ssrc, packet.sequence_number, packet.timestamp, size)
        await handle(packet, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = handle_rtp_packet
    # A dropped frame breaks the pictures after it: the flag makes aiortc ask for a key frame.
    broken = receiver._RTCRtpReceiver__decoder_error
    receiver._RTCRtpReceiver__decoder_queue = _DecoderQueue(decoder_queue_frames, broken.set)
    receiver._track._queue = _FrameOutlet(sink)


def watch_reports(sender: Any, meter: PacketMeter) -> None:
    """Tell `meter` of each receiver report on what `sender` sends."""
    handle: Callable[[Any], Awaitable[None]] = sender._handle_rtcp_packet
    seen = False

    async def handle_rtcp_packet(packet: Any) -> None:
        nonlocal seen
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    meter.report(report.highest_sequence, report.packets_lost, not seen)
                    seen = True
        await handle(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet


def guard(transport: Any, meter: PacketMeter) -> None:
    """Keep a malformed packet from ending the connection: it is counted and dropped."""
    for name in ("_handle_rtp_data", "_handle_rtcp_data"):
        setattr(transport, name, _guarded(getattr(transport, name), meter))


def _guarded(handle: Callable[..., Awaitable[None]], meter: PacketMeter) -> Callable[..., Awaitable[None]]:
    async def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            await handle(*args, **kwargs)
        except _MALFORMED:
            meter.malformed()

    return guarded
