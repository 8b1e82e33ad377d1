"""What the engine believes of one supervised exam; every field is folded from events."""

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from engine.workflows.session.offline_log import OfflineLog

PRESENCE_OWED = ("identifying", "reviewing", "cleared", "injecting", "monitoring")


class CancelReason(StrEnum):
    """Why a session was cancelled (coded, so that cancellations can be counted by cause)."""

    PATIENT_NO_SHOW = "patient_no_show"
    PATIENT_DECLINED = "patient_declined"
    ORDER_CANCELLED = "order_cancelled"
    NO_PHYSICIAN = "no_physician"
    NO_RESPONDER = "no_responder"
    EQUIPMENT = "equipment"
    LINE = "line"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentity:
    """Who the patient is. Protected: kept in the erasable table, never in the log, an error or a page."""

    mrn: str
    authority: str
    family: str
    given: str
    birth_date: dt.date
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The imaging order as the RIS sent it."""

    accession_number: str
    placer_number: str = ""
    filler_number: str = ""
    study_instance_uid: str = ""
    procedure_code: str
    procedure_system: str
    procedure_text: str = ""
    modality: str
    contrast_class: str
    ordering_provider: str = ""
    hcpcs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorReaction:
    """An earlier reaction to contrast. Class: iodinated or gadolinium; kind: allergic_like or physiologic."""

    contrast_class: str = "unknown"
    agent: str = ""
    kind: str = "unknown"
    severity: str = "unknown"
    delayed: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PremedicationGiven:
    """A drug of a premedication that the patient had before this exam, as told; None: not known."""

    drug: str
    dose_mg: Decimal | None = None
    route: str = ""
    given_at: dt.datetime | None = None


_NO = frozenset({"no", "none", "not_applicable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """Pre-contrast screening. `unknown` is an answer of its own and is never shown as none.

    Answers are yes, no or unknown; any other word counts as unknown. `agent` is the one planned, `access` the IV
    access in words, `earlier_contrast` the earlier exposures in words, each "" while nobody said. Premedication: what
    was given, or that none was; neither while nobody said.
    """

    prior_reaction: str = "unknown"
    asthma: str = "unknown"
    renal_risk: str = "unknown"
    metformin: str = "unknown"
    pregnancy: str = "unknown"
    beta_blocker: str = "unknown"
    egfr_ml_min_173m2: Decimal | None = None
    egfr_on: dt.date | None = None
    prior_reactions: tuple[PriorReaction, ...] = ()
    iodine_or_shellfish: str = "unknown"
    atopy: str = "unknown"
    asthma_active: str = "unknown"
    acute_kidney_injury: str = "unknown"
    dialysis: str = "unknown"
    residual_function: str = "unknown"
    renal_artery_emboli_possible: str = "unknown"
    breast_feeding: str = "unknown"
    thyroid: str = "unknown"
    ace_inhibitor: str = "unknown"
    other_conditions: str = "unknown"
    recent_contrast: str = "unknown"
    agent: str = ""
    access: str = ""
    earlier_contrast: str = ""
    no_premedication: bool = False
    premedication_given: tuple[PremedicationGiven, ...] = ()

    def answer(self, question: str) -> Literal["yes", "no", "unknown"]:
        """Return the answer to a question; a word that is none of the answers is unknown."""
        return answer(getattr(self, question))


def answer(word: str) -> Literal["yes", "no", "unknown"]:
    """Return what a word answers: "none" and "not_applicable" are no, anything unheard-of is unknown."""
    said = word.strip().lower()
    if said == "yes":
        return "yes"
    return "no" if said in _NO else "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningFinding:
    """What one row of the protocols said. `outcome`: proceed, physician_review, alternative_study or hold.

    `unknown` names what nobody had answered; `lab_age_days` is how old the eGFR was, None where none was used.
    """

    outcome: str
    row_id: str
    sentence: str
    citation: str = ""
    evidence: str = ""
    unknown: tuple[str, ...] = ()
    lab_age_days: int | None = None

    @property
    def needs_reason(self) -> bool:
        """Whether contrast is cleared against this only with a reason."""
        return self.outcome in ("alternative_study", "hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class PremedicationDose:
    """One drug of a regimen. `dose_mg` None: not known; `text` says it in one line, `formula` how the mg came about.

    Hours are before contrast; `now` and every `every_h` until then. Equal `either_or` marks alternatives.
    """

    drug: str
    routes: tuple[str, ...]
    dose_mg: Decimal | None
    dose_max_mg: Decimal | None
    hours_before: tuple[Decimal, ...]
    now: bool
    every_h: Decimal | None
    optional: bool
    either_or: str
    formula: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Premedication:
    """A regimen that the protocols leave to the physician; nobody has ordered it. `because` is the row that does."""

    row_id: str
    because: str
    premedicate: str
    situation: str
    text: str
    doses: tuple[PremedicationDose, ...]
    citation: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningEvidence:
    """What the protocols said of a screening when they were asked: findings, strictest first, and by which pack."""

    findings: tuple[ScreeningFinding, ...]
    premedication: tuple[Premedication, ...]
    pack_id: str
    pack_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PremedicationChoice:
    """What the physician decided about the premedication offered: `row_id` is ordered, "" means declined for `reason`.

    It holds for the agent ("" while none was named) and class that were planned then; `outdated` once they change.
    """

    row_id: str
    reason: str
    agent: str
    contrast_class: str
    physician_id: str
    chosen_at: dt.datetime
    outdated: bool = False

    def at(self, agent: str, contrast_class: str) -> "PremedicationChoice":
        """Return the choice as it stands now that this agent and class are planned; "" is none in particular."""
        before, now = (" ".join(name.split()).casefold() for name in (self.agent, agent))
        other = bool(before and now and before != now) or self.contrast_class != contrast_class
        return replace(self, outdated=self.outdated or other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allergy:
    """One entry of an allergy list with where it came from."""

    substance: str
    code: str = ""
    system: str = ""
    reaction: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialEvidence:
    """What was found about a person's credentials when it was looked up; `problems` are reason codes."""

    person_id: str
    role: str
    name: str = ""
    npi: str = ""
    licence_type: str = ""
    licence_state: str = ""
    licence_number: str = ""
    competency_expires_on: dt.date | None = None
    checked_at: dt.datetime
    valid_until: dt.datetime | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One rule layer's answer."""

    layer: str
    result: str
    rule_id: str
    reason: str
    citation: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictEvidence:
    """What the rules said: `allow`, `needs_attestation` or `deny`, strictest layer first."""

    result: str
    layers: tuple[LayerResult, ...]
    assumed: tuple[str, ...] = ()
    rulebook_hash: str
    rulebook_version: str
    evaluated_at: dt.datetime
    valid_until: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """One person's signed reason for going on under a verdict that needs attestation."""

    person_id: str
    role: str
    reason: str
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KitItem:
    """A drug in the emergency kit and how many doses of it there are."""

    drug: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The emergency kit as last checked, less what was used since: `used` names the drugs, a dose each."""

    kit_id: str
    expires_on: dt.date
    epinephrine_present: bool
    oxygen_and_aed_checked: bool
    checked_at: dt.datetime
    items: tuple[KitItem, ...] = ()
    used: tuple[str, ...] = ()

    def left(self, drug: str) -> int | None:
        """Return how many doses of a drug were counted and are left; None when it was not counted."""
        return next((item.quantity for item in self.items if item.drug == drug), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEvidence:
    """What the media node counted when it called the line verified: packets and frames in, per direction."""

    technologist_audio_packets: int
    technologist_video_frames: int
    physician_audio_packets: int
    physician_video_frames: int
    window_s: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An interval in which presence was not proven. `end` None while it lasts."""

    number: int
    start: dt.datetime
    end: dt.datetime | None
    cause: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFact:
    """One fact READY rests on, and until when it holds by itself (None: until something changes it)."""

    name: str
    until: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The READY token: injecting needs it, unexpired, by its exact word."""

    token: str
    facts: tuple[ReadyFact, ...]
    granted_at: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastDose:
    """Contrast that went into the patient, as reported."""

    agent: str
    contrast_class: str
    concentration: str
    volume_ml: Decimal
    route: str
    lot: str
    given_at: dt.datetime
    bypassed: bool
    brand: str = ""
    rate_ml_per_s: Decimal | None = None
    expires_on: dt.date | None = None
    iv_site: str = ""
    iv_gauge: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A person's signature: its meaning and the canonical hash it is bound to."""

    person_id: str
    role: str
    meaning: str
    record_hash: str
    signed_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """The session's configurable times. Service objectives and facility rows, never called a CMS rule."""

    ready_s: int = 120
    observation_s: int = 30 * 60
    line_lost_ring_s: int = 15
    credential_check_s: int = 3600


@dataclass(frozen=True, kw_only=True)
class SessionState:
    """One session. `version` 0 means it does not exist yet."""

    session_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    organization_id: str = ""
    site_id: str = ""
    room_id: str = ""
    site_state: str = ""
    setting: str = ""
    mode: str = "C"
    demo: bool = False
    drill: bool = False
    drill_id: str = ""
    opened_at: dt.datetime | None = None
    planned_at: dt.datetime | None = None
    order: Order | None = None
    identity: PatientIdentity | None = None
    age_years: int | None = None
    age_days: int | None = None
    technologist_id: str = ""
    weight_kg: Decimal | None = None
    weight_method: str = ""
    weight_doubt: str = ""
    screening: Screening | None = None
    screened: ScreeningEvidence | None = None
    premedication: PremedicationChoice | None = None
    allergies: tuple[Allergy, ...] = ()
    allergies_source: str = ""
    responder: CredentialEvidence | None = None
    responder_present: bool = False
    kit: Kit | None = None
    requests: int = 0
    nobody_to_ring: bool = False
    physician: CredentialEvidence | None = None
    physician_present: bool = False
    hand_off_to: str = ""
    identity_confirmed: bool = False
    screening_reviewed: bool = False
    view_confirmed: bool = False
    cleared: bool = False
    cleared_agent: str = ""
    verdict: VerdictEvidence | None = None
    attestations: tuple[Attestation, ...] = ()
    ready: Ready | None = None
    line_ever_verified: bool = False
    line_down_since: dt.datetime | None = None
    gaps: tuple[Gap, ...] = ()
    contrast: tuple[ContrastDose, ...] = ()
    injection_started_at: dt.datetime | None = None
    observation_over: bool = False
    reactions: tuple[str, ...] = ()
    open_reactions: frozenset[str] = field(default_factory=frozenset)
    offline_logs: tuple[OfflineLog, ...] = ()
    revision: int = 1
    confirmed: Signature | None = None
    attested: Signature | None = None
    sealed_hash: str = ""

    @property
    def injecting(self) -> bool:
        """Whether an injection that began with READY is under way: contrast outside of it went past the interlock."""
        return self.injection_started_at is not None and self.in_phase("injecting")

    def in_phase(self, *names: str) -> bool:
        """Return whether any of the named phases is active."""
        return not frozenset(names).isdisjoint(self.phases)

    @property
    def open_gap(self) -> Gap | None:
        """The gap that is still open, if any."""
        return next((gap for gap in reversed(self.gaps) if gap.end is None), None)


def initial(stream_id: str, phases: tuple[str, ...]) -> SessionState:
    """Return the state of a session that does not exist yet."""
    return SessionState(session_id=stream_id, phases=phases)
