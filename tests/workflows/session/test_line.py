"""The line and the physician: gaps, rings, hand-offs and late entries. Nobody is ever left without somebody named."""

import datetime as dt

import pytest

from engine.kernel.commands import Actor, Command, TimerFired
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from tests.workflows.play import SYSTEM, names
from tests.workflows.session import stories as s

LOST = c.ReportLineLost(cause="no_packets")
BACK = c.ReportLineVerified(evidence=s.FRAMES)


@pytest.mark.hazard("H-04", "H-28")
@pytest.mark.parametrize(
    ("down", "cause"),
    [
        (LOST, "no_packets"),
        (c.ReportOnPhone(cause="no_video"), "on_phone:no_video"),
        (c.ReportLineClosed(), "call_ended"),
    ],
)
def test_a_gap_has_start_end_cause_and_action(down: Command, cause: str) -> None:
    """It opens once when proof ends, keeps what was done about it, and closes when proof is back."""
    play = s.at("injecting")
    start = play.now
    play.do(down, s.MEDIA)
    play.now += dt.timedelta(seconds=5)
    play.do(LOST, s.MEDIA)
    play.do(c.RecordGapAction(gap_number=1, action="injection stopped"), s.TECH)
    play.now += dt.timedelta(seconds=5)
    play.do(BACK, s.MEDIA)
    (gap,) = play.state.gaps

    assert (gap.start, gap.end) == (start, start + dt.timedelta(seconds=10))
    assert (gap.cause, gap.action) == (cause, "injection stopped")
    assert play.state.open_gap is None


def test_no_gap_before_presence_began_and_none_after_it_is_owed() -> None:
    """A line never up, and one that goes after monitoring, leave no gap; an open one ends with monitoring."""
    early = s.at("requested")
    early.do(LOST, s.MEDIA)
    late = s.at("closing")
    late.do(c.ReportLineClosed(), s.MEDIA)
    play = s.at("monitoring")
    play.do(LOST, s.MEDIA)
    play.wait(1800)
    play.do(c.CompleteMonitoring(), s.TECH)

    assert early.state.gaps == () and late.state.gaps == ()
    assert play.state.gaps[0].end == play.now
    assert play.of(e.GapClosed)[0].cause == "presence_no_longer_owed"


@pytest.mark.hazard("H-28")
def test_a_lost_line_rings_a_physician_again() -> None:
    """Fifteen seconds without proof in a phase that owes it: a new ring, with the cause."""
    play = s.at("monitoring")
    play.do(LOST, s.MEDIA)

    assert names(play.wait(14)) == []
    assert names(play.wait(1)) == ["SupervisionRequested"]
    assert play.of(e.SupervisionRequested)[-1].cause == "line_lost"


@pytest.mark.hazard("H-28")
def test_a_flapping_line_does_not_put_the_ring_off() -> None:
    """Lost, connecting, lost again: the time counts from when proof ended, and trying is not proof."""
    play = s.at("monitoring")
    rung = []
    for _ in range(3):
        play.do(LOST, s.MEDIA)
        rung += play.wait(5)
        play.do(c.ReportLineConnecting(), s.MEDIA)
        rung += play.wait(4)

    assert names(rung) == ["SupervisionRequested"]
    assert "connecting" in play.state.phases


def test_a_line_that_comes_back_rings_nobody() -> None:
    """Verified or degraded within the time: no ring, and the next loss has its own full time."""
    play = s.at("monitoring")
    for back in (BACK, c.ReportLineDegraded(cause="low_bitrate")):
        play.do(LOST, s.MEDIA)
        assert names(play.wait(10)) == []
        play.do(back, s.MEDIA)
        assert names(play.wait(60)) == []
    assert play.state.line_down_since is None


def test_the_next_physician_has_the_same_time_for_the_line() -> None:
    """After somebody else answered, a line that fails again rings again."""
    play = s.at("monitoring")
    play.do(LOST, s.MEDIA)
    play.wait(20)
    play.do(c.AssignPhysician(physician_id="md-2", ring_id="ses-1-2", evidence=s.evidence(s.OTHER)), SYSTEM)
    play.do(c.ReportLineConnecting(), s.MEDIA)
    play.do(LOST, s.MEDIA)

    assert names(play.wait(15)) == ["SupervisionRequested"]


def test_a_line_lost_during_a_late_reaction_rings_too() -> None:
    """Presence is no longer owed in closing, but an open reaction owes it again."""
    play = s.at("closing")
    play.do(c.ReportReaction(), s.TECH)
    play.do(LOST, s.MEDIA)

    assert names(play.wait(15)) == ["SupervisionRequested"]


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize("phase", ["identifying", "reviewing", "cleared", "injecting", "monitoring"])
def test_a_physician_who_goes_away_is_rung_for_at_once(phase: str) -> None:
    """Wherever presence is owed, losing the physician opens a gap and starts a ring in the same decision."""
    play = s.at(phase)
    happened = play.do(c.ReportPhysicianAway(physician_id="md-1", cause="lease_lapsed"), SYSTEM)

    assert names(happened)[:3] == ["PhysicianLeft", "GapOpened", "SupervisionRequested"]
    assert not play.state.physician_present
    assert play.do(c.ReportPhysicianAway(physician_id="md-1", cause="lease_lapsed"), SYSTEM) == []


def test_somebody_else_going_away_changes_nothing() -> None:
    """A late report about the physician before is not about this one."""
    play = s.at("cleared")

    assert play.do(c.ReportPhysicianAway(physician_id="md-9", cause="lease_lapsed"), SYSTEM) == []


@pytest.mark.hazard("H-34")
def test_a_hand_off_never_leaves_nobody_responsible() -> None:
    """Until the other accepts, the first stays physician and may act; with the acceptance it is the other, at once."""
    play = s.at("injecting")
    play.do(s.offer(s.OTHER), s.DOC)
    assert play.state.physician.person_id == "md-1" and play.state.physician_present
    assert play.refused(c.AcceptHandOff(evidence=s.evidence(s.DOC)), s.DOC) == "NOT_OFFERED_TO_YOU"
    unlicensed = c.AcceptHandOff(evidence=s.evidence(s.OTHER, "LICENCE_MISSING_IN_STATE"))
    assert play.refused(unlicensed, s.OTHER) == "PHYSICIAN_UNLICENSED"
    play.do(c.AcceptHandOff(evidence=s.evidence(s.OTHER)), s.OTHER)

    assert play.state.physician.person_id == "md-2" and play.state.physician_present
    assert play.of(e.HandOffAccepted)[0].replaces == "md-1"
    assert play.refused(s.offer(s.OTHER), s.DOC) == "NOT_THE_PHYSICIAN"
    responsible = 0
    state = s.MACHINE.initial("ses-1")
    for recorded in play.log:
        state = s.MACHINE.apply(state, recorded)
        responsible += state.physician is not None
        assert not responsible or state.physician_present


def assigned(who: Actor) -> c.AssignPhysician:
    return c.AssignPhysician(physician_id=who.person_id, ring_id="r", evidence=s.evidence(who))


@pytest.mark.hazard("H-34")
@pytest.mark.parametrize("how", ["hand_off", "ring"])
def test_a_new_physician_reviews_and_clears_for_themselves(how: str) -> None:
    """Nobody injects under a clearance of somebody who has left; the same physician's return keeps theirs."""
    play = s.ready()
    play.do(c.ReportPhysicianAway(physician_id="md-1", cause="x"), SYSTEM)
    play.do(assigned(s.DOC), SYSTEM)
    assert play.state.in_phase("cleared") and play.state.cleared and play.state.screening_reviewed

    if how == "hand_off":
        play.do(s.offer(s.OTHER), s.DOC)
        play.do(c.AcceptHandOff(evidence=s.evidence(s.OTHER)), s.OTHER)
    else:
        play.do(assigned(s.OTHER), SYSTEM)

    assert play.state.in_phase("reviewing") and play.state.identity_confirmed
    assert not play.state.cleared and not play.state.screening_reviewed
    assert play.refused(c.ClearForContrast(agent="iohexol"), s.OTHER) == "SCREENING_UNREVIEWED"
    for command in (c.ReviewScreening(), s.SEE, c.ClearForContrast(agent="iohexol")):
        play.do(command, s.OTHER)
    play.do(s.grant(physician=s.evidence(s.OTHER)), s.TECH)
    assert play.state.ready is not None


def test_an_injection_under_way_keeps_its_clearance_when_the_physician_changes() -> None:
    """What was cleared and begun is not undone by who takes over the watch; READY is not asked again."""
    play = s.at("injecting")
    play.do(s.offer(s.OTHER), s.DOC)
    play.do(c.AcceptHandOff(evidence=s.evidence(s.OTHER)), s.OTHER)

    assert play.state.in_phase("injecting") and play.state.cleared
    play.do(s.dose(), s.TECH)
    assert not play.state.contrast[-1].bypassed


def test_a_new_physician_has_to_see_the_patient() -> None:
    """View belongs to who looks: hand-off and another answer take it back, the same physician's return does not."""
    play = s.ready()
    play.do(s.offer(s.OTHER), s.DOC)
    play.do(c.AcceptHandOff(evidence=s.evidence(s.OTHER)), s.OTHER)
    assert not play.state.view_confirmed and play.state.ready is None

    play = s.ready()
    play.do(c.AssignPhysician(physician_id="md-1", ring_id="r", evidence=s.evidence(s.DOC)), SYSTEM)
    assert play.state.view_confirmed
    play.do(c.AssignPhysician(physician_id="md-2", ring_id="r", evidence=s.evidence(s.OTHER)), SYSTEM)
    assert not play.state.view_confirmed and play.state.ready is None
    assert play.of(e.PhysicianAssigned)[-1].replaces == "md-1"


@pytest.mark.hazard("H-33", "H-36")
@pytest.mark.parametrize("phase", s.PHASES)
def test_a_reaction_alarm_reaches_somebody_in_every_phase(phase: str) -> None:
    """Either the physician is on a proven line and is named, or a ring starts in the same decision."""
    play = s.at(phase)
    happened = play.do(c.ReportReaction(), s.TECH)
    (reported,) = [event for event in happened if isinstance(event, e.ReactionReported)]

    assert bool(reported.alerted) != ("SupervisionRequested" in names(happened))
    assert play.state.open_reactions == {"ses-1-r1"}
    deaf = s.at(phase)
    deaf.do(LOST, s.MEDIA)
    assert "SupervisionRequested" in names(deaf.do(c.ReportReaction(), s.TECH))


def test_the_reaction_region_closes_with_the_last_reaction() -> None:
    """A second press joins the open reaction; once it is disposed of, a new press opens a new one."""
    play = s.at("monitoring")
    play.do(c.ReportReaction(), s.TECH)
    play.do(c.ReportReaction(), s.TECH)
    assert play.state.reactions == ("ses-1-r1",)
    play.do(c.ReportReactionClosed(reaction_id="ses-1-r1"), SYSTEM)
    assert "resolved" in play.state.phases
    play.do(c.ReportReaction(), s.TECH)
    assert "active" in play.state.phases and play.state.open_reactions == {"ses-1-r2"}


REOPENING: tuple[Command, ...] = tuple(
    fact
    for fact in s.FACTS
    if type(fact).__name__
    in {
        "RecordScreening",
        "RecordAllergies",
        "RecordWeight",
        "RecordVitals",
        "RecordContrastGiven",
        "RecordGapAction",
        "ReportReaction",
        "ReportLateEntry",
    }
)


@pytest.mark.hazard("H-36", "H-18")
@pytest.mark.parametrize("fact", REOPENING, ids=lambda fact: type(fact).__name__)
def test_a_late_entry_reopens_the_record_as_an_addendum(fact: Command) -> None:
    """After the seal: a new revision, flagged late, both signatures needed again; after signing alone, the same one."""
    sealed = s.at("sealed")
    happened = sealed.do(fact, s.TECH)
    assert isinstance(happened[0], e.AddendumOpened)
    assert sealed.state.revision == 2
    assert "closing" in sealed.state.phases
    assert (sealed.state.confirmed, sealed.state.attested, sealed.state.sealed_hash) == (None, None, "")
    assert all("late" in recorded.flags for recorded in sealed.log[-len(happened) :])

    signed = s.at("signed")
    signed.do(fact, s.TECH)
    assert signed.state.revision == 1
    assert "closing" in signed.state.phases
    if not isinstance(fact, c.ReportReaction):
        signed.do(c.ConfirmRecord(seen_hash="h2", record_hash="h2"), s.TECH)
        signed.do(c.AttestRecord(seen_hash="h2", record_hash="h2"), s.DOC)
        signed.do(c.SealRecord(record_hash="h2", key_id="k", public_key="p", signature="s"), SYSTEM)
        assert "sealed" in signed.state.phases


def test_timers_that_come_too_late_lead_to_nothing() -> None:
    """Whatever fires after its reason went away is accepted and changes nothing."""
    for phase in s.PHASES:
        play = s.at(phase)
        for name in ("ready_expiry", "unheard_of"):
            assert play.do(TimerFired(name=name, due_at=play.now)) == []
    play = s.at("cleared")
    assert play.do(TimerFired(name="line_lost", due_at=play.now)) == []
    assert play.do(TimerFired(name="observation", due_at=play.now)) == []


@pytest.mark.hazard("H-03")
@pytest.mark.parametrize("phase", ["cancelled", "declined", "sealed"])
def test_a_late_reaction_does_not_count_on_whoever_was_there_before(phase: str) -> None:
    """The physician of a session that is over may treat somebody else by now; a late reaction rings."""
    play = s.at(phase)
    if not play.state.in_phase("absent"):
        play.do(c.ReportLineClosed(), s.MEDIA)
    play.do(c.ReportReaction(), s.TECH)
    assert not play.state.physician_present
    play.do(assigned(s.DOC), SYSTEM)

    assert play.state.physician_present
