"""The outgoing slots of a leg: each always sends, forwarding another participant's frames or silence and black.

Rule: a slot never ends and never changes format, so nobody's join, leave or reload needs a renegotiation.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction

from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

from media.settings import MediaSettings

_SAMPLE_RATE = 48_000
_SILENCE_SAMPLES = 960
_VIDEO_CLOCK = 90_000
_BEHIND_S = 0.2
_BLACK_AFTER_S = 1.0


class AudioSlot(MediaStreamTrack):  # type: ignore[misc] # aiortc is skipped by the type checker
    """Sends 20 ms of sound on its own clock: the oldest waiting frame, or silence."""

    kind = "audio"

    def __init__(self, settings: MediaSettings, steady: Callable[[], float]) -> None:
        super().__init__()
        self._steady = steady
        self._waiting: deque[AudioFrame] = deque(maxlen=settings.audio_queue_frames)
        self._due_s: float | None = None
        self._pts = 0

    def feed(self, frame: AudioFrame) -> None:
        """Queue a decoded frame (16-bit stereo at 48 kHz); the oldest goes when the queue is full."""
        self._waiting.append(frame)

    def clear(self) -> None:
        """Forget what waits, because its source is gone."""
        self._waiting.clear()

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due."""
        now = self._steady()
        if self._due_s is None or now - self._due_s > _BEHIND_S:
            self._due_s = now
        await asyncio.sleep(max(0.0, self._due_s - now))
        source = self._waiting.popleft() if self._waiting else None
        frame = AudioFrame(
            format="s16", layout="stereo", samples=source.samples if source else _SILENCE_SAMPLES
        )
        plane = frame.planes[0]
        # A copy, because the same frame may wait in the slots of several legs and each has its own timeline.
        plane.update(bytes(source.planes[0])[: plane.buffer_size] if source else bytes(plane.buffer_size))
        frame.sample_rate = _SAMPLE_RATE
        frame.time_base = Fraction(1, _SAMPLE_RATE)
        frame.pts = self._pts
        self._pts += frame.samples
        self._due_s += frame.samples / _SAMPLE_RATE
        return frame


class VideoSlot(MediaStreamTrack):  # type: ignore[misc] # aiortc is skipped by the type checker
    """Sends each picture as it comes; black, slowly, when none has come for a second."""

    kind = "video"

    def __init__(self, settings: MediaSettings, steady: Callable[[], float]) -> None:
        super().__init__()
        self._steady = steady
        self._waiting: deque[VideoFrame] = deque(maxlen=settings.video_queue_frames)
        self._arrived = asyncio.Event()
        self._black_every_s = 1 / settings.black_frames_per_s
        # Half a frame of tolerance, so that a source at exactly the limit passes whole.
        self._least_step_s = 0.5 / settings.forward_frames_per_s
        self._last_fed_s = 0.0
        self._sourced = False
        self._size = (160, 120)

    def feed(self, frame: VideoFrame) -> None:
        """Queue a decoded picture, stamped with `stamp`; the oldest goes when the queue is full."""
        now = self._steady()
        if now - self._last_fed_s < self._least_step_s:
            return
        self._last_fed_s = now
        self._waiting.append(frame)
        self._arrived.set()

    def clear(self) -> None:
        """Forget what waits and turn black at once, because the source is gone."""
        self._waiting.clear()
        self._sourced = False

    async def recv(self) -> VideoFrame:
        """Return the next picture, or a black one after a wait."""
        if not self._waiting:
            self._arrived.clear()
            try:
                async with asyncio.timeout(_BLACK_AFTER_S if self._sourced else self._black_every_s):
                    await self._arrived.wait()
            except TimeoutError:
                self._sourced = False
        if not self._waiting:
            return stamp(_black(self._size), self._steady())
        self._sourced = True
        frame = self._waiting.popleft()
        self._size = (frame.width, frame.height)
        return frame


def stamp(frame: VideoFrame, now_s: float) -> VideoFrame:
    """Give `frame` its place on the one timeline that all slots of this process share, and return it."""
    frame.pts = int(now_s * _VIDEO_CLOCK)
    frame.time_base = Fraction(1, _VIDEO_CLOCK)
    return frame


def _black(size: tuple[int, int]) -> VideoFrame:
    frame = VideoFrame(width=size[0], height=size[1], format="yuv420p")
    for plane, value in zip(frame.planes, (16, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame
