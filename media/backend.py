"""What the engine may ask of whatever carries calls, and what it hears back.

Rule: no clinical data. A participant is a place in the call ("technologist", "physician"), never a person's name.
"""

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol

from engine.kernel.ids import parse_id

CallId = NewType("CallId", str)
LegId = NewType("LegId", str)
Participant = NewType("Participant", str)


def parse_call_id(text: str) -> CallId:
    """Return `text` as the id of a call. Raises Invalid("call_id", …)."""
    return CallId(parse_id("call_id", text))


def parse_leg_id(text: str) -> LegId:
    """Return `text` as the id of a leg. Raises Invalid("leg_id", …)."""
    return LegId(parse_id("leg_id", text))


def parse_participant(text: str) -> Participant:
    """Return `text` as the name of a place in a call. Raises Invalid("participant", …)."""
    return Participant(parse_id("participant", text))


class Kind(StrEnum):
    """What kind of media."""

    AUDIO = "audio"
    VIDEO = "video"


class LineState(StrEnum):
    """The two-way audio and video of a call, as proven by what was counted."""

    ABSENT = "absent"
    CONNECTING = "connecting"
    VERIFIED = "verified"
    DEGRADED = "degraded"
    LOST = "lost"


class LineCause(StrEnum):
    """Why the line is as it is."""

    CALL_OPENED = "call_opened"
    PARTICIPANT_JOINING = "participant_joining"
    MEDIA_BOTH_WAYS = "media_both_ways"
    VIDEO_STOPPED = "video_stopped"
    AUDIO_STOPPED = "audio_stopped"
    PARTICIPANT_LEFT = "participant_left"
    NOT_DELIVERED = "not_delivered"
    PACKET_LOSS = "packet_loss"
    LOW_FRAME_RATE = "low_frame_rate"
    ROUND_TRIP = "round_trip"
    PAUSE = "pause"
    CALL_CLOSED = "call_closed"
    NODE_DOWN = "node_down"


class LegState(StrEnum):
    """The connection of one participant."""

    JOINING = "joining"
    CONNECTED = "connected"
    ENDED = "ended"


class LegCause(StrEnum):
    """Why a leg ended."""

    REMOVED = "removed"
    REPLACED = "replaced"
    LEFT = "left"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    CALL_CLOSED = "call_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the node received and decoded of one participant in the window that proved the line."""

    participant: Participant
    audio_packets: int
    audio_frames: int
    video_packets: int
    video_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChanged:
    """The line of a call entered `state`.

    `participant` and `kind` name what is at fault (None where nothing is). `evidence` and `window_ms` are filled when
    the state is verified; `silent_ms` is how old the last good media was when the line was lost.
    """

    call_id: CallId
    state: LineState
    cause: LineCause
    at: dt.datetime
    participant: Participant | None = None
    kind: Kind | None = None
    evidence: tuple[Evidence, ...] = ()
    window_ms: int = 0
    silent_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LegChanged:
    """The connection of one participant entered `state`; `cause` says why it ended."""

    call_id: CallId
    leg_id: LegId
    participant: Participant
    state: LegState
    at: dt.datetime
    cause: LegCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRow:
    """One second of one kind of media of one leg, as the node counted it.

    `packets`, `bytes`, `frames`, `lost_packets`, `jitter_us` (RFC 3550) and `longest_gap_ms` are of what came from
    the peer; `sent_packets` went to the peer and `delivered_packets` is what its receiver reports confirmed since
    the last row; `round_trip_ms` is None until measured.
    """

    leg_id: LegId
    participant: Participant
    kind: Kind
    packets: int
    bytes: int
    frames: int
    lost_packets: int
    jitter_us: int
    longest_gap_ms: int
    sent_packets: int
    delivered_packets: int
    round_trip_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One second of a call: `length_ms` from `starts_at`, one row per leg and kind."""

    call_id: CallId
    starts_at: dt.datetime
    length_ms: int
    rows: tuple[ProofRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaEvent:
    """One observation of a node; `sequence` rises by one per observation and is 0 for what a client concluded."""

    node_id: str
    sequence: int
    body: LineChanged | LegChanged | Proof


def wall(moment: dt.datetime) -> dt.datetime:
    """Return `moment` cut to milliseconds, the resolution of every time reported."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class MediaBackend(Protocol):
    """Carries calls and proves them. Every method may raise PeerError when the carrier is out of reach."""

    async def open_call(self, call_id: CallId, required: tuple[Participant, ...]) -> None:
        """Open an empty call whose line is the two-way media of `required` (at least two, unique).

        The same call again changes nothing. Raises Rejected("CALL_EXISTS") for other participants,
        Rejected("DRAINING"), Overloaded("calls_per_node"), Invalid.
        """
        ...

    async def add_leg(self, call_id: CallId, leg_id: LegId, participant: Participant, offer_sdp: str) -> str:
        """Connect `participant` and return the SDP answer; an older leg of the same participant is replaced.

        Raises Invalid("offer_sdp", …), Missing, Rejected("LEG_EXISTS"), Rejected("DRAINING"),
        Overloaded("legs_per_call").
        """
        ...

    async def remove_leg(self, call_id: CallId, leg_id: LegId) -> None:
        """Disconnect one leg. Raises Missing."""
        ...

    async def close_call(self, call_id: CallId) -> None:
        """End a call and all its legs. Raises Missing."""
        ...

    def watch(self, after_sequence: int = 0) -> AsyncIterator[MediaEvent]:
        """Yield what was observed after `after_sequence`, in order, for ever. Raises Overloaded when too slow."""
        ...

    async def drain(self) -> tuple[int, int]:
        """Take no more calls and legs; return how many calls and legs still run."""
        ...
