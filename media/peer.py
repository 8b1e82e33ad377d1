"""A synthetic participant: a moving test picture and a tone over a real WebRTC connection.

Rule: a client like any other; it knows only an async callable that turns its SDP offer into an answer.
"""

import asyncio
import math
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from aiortc import MediaStreamTrack, RTCSessionDescription
from av import AudioFrame, VideoFrame

from engine.kernel.errors import PeerError
from media import aiortc_seam as seam
from media.backend import Kind
from media.meters import StreamMeter, Totals

Exchange = Callable[[str], Awaitable[str]]
"""Takes the SDP offer to wherever the engine's signalling is, and returns the SDP answer."""

_SAMPLE_RATE = 8_000
_FRAME_SAMPLES = 160
_BEHIND_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """What a synthetic participant sends. The defaults cost little: about 30 kb/s."""

    bind: str = "127.0.0.1"
    width: int = 160
    height: int = 120
    frames_per_s: int = 15
    tone_hz: int = 440
    connect_s: float = 10.0
    decoder_queue_frames: int = 60


class _Paced(MediaStreamTrack):  # type: ignore[misc] # aiortc is skipped by the type checker
    """Gives a frame every `step_s` of a steady clock while it is open, and nothing while it is shut."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self._step_s = step_s
        self._start_s: float | None = None
        self._due_s = 0.0
        self._open = asyncio.Event()
        self._open.set()

    def shut(self, shut: bool) -> None:
        """Stop or go on sending frames."""
        if shut:
            self._open.clear()
        else:
            self._open.set()

    async def _wait(self) -> float:
        """Wait until the next frame is due and return its time since the first one, in seconds."""
        await self._open.wait()
        now = time.monotonic()
        if self._start_s is None:
            self._start_s = self._due_s = now
        elif now - self._due_s > _BEHIND_S:
            self._due_s = now
        await asyncio.sleep(max(0.0, self._due_s - now))
        moment = self._due_s - self._start_s
        self._due_s += self._step_s
        return moment


class _Tone(_Paced):
    kind = "audio"

    def __init__(self, tone_hz: int) -> None:
        super().__init__(_FRAME_SAMPLES / _SAMPLE_RATE)
        # One second of tone is a whole number of waves for any whole frequency, so it repeats without a click.
        wave = [
            round(8_000 * math.sin(2 * math.pi * tone_hz * i / _SAMPLE_RATE)) for i in range(_SAMPLE_RATE)
        ]
        self._pieces = [
            struct.pack(f"<{_FRAME_SAMPLES}h", *wave[i : i + _FRAME_SAMPLES])
            for i in range(0, _SAMPLE_RATE, _FRAME_SAMPLES)
        ]
        self._pts = 0

    async def recv(self) -> AudioFrame:
        """Return 20 ms of tone."""
        await self._wait()
        frame = AudioFrame(format="s16", layout="mono", samples=_FRAME_SAMPLES)
        frame.planes[0].update(self._pieces[self._pts // _FRAME_SAMPLES % len(self._pieces)])
        frame.sample_rate = _SAMPLE_RATE
        frame.time_base = Fraction(1, _SAMPLE_RATE)
        frame.pts = self._pts
        self._pts += _FRAME_SAMPLES
        return frame


class _Picture(_Paced):
    kind = "video"

    def __init__(self, settings: PeerSettings) -> None:
        super().__init__(1 / settings.frames_per_s)
        self._width, self._height = settings.width, settings.height
        self._count = 0

    async def recv(self) -> VideoFrame:
        """Return the next picture: a gradient with a bar that moves."""
        moment = await self._wait()
        frame = VideoFrame(width=self._width, height=self._height, format="yuv420p")
        luma = frame.planes[0]
        row = bytearray((x * 2 + self._count) & 0xFF for x in range(luma.line_size))
        bar = self._count * 4 % self._width
        row[bar : bar + 8] = b"\xeb" * 8
        luma.update(bytes(row[: luma.line_size]) * self._height)
        for plane in frame.planes[1:]:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts = int(moment * 90_000)
        frame.time_base = Fraction(1, 90_000)
        self._count += 1
        return frame


class SyntheticPeer:
    """One participant. `join` connects, the switches change what it sends, `leave` ends; a peer joins once."""

    def __init__(self, settings: PeerSettings | None = None) -> None:
        self._settings = settings or PeerSettings()
        self._connection: Any = None
        self._audio: _Tone | None = None
        self._video: _Picture | None = None
        self._meters = {
            Kind.AUDIO: StreamMeter(48_000, time.monotonic),
            Kind.VIDEO: StreamMeter(90_000, time.monotonic),
        }
        self._last_luma: float | None = None
        self._pictured = asyncio.Event()

    async def join(self, exchange: Exchange) -> None:
        """Offer, get the answer through `exchange`, and wait until connected.

        Raises PeerError when no connection comes about in time, and whatever `exchange` raises.
        """
        if self._connection is not None:
            raise PeerError("a peer joins once; make another for a reload", permanent=True)
        seam.prepare((self._settings.bind,))
        connection = self._connection = seam.new_connection()
        self._audio, self._video = _Tone(self._settings.tone_hz), _Picture(self._settings)
        connection.addTrack(self._audio)
        connection.addTrack(self._video)
        connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def changed() -> None:
            state = connection.connectionState
            if connected.done():
                return
            if state == "connected":
                connected.set_result(None)
            elif state in ("failed", "closed"):
                connected.set_exception(PeerError("the media connection failed", permanent=False))

        connection.on("connectionstatechange", changed)
        try:
            async with asyncio.timeout(self._settings.connect_s):
                await connection.setLocalDescription(await connection.createOffer())
                answer = await exchange(connection.localDescription.sdp)
                await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                self._tap()
                await connected
        except TimeoutError as error:
            raise PeerError("no media connection in time", permanent=False) from error
        finally:
            if not connected.done() or connected.cancelled() or connected.exception() is not None:
                await connection.close()

    def _tap(self) -> None:
        for transceiver in self._connection.getTransceivers():
            kind = Kind(transceiver.kind)
            seam.receive(
                transceiver.receiver,
                self._meters[kind],
                self._sink(kind),
                self._settings.decoder_queue_frames,
            )

    def _sink(self, kind: Kind) -> seam.FrameSink:
        def sink(frame: Any) -> None:
            self._meters[kind].frame()
            if kind is Kind.VIDEO:
                # One line of the picture is enough to tell black from a scene.
                line = bytes(frame.planes[0])[: frame.width]
                self._last_luma = sum(line) / len(line)
                self._pictured.set()

        return sink

    def mute_video(self, muted: bool) -> None:
        """Stop or restart the camera: no video packet leaves while muted; audio goes on."""
        if self._video is not None:
            self._video.shut(muted)

    def stop_sending(self, stopped: bool) -> None:
        """Stop or restart both audio and video; the connection stays."""
        self.mute_video(stopped)
        if self._audio is not None:
            self._audio.shut(stopped)

    async def leave(self) -> None:
        """Close the connection. Safe to call twice."""
        if self._connection is not None:
            await self._connection.close()

    def received(self, kind: Kind) -> Totals:
        """Return the running totals of what this peer received of `kind`."""
        return self._meters[kind].totals()

    @property
    def luma(self) -> float | None:
        """Mean luma of the top line of the last picture received, 16 for black; None before any."""
        return self._last_luma

    async def picture_until(self, wanted: Callable[[float], bool]) -> None:
        """Wait for a picture whose luma (see `luma`) is `wanted`."""
        while self._last_luma is None or not wanted(self._last_luma):
            self._pictured.clear()
            await self._pictured.wait()

    @property
    def connected(self) -> bool:
        """Whether the connection is up."""
        return self._connection is not None and self._connection.connectionState == "connected"
