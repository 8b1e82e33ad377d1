"""The passages that every story shares: preparing, clearing, injecting, closing."""

from collections.abc import Mapping
from typing import Any

from engine.demo.script import Advance, Await, Camera, Do, Step

OBSERVATION_S = 30 * 60

SCREENING = {
    "screening": {
        "prior_reaction": "none",
        "asthma": "no",
        "renal_risk": "no",
        "metformin": "no",
        "pregnancy": "not_applicable",
        "beta_blocker": "unknown",
        "egfr_ml_min_173m2": "88",
        "iodine_or_shellfish": "no",
        "atopy": "no",
        "acute_kidney_injury": "no",
        "dialysis": "no",
        "renal_artery_emboli_possible": "no",
        "breast_feeding": "not_applicable",
        "thyroid": "no",
        "ace_inhibitor": "no",
        "other_conditions": "no",
        "recent_contrast": "no",
        "agent": "iohexol",
        "access": "20 G, left antecubital fossa",
        "earlier_contrast": "one CT with contrast years ago, agent not known, no reaction",
        "no_premedication": True,
    }
}
KIT = {
    "kit_id": "kit-ct-1",
    "expires_on": {"year": 2099, "month": 6, "day": 30},
    "epinephrine_present": True,
    "oxygen_and_aed_checked": True,
}
CONTRAST = {
    "agent": "iohexol",
    "contrast_class": "iodinated",
    "concentration": "350 mgI/mL",
    "volume_ml": "80",
    "route": "IV",
    "lot": "DEMO-LOT-1",
    "expires_on": {"year": 2099, "month": 6, "day": 30},
    "rate_ml_per_s": "3",
    "iv_site": "left antecubital fossa",
    "iv_gauge": 20,
}


def contrast(seen: Any) -> Mapping[str, Any]:
    """Contrast given now."""
    return {**CONTRAST, "given_at": seen.now()}


PREPARE: tuple[Step, ...] = (
    Do("SessionService.StartPreparation"),
    Do("SessionService.RecordScreening", SCREENING),
    Do("SessionService.RecordWeight", {"weight_kg": "72.5", "method": "scale"}),
    Do("SessionService.CheckInResponder", {"responder_id": "responder-1"}),
    Do("SessionService.RecordKitChecked", KIT),
    Do("SessionService.RequestSupervision"),
)

TO_READY: tuple[Step, ...] = (
    Await("PhysicianAssigned"),
    Camera("join"),
    Await("LineVerified"),
    Do("SessionService.ConfirmIdentity", lambda seen: seen.identifiers()),
    Await("ContrastCleared"),
    Do("SessionService.GrantReady"),
    Await("ReadyGranted"),
)

INJECT: tuple[Step, ...] = (
    Do("SessionService.StartInjection", lambda seen: {"ready_token": seen.ready_token()}),
    Do("SessionService.RecordContrastGiven", contrast),
    Do("SessionService.CompleteInjection"),
)

CLOSE: tuple[Step, ...] = (
    Advance(OBSERVATION_S),
    Await("ObservationElapsed"),
    Do("SessionService.CompleteMonitoring"),
    Do("SessionService.ConfirmRecord", lambda seen: {"seen_hash": seen.record_hash()}),
    Await("RecordSealed"),
    Camera("leave"),
)

ANSWER: tuple[Step, ...] = (
    Await("RingStarted"),
    Do("RingService.AnswerRing", lambda seen: {"ring_id": seen.ring_id()}),
    Await("PhysicianAssigned"),
    Camera("join"),
    Await("LineVerified"),
)

CLEAR: tuple[Step, ...] = (
    Await("IdentityConfirmed"),
    Do("SessionService.ReviewScreening"),
    Do("SessionService.ConfirmView", {"patient_visible": True, "injection_site_visible": True}),
    Do("SessionService.ClearForContrast", {"agent": "iohexol"}),
)

ATTEST: tuple[Step, ...] = (
    Await("RecordConfirmed"),
    Do("SessionService.AttestRecord", lambda seen: {"seen_hash": seen.record_hash()}),
    Await("RecordSealed"),
    Camera("leave"),
)

SUPERVISED = (
    "SessionScheduled",
    "PreparationStarted",
    "SupervisionRequested",
    "RingStarted",
    "RingAnswered",
    "PhysicianAssigned",
    "LineVerified",
    "IdentityConfirmed",
    "ContrastCleared",
    "ReadyGranted",
    "InjectionStarted",
    "ContrastGiven",
    "InjectionCompleted",
)
SIGNED = ("MonitoringCompleted", "RecordConfirmed", "RecordAttested", "RecordSealed")
