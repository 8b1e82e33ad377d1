"""The hazards of docs/SAFETY.md that the machines control, each as one short story."""

import datetime as dt
from decimal import Decimal

import pytest

from engine.kernel.commands import Actor
from engine.policies import coverage_lapse_to_session, reaction_debits
from engine.policies.view import View
from engine.workflows.coverage import commands as coverage
from engine.workflows.coverage import events as covered
from engine.workflows.coverage.state import RoomRef
from engine.workflows.delivery import commands as delivery
from engine.workflows.ring import commands as ring
from engine.workflows.ring import events as rung
from engine.workflows.ring.state import Candidate, RingEvidence, Rung
from engine.workflows.session import commands as session
from engine.workflows.session import events as happened
from engine.workflows.session.state import (
    CredentialEvidence,
    LineEvidence,
    Order,
    PatientIdentity,
    Screening,
    VerdictEvidence,
)
from tests.workflows.machines import machine
from tests.workflows.play import START, Play

TECHNOLOGIST = Actor(person_id="tech-1", role="technologist")
PHYSICIAN = Actor(person_id="physician-1", role="physician")
OTHER = Actor(person_id="physician-2", role="physician")
OFFICER = Actor(person_id="officer-1", role="compliance_officer")
LINE = LineEvidence(
    technologist_audio_packets=100,
    technologist_video_frames=30,
    physician_audio_packets=100,
    physician_video_frames=30,
    window_s=Decimal(2),
)


def credentialed(person_id: str, role: str = "physician", hours: int = 10) -> CredentialEvidence:
    until = START + dt.timedelta(hours=hours)
    return CredentialEvidence(person_id=person_id, role=role, checked_at=START, valid_until=until)


def verdict(result: str = "allow") -> VerdictEvidence:
    until = START + dt.timedelta(hours=1)
    return VerdictEvidence(
        result=result,
        layers=(),
        rulebook_hash="h",
        rulebook_version="1",
        evaluated_at=START,
        valid_until=until,
    )


def ready_command(result: str = "allow") -> session.GrantReady:
    return session.GrantReady(
        verdict=verdict(result),
        physician=credentialed("physician-1"),
        responder=credentialed("rn-1", "responder"),
    )


def scheduled() -> Play:
    play = Play(machine("session"), "ses-1")
    play.do(
        session.ScheduleSession(
            organization_id="org-1",
            site_id="site-1",
            room_id="room-1",
            planned_at=START,
            order=Order(
                accession_number="ACC1",
                procedure_code="CT",
                procedure_system="L",
                modality="CT",
                contrast_class="iodinated",
            ),
            identity=PatientIdentity(
                mrn="DEMO1",
                authority="DEMO",
                family="DEMO",
                given="PERSON",
                birth_date=dt.date(1970, 1, 1),
                sex="female",
            ),
            site_state="CA",
            setting="office",
        )
    )
    return play


def kit(*, epinephrine: bool = True, expires_on: dt.date = dt.date(2099, 1, 1)) -> session.RecordKitChecked:
    return session.RecordKitChecked(
        kit_id="kit-1", expires_on=expires_on, epinephrine_present=epinephrine, oxygen_and_aed_checked=True
    )


def identifying() -> Play:
    play = scheduled()
    play.do(session.StartPreparation(), TECHNOLOGIST)
    play.do(session.RecordScreening(screening=Screening()), TECHNOLOGIST)
    play.do(
        session.CheckInResponder(responder_id="rn-1", evidence=credentialed("rn-1", "responder")),
        TECHNOLOGIST,
    )
    play.do(kit(), TECHNOLOGIST)
    play.do(session.RequestSupervision(), TECHNOLOGIST)
    play.do(
        session.AssignPhysician(
            physician_id="physician-1", ring_id="ses-1-1", evidence=credentialed("physician-1")
        )
    )
    play.do(session.ReportLineVerified(evidence=LINE))
    return play


def cleared() -> Play:
    play = identifying()
    play.do(session.ConfirmIdentity(mrn="DEMO1", family="demo", given="person"), TECHNOLOGIST)
    play.do(session.ReviewScreening(), PHYSICIAN)
    play.do(session.ConfirmView(patient_visible=True, injection_site_visible=True), PHYSICIAN)
    play.do(session.ClearForContrast(agent="iohexol"), PHYSICIAN)
    return play


def started_ring(**people: tuple[str, ...]) -> Play:
    rungs = tuple(
        Rung(name=name, people=tuple(Candidate(person_id=one) for one in people.get(name, ())))
        for name in ("primary", "backup", "bench")
    )
    play = Play(machine("ring"), "ses-1-1")
    play.do(
        ring.StartRing(
            session_id="ses-1",
            organization_id="org-1",
            site_id="site-1",
            room_id="room-1",
            cause="request",
            urgent=False,
            ladder=rungs,
            contact="manager-1",
        )
    )
    return play


@pytest.mark.hazard("H-01")
def test_a_ring_climbs_and_never_ends_unanswered() -> None:
    """Every rung on time, then everybody and a named human again and again, until somebody answers."""
    play = started_ring(primary=("physician-1",), backup=("physician-2",), bench=("physician-3",))
    play.wait(95)

    assert [event.name for event in play.of(rung.RungRaised)] == ["backup", "bench"]
    assert play.of(rung.RingEscalated)[0].contact == "manager-1"
    play.wait(3600)
    assert len(play.of(rung.RingRepeated)) >= 100
    assert "escalated" in play.state.phases
    play.do(ring.AnswerRing(evidence=RingEvidence(person_id="physician-2")), OTHER)
    assert play.wait(3600) == []


@pytest.mark.hazard("H-14")
def test_every_rung_rings_all_earlier_people_too_and_a_failed_page_is_kept() -> None:
    """The backup rung rings primary and backup; a page nobody got is a fact of the ring."""
    play = started_ring(primary=("physician-1",), backup=("physician-2",))
    play.wait(31)
    rung_two = [send.body["person_id"] for send in play.sent if ":1:" in send.key]

    assert set(rung_two) == {"physician-1", "physician-2"}
    play.do(ring.RecordPageFailed(person_id="physician-1", channel="console", cause="not_connected"))
    assert play.state.pages_failed == 1


@pytest.mark.hazard("H-02", "H-26")
def test_a_window_without_a_heartbeat_lapses_and_takes_its_sessions() -> None:
    """Seconds without a heartbeat end the lease; the sessions that lose their physician are named; the cap holds."""
    play = Play(machine("coverage"), "cov-1")
    play.do(
        coverage.OfferCoverage(
            organization_id="org-1",
            physician_id="physician-1",
            rooms=(RoomRef(site_id="site-1", room_id="room-1"),),
            starts_at=START,
            ends_at=START + dt.timedelta(hours=8),
            cap=1,
        )
    )
    play.do(coverage.HoldCoverage(), PHYSICIAN)
    play.do(coverage.EngageCoverage(session_id="ses-1"))

    play.do(coverage.EngageCoverage(session_id="ses-2"))
    assert play.of(covered.CoverageUnavailable)[0].session_id == "ses-2"
    assert play.state.sessions == ("ses-1",)
    play.wait(10)
    play.do(coverage.RenewLease(), PHYSICIAN)
    assert play.wait(14) == []
    play.wait(2)
    assert play.of(covered.CoverageLapsed)[0].sessions == ("ses-1",)
    away = list(coverage_lapse_to_session(play.log[-1], _NoView()))
    assert [request.stream.id for request in away] == ["ses-1"]


@pytest.mark.hazard("H-03")
def test_a_physician_in_a_reaction_gives_up_every_other_room() -> None:
    """The debit names the released sessions, and a second room cannot be engaged meanwhile."""
    play = Play(machine("coverage"), "cov-1")
    play.do(
        coverage.OfferCoverage(
            organization_id="org-1",
            physician_id="physician-1",
            rooms=(RoomRef(site_id="site-1", room_id="room-1"),),
            starts_at=START,
            ends_at=START + dt.timedelta(hours=8),
            cap=4,
        )
    )
    play.do(coverage.HoldCoverage(), PHYSICIAN)
    for name in ("ses-1", "ses-2", "ses-3"):
        play.do(coverage.EngageCoverage(session_id=name))
    play.do(coverage.EnterReaction(session_id="ses-2"))

    assert set(play.of(covered.ReactionEntered)[0].released) == {"ses-1", "ses-3"}
    assert play.state.sessions == ("ses-2",)
    play.do(coverage.EngageCoverage(session_id="ses-4"))
    assert play.of(covered.CoverageUnavailable)[0].cause == "in_reaction_elsewhere"
    assert play.state.sessions == ("ses-2",)
    alarm = cleared()
    alarm.do(session.ReportReaction(), TECHNOLOGIST)
    assert [request.stream.id for request in reaction_debits(alarm.log[-1], _OneWindow())] == ["cov-1"]


@pytest.mark.hazard("H-06", "H-19", "H-20")
def test_injecting_needs_an_unexpired_ready_and_a_deny_never_gives_one() -> None:
    """Without READY, with another token, after its time, or under a deny: refused. Contrast all the same is marked."""
    play = cleared()

    assert play.refused(session.StartInjection(ready_token="x"), TECHNOLOGIST) == "READY_ABSENT"
    assert play.refused(ready_command("deny"), TECHNOLOGIST) == "VERDICT_DENIES"
    play.do(ready_command(), TECHNOLOGIST)
    token = play.state.ready.token
    assert play.refused(session.StartInjection(ready_token="x"), TECHNOLOGIST) == "READY_MISMATCH"
    play.wait(121)
    assert play.refused(session.StartInjection(ready_token=token), TECHNOLOGIST) == "READY_ABSENT"
    play.do(
        session.RecordContrastGiven(
            agent="iohexol",
            contrast_class="iodinated",
            concentration="350 mgI/mL",
            volume_ml=Decimal(80),
            route="IV",
            lot="L",
            given_at=play.now,
        ),
        TECHNOLOGIST,
    )
    assert play.of(happened.InterlockBypassed)
    assert "bypass" in play.log[-1].flags


@pytest.mark.hazard("H-07")
def test_a_wrong_or_single_identifier_stops_the_session() -> None:
    """Two identifiers must match the order; one is not enough, a wrong one is a stop."""
    play = identifying()

    assert play.refused(session.ConfirmIdentity(mrn="DEMO1"), TECHNOLOGIST) == "IDENTIFIERS_INSUFFICIENT"
    wrong = session.ConfirmIdentity(mrn="DEMO1", birth_date=dt.date(1971, 1, 1))
    assert play.refused(wrong, TECHNOLOGIST) == "IDENTITY_MISMATCH"
    assert "identifying" in play.state.phases


@pytest.mark.hazard("H-21", "H-28")
@pytest.mark.parametrize(
    "loss",
    [
        session.ReportResponderLeft(),
        session.ReportLineLost(cause="video_stopped"),
        session.ReportPhysicianAway(physician_id="physician-1", cause="lease_lapsed"),
        session.ReportOnPhone(cause="network"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_ready_falls_with_its_ground_in_the_same_decision(loss: object) -> None:
    """Whoever or whatever goes takes READY along at once."""
    play = cleared()
    play.do(ready_command(), TECHNOLOGIST)
    token = play.state.ready.token
    events = play.do(loss)  # type: ignore[arg-type]  # one of the facts above

    assert any(isinstance(event, happened.ReadyRevoked) for event in events)
    assert play.refused(session.StartInjection(ready_token=token), TECHNOLOGIST) == "READY_ABSENT"


@pytest.mark.hazard("H-23", "H-22")
@pytest.mark.parametrize(
    "bad", [kit(epinephrine=False), kit(expires_on=dt.date(2026, 3, 1))], ids=["none", "expired"]
)
def test_no_ready_without_a_kit_in_date(bad: session.RecordKitChecked) -> None:
    """A kit without epinephrine or past its date keeps READY dark."""
    play = cleared()
    play.do(bad, TECHNOLOGIST)

    assert play.refused(ready_command(), TECHNOLOGIST) == "KIT_NOT_READY"
    lapsed = session.GrantReady(
        verdict=verdict(),
        physician=credentialed("physician-1"),
        responder=credentialed("rn-1", "responder", -1),
    )
    assert play.refused(lapsed, TECHNOLOGIST) in {"RESPONDER_NOT_QUALIFIED", "KIT_NOT_READY"}


@pytest.mark.hazard("H-34")
def test_a_hand_off_never_leaves_nobody_responsible() -> None:
    """Until the new owner accepts, the old one is; only the one it was offered to may accept."""
    play = cleared()
    play.do(
        session.OfferHandOff(to_physician_id="physician-2", evidence=credentialed("physician-2")), PHYSICIAN
    )

    assert play.state.physician.person_id == "physician-1"
    accept = session.AcceptHandOff(evidence=credentialed("physician-2"))
    assert play.refused(accept, PHYSICIAN) == "NOT_OFFERED_TO_YOU"
    play.do(accept, OTHER)
    assert play.state.physician.person_id == "physician-2"
    assert play.of(happened.HandOffAccepted)[0].replaces == "physician-1"


@pytest.mark.hazard("H-41")
def test_a_delivery_retries_then_lies_dead_until_replayed() -> None:
    """Trouble is tried again with growing waits, a refusal or too many tries is dead, and a person can replay it."""
    play = Play(machine("delivery"), "ses-1-1-oru")
    play.do(
        delivery.CreateDelivery(
            session_id="ses-1",
            organization_id="org-1",
            site_id="site-1",
            kind="oru",
            destination="hl7",
            record_hash="h",
        )
    )
    trouble = delivery.RecordDeliveryAttempt(outcome=delivery.AttemptOutcome.RETRY, detail="UNREACHABLE")
    while "dead" not in play.state.phases:
        play.do(trouble)
        play.wait(3600)

    assert play.state.attempts == 12
    sent = len(play.sent)
    play.do(delivery.ReplayDelivery())
    assert len(play.sent) == sent + 1
    play.do(delivery.RecordDeliveryAttempt(outcome=delivery.AttemptOutcome.ACCEPTED, detail="AA"))
    assert "acknowledged" in play.state.phases


@pytest.mark.hazard("H-44")
def test_lifting_a_verdict_takes_two_people_and_a_deny_is_never_lifted() -> None:
    """One person twice is one person; a deny cannot be attested."""
    play = cleared()
    play.do(session.EvaluateRules(verdict=verdict("needs_attestation")))

    assert play.refused(ready_command("needs_attestation"), TECHNOLOGIST) == "VERDICT_UNATTESTED"
    play.do(session.AttestVerdict(reason="rule text read"), OFFICER)
    assert play.refused(session.AttestVerdict(reason="again"), OFFICER) == "ALREADY_ATTESTED"
    play.do(session.AttestVerdict(reason="I agree"), PHYSICIAN)
    play.do(ready_command("needs_attestation"), TECHNOLOGIST)
    assert play.state.ready is not None
    play.do(session.EvaluateRules(verdict=verdict("deny")))
    assert play.state.ready is None
    assert play.refused(session.AttestVerdict(reason="no"), OTHER) == "VERDICT_NOT_ATTESTABLE"


class _NoView(View):
    """Nothing to look up."""


class _OneWindow(View):
    """One live window."""

    def coverage_of(self, physician_id: str) -> str:
        return "cov-1" if physician_id == "physician-1" else ""


@pytest.mark.hazard("H-11")
def test_a_birth_date_after_the_exam_is_refused() -> None:
    """Age decides between adult and child doses, so an age that cannot be is stopped where it comes in."""
    wrong = PatientIdentity(
        mrn="DEMO1",
        authority="DEMO",
        family="DEMO",
        given="PERSON",
        birth_date=dt.date(2099, 1, 1),
        sex="female",
    )

    assert scheduled().refused(session.AmendPatient(identity=wrong)) == "BIRTH_DATE_AFTER_EXAM"
