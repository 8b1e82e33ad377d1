"""The line is judged from counts alone: what proves it, what ends it, and what no history may ever do."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.backend import Kind, LineCause, LineState, Participant
from media.health import Health, HealthLimits, LegSample, Sample, StreamSample, Verdict, step

LIMITS = HealthLimits()
TECH, DOC = Participant("technologist"), Participant("physician")
TICK_S = 0.1


@dataclass
class Side:
    """One participant's media as a test describes it: rates per second, and what is wrong."""

    name: Participant
    present: bool = True
    connected: bool = True
    leg: str = "leg-1"
    audio_per_s: int = 50
    video_per_s: int = 15
    audio_frames: bool = True
    video_frames: bool = True
    loss: bool = False
    delivered: bool = True
    round_trip_ms: int | None = 20
    audio: StreamSample = field(default_factory=StreamSample)
    video: StreamSample = field(default_factory=StreamSample)

    def tick(self, now: float) -> LegSample:
        """Advance by one tick and give the sample."""
        self.audio = self._advance(self.audio, self.audio_per_s, self.audio_frames, now)
        self.video = self._advance(self.video, self.video_per_s, self.video_frames, now)
        return LegSample(
            participant=self.name,
            leg=self.leg,
            connected=self.connected,
            audio=self.audio,
            video=self.video,
            round_trip_ms=self.round_trip_ms,
        )

    def _advance(self, stream: StreamSample, per_s: int, frames: bool, now: float) -> StreamSample:
        due = int(per_s * now + 1e-6) - int(per_s * (now - TICK_S) + 1e-6)
        if self.delivered:
            stream = replace(stream, delivered_at_s=now)
        if not due:
            return stream
        stream = replace(stream, packets=stream.packets + due, last_packet_s=now)
        if self.loss:
            stream = replace(stream, lost_packets=stream.lost_packets + due)
        return replace(stream, frames=stream.frames + due, last_frame_s=now) if frames else stream


class Scene:
    """Runs the fold over two sides, tick by tick."""

    def __init__(self) -> None:
        self.tech, self.doc = Side(TECH), Side(DOC)
        self.health = Health(required=(TECH, DOC))
        self.ticks = 100
        self.verdicts: list[tuple[float, Verdict]] = []

    @property
    def now(self) -> float:
        return self.ticks * TICK_S

    def run(self, seconds: float) -> list[Verdict]:
        """Advance and return the verdicts of this stretch."""
        before = len(self.verdicts)
        for _ in range(round(seconds / TICK_S)):
            self.ticks += 1
            legs = tuple(side.tick(self.now) for side in (self.tech, self.doc) if side.present)
            self.health, verdict = step(self.health, Sample(at_s=self.now, legs=legs), LIMITS)
            if verdict is not None:
                self.verdicts.append((self.now, verdict))
        return [verdict for _, verdict in self.verdicts[before:]]


def verified_scene() -> Scene:
    """A scene whose line has just been verified."""
    scene = Scene()
    assert [LineState.CONNECTING, LineState.VERIFIED] == [v.state for v in scene.run(2.5)]
    return scene


def test_two_way_media_is_verified_after_two_seconds_with_its_evidence() -> None:
    """Two seconds of both kinds both ways verify the line, and the verdict carries what was counted."""
    scene = Scene()

    first = scene.run(1.9)
    second = scene.run(0.6)

    assert [LineState.CONNECTING] == [v.state for v in first]
    assert [LineState.VERIFIED] == [v.state for v in second]
    assert [TECH, DOC] == [e.participant for e in second[0].evidence]
    assert all(e.audio_packets >= 80 and e.video_frames >= 10 for e in second[0].evidence)


def test_one_participant_alone_only_connects() -> None:
    """A line with one side has nobody to be proven with."""
    scene = Scene()
    scene.doc.present = False

    assert [LineState.CONNECTING] == [v.state for v in scene.run(10)]

    scene.tech.present = False

    assert [LineState.ABSENT] == [v.state for v in scene.run(1)]


@pytest.mark.hazard("H-04")
def test_video_that_stops_loses_the_line_though_audio_goes_on() -> None:
    """Video of one side stops: lost within 1.2 s, naming the side, the kind and how long it has been silent."""
    scene = verified_scene()
    scene.tech.video_per_s = 0
    stopped = scene.now

    lost = scene.run(2)[-1]

    assert (LineState.LOST, LineCause.VIDEO_STOPPED, TECH, Kind.VIDEO) == (
        lost.state,
        lost.cause,
        lost.participant,
        lost.kind,
    )
    assert scene.verdicts[-1][0] - stopped <= 1.2
    assert lost.silent_s > LIMITS.stop_s


def test_packets_without_decodable_frames_do_not_hold_the_line() -> None:
    """Packets that decode to no frame are not a picture."""
    scene = verified_scene()
    scene.doc.video_frames = False

    assert LineCause.VIDEO_STOPPED == scene.run(2)[-1].cause


def test_audio_that_stops_loses_the_line() -> None:
    """Audio of one side stops: lost with that cause."""
    scene = verified_scene()
    scene.doc.audio_per_s = 0

    lost = scene.run(2)[-1]

    assert (LineState.LOST, LineCause.AUDIO_STOPPED, DOC) == (lost.state, lost.cause, lost.participant)


def test_media_that_returns_is_verified_again_only_after_two_seconds() -> None:
    """The way up has hysteresis: a lost line needs the full proof again."""
    scene = verified_scene()
    scene.tech.video_per_s = 0
    scene.run(5)
    scene.tech.video_per_s = 15

    assert [] == scene.run(1.8)
    assert [LineState.VERIFIED] == [v.state for v in scene.run(2.5)]


def test_a_new_leg_of_the_same_participant_needs_its_own_proof() -> None:
    """After a reload the counters start from nothing and the line is proven by the new leg alone."""
    scene = verified_scene()
    scene.tech.present = False
    lost = scene.run(0.5)
    scene.tech = Side(TECH, leg="leg-2")

    assert [LineCause.PARTICIPANT_LEFT] == [v.cause for v in lost]

    back = scene.run(2.5)

    assert [LineState.VERIFIED] == [v.state for v in back]
    assert 80 <= back[0].evidence[0].audio_packets <= 120


def test_poor_quality_degrades_and_recovers_with_hysteresis() -> None:
    """Each kind of poor quality has its cause; the return takes two good seconds."""
    for field_name, bad, cause in (
        ("video_per_s", 7, LineCause.LOW_FRAME_RATE),
        ("loss", True, LineCause.PACKET_LOSS),
        ("round_trip_ms", 900, LineCause.ROUND_TRIP),
    ):
        scene = verified_scene()
        good = getattr(scene.doc, field_name)
        setattr(scene.doc, field_name, bad)

        degraded = scene.run(3)

        assert [(LineState.DEGRADED, cause, DOC)] == [(v.state, v.cause, v.participant) for v in degraded]

        setattr(scene.doc, field_name, good)

        assert [] == scene.run(1.9)
        assert [LineState.VERIFIED] == [v.state for v in scene.run(3)]


def test_a_pause_shorter_than_a_loss_degrades() -> None:
    """0.8 s without video is a pause, not a loss."""
    scene = verified_scene()
    scene.tech.video_per_s = 0
    first = scene.run(0.8)
    scene.tech.video_per_s = 15
    second = scene.run(4)

    assert [LineCause.PAUSE] == [v.cause for v in first]
    assert [LineState.VERIFIED] == [v.state for v in second]


@pytest.mark.hazard("H-05")
def test_media_the_far_side_does_not_receive_is_no_two_way_line() -> None:
    """Receiver reports that stop advancing lose the line within about three seconds."""
    scene = verified_scene()
    scene.doc.delivered = False
    since = scene.now

    lost = scene.run(4)[-1]

    assert (LineState.LOST, LineCause.NOT_DELIVERED, DOC) == (lost.state, lost.cause, lost.participant)
    assert scene.verdicts[-1][0] - since <= 3.2


def test_a_poor_line_is_degraded_not_verified_on_first_proof() -> None:
    """Both ways flow from the start but below quality: degraded, so that readiness is never given on it."""
    scene = Scene()
    scene.doc.round_trip_ms = 900

    assert [LineState.CONNECTING, LineState.DEGRADED] == [v.state for v in scene.run(6)]


side_changes = st.fixed_dictionaries(
    {
        "present": st.booleans() | st.just(True),
        "connected": st.booleans() | st.just(True),
        "audio_per_s": st.sampled_from([0, 20, 50, 50]),
        "video_per_s": st.sampled_from([0, 3, 8, 15, 15]),
        "audio_frames": st.booleans() | st.just(True),
        "video_frames": st.booleans() | st.just(True),
        "loss": st.just(False) | st.booleans(),
        "delivered": st.booleans() | st.just(True),
        "leg": st.sampled_from(["leg-1", "leg-1", "leg-2"]),
    }
)
stories = st.lists(
    st.tuples(side_changes, side_changes, st.integers(1, 60)),
    min_size=1,
    max_size=8,
)
Story = list[tuple[dict[str, object], dict[str, object], int]]


def play(scene: Scene, story: Story) -> list[tuple[Health, Sample, Verdict | None]]:
    """Play a story and return every memory, sample and verdict."""
    steps = []
    for tech, doc, ticks in story:
        for side, change in ((scene.tech, tech), (scene.doc, doc)):
            for name, value in change.items():
                setattr(side, name, value)
        for _ in range(ticks):
            scene.ticks += 1
            legs = tuple(side.tick(scene.now) for side in (scene.tech, scene.doc) if side.present)
            sample = Sample(at_s=scene.now, legs=legs)
            scene.health, verdict = step(scene.health, sample, LIMITS)
            steps.append((scene.health, sample, verdict))
    return steps


@settings(max_examples=150, deadline=None)
@given(stories)
def test_no_history_verifies_a_line_without_both_kinds_both_ways(story: Story) -> None:
    """Whatever happened before, an up line has fresh packets and frames of both kinds from every required side."""
    for health, sample, verdict in play(Scene(), story):
        if health.state in (LineState.VERIFIED, LineState.DEGRADED):
            assert {TECH, DOC} == {leg.participant for leg in sample.legs if leg.connected}
            for leg in sample.legs:
                for stream in (leg.audio, leg.video):
                    assert stream.last_packet_s is not None and stream.last_frame_s is not None
                    assert sample.at_s - stream.last_packet_s <= LIMITS.stop_s
                    assert sample.at_s - stream.last_frame_s <= LIMITS.stop_s
        if verdict is not None and verdict.state is LineState.VERIFIED:
            assert all(
                min(e.audio_packets, e.audio_frames, e.video_packets, e.video_frames) > 0
                for e in verdict.evidence
            )
            assert verdict.window_s >= LIMITS.proof_s


@settings(max_examples=100, deadline=None)
@given(stories)
def test_a_change_is_always_a_change(story: Story) -> None:
    """No verdict repeats the state the line is in, and up is never reached without a verdict."""
    state = LineState.ABSENT
    for health, _, verdict in play(Scene(), story):
        if verdict is not None:
            assert verdict.state is not state
            state = verdict.state
        assert state is health.state


@settings(max_examples=100, deadline=None)
@given(stories)
def test_any_history_followed_by_good_media_ends_verified(story: Story) -> None:
    """However bad the past, five good seconds verify the line: nothing gets stuck."""
    scene = Scene()
    play(scene, story)
    for side in (scene.tech, scene.doc):
        fresh = Side(side.name)
        for name in ("present", "connected", "audio_per_s", "video_per_s", "loss", "delivered"):
            setattr(side, name, getattr(fresh, name))
        side.audio_frames = side.video_frames = True

    scene.run(5)

    assert LineState.VERIFIED is scene.health.state


@settings(max_examples=100, deadline=None)
@given(stories, st.sampled_from(["audio", "video"]))
def test_one_kind_alone_is_never_a_proven_line(story: Story, kind: str) -> None:
    """Audio without video, or video without audio, never verifies."""
    for tech, _, _ in story:
        tech["video_per_s" if kind == "audio" else "audio_per_s"] = 0

    assert all(
        health.state in (LineState.ABSENT, LineState.CONNECTING) for health, _, _ in play(Scene(), story)
    )
