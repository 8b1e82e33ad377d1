"""The one table that says which role may call which RPC. What has no row is refused.

Source: DESIGN section 1 (who is who) and invariant 11. `scope` decides where. The session's guards decide on top of it
who exactly, for what the session's own physician clears, puts off or signs and its technologist signs
(`not_the_physician`, `not_the_technologist`). A reaction is directed by any physician licensed for the site's state:
nobody waits for a name in an emergency. A test holds the rows equal to the contract's RPCs.
"""

from collections.abc import Mapping
from types import MappingProxyType

from engine.access import roles as r
from engine.access.tokens import Principal
from engine.kernel.errors import Forbidden

PACKAGE = "attend.v1"

ON_SITE = frozenset({r.TECHNOLOGIST, r.RESPONDER})
CLINICAL = ON_SITE | {r.PHYSICIAN}
OVERSIGHT = frozenset({r.MEDICAL_DIRECTOR, r.COMPLIANCE_OFFICER, r.AUDITOR})
READERS = CLINICAL | OVERSIGHT | {r.COVERAGE_MANAGER, r.INTEGRATOR}
ORDERING = frozenset({r.INTEGRATOR, r.TECHNOLOGIST})
PHYSICIAN = frozenset({r.PHYSICIAN})
TECHNOLOGIST = frozenset({r.TECHNOLOGIST})
ADMINISTRATION = frozenset({r.OPERATOR, r.COVERAGE_MANAGER, r.MEDICAL_DIRECTOR})
CREDENTIALING = frozenset({r.OPERATOR, r.COMPLIANCE_OFFICER, r.MEDICAL_DIRECTOR})
DRILLING = frozenset({r.COVERAGE_MANAGER, r.MEDICAL_DIRECTOR})
REPLAYING = frozenset({r.INTEGRATOR, r.OPERATOR})

MAY_SEE_IDENTITY = CLINICAL | OVERSIGHT | {r.INTEGRATOR}

_SERVICES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "SessionService": {
        "ScheduleSession": ORDERING | {r.COVERAGE_MANAGER},
        "AmendOrder": ORDERING,
        "AmendPatient": ORDERING,
        "CancelSession": ORDERING | {r.PHYSICIAN, r.COVERAGE_MANAGER},
        "StartPreparation": TECHNOLOGIST,
        "RecordScreening": CLINICAL,
        "RecordAllergies": CLINICAL | {r.INTEGRATOR},
        "RecordWeight": CLINICAL | {r.INTEGRATOR},
        "RecordKitChecked": ON_SITE,
        "CheckInResponder": ON_SITE,
        "ReportResponderLeft": CLINICAL,
        "RequestSupervision": ON_SITE,
        "ReportPhysicianAway": CLINICAL | {r.COVERAGE_MANAGER},
        "OfferHandOff": PHYSICIAN,
        "AcceptHandOff": PHYSICIAN,
        "ConfirmIdentity": frozenset({r.TECHNOLOGIST, r.PHYSICIAN}),
        "ReviewScreening": PHYSICIAN,
        "ConfirmView": PHYSICIAN,
        "ClearForContrast": PHYSICIAN,
        "DeferContrast": PHYSICIAN,
        "DeclineContrast": PHYSICIAN,
        "AttestVerdict": frozenset({r.PHYSICIAN, r.TECHNOLOGIST, r.MEDICAL_DIRECTOR}),
        "EvaluateRules": CLINICAL | {r.MEDICAL_DIRECTOR, r.COMPLIANCE_OFFICER},
        "GrantReady": frozenset({r.TECHNOLOGIST, r.PHYSICIAN}),
        "StartInjection": TECHNOLOGIST,
        "RecordContrastGiven": CLINICAL,
        "CompleteInjection": TECHNOLOGIST,
        "CompleteMonitoring": TECHNOLOGIST,
        "RecordVitals": CLINICAL,
        "ReportReaction": CLINICAL,
        "ReportOfflineLog": CLINICAL,
        "ReportLineLost": CLINICAL,
        "ReportOnPhone": CLINICAL,
        "RecordGapAction": CLINICAL,
        "ConfirmRecord": TECHNOLOGIST,
        "AttestRecord": PHYSICIAN,
        "GetSession": READERS,
        "ListSessions": READERS,
        "GetReadiness": READERS,
        "GetEmergencyPack": CLINICAL,
    },
    "ReactionService": {
        "RecordSigns": CLINICAL,
        "RecordVitals": CLINICAL,
        "RecordPatientWeight": CLINICAL,
        "GradeReaction": PHYSICIAN,
        "OrderStep": PHYSICIAN,
        "ReadBackStep": ON_SITE,
        "RecordStepDone": CLINICAL,
        "RecordMedicationGiven": CLINICAL,
        "RefuseStep": CLINICAL,
        "RecordEmergencyCalled": CLINICAL,
        "RecordFollowUp": CLINICAL,
        "ReportImproving": CLINICAL,
        "ReportResolved": CLINICAL,
        "DisposeReaction": PHYSICIAN,
        "DocumentReaction": CLINICAL,
        "GetReaction": READERS,
        "GetReactionDocument": CLINICAL | OVERSIGHT,
    },
    "RingService": {
        "AnswerRing": PHYSICIAN,
        "DeclineRing": PHYSICIAN,
        "GetRing": READERS,
        "ListRings": READERS,
    },
    "CoverageService": {
        "OfferCoverage": frozenset({r.COVERAGE_MANAGER, r.MEDICAL_DIRECTOR}),
        "HoldCoverage": PHYSICIAN,
        "RenewLease": PHYSICIAN,
        "EndCoverage": frozenset({r.PHYSICIAN, r.COVERAGE_MANAGER, r.MEDICAL_DIRECTOR}),
        "GetCoverage": READERS,
        "ListCoverage": READERS,
    },
    "DeliveryService": {
        "ReplayDelivery": REPLAYING,
        "GetDelivery": REPLAYING | OVERSIGHT,
        "ListDeliveries": REPLAYING | OVERSIGHT,
    },
    "MessageService": {
        "ReplayMessage": REPLAYING,
        "DismissMessage": REPLAYING,
        "GetMessage": REPLAYING | OVERSIGHT,
        "ListMessages": REPLAYING | OVERSIGHT,
    },
    "DrillService": {
        "PlanDrill": DRILLING,
        "StartDrill": DRILLING,
        "EndDrill": DRILLING | CLINICAL,
        "CancelDrill": DRILLING | CLINICAL,
        "DebriefDrill": DRILLING,
        "GetDrill": CLINICAL | OVERSIGHT | DRILLING,
        "ListDrills": CLINICAL | OVERSIGHT | DRILLING,
        "ListDrillScenarios": DRILLING,
        "ListRefreshers": CLINICAL | OVERSIGHT | DRILLING,
    },
    "DirectoryService": {
        "RegisterOrganization": frozenset({r.OPERATOR}),
        "RegisterSite": ADMINISTRATION,
        "RegisterRoom": ADMINISTRATION,
        "RegisterPerson": ADMINISTRATION,
        "RecordCredential": CREDENTIALING,
        "RecordCredentialRevoked": CREDENTIALING,
        "AppointCoverageManager": ADMINISTRATION,
        "SetRoster": ADMINISTRATION,
        "GetDirectory": r.ROLES,
    },
    "MediaService": {"JoinLine": CLINICAL, "LeaveLine": CLINICAL},
    "RecordService": {
        "GetRecord": CLINICAL | OVERSIGHT,
        "ListWorklist": CLINICAL | OVERSIGHT | {r.COVERAGE_MANAGER},
    },
    "WatchService": {"Watch": READERS},
    "DemoService": {"AdvanceClock": frozenset({r.OPERATOR})},
}

TABLE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        f"/{PACKAGE}.{service}/{rpc}": roles
        for service, rows in _SERVICES.items()
        for rpc, roles in rows.items()
    }
)


def permit(principal: Principal, rpc: str) -> None:
    """Let a role through to an RPC (`/attend.v1.SessionService/StartInjection`), or raise Forbidden."""
    if principal.role not in TABLE.get(rpc, frozenset()):
        raise Forbidden(f"the role {principal.role} may not call {rpc.rpartition('/')[2]}")
