"""An event here becomes a command there: what one machine believes, the others come to know, and nobody is left out."""

import datetime as dt
import sys
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from engine.kernel.errors import Rejected
from engine.kernel.events import Event
from engine.policies import POLICIES
from engine.policies.late_reaction_reopens import late_reaction_reopens
from engine.reactions import commands as r
from engine.reactions import events as reaction
from engine.reactions.state import Disposition, Severity
from engine.workflows.coverage import commands as cov
from engine.workflows.ring import commands as ring
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session import readiness
from engine.workflows.session.state import CancelReason, KitItem
from tests.policies.hall import Hall, beat, up_to, window
from tests.workflows.session import stories as s

LOST = c.ReportLineLost(cause="no_packets")
BACK = c.ReportLineVerified(evidence=s.FRAMES)


@pytest.fixture
def hall() -> Hall:
    """Two physicians at their posts, nothing going on."""
    hall = Hall()
    window(hall, s.DOC)
    window(hall, s.OTHER)
    return hall


def dispose(hall: Hall, reaction_id: str) -> None:
    hall.do("reaction", reaction_id, r.DisposeReaction(disposition=Disposition.EMERGENCY_DEPARTMENT), s.DOC)


def test_every_policy_says_its_sentence() -> None:
    """One file, one function, one sentence, the same in both places."""
    for policy in POLICIES:
        module = sys.modules[policy.__module__]
        assert policy.__doc__ == module.__doc__
        assert policy.__module__.endswith(policy.__name__)


def test_an_uneventful_session_runs_by_itself_where_no_person_is_needed(hall: Hall) -> None:
    """Rung, assigned, engaged, evaluated, sealed and delivered; the window is free again; nothing was refused."""
    up_to(hall, "cleared")
    assert hall.state("coverage", "cov-md-1").sessions == ("ses-1",)
    assert hall.state("session", "ses-1").verdict is not None
    hall = Hall()
    window(hall, s.DOC)
    up_to(hall, "signed")

    assert "sealed" in hall.state("session", "ses-1").phases
    assert hall.state("coverage", "cov-md-1").phases == ("held",)
    assert hall.state("delivery", "ses-1-1-oru").phases == ("pending",)
    assert hall.rings() == []
    assert hall.refused == []


@pytest.mark.hazard("H-02")
def test_a_lapsed_lease_takes_ready_away_and_rings_again(hall: Hall) -> None:
    """The physician's console is silent for fifteen seconds: READY is gone and somebody else is rung."""
    up_to(hall, "cleared")
    hall.do("session", "ses-1", s.grant(), s.TECH)
    beat(hall, s.OTHER, seconds=15)
    state = hall.state("session", "ses-1")

    assert state.ready is None and not state.physician_present
    (ring_id,) = hall.rings()
    assert hall.state("ring", ring_id).cause == "physician_away"
    hall.do("ring", ring_id, ring.AnswerRing(), s.OTHER)
    assert hall.state("session", "ses-1").physician.person_id == "md-2"
    assert hall.state("coverage", "cov-md-2").sessions == ("ses-1",)


@pytest.mark.hazard("H-03")
def test_a_reaction_takes_the_physician_from_every_other_room(hall: Hall) -> None:
    """The other session loses its physician and is rung for; nobody in a reaction can answer that ring."""
    up_to(hall, "cleared", "ses-1")
    up_to(hall, "cleared", "ses-2")
    assert hall.state("coverage", "cov-md-1").sessions == ("ses-1", "ses-2")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)

    assert hall.state("coverage", "cov-md-1").sessions == ("ses-1",)
    assert hall.state("reaction", "ses-1-r1").version > 0
    assert not hall.state("session", "ses-2").physician_present
    (ring_id,) = hall.rings("ses-2")
    assert hall.play("ring", ring_id).machine.name == "ring"
    with pytest.raises(Rejected, match="PHYSICIAN_IN_REACTION"):
        hall.do("ring", ring_id, ring.AnswerRing(), s.DOC)
    hall.do("ring", ring_id, ring.AnswerRing(), s.OTHER)
    assert hall.state("session", "ses-2").physician.person_id == "md-2"


@pytest.mark.hazard("H-03")
def test_a_line_that_comes_up_during_a_reaction_debits_the_physician(hall: Hall) -> None:
    """The physician could not be heard at the alarm; once they are, they are in the reaction like anybody alarmed."""
    up_to(hall, "cleared", "ses-1")
    up_to(hall, "cleared", "ses-2")
    hall.do("session", "ses-1", LOST, s.MEDIA)
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    assert hall.state("coverage", "cov-md-1").phases == ("engaged",)
    hall.do("session", "ses-1", BACK, s.MEDIA)

    assert hall.state("coverage", "cov-md-1").phases == ("in_reaction",)
    assert not hall.state("session", "ses-2").physician_present


@pytest.mark.hazard("H-03")
def test_a_physician_who_grades_by_phone_is_debited(hall: Hall) -> None:
    """Not heard at the alarm and not since: the grade shows that they treat, and the other room loses them."""
    up_to(hall, "cleared", "ses-1")
    up_to(hall, "cleared", "ses-2")
    hall.do("session", "ses-1", c.ReportOnPhone(cause="network"), s.TECH)
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("reaction", "ses-1-r1", r.RecordSigns(signs=("hypotension",)), s.TECH)
    assert hall.state("coverage", "cov-md-1").phases == ("engaged",)
    grade = r.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis", reason="as told")
    hall.do("reaction", "ses-1-r1", grade, s.DOC)

    assert hall.state("coverage", "cov-md-1").phases == ("in_reaction",)
    assert not hall.state("session", "ses-2").physician_present


@pytest.mark.hazard("H-03")
def test_the_debit_lasts_until_the_last_reaction_is_disposed_of(hall: Hall) -> None:
    """A second press joins the reaction that is open: one account of doses, one debit, one end."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    assert hall.state("coverage", "cov-md-1").phases == ("in_reaction",)
    dispose(hall, "ses-1-r1")
    assert hall.state("coverage", "cov-md-1").phases == ("engaged",)
    assert hall.state("session", "ses-1").open_reactions == frozenset()


def test_a_reaction_after_monitoring_gives_the_window_back_at_its_end(hall: Hall) -> None:
    """The physician is debited for the late reaction and free afterwards; nothing is left engaged."""
    up_to(hall, "closing")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    assert hall.state("coverage", "cov-md-1").phases == ("in_reaction",)
    dispose(hall, "ses-1-r1")

    assert hall.state("coverage", "cov-md-1").phases == ("held",)


@pytest.mark.hazard("H-01", "H-33")
def test_cancelling_does_not_silence_the_alarm_of_a_reaction(hall: Hall) -> None:
    """REACTION before anybody was assigned, then the session is cancelled: the ring for the reaction goes on."""
    up_to(hall, "preparing")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("session", "ses-1", c.CancelSession(reason=CancelReason.PATIENT_DECLINED), s.TECH)
    (ring_id,) = hall.rings()
    assert hall.state("ring", ring_id).urgent
    hall.do("ring", ring_id, ring.AnswerRing(), s.DOC)

    assert hall.state("session", "ses-1").physician.person_id == "md-1"
    assert hall.state("coverage", "cov-md-1").phases == ("in_reaction",)
    dispose(hall, "ses-1-r1")
    assert hall.state("coverage", "cov-md-1").phases == ("held",)


def test_declining_the_injection_keeps_the_physician_in_the_reaction(hall: Hall) -> None:
    """Contrast is declined while the patient reacts: the debit stays until the reaction is over."""
    up_to(hall, "cleared")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("session", "ses-1", c.DeclineContrast(reason="reaction"), s.DOC)
    assert hall.state("coverage", "cov-md-1").phases == ("in_reaction",)
    dispose(hall, "ses-1-r1")

    assert hall.state("coverage", "cov-md-1").phases == ("held",)


@pytest.mark.parametrize("ending", ["cancel", "decline", "defer"])
def test_a_session_that_ends_withdraws_its_rings_and_frees_its_physician(hall: Hall, ending: str) -> None:
    """Nobody goes on ringing for it, and the window has room again."""
    up_to(hall, "cleared")
    hall.do("session", "ses-1", LOST, s.MEDIA)
    beat(hall, s.DOC, s.OTHER, seconds=15)
    assert len(hall.rings()) == 1
    wish = {
        "cancel": c.CancelSession(reason=CancelReason.LINE),
        "decline": c.DeclineContrast(reason="line"),
        "defer": c.DeferContrast(reason="line"),
    }[ending]
    hall.do("session", "ses-1", wish, s.DOC)

    assert hall.rings() == []
    assert hall.state("coverage", "cov-md-1").phases == ("held",)


def test_a_line_that_came_back_stops_its_ring_unless_somebody_is_still_needed(hall: Hall) -> None:
    """With the physician there again nobody else need answer; with the physician gone or a reaction open they do."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", LOST, s.MEDIA)
    beat(hall, s.DOC, s.OTHER, seconds=15)
    assert len(hall.rings()) == 1
    hall.do("session", "ses-1", BACK, s.MEDIA)
    assert hall.rings() == []

    hall.do("session", "ses-1", LOST, s.MEDIA)
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("session", "ses-1", BACK, s.MEDIA)
    assert len(hall.rings()) == 1


def test_the_first_answer_withdraws_the_other_rings(hall: Hall) -> None:
    """Two rings for one session: whoever answers one ends both."""
    up_to(hall, "requested")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    first, second = hall.rings()
    hall.do("ring", second, ring.AnswerRing(), s.OTHER)

    assert hall.state("ring", first).phases == ("withdrawn",)
    assert hall.state("coverage", "cov-md-2").phases == ("in_reaction",)
    assert hall.refused == []


@pytest.mark.hazard("H-01")
def test_an_alarm_pressed_again_and_again_is_one_ring_as_long_as_it_rings(hall: Hall) -> None:
    """Shaking hands add no ring to the urgent one; the first ring of the session was no urgent one."""
    up_to(hall, "requested")
    (first,) = hall.rings()
    for _ in range(50):
        hall.do("session", "ses-1", c.ReportReaction(), s.TECH)

    (urgent,) = set(hall.rings()) - {first}
    assert hall.state("ring", urgent).urgent and not hall.state("ring", first).urgent
    assert len(hall.play("session", "ses-1").of(e.ReactionAlarmRepeated)) == 49
    hall.again("session", "ses-1", e.ReactionAlarmRepeated)
    assert set(hall.rings()) == {first, urgent}


@pytest.mark.hazard("H-01")
def test_an_alarm_pressed_again_rings_anew_when_the_ring_is_over_and_nobody_is_reached(hall: Hall) -> None:
    """Whoever answered is not on the line yet, or is gone again: each press that finds nothing ringing rings."""
    up_to(hall, "requested")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("ring", hall.rings()[-1], ring.AnswerRing(), s.OTHER)
    assert hall.rings() == []
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    (again,) = hall.rings()
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)

    assert hall.rings() == [again] and hall.state("ring", again).urgent
    hall.do("ring", again, ring.AnswerRing(), s.OTHER)
    hall.do("session", "ses-1", BACK, s.MEDIA)
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    assert hall.rings() == []


@pytest.mark.hazard("H-01")
def test_alarms_pressed_at_once_are_one_ring(hall: Hall) -> None:
    """Ten presses before any policy comes to its turn: the first asks for a ring, the others find it asked for."""
    up_to(hall, "requested")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("ring", hall.rings()[-1], ring.AnswerRing(), s.OTHER)
    hall.race(*[("session", "ses-1", c.ReportReaction(), s.TECH)] * 10)

    assert len(hall.rings()) == 1


@pytest.mark.hazard("H-34")
def test_a_hand_off_moves_the_session_from_one_window_to_the_other(hall: Hall) -> None:
    """Accepted, and only then: the new window has it, the old one is free."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", s.offer(s.OTHER), s.DOC)
    assert hall.state("coverage", "cov-md-1").sessions == ("ses-1",)
    hall.do("session", "ses-1", c.AcceptHandOff(), s.OTHER)

    assert hall.state("coverage", "cov-md-1").phases == ("held",)
    assert hall.state("coverage", "cov-md-2").sessions == ("ses-1",)


def test_a_hand_off_in_a_reaction_debits_the_new_one_and_frees_the_old(hall: Hall) -> None:
    """The reaction goes with the session."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("session", "ses-1", s.offer(s.OTHER), s.DOC)
    hall.do("session", "ses-1", c.AcceptHandOff(), s.OTHER)

    assert hall.state("coverage", "cov-md-1").phases == ("held",)
    assert hall.state("coverage", "cov-md-2").phases == ("in_reaction",)


def test_a_physician_who_leaves_gives_the_window_its_room_back(hall: Hall) -> None:
    """Whoever reports to be away no longer counts the session against the cap."""
    up_to(hall, "cleared")
    hall.do("session", "ses-1", c.ReportPhysicianAway(physician_id="md-1", cause="called_away"))

    assert hall.state("coverage", "cov-md-1").phases == ("held",)
    assert len(hall.rings()) == 1


@pytest.mark.hazard("H-26")
def test_a_session_taken_past_the_cap_is_given_back_and_rung_again() -> None:
    """A full window answers in a race: the session is told that it has nobody, and the ring starts anew."""
    hall = Hall()
    window(hall, s.DOC, cap=1)
    window(hall, s.OTHER)
    up_to(hall, "requested", "ses-1")
    hall.race(
        ("ring", "ses-1-1", ring.AnswerRing(), s.DOC),
        ("coverage", "cov-md-1", cov.EngageCoverage(session_id="raced"), s.MEDIA),
    )

    state = hall.state("session", "ses-1")
    assert not state.physician_present
    assert hall.state("coverage", "cov-md-1").sessions == ("raced",)
    (ring_id,) = hall.rings()
    assert hall.state("ring", ring_id).cause == "physician_away"
    with pytest.raises(Rejected, match="PHYSICIAN_AT_CAPACITY"):
        hall.do("ring", ring_id, ring.AnswerRing(), s.DOC)


@pytest.mark.hazard("H-36")
def test_what_is_reported_of_a_reaction_after_the_seal_reopens_the_record(hall: Hall) -> None:
    """A dose remembered later is in its reaction at once and in the next revision of the record."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    dispose(hall, "ses-1-r1")
    beat(hall, s.DOC, seconds=1800)
    for command, who in (
        (c.CompleteMonitoring(), s.TECH),
        (c.ConfirmRecord(seen_hash="h", record_hash="h"), s.TECH),
        (c.AttestRecord(seen_hash="h", record_hash="h"), s.DOC),
    ):
        hall.do("session", "ses-1", command, who)
    assert "sealed" in hall.state("session", "ses-1").phases
    hall.now += dt.timedelta(seconds=1)
    hall.do("reaction", "ses-1-r1", r.RecordVitals(systolic_mmhg=90), s.TECH)

    assert "closing" in hall.state("session", "ses-1").phases
    assert hall.state("session", "ses-1").revision == 2
    assert "late" in hall.play("session", "ses-1").log[-1].flags


@pytest.mark.hazard("H-36")
def test_a_sealed_record_is_not_reopened_by_what_was_signed_with_it(hall: Hall) -> None:
    """After a crash an old event of the reaction is handled again: it is in the record already, which stays sealed."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("reaction", "ses-1-r1", r.RecordVitals(systolic_mmhg=90), s.TECH)
    dispose(hall, "ses-1-r1")
    beat(hall, s.DOC, seconds=1800)
    for command, who in (
        (c.CompleteMonitoring(), s.TECH),
        (c.ConfirmRecord(seen_hash="h", record_hash="h"), s.TECH),
        (c.AttestRecord(seen_hash="h", record_hash="h"), s.DOC),
    ):
        hall.do("session", "ses-1", command, who)
    hall.now += dt.timedelta(seconds=1)
    hall.again("reaction", "ses-1-r1", reaction.VitalsRecorded)

    assert "sealed" in hall.state("session", "ses-1").phases
    assert hall.state("session", "ses-1").revision == 1


@pytest.mark.hazard("H-01")
def test_an_old_assignment_handled_again_withdraws_no_newer_ring(hall: Hall) -> None:
    """The physician left and somebody else is rung; after a crash the assignment comes again, and the ring goes on."""
    up_to(hall, "cleared")
    beat(hall, s.OTHER, seconds=15)
    (ring_id,) = hall.rings()
    hall.again("session", "ses-1", e.PhysicianAssigned)
    assert hall.rings() == [ring_id]


@pytest.mark.hazard("H-01", "H-33")
@pytest.mark.parametrize("kind", [e.PhysicianAssigned, e.LineVerified])
def test_what_came_before_a_lost_line_withdraws_no_ring_for_it(hall: Hall, kind: type[Event]) -> None:
    """The physician is there but cannot be heard, and others are rung: nothing from before may stop that."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", LOST, s.MEDIA)
    beat(hall, s.DOC, s.OTHER, seconds=15)
    (ring_id,) = hall.rings()
    hall.again("session", "ses-1", kind)
    assert hall.rings() == [ring_id]


@pytest.mark.hazard("H-01")
def test_an_old_deferral_handled_again_withdraws_no_newer_ring(hall: Hall) -> None:
    """Contrast was put off and then asked for again: the first deferral does not silence the new request."""
    up_to(hall, "cleared")
    hall.do("session", "ses-1", c.DeferContrast(reason="iv lost"), s.DOC)
    hall.do("session", "ses-1", c.RequestSupervision(), s.TECH)
    (ring_id,) = hall.rings()
    hall.again("session", "ses-1", e.ContrastDeferred)
    assert hall.rings() == [ring_id]


def test_a_window_that_lapsed_before_it_was_engaged_tells_the_session() -> None:
    """The answer came, the lease ended before the policy: nobody believes in a physician who is gone."""
    hall = Hall()
    window(hall, s.DOC)
    up_to(hall, "requested")
    hall.race_then_lapse(("ring", "ses-1-1", ring.AnswerRing(), s.DOC), "cov-md-1")

    assert not hall.state("session", "ses-1").physician_present
    assert len(hall.rings()) == 1


def test_an_answer_for_a_session_that_is_over_engages_nobody(hall: Hall) -> None:
    """Cancelled between the answer and the assignment: the window keeps its room."""
    up_to(hall, "requested")
    hall.race(
        ("session", "ses-1", c.CancelSession(reason=CancelReason.PATIENT_DECLINED), s.TECH),
        ("ring", "ses-1-1", ring.AnswerRing(), s.DOC),
    )

    assert hall.state("session", "ses-1").physician is None
    assert hall.state("coverage", "cov-md-1").phases == ("held",)
    assert hall.refused == ["answer_to_assignment:SESSION_OVER"]


@pytest.mark.hazard("H-23")
def test_a_dose_comes_out_of_the_kit_which_is_then_to_be_checked_again(hall: Hall) -> None:
    """Two counted, one given: one left, and no READY rests on this kit until somebody looks at it again."""
    up_to(hall, "monitoring")
    counted = replace(s.kit(), items=(KitItem(drug="epinephrine", quantity=2),))
    hall.do("session", "ses-1", counted, s.NURSE)
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    for drug in ("epinephrine", "albuterol"):
        given = r.RecordMedicationGiven(drug=drug, route="IM", dose_mg=Decimal("0.3"))
        hall.do("reaction", "ses-1-r1", given, s.NURSE)
    state = hall.state("session", "ses-1")

    assert (state.kit.left("epinephrine"), state.kit.left("albuterol")) == (1, None)
    assert state.kit.used == ("epinephrine", "albuterol")
    assert not readiness.holds("kit_in_date", state, hall.now)
    hall.do("session", "ses-1", counted, s.NURSE)
    assert readiness.holds("kit_in_date", hall.state("session", "ses-1"), hall.now)


@pytest.mark.hazard("H-11", "H-13")
def test_a_weight_recorded_in_the_session_reaches_the_open_reaction(hall: Hall) -> None:
    """The technologist weighs the child where they always do; the reaction computes with it at once."""
    up_to(hall, "monitoring")
    hall.do("session", "ses-1", c.ReportReaction(), s.TECH)
    hall.do("session", "ses-1", c.RecordWeight(weight_kg=Decimal(20), method="scale"), s.TECH)

    assert hall.state("reaction", "ses-1-r1").weight_kg == Decimal(20)


def test_every_policy_names_the_events_it_looks_at() -> None:
    """What a policy's file takes from the machines' events is what it is asked of; of any other it asks nothing."""
    for policy in POLICIES:
        module = sys.modules[policy.__module__]
        looked_at = {one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Event)}
        assert looked_at in (policy.events, set()), policy.__name__
        other = e.VitalsRecorded if looked_at else e.SessionCancelled
        assert list(policy(SimpleNamespace(event=other.__new__(other)), None)) == []
    assert late_reaction_reopens.events == frozenset(reaction.ALL)
