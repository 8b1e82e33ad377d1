"""Counts what one peer sends and receives of one kind of media, packet by packet.

Rule: only counting; time comes from the steady clock handed in, and judging is media.health's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from media.health import StreamSample


@dataclass(frozen=True, slots=True)
class Totals:
    """Running totals at one moment."""

    packets: int = 0
    bytes: int = 0
    frames: int = 0
    lost_packets: int = 0
    sent_packets: int = 0
    delivered_packets: int = 0


class StreamMeter:
    """Counters of one kind of media of one leg; implements the seam's PacketMeter.

    aiortc's own getStats has neither inbound bytes nor frames nor arrival times, hence these.
    """

    def __init__(self, clock_rate: int, steady: Callable[[], float]) -> None:
        self._clock_rate = clock_rate
        self._steady = steady
        self._packets = self._bytes = self._frames = self._delivered = 0
        self.sent_packets = 0
        self.malformed_packets = 0
        self._last_packet_s: float | None = None
        self._last_frame_s: float | None = None
        self._delivered_at_s: float | None = None
        self._longest_gap_s = 0.0
        self._sources: dict[int, _Source] = {}
        self._highest_reported = 0
        self._lost_reported = 0

    def packet(self, ssrc: int, sequence: int, timestamp: int, size_bytes: int) -> None:
        """Count one packet that arrives now."""
        now = self._steady()
        self._packets += 1
        self._bytes += size_bytes
        if self._last_packet_s is not None:
            self._longest_gap_s = max(self._longest_gap_s, now - self._last_packet_s)
        self._last_packet_s = now
        source = self._sources.get(ssrc)
        if source is None:
            if len(self._sources) >= _SOURCES:
                self._sources.pop(next(iter(self._sources)))
            source = self._sources[ssrc] = _Source(sequence)
        source.add(sequence, timestamp, now * self._clock_rate)

    def frame(self) -> None:
        """Count one decoded frame."""
        self._frames += 1
        self._last_frame_s = self._steady()

    def report(self, highest_sequence: int, lost_packets: int, sequence_start: bool) -> None:
        """Take the peer's receiver report: what is sent arrives when its highest sequence number rises."""
        if sequence_start:
            # The first report has nothing to be compared with, but a report is only made on packets that came.
            self._highest_reported, self._lost_reported = highest_sequence, lost_packets
            self._delivered_at_s = self._steady()
            return
        gained = (highest_sequence - self._highest_reported) & 0xFFFFFFFF
        if gained >= 1 << 31:
            # Some peers, aiortc among them, report the bare 16-bit number, which starts again from 0.
            gained &= 0xFFFF
        if 0 < gained < (1 << 15 if highest_sequence < self._highest_reported else 1 << 31):
            self._delivered += max(0, gained - (lost_packets - self._lost_reported))
            self._highest_reported, self._lost_reported = highest_sequence, lost_packets
            self._delivered_at_s = self._steady()

    def malformed(self) -> None:
        """Count a packet that no parser could read."""
        self.malformed_packets += 1

    def totals(self) -> Totals:
        """Return all running totals."""
        lost = sum(source.lost for source in self._sources.values())
        return Totals(self._packets, self._bytes, self._frames, lost, self.sent_packets, self._delivered)

    def jitter_us(self) -> int:
        """Return the interarrival jitter of the newest source in microseconds."""
        if not self._sources:
            return 0
        newest = next(reversed(self._sources.values()))
        return round(newest.jitter * 1_000_000 / self._clock_rate)

    def take_longest_gap_ms(self) -> int:
        """Return the longest silence since the last call of this method, one that still lasts included."""
        gap = self._longest_gap_s
        if self._last_packet_s is not None:
            gap = max(gap, self._steady() - self._last_packet_s)
        self._longest_gap_s = 0.0
        return round(gap * 1000)

    def sample(self) -> StreamSample:
        """Return what the judgement of the line needs."""
        return StreamSample(
            packets=self._packets,
            frames=self._frames,
            lost_packets=sum(source.lost for source in self._sources.values()),
            last_packet_s=self._last_packet_s,
            last_frame_s=self._last_frame_s,
            delivered_at_s=self._delivered_at_s,
        )


_SOURCES = 4
"""Synchronisation sources followed per kind; a peer that invents more loses the oldest."""


class _Source:
    """Sequence and jitter arithmetic of RFC 3550, appendix A, for one synchronisation source."""

    def __init__(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._received = 0
        self._transit: float | None = None
        self._timestamp: int | None = None
        self.jitter = 0.0

    def add(self, sequence: int, timestamp: int, arrival: float) -> None:
        """Count one packet; `arrival` in units of the media clock."""
        self._received += 1
        ahead = (sequence - self._highest) & 0xFFFF
        if ahead < 0x8000:
            self._highest += ahead
        if timestamp == self._timestamp:
            return
        if self._timestamp is not None and self._transit is not None:
            step = (timestamp - self._timestamp) & 0xFFFFFFFF
            if step < 1 << 31:
                moved = abs(arrival - self._transit - step)
                self.jitter += (moved - self.jitter) / 16
        self._timestamp, self._transit = timestamp, arrival

    @property
    def lost(self) -> int:
        """Packets missing so far; a duplicate or late packet makes it smaller, never negative."""
        return max(0, self._highest - self._base + 1 - self._received)
