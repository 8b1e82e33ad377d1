"""What happened in a session. Released types are never edited; a new shape is a new `schema`."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from engine.kernel.events import Event, declared
from engine.workflows.session.offline_log import OfflineEntry
from engine.workflows.session.state import (
    Allergy,
    CancelReason,
    CredentialEvidence,
    KitItem,
    LineEvidence,
    Order,
    PatientIdentity,
    PremedicationChoice,
    Ready,
    Screening,
    ScreeningEvidence,
    ScreeningFinding,
    Signature,
    VerdictEvidence,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionScheduled(Event):
    """A session was opened for an order, or for a drill's script.

    `age_years` stays when the identity is erased; `age_days` is told of an infant below one year.
    """

    protected: ClassVar[tuple[str, ...]] = ("identity",)
    organization_id: str
    site_id: str
    room_id: str
    site_state: str
    setting: str
    mode: str
    demo: bool
    planned_at: dt.datetime
    order: Order
    identity: PatientIdentity | None
    age_years: int | None
    drill: bool = False
    drill_id: str = ""
    age_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAmended(Event):
    """Order, time or room changed before preparation."""

    order: Order
    planned_at: dt.datetime
    room_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientAmended(Event):
    """Demographics changed before the identity was confirmed."""

    protected: ClassVar[tuple[str, ...]] = ("identity",)
    identity: PatientIdentity | None
    age_years: int | None
    age_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCancelled(Event):
    """The session ended before contrast."""

    reason: CancelReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationStarted(Event):
    """A technologist took the session."""

    technologist_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningRecorded(Event):
    """Screening answers as given, and what the protocols said of them; `evidence` None: they were not asked."""

    screening: Screening
    evidence: ScreeningEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllergiesRecorded(Event):
    """An allergy list and its source."""

    allergies: tuple[Allergy, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRecorded(Event):
    """The weight and how it was obtained; `doubt` is a sentence when an earlier weight speaks against it."""

    weight_kg: Decimal
    method: str
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KitChecked(Event):
    """The emergency kit was checked."""

    kit_id: str
    expires_on: dt.date
    epinephrine_present: bool
    oxygen_and_aed_checked: bool
    items: tuple[KitItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KitUsed(Event):
    """A drug of the kit went in; `left` is how many the count still has, None where it was not counted."""

    drug: str
    reaction_id: str
    left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponderCheckedIn(Event):
    """The on-site responder took post."""

    evidence: CredentialEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponderLeft(Event):
    """The responder is no longer at hand."""

    responder_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionRequested(Event):
    """A physician is needed: a ring starts under `ring_id`. `cause`: request, line_lost, physician_away, reaction."""

    ring_id: str
    cause: str
    site_id: str
    room_id: str
    nobody_to_ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicianAssigned(Event):
    """A physician answered and is responsible; `replaces` names the one released by this."""

    ring_id: str
    evidence: CredentialEvidence
    replaces: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicianLeft(Event):
    """The physician is no longer immediately available."""

    physician_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOffOffered(Event):
    """The session is offered to another physician; the present one stays responsible."""

    to_physician_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOffAccepted(Event):
    """The new owner accepted; only now is the old one released."""

    evidence: CredentialEvidence
    replaces: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfirmed(Event):
    """Two or more identifiers matched; `matched` names which, never their values."""

    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningReviewed(Event):
    """The physician reviewed history and screening; `unknown` names what was unknown then.

    `findings` are the rows under review, strictest first; `evidence` is what they said when it had changed since it
    was recorded, else None. `premedication` is what was decided about the regimens offered, None when nothing was.
    """

    unknown: tuple[str, ...]
    findings: tuple[str, ...] = ()
    evidence: ScreeningEvidence | None = None
    premedication: PremedicationChoice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewConfirmed(Event):
    """The physician's view of patient and injection site, as stated."""

    patient_visible: bool
    injection_site_visible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastCleared(Event):
    """The physician cleared the injection of an agent; `against` are the findings that `reason` answers."""

    agent: str
    reason: str = ""
    against: tuple[ScreeningFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastDeferred(Event):
    """The injection was put off."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastDeclined(Event):
    """The injection was declined."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRecorded(Event):
    """What the rules said when asked."""

    verdict: VerdictEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictAttested(Event):
    """One person lifted (half of) a verdict that needs attestation."""

    reason: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyGranted(Event):
    """READY: every precondition holds now."""

    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyRevoked(Event):
    """READY fell; `reasons` are the facts that no longer hold."""

    token: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyExpired(Event):
    """READY ran out; `due_at` is when it did."""

    token: str
    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionStarted(Event):
    """Injection began under a READY token."""

    ready_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastGiven(Event):
    """Contrast went in."""

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
class InterlockBypassed(Event):
    """Contrast went in without an injection under READY; `missing` are the facts that did not hold."""

    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionCompleted(Event):
    """Monitoring began; the observation runs until `observe_until`."""

    observe_until: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationElapsed(Event):
    """The observation time is over."""

    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringCompleted(Event):
    """The session goes on to be closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsRecorded(Event):
    """Vital signs outside a reaction."""

    systolic_mmhg: int | None
    diastolic_mmhg: int | None
    heart_rate_bpm: int | None
    spo2_percent: int | None
    respiratory_rate_bpm: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionReported(Event):
    """A reaction began. `alerted` is the physician on the line, empty when a ring was started instead."""

    reaction_id: str
    onset_at: dt.datetime
    alerted: str
    age_years: int | None
    weight_kg: Decimal | None
    setting: str
    modality: str
    agent: str
    organization_id: str
    site_id: str
    demo: bool
    drill: bool = False
    age_days: int | None = None
    weight_doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionAlarmRepeated(Event):
    """REACTION was pressed again while one is open: it joins that one, so that its doses stay in one account."""

    reaction_id: str
    alerted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLogReported(Event):
    """What a console wrote down without the network came in: the new entries, by the time of the device.

    `written_by` is whose sign-in the log was begun under, which held until `signed_in_until`.
    """

    log_id: str
    reaction_id: str
    pack_hash: str
    began_at: dt.datetime
    device_at: dt.datetime
    written_by: str
    signed_in_until: dt.datetime | None
    entries: tuple[OfflineEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionClosed(Event):
    """A reaction was disposed of."""

    reaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineConnecting(Event):
    """A participant joins; nothing is proven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineVerified(Event):
    """Counted both ways."""

    evidence: LineEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDegraded(Event):
    """Flowing, below quality."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLost(Event):
    """Two-way audio and video ended."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOnPhone(Event):
    """Telephone fallback: not compliant presence."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineClosed(Event):
    """The call was ended on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapOpened(Event):
    """Presence is not proven from `start` on."""

    number: int
    start: dt.datetime
    cause: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapActionRecorded(Event):
    """What was done about a gap."""

    number: int
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapClosed(Event):
    """Presence is proven again, or no longer owed (`cause` says which)."""

    number: int
    end: dt.datetime
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddendumOpened(Event):
    """A late entry reopened a signed or sealed record; `revision` counts records of this session."""

    revision: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LateEntryReported(Event):
    """Something of this session was reported elsewhere."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordConfirmed(Event):
    """The technologist signed."""

    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAttested(Event):
    """The physician signed."""

    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSealed(Event):
    """The record is complete, signed and sealed under a key; it covers the log `through` that position."""

    revision: int
    record_hash: str
    key_id: str
    public_key: str
    signature: str
    sealed_at: dt.datetime
    through: int


ALL = declared(vars())
