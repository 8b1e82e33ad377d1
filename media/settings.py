"""The named limits of a media node, in one frozen value. Rule: no limit lives elsewhere."""

from dataclasses import dataclass, field

from media.health import HealthLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Limits and timings of one media node. Times in the unit of the name."""

    bind: str = "127.0.0.1"
    """The one address media is carried on; the only candidate in every answer."""
    calls_per_node: int = 16
    legs_per_call: int = 4
    candidates_per_offer: int = 32
    codecs_per_media: int = 64
    offer_bytes: int = 32_768
    offer_lines: int = 1_000
    journal_events: int = 20_000
    """Observations kept for watchers; a watcher further behind is cut."""
    join_timeout_s: float = 15.0
    """A leg that has not connected by then is ended; aioice itself would wait for ever."""
    tick_s: float = 0.1
    proof_row_s: float = 1.0
    heartbeat_s: float = 1.0
    audio_queue_frames: int = 10
    video_queue_frames: int = 2
    decoder_queue_frames: int = 60
    black_frames_per_s: int = 5
    """Rate of the black picture sent while there is nothing to forward."""
    forward_frames_per_s: int = 30
    close_s: float = 1.0
    """How long a leg may take to close before it is left behind."""
    stop_s: float = 1.5
    """How long the process may take to end after it was told to."""
    health: HealthLimits = field(default_factory=HealthLimits)
