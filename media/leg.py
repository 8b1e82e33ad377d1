"""One participant's connection: its peer connection, its meters and its outgoing slots.

Rule: a leg knows nothing of the other legs; the relay carries frames between them.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from engine.kernel.errors import Invalid
from media import aiortc_seam as seam
from media.backend import Kind, LegCause, LegId, LegState, Participant, ProofRow
from media.health import LegSample
from media.meters import StreamMeter, Totals
from media.sdp import Offer
from media.settings import MediaSettings
from media.tracks import AudioSlot, VideoSlot, stamp

_LOG = logging.getLogger(__name__)
_CLOCK_RATE = {Kind.AUDIO: 48_000, Kind.VIDEO: 90_000}
_REFUSALS = (
    ValueError,
    AssertionError,
    IndexError,
    KeyError,
    StopIteration,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)


@dataclass(frozen=True, slots=True)
class LegHooks:
    """What a leg tells its call: a decoded frame, and that it connected or ended."""

    frame: Callable[["Leg", Kind, Any], None]
    changed: Callable[["Leg", LegState, LegCause | None], None]


class Leg:
    """One connection, from its offer to its end. It ends once, with one cause."""

    def __init__(
        self,
        leg_id: LegId,
        participant: Participant,
        settings: MediaSettings,
        steady: Callable[[], float],
        hooks: LegHooks,
    ) -> None:
        self.id = leg_id
        self.participant = participant
        self.state = LegState.JOINING
        self._settings = settings
        self._steady = steady
        self._hooks = hooks
        self._connection = seam.new_connection()
        self._meters = {kind: StreamMeter(rate, steady) for kind, rate in _CLOCK_RATE.items()}
        self._slots: dict[Kind, list[AudioSlot | VideoSlot]] = {Kind.AUDIO: [], Kind.VIDEO: []}
        self._senders: dict[Kind, list[Any]] = {Kind.AUDIO: [], Kind.VIDEO: []}
        self._round_trip_ms: int | None = None
        self._row_totals = dict.fromkeys(Kind, Totals())
        self._deadline: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def answer(self, offer: Offer) -> str:
        """Set the connection up for a checked offer and return the SDP answer. Raises Invalid("offer_sdp", …)."""
        connection = self._connection
        connection.on("connectionstatechange", self._on_connection_state)
        for kind_text, direction in offer.sections:
            kind = Kind(kind_text)
            slot = (AudioSlot if kind is Kind.AUDIO else VideoSlot)(self._settings, self._steady)
            transceiver = connection.addTransceiver(
                slot, direction="sendrecv" if direction == "sendrecv" else "sendonly"
            )
            self._slots[kind].append(slot)
            self._senders[kind].append(transceiver.sender)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._tap()
            await connection.setLocalDescription(await connection.createAnswer())
        except _REFUSALS as error:
            _LOG.info("an offer passed the check and was refused by aiortc: %s", type(error).__name__)
            await self.end(LegCause.FAILED)
            raise Invalid("offer_sdp", "the offer cannot be answered") from error
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._settings.join_timeout_s, self._on_deadline)
        return str(connection.localDescription.sdp)

    def _tap(self) -> None:
        guarded: set[int] = set()
        for transceiver in self._connection.getTransceivers():
            kind = Kind(transceiver.kind)
            meter = self._meters[kind]
            if transceiver.sender is self._senders[kind][0]:
                seam.watch_reports(transceiver.sender, meter)
                seam.receive(
                    transceiver.receiver, meter, self._sink(kind), self._settings.decoder_queue_frames
                )
            transport = transceiver.receiver.transport
            if id(transport) not in guarded:
                guarded.add(id(transport))
                seam.guard(transport, meter)

    def _sink(self, kind: Kind) -> seam.FrameSink:
        def sink(frame: Any) -> None:
            self._meters[kind].frame()
            if kind is Kind.VIDEO:
                stamp(frame, self._steady())
            self._hooks.frame(self, kind, frame)

        return sink

    def feed(self, place: int, kind: Kind, frame: Any) -> None:
        """Send a frame of the `place`-th other participant, if the peer offered a slot for it."""
        if place < len(self._slots[kind]):
            self._slots[kind][place].feed(frame)

    def clear(self, place: int) -> None:
        """Turn the slot of the `place`-th other participant silent and black."""
        for slots in self._slots.values():
            if place < len(slots):
                slots[place].clear()

    def sample(self) -> LegSample:
        """Return what the judgement of the line needs."""
        return LegSample(
            participant=self.participant,
            leg=self.id,
            connected=self.state is LegState.CONNECTED,
            audio=self._meters[Kind.AUDIO].sample(),
            video=self._meters[Kind.VIDEO].sample(),
            round_trip_ms=self._round_trip_ms,
        )

    async def rows(self) -> tuple[ProofRow, ...]:
        """Return one row per kind of what was counted since the last call."""
        rows = []
        for kind, meter in self._meters.items():
            await self._read_sender(kind, meter)
            then, now = self._row_totals[kind], meter.totals()
            self._row_totals[kind] = now
            rows.append(
                ProofRow(
                    leg_id=self.id,
                    participant=self.participant,
                    kind=kind,
                    packets=now.packets - then.packets,
                    bytes=now.bytes - then.bytes,
                    frames=now.frames - then.frames,
                    lost_packets=max(0, now.lost_packets - then.lost_packets),
                    jitter_us=meter.jitter_us(),
                    longest_gap_ms=meter.take_longest_gap_ms(),
                    sent_packets=now.sent_packets - then.sent_packets,
                    delivered_packets=now.delivered_packets - then.delivered_packets,
                    round_trip_ms=self._round_trip_ms,
                )
            )
        return tuple(rows)

    async def _read_sender(self, kind: Kind, meter: StreamMeter) -> None:
        sent = 0
        for sender in self._senders[kind]:
            for report in (await sender.getStats()).values():
                if report.type == "outbound-rtp":
                    sent += report.packetsSent
                elif report.type == "remote-inbound-rtp" and report.roundTripTime is not None:
                    self._round_trip_ms = max(0, round(report.roundTripTime * 1000))
        meter.sent_packets = sent

    async def end(self, cause: LegCause) -> None:
        """End the leg and wait, within a limit, until its sockets and decoder threads are gone."""
        self.finish(cause)
        await self.closed()

    async def closed(self) -> None:
        """Wait until the connection of a finished leg is gone."""
        if self._closing is not None:
            await asyncio.wait({self._closing})

    def finish(self, cause: LegCause) -> None:
        """End the leg at once; its connection closes behind it. Only the first cause counts."""
        if self.state is LegState.ENDED:
            return
        self.state = LegState.ENDED
        if self._deadline is not None:
            self._deadline.cancel()
        self._closing = asyncio.get_running_loop().create_task(self._close())
        self._hooks.changed(self, LegState.ENDED, cause)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(self._settings.close_s):
                await self._connection.close()
        except TimeoutError:
            _LOG.warning("a leg did not close within %.1f s and was left behind", self._settings.close_s)

    def _on_deadline(self) -> None:
        if self.state is LegState.JOINING:
            self.finish(LegCause.TIMED_OUT)

    def _on_connection_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self.state is LegState.JOINING:
            self.state = LegState.CONNECTED
            self._hooks.changed(self, LegState.CONNECTED, None)
        elif state == "failed":
            self.finish(LegCause.FAILED)
        elif state == "closed":
            self.finish(LegCause.LEFT)
