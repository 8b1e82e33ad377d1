"""The session's verbs. Facts report and are never refused; wishes ask and may be.

Fields marked "filled by the engine" are evidence looked up just before the decision; no caller can set them.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from engine.kernel.commands import Command
from engine.workflows.session.offline_log import OfflineEntry
from engine.workflows.session.state import (
    Allergy,
    CancelReason,
    CredentialEvidence,
    KitItem,
    LineEvidence,
    Order,
    PatientIdentity,
    Screening,
    ScreeningEvidence,
    VerdictEvidence,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSession(Command):
    """Open a session for an order.

    Filled by the engine: site state and setting, the room's modality; the drill, for a drill's session.
    """

    creates: ClassVar[bool] = True
    organization_id: str
    site_id: str
    room_id: str
    planned_at: dt.datetime
    order: Order
    identity: PatientIdentity
    allergies: tuple[Allergy, ...] = ()
    allergies_source: str = ""
    weight_kg: Decimal | None = None
    mode: str = "C"
    demo: bool = False
    site_state: str = ""
    setting: str = ""
    room_modality: str = ""
    drill_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendOrder(Command):
    """Replace order, planned time or room before anything was prepared. `room_modality` is filled by the engine."""

    order: Order
    planned_at: dt.datetime
    room_id: str
    room_modality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendPatient(Command):
    """Replace the patient's demographics before the identity was confirmed."""

    identity: PatientIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSession(Command):
    """End a session before contrast was given."""

    reason: CancelReason


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPreparation(Command):
    """The technologist (the actor) takes the session and prepares the patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordScreening(Command):
    """Report the screening answers. `evidence` is filled by the engine."""

    fact: ClassVar[bool] = True
    screening: Screening
    evidence: ScreeningEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAllergies(Command):
    """Report an allergy list and the system it came from. An empty list of a named source is not "none known"."""

    fact: ClassVar[bool] = True
    allergies: tuple[Allergy, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWeight(Command):
    """Report the patient's weight in kilograms and how it was obtained. `doubt` is filled by the engine."""

    fact: ClassVar[bool] = True
    weight_kg: Decimal
    method: str
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKitChecked(Command):
    """Report a check of the emergency kit; `items` are the drugs counted, where they were."""

    fact: ClassVar[bool] = True
    kit_id: str
    expires_on: dt.date
    epinephrine_present: bool
    oxygen_and_aed_checked: bool
    items: tuple[KitItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKitUsed(Command):
    """A drug of the kit went in: it is one less, and the kit is unchecked until it is looked at again."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    drug: str
    reaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInResponder(Command):
    """The on-site responder takes post. `evidence` is filled by the engine."""

    responder_id: str
    evidence: CredentialEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResponderLeft(Command):
    """Report that the responder is no longer at hand."""

    fact: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSupervision(Command):
    """Ask for a physician; a ring starts. `nobody_to_ring` is filled by the engine: no rung and no manager to ring."""

    nobody_to_ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignPhysician(Command):
    """The ring was answered. `evidence` is filled by the engine."""

    internal: ClassVar[bool] = True
    physician_id: str
    ring_id: str
    evidence: CredentialEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPhysicianAway(Command):
    """Report that the physician is no longer immediately available, and why."""

    fact: ClassVar[bool] = True
    physician_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferHandOff(Command):
    """The physician (the actor) offers the session to another; stays responsible until it is accepted.

    `evidence` is filled by the engine.
    """

    to_physician_id: str
    evidence: CredentialEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptHandOff(Command):
    """The physician it was offered to (the actor) takes over. Everything is filled by the engine."""

    evidence: CredentialEvidence | None = None
    in_reaction_elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmIdentity(Command):
    """Confirm the patient with the physician on the line: at least two identifiers, each as read from the patient."""

    mrn: str = ""
    family: str = ""
    given: str = ""
    birth_date: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewScreening(Command):
    """The physician has reviewed history, allergies and screening answers, unknowns included.

    `seen` are the rows whose findings were on the physician's screen, () when the client does not say. `evidence` is
    filled by the engine. `premedication_row_id` is the regimen offered that the physician orders; with a reason alone
    what is offered is declined. Both empty say nothing about it.
    """

    seen: tuple[str, ...] = ()
    premedication_row_id: str = ""
    premedication_reason: str = ""
    evidence: ScreeningEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmView(Command):
    """The physician sees the patient and the injection site."""

    patient_visible: bool
    injection_site_visible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearForContrast(Command):
    """The physician clears the injection of this agent; against a hold or another study, with a reason.

    `evidence` is filled by the engine, and `agent_known`: whether the protocol pack has an agent of that name.
    """

    agent: str
    reason: str = ""
    evidence: ScreeningEvidence | None = None
    agent_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferContrast(Command):
    """The physician puts the injection off, with a reason; it can be prepared again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineContrast(Command):
    """The physician declines the injection, with a reason; the session ends without contrast."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRules(Command):
    """Ask the rules about the session as it stands and keep the answer. `verdict` is filled by the engine."""

    verdict: VerdictEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestVerdict(Command):
    """One of two people lifts a verdict that needs attestation, with a reason. A deny is never lifted."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantReady(Command):
    """Ask for the READY token. `verdict`, `physician` and `responder` are filled by the engine."""

    verdict: VerdictEvidence | None = None
    physician: CredentialEvidence | None = None
    responder: CredentialEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInjection(Command):
    """Start injecting under an unexpired READY token; licences and rules are looked at once more.

    `verdict`, `physician` and `responder` are filled by the engine.
    """

    ready_token: str
    verdict: VerdictEvidence | None = None
    physician: CredentialEvidence | None = None
    responder: CredentialEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordContrastGiven(Command):
    """Report contrast that went in. Without READY it is kept and marked as a bypassed interlock.

    What is left out was not said; `iv_site` and `iv_gauge` (in gauge) are those of the line it went into.
    """

    fact: ClassVar[bool] = True
    agent: str
    contrast_class: str
    concentration: str
    volume_ml: Decimal
    route: str
    lot: str
    given_at: dt.datetime
    brand: str = ""
    rate_ml_per_s: Decimal | None = None
    expires_on: dt.date | None = None
    iv_site: str = ""
    iv_gauge: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteInjection(Command):
    """The injection is over; monitoring begins and the observation time runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteMonitoring(Command):
    """The observation time is over and no reaction is open: go on to close the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordVitals(Command):
    """Report vital signs outside a reaction. None means not measured."""

    fact: ClassVar[bool] = True
    systolic_mmhg: int | None = None
    diastolic_mmhg: int | None = None
    heart_rate_bpm: int | None = None
    spo2_percent: int | None = None
    respiratory_rate_bpm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReaction(Command):
    """REACTION: one press, in every phase. Identification comes after."""

    fact: ClassVar[bool] = True
    emergency: ClassVar[bool] = True
    onset_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOfflineLog(Command):
    """Report what a console wrote down of a reaction while the network was gone: all of it, a part, or again.

    `log_id` names the log of one outage, of one reaction; `reaction_id` is it where the console knew it, "" where
    REACTION was pressed offline. `token` is the sign-in under which the log was begun at `began_at`; `device_at` is
    the device's clock when it sends. Filled by the engine: whose token it is, until when it held, and which entries
    had already come in as commands of their own.
    """

    fact: ClassVar[bool] = True
    emergency: ClassVar[bool] = True
    log_id: str
    pack_hash: str
    token: str
    began_at: dt.datetime
    device_at: dt.datetime
    entries: tuple[OfflineEntry, ...]
    reaction_id: str = ""
    written_by: str = ""
    signed_in_until: dt.datetime | None = None
    sent_before: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAlarmUnheard(Command):
    """The alarm was pressed again while nobody was there, and nothing rings with its urgency any more."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReactionClosed(Command):
    """A reaction of this session was disposed of."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    reaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLineConnecting(Command):
    """A participant joins the line; nothing is proven yet."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLineVerified(Command):
    """Audio packets and video frames were counted both ways."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    evidence: LineEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLineDegraded(Command):
    """Both ways still flow, below quality."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLineLost(Command):
    """Video or audio of a side stopped. Audio alone is not presence."""

    fact: ClassVar[bool] = True
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOnPhone(Command):
    """The room and the physician fell back to the telephone, which is not compliant presence."""

    fact: ClassVar[bool] = True
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLineClosed(Command):
    """The call was ended on purpose."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordGapAction(Command):
    """Report what was done about a gap."""

    fact: ClassVar[bool] = True
    gap_number: int
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLateEntry(Command):
    """Something belonging to this session was reported elsewhere after it was signed: reopen as an addendum."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmRecord(Command):
    """The technologist confirms the record as seen (`seen_hash`). The rest is filled by the engine."""

    seen_hash: str
    record_hash: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestRecord(Command):
    """The physician attests the supervision as seen (`seen_hash`). The rest is filled by the engine."""

    seen_hash: str
    record_hash: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRecord(Command):
    """Seal the signed record as it stands `through` a log position. Everything is filled by the engine."""

    internal: ClassVar[bool] = True
    record_hash: str = ""
    missing: tuple[str, ...] = ()
    key_id: str = ""
    public_key: str = ""
    signature: str = ""
    sealed_at: dt.datetime | None = None
    through: int = 0
