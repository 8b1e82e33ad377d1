"""The six stories of `attend demo --script`."""

from engine.demo.script import Advance, Await, Camera, Do, Script
from engine.demo.scripts.parts import (
    ANSWER,
    ATTEST,
    CLEAR,
    CLOSE,
    INJECT,
    PREPARE,
    SIGNED,
    SUPERVISED,
    TO_READY,
)
from engine.demo.scripts.treating import (
    TREATED,
    base_set,
    dispose,
    grade,
    order,
    read_back_and_give,
    repeat_and_give,
    report,
    settle,
    wrong_read_back,
)

FLUID = "0.9 % saline or lactated Ringer's"

UNEVENTFUL = Script(
    name="uneventful",
    summary="an injection under supervision and half an hour of observation, nothing happens",
    technologist=(*PREPARE, *TO_READY, *INJECT, *CLOSE),
    physician=(*ANSWER, *CLEAR, *ATTEST),
    milestones=(*SUPERVISED, "ObservationElapsed", *SIGNED),
    absent=("ReactionReported", "GapOpened", "InterlockBypassed"),
    expect={"gaps": "0", "reactions": "0"},
)

MILD = Script(
    name="mild",
    summary="a few hives four minutes after the injection; an antihistamine by mouth, and home",
    technologist=(
        *PREPARE,
        *TO_READY,
        *INJECT,
        Advance(4 * 60),
        *report(
            ("S-A1-1",),
            {"systolic_mmhg": 124, "diastolic_mmhg": 78, "heart_rate_bpm": 82, "spo2_percent": 98},
        ),
        *read_back_and_give(),
        Advance(20 * 60),
        *settle(),
        *CLOSE,
    ),
    physician=(
        *ANSWER,
        *CLEAR,
        *grade("mild", "hives"),
        *order("diphenhydramine", "PO"),
        *dispose("discharged_home"),
        *ATTEST,
    ),
    milestones=(*SUPERVISED, *TREATED, *SIGNED),
    absent=("EmergencyCalled", "GapOpened"),
    expect={"severity": "mild", "disposition": "discharged_home"},
)

MODERATE = Script(
    name="moderate",
    summary="wheeze with mild hypoxia; oxygen and albuterol, improving, to the emergency department for observation",
    technologist=(
        *PREPARE,
        *TO_READY,
        *INJECT,
        Advance(3 * 60),
        *report(
            ("S-A2-5",),
            {"systolic_mmhg": 128, "diastolic_mmhg": 80, "heart_rate_bpm": 96, "spo2_percent": 93},
        ),
        *base_set(),
        *read_back_and_give(),
        Advance(20 * 60),
        *settle(),
        *CLOSE,
    ),
    physician=(
        *ANSWER,
        *CLEAR,
        *grade("moderate", "bronchospasm"),
        *order("albuterol"),
        *dispose("emergency_department"),
        *ATTEST,
    ),
    milestones=(*SUPERVISED, *TREATED, *SIGNED),
    absent=("GapOpened",),
    expect={"severity": "moderate", "disposition": "emergency_department"},
)

SEVERE = Script(
    name="severe",
    summary="anaphylaxis two minutes after the injection: IM epinephrine, 911, a second dose above the cap, to EMS",
    technologist=(
        *PREPARE,
        *TO_READY,
        *INJECT,
        Advance(2 * 60),
        *report(
            ("S-A2-1", "S-A2-4", "S-A3-5"),
            {"systolic_mmhg": 78, "diastolic_mmhg": 44, "heart_rate_bpm": 128, "spo2_percent": 91},
        ),
        *base_set(),
        *wrong_read_back(),
        *repeat_and_give(),
        Do("ReactionService.RecordEmergencyCalled", {"service": "911"}),
        *read_back_and_give(),
        Advance(5 * 60),
        Await("RepeatDue"),
        Do(
            "ReactionService.RecordVitals",
            {"systolic_mmhg": 84, "diastolic_mmhg": 50, "heart_rate_bpm": 120, "spo2_percent": 93},
        ),
        *read_back_and_give(),
        Advance(6 * 60),
        Do(
            "ReactionService.RecordVitals",
            {"systolic_mmhg": 112, "diastolic_mmhg": 70, "heart_rate_bpm": 98, "spo2_percent": 97},
        ),
        *settle(),
        *CLOSE,
    ),
    physician=(
        *ANSWER,
        *CLEAR,
        *grade("severe", "anaphylaxis"),
        *order("epinephrine", "IM"),
        Do(
            "ReactionService.OrderStep",
            lambda seen: seen.offer("epinephrine", "IM"),
            refused="REPEAT_TOO_SOON",
        ),
        *order(FLUID, "IV"),
        Await("RepeatDue"),
        Await("VitalsRecorded"),
        Do(
            "ReactionService.OrderStep",
            lambda seen: seen.offer("epinephrine", "IM", dose_mg="0.5"),
            refused="DOSE_OVER_CAP",
        ),
        *order(
            "epinephrine",
            "IM",
            dose_mg="0.5",
            override_reason="poor response to the first dose; the 2025 consensus allows 0.5 mg at this weight",
        ),
        *dispose("transferred_by_ems"),
        *ATTEST,
    ),
    milestones=(*SUPERVISED, *TREATED, *SIGNED),
    absent=("InterlockBypassed", "GapOpened"),
    expect={
        "severity": "severe",
        "disposition": "transferred_by_ems",
        "epinephrine_doses": "2",
        "epinephrine_mg": "0.8",
    },
)

LINE_LOST = Script(
    name="line-lost",
    summary="the video drops when READY is lit: READY falls, a gap opens, the line comes back, the injection goes on",
    technologist=(
        *PREPARE,
        *TO_READY,
        Camera("stop_video"),
        Await("LineLost"),
        Do(
            "SessionService.StartInjection",
            lambda seen: {"ready_token": seen.ready_token()},
            refused="READY_ABSENT",
        ),
        Do("SessionService.RecordGapAction", {"gap_number": 1, "action": "injection held, camera restarted"}),
        Camera("resume_video"),
        Await("LineVerified"),
        Do("SessionService.GrantReady"),
        Await("ReadyGranted"),
        *INJECT,
        *CLOSE,
    ),
    physician=(*ANSWER, *CLEAR, *ATTEST),
    milestones=(
        "LineVerified",
        "ReadyGranted",
        "LineLost",
        "GapOpened",
        "GapClosed",
        "ReadyGranted",
        "InjectionStarted",
        *SIGNED,
    ),
    absent=("ReactionReported", "InterlockBypassed"),
    expect={"gaps": "1", "ready_fell": "1"},
)

NO_ANSWER = Script(
    name="no-answer",
    summary="nobody answers: the ring climbs every rung, names a human and goes on; the exam is cancelled",
    technologist=(
        *PREPARE,
        Await("RingStarted"),
        Advance(31),
        Await("RungRaised"),
        Advance(31),
        Await("RungRaised"),
        Advance(31),
        Await("RingEscalated"),
        Do("SessionService.StartInjection", {"ready_token": "none"}, refused="WRONG_PHASE"),
        Advance(61),
        Await("RingRepeated"),
        Do("SessionService.CancelSession", {"reason": "CANCEL_REASON_NO_PHYSICIAN"}),
        Await("RingWithdrawn"),
    ),
    physician=(),
    milestones=(
        "SupervisionRequested",
        "RingStarted",
        "RungRaised",
        "RingEscalated",
        "RingRepeated",
        "SessionCancelled",
        "RingWithdrawn",
    ),
    absent=("RingAnswered", "ContrastGiven", "RecordSealed"),
    sealed=False,
)

STORIES = {story.name: story for story in (UNEVENTFUL, MILD, MODERATE, SEVERE, LINE_LOST, NO_ANSWER)}
