"""A session told in steps, each one what a person in the room or on the line does."""

import datetime as dt
from decimal import Decimal
from typing import Any

from engine.kernel.commands import Actor, Command
from engine.kernel.machine import Machine
from engine.workflows import session
from engine.workflows.session import commands as c
from engine.workflows.session.offline_log import OfflineEntry, OfflineKind
from engine.workflows.session.state import (
    CancelReason,
    CredentialEvidence,
    LayerResult,
    LineEvidence,
    Order,
    PatientIdentity,
    Screening,
    VerdictEvidence,
)
from tests.workflows.play import START, Play

TECH = Actor(person_id="tech-1", role="technologist", organization_id="org-1")
NURSE = Actor(person_id="rn-1", role="responder", organization_id="org-1")
DOC = Actor(person_id="md-1", role="physician", organization_id="org-1")
OTHER = Actor(person_id="md-2", role="physician", organization_id="org-1")
MEDIA = Actor.system("media")
FAR = START + dt.timedelta(days=300)
IN_DATE = FAR.date()
IDENTITY = PatientIdentity(
    mrn="MRN-9", authority="HOSP", family="Synthetic", given="Ana", birth_date=dt.date(1980, 5, 4), sex="F"
)
ORDER = Order(
    accession_number="ACC-1",
    procedure_code="CTABD",
    procedure_system="L",
    modality="CT",
    contrast_class="iodinated",
)
FRAMES = LineEvidence(
    technologist_audio_packets=250,
    technologist_video_frames=125,
    physician_audio_packets=250,
    physician_video_frames=125,
    window_s=Decimal(5),
)
MACHINE: Machine = session.machine()


def schedule(**change: Any) -> c.ScheduleSession:
    given: dict[str, Any] = {
        "organization_id": "org-1",
        "site_id": "site-1",
        "room_id": "ct-1",
        "planned_at": START,
        "order": ORDER,
        "identity": IDENTITY,
        "site_state": "TX",
        "setting": "office",
    }
    return c.ScheduleSession(**(given | change))


def evidence(who: Actor, *problems: str, until: dt.datetime = FAR) -> CredentialEvidence:
    return CredentialEvidence(
        person_id=who.person_id,
        role=who.role,
        name=who.person_id,
        licence_type="MD" if who.role == "physician" else "RN",
        licence_state="TX",
        licence_number="TX-1",
        checked_at=START,
        valid_until=until,
        problems=problems,
    )


def offer(to: Actor, *problems: str) -> c.OfferHandOff:
    return c.OfferHandOff(to_physician_id=to.person_id, evidence=evidence(to, *problems))


def verdict(result: str = "allow", rule: str = "R-1", until: dt.datetime = FAR) -> VerdictEvidence:
    layer = LayerResult(
        layer="state", result=result, rule_id=rule, reason="as read", citation="a source", version="1"
    )
    return VerdictEvidence(
        result=result,
        layers=(layer,),
        rulebook_hash="h",
        rulebook_version="1",
        evaluated_at=START,
        valid_until=until,
    )


def kit(until: dt.date = IN_DATE, **change: bool) -> c.RecordKitChecked:
    given = {"epinephrine_present": True, "oxygen_and_aed_checked": True} | change
    return c.RecordKitChecked(kit_id="kit-1", expires_on=until, **given)


def dose(volume_ml: str = "95") -> c.RecordContrastGiven:
    return c.RecordContrastGiven(
        agent="iohexol",
        contrast_class="iodinated",
        concentration="350 mg I/mL",
        volume_ml=Decimal(volume_ml),
        route="IV",
        lot="L-1",
        given_at=START,
    )


def grant(
    verdict_: VerdictEvidence | None = None,
    physician: CredentialEvidence | None = None,
    responder: CredentialEvidence | None = None,
) -> c.GrantReady:
    return c.GrantReady(
        verdict=verdict_ or verdict(),
        physician=physician or evidence(DOC),
        responder=responder or evidence(NURSE),
    )


def start(
    token: str,
    verdict_: VerdictEvidence | None = None,
    physician: CredentialEvidence | None = None,
    responder: CredentialEvidence | None = None,
) -> c.StartInjection:
    found = grant(verdict_, physician, responder)
    return c.StartInjection(
        ready_token=token, verdict=found.verdict, physician=found.physician, responder=found.responder
    )


IDENTIFY = c.ConfirmIdentity(mrn="MRN-9", birth_date=dt.date(1980, 5, 4))
SEE = c.ConfirmView(patient_visible=True, injection_site_visible=True)

#: The way of an uneventful session: the phase of care it leads to, and who does what.
WAY: tuple[tuple[str, tuple[tuple[Command, Actor], ...]], ...] = (
    ("scheduled", ((schedule(), TECH),)),
    (
        "preparing",
        (
            (c.StartPreparation(), TECH),
            (c.RecordScreening(screening=Screening(prior_reaction="no", asthma="no")), TECH),
            (c.RecordAllergies(allergies=(), source="EHR"), TECH),
            (c.RecordWeight(weight_kg=Decimal(70), method="scale"), TECH),
            (kit(), NURSE),
            (c.CheckInResponder(responder_id="rn-1", evidence=evidence(NURSE)), NURSE),
        ),
    ),
    ("requested", ((c.RequestSupervision(), TECH),)),
    (
        "identifying",
        (
            (c.AssignPhysician(physician_id="md-1", ring_id="ses-1-1", evidence=evidence(DOC)), MEDIA),
            (c.ReportLineConnecting(), MEDIA),
            (c.ReportLineVerified(evidence=FRAMES), MEDIA),
        ),
    ),
    ("reviewing", ((IDENTIFY, TECH),)),
    ("cleared", ((c.ReviewScreening(), DOC), (SEE, DOC), (c.ClearForContrast(agent="iohexol"), DOC))),
    ("injecting", ((grant(), TECH),)),
    ("monitoring", ((dose(), TECH), (c.CompleteInjection(), TECH))),
    ("closing", ((c.CompleteMonitoring(), TECH),)),
    (
        "signed",
        (
            (c.ConfirmRecord(seen_hash="h", record_hash="h"), TECH),
            (c.AttestRecord(seen_hash="h", record_hash="h"), DOC),
        ),
    ),
    ("sealed", ((c.SealRecord(record_hash="h", key_id="k", public_key="p", signature="s"), MEDIA),)),
)


def at(phase: str) -> Play:
    """Return a session that came the uneventful way to a phase of care. `deferred` and the like are one step aside."""
    aside: dict[str, tuple[str, Command, Actor]] = {
        "deferred": ("cleared", c.DeferContrast(reason="iv_lost"), DOC),
        "declined": ("reviewing", c.DeclineContrast(reason="risk"), DOC),
        "cancelled": ("preparing", c.CancelSession(reason=CancelReason.PATIENT_DECLINED), TECH),
    }
    if phase in aside:
        before, command, who = aside[phase]
        play = at(before)
        play.do(command, who)
        return play
    play = Play(MACHINE, "ses-1")
    for name, steps in WAY:
        if name == "closing":
            play.wait(30 * 60)
        for command, who in steps:
            play.do(command, who)
        if name == "injecting":
            play.do(start(play.state.ready.token), TECH)
        assert name in play.state.phases
        if name == phase:
            return play
    raise AssertionError(phase)


def ready() -> Play:
    """Return a cleared session whose READY is lit."""
    play = at("cleared")
    play.do(grant(), TECH)
    assert play.state.ready is not None
    return play


#: Every phase of care that a session which exists can be in.
PHASES = (*(name for name, _ in WAY), "deferred", "declined", "cancelled")


#: One example of every fact of the session.
def offline_log(**change: Any) -> c.ReportOfflineLog:
    """A console's log of one note, begun before the network went."""
    note = OfflineEntry(
        entry_id="entry-note-1", kind=OfflineKind.NOTE, at=START, by="tech-1", text="no network"
    )
    fields: dict[str, Any] = {
        "log_id": "log-device-1",
        "pack_hash": "ab" * 32,
        "token": "t",
        "began_at": START,
        "device_at": START,
        "entries": (note,),
        "written_by": "tech-1",
        "signed_in_until": START + dt.timedelta(hours=1),
    }
    return c.ReportOfflineLog(**{**fields, **change})


FACTS: tuple[Command, ...] = (
    c.RecordScreening(screening=Screening()),
    c.RecordAllergies(allergies=(), source="patient"),
    c.RecordWeight(weight_kg=Decimal(71), method="stated"),
    kit(),
    c.ReportKitUsed(drug="epinephrine", reaction_id="ses-1-r1"),
    c.ReportResponderLeft(),
    c.ReportPhysicianAway(physician_id="md-1", cause="called_away"),
    dose(),
    c.RecordVitals(systolic_mmhg=120),
    c.ReportReaction(),
    offline_log(),
    c.ReportReactionClosed(reaction_id="ses-1-r1"),
    c.ReportLineConnecting(),
    c.ReportLineVerified(evidence=FRAMES),
    c.ReportLineDegraded(cause="low_bitrate"),
    c.ReportLineLost(cause="no_packets"),
    c.ReportOnPhone(cause="no_video"),
    c.ReportLineClosed(),
    c.RecordGapAction(gap_number=1, action="scan paused"),
    c.ReportLateEntry(source="reaction"),
    c.ReportAlarmUnheard(),
)
