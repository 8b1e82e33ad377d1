"""A session from the order to the seal, and everything it refuses on the way with the sentence it says."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.kernel.commands import Actor, Command, TimerFired
from engine.kernel.errors import Invalid, Missing
from engine.workflows.ring.commands import WithdrawRing
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session.chart import GUARDS
from engine.workflows.session.state import CancelReason, Screening
from tests.workflows.machines import facts
from tests.workflows.play import START, SYSTEM, Play, names
from tests.workflows.session import stories as s

UNEVENTFUL = [
    "SessionScheduled",
    "PreparationStarted",
    "ScreeningRecorded",
    "AllergiesRecorded",
    "WeightRecorded",
    "KitChecked",
    "ResponderCheckedIn",
    "SupervisionRequested",
    "PhysicianAssigned",
    "LineConnecting",
    "LineVerified",
    "IdentityConfirmed",
    "ScreeningReviewed",
    "ViewConfirmed",
    "ContrastCleared",
    "VerdictRecorded",
    "ReadyGranted",
    "InjectionStarted",
    "ContrastGiven",
    "InjectionCompleted",
    "ObservationElapsed",
    "MonitoringCompleted",
    "RecordConfirmed",
    "RecordAttested",
    "RecordSealed",
]


def test_an_uneventful_session_is_this_story() -> None:
    """From the order to the seal, in these events and no others, without a flag."""
    play = s.at("sealed")

    assert UNEVENTFUL == list(play.types())
    assert all(recorded.flags == () for recorded in play.log)
    assert play.state.sealed_hash == "h"
    assert play.timers == {}


@pytest.mark.hazard("H-08", "H-43")
def test_site_room_and_demo_travel_with_the_session() -> None:
    """The event that opens a session names site, room and whether it is a demo, and so does its state."""
    play = Play(s.MACHINE, "ses-1")
    play.do(s.schedule(demo=True), s.TECH)
    (opened,) = play.of(e.SessionScheduled)

    assert (opened.site_id, opened.room_id, opened.demo) == ("site-1", "ct-1", True)
    assert (play.state.site_id, play.state.room_id, play.state.demo) == ("site-1", "ct-1", True)
    assert play.state.age_years == 45


@pytest.mark.hazard("H-09")
def test_unknown_is_never_none() -> None:
    """Unanswered questions and a missing allergy list are named as unknown when the physician reviews."""
    play = Play(s.MACHINE, "ses-1")
    for command, who in (
        (s.schedule(), s.TECH),
        (c.StartPreparation(), s.TECH),
        (c.RecordScreening(screening=Screening(asthma="no")), s.TECH),
        (c.RequestSupervision(), s.TECH),
        (c.AssignPhysician(physician_id="md-1", ring_id="ses-1-1", evidence=s.evidence(s.DOC)), SYSTEM),
        (c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA),
        (s.IDENTIFY, s.TECH),
        (c.ReviewScreening(), s.DOC),
    ):
        play.do(command, who)
    (reviewed,) = play.of(e.ScreeningReviewed)

    assert "allergies" in reviewed.unknown
    assert "asthma" not in reviewed.unknown
    assert {"prior_reaction", "renal_risk", "metformin", "pregnancy", "beta_blocker"} <= set(reviewed.unknown)


def test_new_answers_have_to_be_reviewed_again() -> None:
    """Screening or allergies that change after the review take the review back."""
    for change in (
        c.RecordScreening(screening=Screening(asthma="yes")),
        c.RecordAllergies(allergies=(), source="EHR"),
    ):
        play = s.at("cleared")
        play.do(change, s.TECH)
        assert not play.state.screening_reviewed


REFUSALS: tuple[tuple[str, str, Command, Actor], ...] = (
    ("ORDER_MODALITY_UNKNOWN", "", s.schedule(order=replace(s.ORDER, modality="")), s.TECH),
    ("MODE_UNSUPPORTED", "", s.schedule(mode="B"), s.TECH),
    (
        "BIRTH_DATE_AFTER_EXAM",
        "",
        s.schedule(identity=replace(s.IDENTITY, birth_date=dt.date(2099, 1, 1))),
        s.TECH,
    ),
    (
        "RESPONDER_NOT_QUALIFIED",
        "preparing",
        c.CheckInResponder(responder_id="rn-1", evidence=s.evidence(s.NURSE, "COMPETENCY_EXPIRED")),
        s.NURSE,
    ),
    ("RESPONDER_NOT_QUALIFIED", "preparing", c.CheckInResponder(responder_id="rn-1"), s.NURSE),
    (
        "RESPONDER_IS_TECHNOLOGIST",
        "preparing",
        c.CheckInResponder(responder_id="tech-1", evidence=s.evidence(s.NURSE)),
        s.TECH,
    ),
    (
        "PHYSICIAN_UNLICENSED",
        "requested",
        c.AssignPhysician(
            physician_id="md-1", ring_id="r", evidence=s.evidence(s.DOC, "LICENCE_MISSING_IN_STATE")
        ),
        SYSTEM,
    ),
    (
        "PHYSICIAN_UNLICENSED",
        "requested",
        c.AssignPhysician(physician_id="md-1", ring_id="r", evidence=s.evidence(s.DOC, until=START)),
        SYSTEM,
    ),
    (
        "SUPERVISION_NOT_REQUESTED",
        "preparing",
        c.AssignPhysician(physician_id="md-1", ring_id="r", evidence=s.evidence(s.DOC)),
        SYSTEM,
    ),
    (
        "SESSION_OVER",
        "sealed",
        c.AssignPhysician(physician_id="md-2", ring_id="r", evidence=s.evidence(s.OTHER)),
        SYSTEM,
    ),
    ("SESSION_OVER", "sealed", c.EvaluateRules(verdict=s.verdict()), SYSTEM),
    ("SESSION_OVER", "declined", s.offer(s.OTHER), s.DOC),
    (
        "IDENTIFIERS_INSUFFICIENT",
        "identifying",
        c.ConfirmIdentity(mrn="MRN-9", family="Synthetic"),
        s.TECH,
    ),
    (
        "IDENTITY_MISMATCH",
        "identifying",
        c.ConfirmIdentity(mrn="MRN-9", birth_date=dt.date(1980, 4, 5)),
        s.TECH,
    ),
    ("NOT_THE_PHYSICIAN", "reviewing", c.ReviewScreening(), s.OTHER),
    ("NOT_THE_PHYSICIAN", "reviewing", s.SEE, s.TECH),
    ("NOT_THE_PHYSICIAN", "reviewing", c.ClearForContrast(agent="iohexol"), s.TECH),
    ("NOT_THE_PHYSICIAN", "cleared", c.DeferContrast(reason="x"), s.TECH),
    ("NOT_THE_PHYSICIAN", "cleared", s.offer(s.OTHER), s.OTHER),
    ("HAND_OFF_TO_YOURSELF", "cleared", s.offer(s.DOC), s.DOC),
    ("PHYSICIAN_UNLICENSED", "cleared", s.offer(s.OTHER, "LICENCE_MISSING_IN_STATE"), s.DOC),
    ("PHYSICIAN_UNLICENSED", "cleared", c.OfferHandOff(to_physician_id="tech-9"), s.DOC),
    ("NOT_OFFERED_TO_YOU", "cleared", c.AcceptHandOff(evidence=s.evidence(s.OTHER)), s.OTHER),
    ("SCREENING_UNREVIEWED", "reviewing", c.ClearForContrast(agent="iohexol"), s.DOC),
    ("VERDICT_NOT_ATTESTABLE", "cleared", c.AttestVerdict(reason="x"), s.DOC),
    ("VERDICT_DENIES", "cleared", s.grant(s.verdict("deny")), s.TECH),
    ("VERDICT_DENIES", "cleared", s.grant(s.verdict("unheard_of")), s.TECH),
    ("VERDICT_UNATTESTED", "cleared", s.grant(s.verdict("needs_attestation")), s.TECH),
    ("PHYSICIAN_UNLICENSED", "cleared", s.grant(physician=s.evidence(s.DOC, "LICENCE_EXPIRED")), s.TECH),
    ("RESPONDER_NOT_QUALIFIED", "cleared", s.grant(responder=s.evidence(s.NURSE, "X")), s.TECH),
    ("READY_ABSENT", "cleared", c.StartInjection(ready_token="x"), s.TECH),
    ("OBSERVATION_RUNNING", "monitoring", c.CompleteMonitoring(), s.TECH),
    ("CONTRAST_UNRECORDED", "injecting", c.CompleteInjection(), s.TECH),
    ("NOT_THE_TECHNOLOGIST", "closing", c.ConfirmRecord(seen_hash="h", record_hash="h"), s.NURSE),
    ("RECORD_CHANGED", "closing", c.ConfirmRecord(seen_hash="old", record_hash="h"), s.TECH),
    (
        "RECORD_INCOMPLETE",
        "closing",
        c.ConfirmRecord(seen_hash="h", record_hash="h", missing=("lot",)),
        s.TECH,
    ),
    ("RECORD_UNCONFIRMED", "closing", c.AttestRecord(seen_hash="h", record_hash="h"), s.DOC),
    ("RECORD_INCOMPLETE", "signed", c.SealRecord(record_hash="h", missing=("lot",)), SYSTEM),
)


@pytest.mark.hazard("H-07", "H-20", "H-22", "H-44")
@pytest.mark.parametrize(("reason", "phase", "command", "who"), REFUSALS)
def test_a_wish_is_refused_with_its_reason(reason: str, phase: str, command: Command, who: Actor) -> None:
    """The reason is the first that stands, a sentence comes with it, and nothing has changed."""
    play = s.at(phase) if phase else Play(s.MACHINE, "ses-1")

    assert play.refused(command, who) == reason


def test_refusals_that_need_a_story() -> None:
    """Reasons that only stand after something went wrong: the line, the screening, the contrast, the reaction."""
    play = s.at("identifying")
    play.do(c.ReportLineLost(cause="x"), s.MEDIA)
    assert play.refused(s.IDENTIFY, s.TECH) == "LINE_UNVERIFIED"

    play = Play(s.MACHINE, "ses-1")
    play.do(s.schedule(), s.TECH)
    play.do(c.StartPreparation(), s.TECH)
    assert play.refused(c.RequestSupervision(), s.TECH) == "SCREENING_MISSING"

    play = s.at("reviewing")
    play.do(c.ReviewScreening(), s.DOC)
    assert play.refused(c.ClearForContrast(agent="iohexol"), s.DOC) == "VIEW_UNCONFIRMED"
    play.do(s.SEE, s.DOC)
    play.do(c.ReportReaction(), s.TECH)
    assert play.refused(c.ClearForContrast(agent="iohexol"), s.DOC) == "REACTION_OPEN"

    play = s.at("identifying")
    play.do(s.offer(s.OTHER), s.DOC)
    taken = c.AcceptHandOff(evidence=s.evidence(s.OTHER), in_reaction_elsewhere=True)
    assert play.refused(taken, s.OTHER) == "PHYSICIAN_IN_REACTION"

    play = s.at("cleared")
    play.do(s.dose(), s.TECH)
    play.do(c.CompleteInjection(), s.TECH)
    play.wait(3600)
    play.do(c.ReportReaction(), s.TECH)
    assert play.refused(c.CompleteMonitoring(), s.TECH) == "REACTION_OPEN"


def test_contrast_that_was_given_cannot_be_cancelled_away() -> None:
    """A session with contrast in the patient goes on to be monitored."""
    play = s.at("deferred")
    play.do(s.dose(), s.TECH)

    assert "injecting" in play.state.phases
    assert play.refused(c.CancelSession(reason=CancelReason.OTHER), s.TECH) == "WRONG_PHASE"


@pytest.mark.hazard("H-44")
def test_two_different_people_lift_a_verdict_and_a_deny_is_never_lifted() -> None:
    """One person twice is not two; new layers need new attestations; deny has nothing to attest."""
    play = s.at("cleared")
    needs = s.verdict("needs_attestation")
    play.do(c.EvaluateRules(verdict=needs), SYSTEM)
    play.do(c.AttestVerdict(reason="facility policy allows"), s.DOC)
    assert play.refused(c.AttestVerdict(reason="again"), s.DOC) == "ALREADY_ATTESTED"
    assert play.refused(s.grant(needs), s.TECH) == "VERDICT_UNATTESTED"
    play.do(c.AttestVerdict(reason="seen"), Actor(person_id="cm-1", role="coverage_manager"))
    play.do(s.grant(needs), s.TECH)
    assert play.state.ready is not None

    play.do(c.EvaluateRules(verdict=s.verdict("needs_attestation", "R-2")), SYSTEM)
    assert play.state.attestations == ()
    assert play.state.ready is None

    play.do(c.EvaluateRules(verdict=s.verdict("deny")), SYSTEM)
    assert play.refused(c.AttestVerdict(reason="please"), s.DOC) == "VERDICT_NOT_ATTESTABLE"


def test_every_reason_is_reached_by_some_test() -> None:
    """The guards that refuse and the reasons these tests reach are the same set."""
    elsewhere = {
        "READY_MISMATCH",
        "READY_EXPIRED",
        "CONTRAST_NOT_CLEARED",
        "IDENTITY_UNCONFIRMED",
        "PHYSICIAN_ABSENT",
        "RESPONDER_ABSENT",
        "KIT_NOT_READY",
    }  # test_ready.py
    told = {
        "LINE_UNVERIFIED",
        "SCREENING_MISSING",
        "VIEW_UNCONFIRMED",
        "REACTION_OPEN",
        "PHYSICIAN_IN_REACTION",
        "ALREADY_ATTESTED",
    }
    routing = {"LAST_OPEN_REACTION", "OPENS_REACTION", "ANOTHER_PHYSICIAN"}
    unreachable = {"CONTRAST_WAS_GIVEN"}  # a second lock: contrast moves the phase to injecting by itself

    screened = {"FINDINGS_UNSEEN", "HOLD_UNEXPLAINED", "PREMEDICATION_NOT_OFFERED"}  # test_screening.py

    reached = {reason for reason, *_ in REFUSALS} | screened | elsewhere | told | routing | unreachable
    assert reached == {name.upper() for name in GUARDS}


def test_verbs_of_others_and_streams_that_do_not_exist_are_told_apart() -> None:
    """A ring's verb is invalid here; a session that was never scheduled is missing, not refused."""
    with pytest.raises(Invalid):
        s.at("scheduled").do(WithdrawRing(reason="x"))
    with pytest.raises(Missing):
        Play(s.MACHINE, "ses-1").do(c.ReportReaction())


@pytest.mark.hazard("H-33")
@pytest.mark.parametrize("phase", s.PHASES)
def test_every_fact_is_taken_in_every_phase(phase: str) -> None:
    """Each fact, in each phase of care, at any time of the line: accepted, folded, and the phase stays legal."""
    assert {type(fact) for fact in s.FACTS} | {TimerFired} == set(facts("session"))
    for fact in s.FACTS:
        play = s.at(phase)
        before = play.state.version
        happened = play.do(fact, s.TECH)
        assert play.state.version == before + len(happened)
        if isinstance(fact, c.ReportReaction):
            assert "ReactionReported" in names(happened)
            assert "active" in play.state.phases


def test_a_walk_of_all_facts_one_after_another_loses_none() -> None:
    """All facts in a row, twice, from every phase: each contrast, vital sign and reaction is in the log."""
    for phase in s.PHASES:
        play = s.at(phase)
        doses = len(play.state.contrast)
        for fact in (*s.FACTS, *reversed(s.FACTS)):
            play.do(fact, s.TECH)
        assert len(play.state.contrast) == doses + 2
        assert len(play.of(e.VitalsRecorded)) == 2
        assert len(play.of(e.ReactionReported)) == 2
        assert play.state.contrast[-1].volume_ml == Decimal(95)


def test_age_counts_full_years() -> None:
    """The day before the birthday is still the younger age, 29 February counts on 1 March, nobody is 131."""
    for birth, day, years in (
        ((2000, 3, 2), (2026, 3, 1), 25),
        ((2000, 3, 2), (2026, 3, 2), 26),
        ((2000, 2, 29), (2026, 2, 28), 25),
        ((2000, 2, 29), (2026, 3, 1), 26),
        ((1896, 1, 1), (2026, 1, 1), 130),
        ((1895, 1, 1), (2026, 1, 1), None),
        ((1, 1, 1), (2026, 1, 1), None),
    ):
        play = Play(s.MACHINE, "ses-1")
        identity = replace(s.IDENTITY, birth_date=dt.date(*birth))
        play.do(s.schedule(identity=identity, planned_at=dt.datetime(*day, 12, tzinfo=dt.UTC)), s.TECH)
        assert play.state.age_years == years


@pytest.mark.hazard("H-47")
@pytest.mark.parametrize(("known", "flags"), [(True, ()), (False, ("agent_unknown",))])
def test_an_unknown_agent_is_an_exception_of_the_record(known: bool, flags: tuple[str, ...]) -> None:
    """The physician clears it all the same: no pack has every name."""
    play = s.at("reviewing")
    for command in (c.ReviewScreening(), s.SEE, c.ClearForContrast(agent="iohexol", agent_known=known)):
        play.do(command, s.DOC)

    assert play.log[-1].flags == flags


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(("seconds", "flags"), [(60, ("onset_in_future",)), (0, ()), (-60, ())])
def test_an_onset_told_for_the_future_is_kept_and_marked(seconds: int, flags: tuple[str, ...]) -> None:
    """REACTION is never refused for its time; the record says what is odd about it."""
    play = s.at("preparing")
    onset = play.now + dt.timedelta(seconds=seconds)
    play.do(c.ReportReaction(onset_at=onset), s.TECH)

    assert play.of(e.ReactionReported)[-1].onset_at == onset
    assert play.log[-1].flags == flags
