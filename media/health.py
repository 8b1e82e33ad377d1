"""Says from counts alone whether the line of a call is proven: samples in, changes out.

Rule: pure. Time is an argument in seconds of any steady clock; wall time is added by the caller. Audio without video
is never a proven line, because direct supervision needs both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from media.backend import Evidence, Kind, LineCause, LineState, Participant


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """Thresholds of the line, from the measured page on media, section 5."""

    proof_s: float = 2.0
    """How long both ways must hold before the line is verified, and the window of the rates below."""
    stop_s: float = 1.0
    """Longer without packets or frames of a kind is a loss."""
    pause_s: float = 0.5
    """Longer without packets or frames of a kind is below quality."""
    audio_packets_per_s: int = 40
    video_frames_per_s: int = 5
    """Fewer do not prove a line that is not yet verified."""
    good_video_frames_per_s: int = 10
    loss_percent: int = 5
    round_trip_ms: int = 400
    video_delivery_s: float = 3.0
    audio_delivery_s: float = 8.0
    """Receiver reports of the far side must advance within this; browsers report sound only every five seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSample:
    """Running totals of one kind of media from one participant, and when its last signs were seen (seconds).

    `delivered_at_s` is when the participant's receiver reports last advanced for what is sent to it of this kind.
    """

    packets: int = 0
    frames: int = 0
    lost_packets: int = 0
    last_packet_s: float | None = None
    last_frame_s: float | None = None
    delivered_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSample:
    """One participant's connection at one moment."""

    participant: Participant
    leg: str
    connected: bool
    audio: StreamSample = field(default_factory=StreamSample)
    video: StreamSample = field(default_factory=StreamSample)
    round_trip_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All legs of a call at `at_s`; at most one per participant."""

    at_s: float
    legs: tuple[LegSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A change of the line: what it became, why, and whose media is at fault."""

    state: LineState
    cause: LineCause
    participant: Participant | None = None
    kind: Kind | None = None
    evidence: tuple[Evidence, ...] = ()
    window_s: float = 0.0
    silent_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the fold remembers.

    `alive_since_s`: since when nothing required has stopped; `good_since_s`: since when quality holds as well;
    `window`: the samples of the last proof window, the first one just older than it.
    """

    required: tuple[Participant, ...]
    state: LineState = LineState.ABSENT
    cause: LineCause = LineCause.CALL_OPENED
    alive_since_s: float | None = None
    good_since_s: float | None = None
    window: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fault:
    cause: LineCause
    participant: Participant | None = None
    kind: Kind | None = None
    silent_s: float = 0.0


def step(health: Health, sample: Sample, limits: HealthLimits) -> tuple[Health, Verdict | None]:
    """Fold one sample in and return the new memory and the change it caused, if any.

    Samples come in order of `at_s`, about every 100 ms; the order of two samples at one moment does not matter.
    """
    window = (*health.window, sample)
    while len(window) > 2 and sample.at_s - window[1].at_s >= limits.proof_s:
        window = window[1:]
    health = replace(health, window=window)
    stop = next(_stops(health, sample, limits), None)
    loss = stop or next(_undelivered(health, sample, limits), None)
    trouble = next(_troubles(health, sample, limits), None)
    health = replace(
        health,
        alive_since_s=_since(stop is None, health.alive_since_s, sample.at_s),
        good_since_s=_since(loss is None and trouble is None, health.good_since_s, sample.at_s),
    )
    if health.state in (LineState.VERIFIED, LineState.DEGRADED):
        verdict = _judge_proven(health, sample, limits, loss, trouble)
    elif (
        loss is None
        and _held(health.alive_since_s, sample.at_s, limits)
        and not _thin(health, sample, limits)
    ):
        verdict = _proof(health, sample) if trouble is None else _verdict(LineState.DEGRADED, trouble)
    else:
        verdict = _judge_unproven(health, sample)
    if verdict is None:
        return health, None
    return replace(health, state=verdict.state, cause=verdict.cause), verdict


def _since(holds: bool, since: float | None, now: float) -> float | None:
    if not holds:
        return None
    return now if since is None else since


def _judge_proven(
    health: Health, sample: Sample, limits: HealthLimits, loss: _Fault | None, trouble: _Fault | None
) -> Verdict | None:
    if loss is not None:
        return _verdict(LineState.LOST, loss)
    if health.state is LineState.VERIFIED:
        return None if trouble is None else _verdict(LineState.DEGRADED, trouble)
    return _proof(health, sample) if _held(health.good_since_s, sample.at_s, limits) else None


def _judge_unproven(health: Health, sample: Sample) -> Verdict | None:
    """A line that was lost stays lost until it is proven again, so that its gap has one start and one end."""
    present = any(leg.participant in health.required for leg in sample.legs)
    if health.state is LineState.ABSENT and present:
        return Verdict(state=LineState.CONNECTING, cause=LineCause.PARTICIPANT_JOINING)
    if health.state is LineState.CONNECTING and not present:
        return Verdict(state=LineState.ABSENT, cause=LineCause.PARTICIPANT_LEFT)
    return None


def _held(since: float | None, now: float, limits: HealthLimits) -> bool:
    return since is not None and now - since >= limits.proof_s


def _verdict(state: LineState, fault: _Fault) -> Verdict:
    return Verdict(
        state=state,
        cause=fault.cause,
        participant=fault.participant,
        kind=fault.kind,
        silent_s=fault.silent_s if state is LineState.LOST else 0.0,
    )


def _proof(health: Health, sample: Sample) -> Verdict:
    evidence = []
    for participant in health.required:
        then, now = _ends(health, participant)
        evidence.append(
            Evidence(
                participant=participant,
                audio_packets=now.audio.packets - then.audio.packets,
                audio_frames=now.audio.frames - then.audio.frames,
                video_packets=now.video.packets - then.video.packets,
                video_frames=now.video.frames - then.video.frames,
            )
        )
    return Verdict(
        state=LineState.VERIFIED,
        cause=LineCause.MEDIA_BOTH_WAYS,
        evidence=tuple(evidence),
        window_s=sample.at_s - health.window[0].at_s,
    )


def _leg(sample: Sample, participant: Participant) -> LegSample | None:
    return next((leg for leg in sample.legs if leg.participant == participant), None)


def _ends(health: Health, participant: Participant) -> tuple[LegSample, LegSample]:
    """Return the participant's leg at the start and the end of the window; a leg that is new counts from nothing."""
    nobody = LegSample(participant=participant, leg="", connected=False)
    now = _leg(health.window[-1], participant) or nobody
    then = _leg(health.window[0], participant)
    if then is None or then.leg != now.leg:
        then = replace(nobody, leg=now.leg)
    return then, now


def _kinds(leg: LegSample) -> tuple[tuple[Kind, StreamSample], ...]:
    return ((Kind.VIDEO, leg.video), (Kind.AUDIO, leg.audio))


_STOPPED = {Kind.VIDEO: LineCause.VIDEO_STOPPED, Kind.AUDIO: LineCause.AUDIO_STOPPED}


def _stops(health: Health, sample: Sample, limits: HealthLimits) -> Iterator[_Fault]:
    """Yield what ends a proven line on the way in: a missing leg, or a kind of media that stopped."""
    for participant in health.required:
        leg = _leg(sample, participant)
        if leg is None or not leg.connected:
            yield _Fault(LineCause.PARTICIPANT_LEFT, participant)
            continue
        for kind, stream in _kinds(leg):
            silent = _silence(stream, sample.at_s)
            if silent is None or silent > limits.stop_s:
                yield _Fault(_STOPPED[kind], participant, kind, silent or 0.0)


def _undelivered(health: Health, sample: Sample, limits: HealthLimits) -> Iterator[_Fault]:
    """Yield what ends a proven line on the way out: a participant whose receiver reports do not advance.

    Video must have been reported once; sound, which browsers report seldom, counts only after its first report.
    """
    for participant in health.required:
        leg = _leg(sample, participant)
        if leg is None:
            continue
        video, audio = leg.video.delivered_at_s, leg.audio.delivered_at_s
        if video is None or sample.at_s - video > limits.video_delivery_s:
            yield _Fault(LineCause.NOT_DELIVERED, participant, Kind.VIDEO)
        if audio is not None and sample.at_s - audio > limits.audio_delivery_s:
            yield _Fault(LineCause.NOT_DELIVERED, participant, Kind.AUDIO)


def _silence(stream: StreamSample, now: float) -> float | None:
    """Return how long the older of the two signs, packet and frame, has been missing; None when one never came."""
    if stream.last_packet_s is None or stream.last_frame_s is None:
        return None
    if stream.packets == 0 or stream.frames == 0:
        return None
    return now - min(stream.last_packet_s, stream.last_frame_s)


def _thin(health: Health, sample: Sample, limits: HealthLimits) -> bool:
    """Say whether some required stream brought too little in the window to prove anything."""
    span = sample.at_s - health.window[0].at_s
    for participant in health.required:
        then, now = _ends(health, participant)
        if now.audio.packets - then.audio.packets < limits.audio_packets_per_s * span:
            return True
        if now.audio.frames == then.audio.frames or now.video.packets == then.video.packets:
            return True
        if now.video.frames - then.video.frames < limits.video_frames_per_s * span:
            return True
    return False


def _troubles(health: Health, sample: Sample, limits: HealthLimits) -> Iterator[_Fault]:
    """Yield what makes a line that flows both ways poor."""
    full = sample.at_s - health.window[0].at_s >= limits.proof_s
    span = sample.at_s - health.window[0].at_s
    for participant in health.required:
        then, now = _ends(health, participant)
        for (kind, old), (_, new) in zip(_kinds(then), _kinds(now), strict=True):
            silent = _silence(new, sample.at_s)
            if silent is not None and silent > limits.pause_s:
                yield _Fault(LineCause.PAUSE, participant, kind, silent)
            lost = new.lost_packets - old.lost_packets
            expected = lost + new.packets - old.packets
            if full and lost > 0 and lost * 100 > expected * limits.loss_percent:
                yield _Fault(LineCause.PACKET_LOSS, participant, kind)
        # One frame of tolerance: a window cuts a steady stream at either end.
        frames = now.video.frames - then.video.frames
        if full and frames + 1 < limits.good_video_frames_per_s * span:
            yield _Fault(LineCause.LOW_FRAME_RATE, participant, Kind.VIDEO)
        if now.round_trip_ms is not None and now.round_trip_ms > limits.round_trip_ms:
            yield _Fault(LineCause.ROUND_TRIP, participant)
