"""What reaction documents consist of: values whose leaves are words a person reads.

Rule: nothing is blank. What nobody recorded says `unknown`, `not recorded` or `not measured`, and what was erased says
`erased`. A time is ISO 8601 in the site's zone with its offset; an amount is a decimal as text, its unit in the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.reactions.overlay import SiteOverlay
from engine.reactions.pack import Pack

UNKNOWN = "unknown"
NOT_RECORDED = "not recorded"
NOT_MEASURED = "not measured"
NOT_IN_MG = "not counted in mg"
ERASED = "erased"
NOT_IN_PLAN = "not given by the site's plan"
FORMAT = "attend-reaction-document/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The site as the directory has it; "" is unknown."""

    name: str = ""
    address: str = ""
    ems_address: str = ""
    time_zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a reaction's documents are made from.

    `document` is the record's file as parsed JSON (record, events, disclosed), `position` the log position it goes up
    to. `names` and `call_backs` are people's names and telephone numbers by id, `pack` the reaction's pack, None when
    it is not loaded here. `plan` is the site's overlay for that pack, None when the site has none.
    """

    document: Mapping[str, Any]
    reaction_id: str
    position: int
    place: Place
    names: Mapping[str, str]
    call_backs: Mapping[str, str]
    pack: Pack | None
    plan: SiteOverlay | None = None

    @property
    def hospital(self) -> str:
        """The hospital of the site's plan in one line."""
        if self.plan is None:
            return NOT_IN_PLAN
        one = self.plan.hospital
        return ", ".join(part for part in (one.name, one.address, one.phone) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Which document this is and what it was made from; `standing` says whether the reaction is still open."""

    format: str = FORMAT
    kind: str
    title: str
    standing: str
    open: bool
    demo: bool
    drill: bool
    as_of: str
    time_zone: str
    session_id: str
    reaction_id: str
    position: int
    reaction_version: int
    pack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who it happened to."""

    name: str
    record_number: str
    born: str
    sex: str
    age_years: str
    weight_kg: str
    weight_method: str
    pregnancy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Which exam, where."""

    procedure: str
    accession_number: str
    modality: str
    setting: str
    site: str
    address: str
    room: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One administration of contrast."""

    agent: str
    contrast_class: str
    concentration: str
    volume_ml: str
    route: str
    lot: str
    given_at: str
    brand: str
    rate_ml_per_s: str
    expires_on: str
    iv_site: str
    iv_gauge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A sign that was tapped, with the pack's reading of it."""

    sign_id: str
    text: str
    kind: str
    severity: str
    first_seen_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The reaction itself: when, what kind, how bad."""

    onset_at: str
    after_contrast: str
    kind: str
    kind_why: str
    severity_now: str
    severity_worst: str
    presentation: str
    signs: tuple[Sign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One set of vital signs."""

    at: str
    blood_pressure_mmhg: str
    heart_rate_bpm: str
    spo2_percent: str
    respiratory_rate_bpm: str
    conscious: str
    oxygen_l_per_min: str
    rhythm: str
    glucose_mg_per_dl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """A drug that went in. `what` is the one line with mg, mg/mL, mL and route; `note` what a reader must know.

    `running_total_mg` is what the drug adds up to with this dose, over the whole session and every route.
    """

    given_at: str
    what: str
    drug: str
    dose_mg: str
    concentration_mg_per_ml: str
    volume_ml: str
    route: str
    given_by: str
    ordered_by: str
    citation: str
    evidence: str
    note: str
    site: str
    lot: str
    response: str
    running_total_mg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a drug adds up to over its doses."""

    drug: str
    doses: str
    total_mg: str
    last_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something done that is no drug: oxygen, position, compression."""

    at: str
    text: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who was responsible."""

    physician: str
    physician_licence: str
    physician_call_back: str
    responder: str
    technologist: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended, as far as it has."""

    resolved_at: str
    disposition: str
    disposition_at: str
    emergency_call: str
    emergency_called_at: str
    allergy_documented: str
    instructions_given: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told besides the treatment, and when; whatever nobody said is not recorded."""

    ems_arrived_at: str
    tryptase: str
    differential: str
    referred_to_allergist: str
    referrer_told_at: str
    family_told_at: str
    called_back_at: str
    safety_event_number: str
    medwatch_reported: str
    kit_restocked_at: str
    debriefed_at: str
    patient_class: str
    physician_location: str
    extravasated_ml: str
    extravasation_exam: str
    extravasation_notified: str
    photo_taken: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A sentence for the reader with where it comes from; `unsure` says that a clinician has yet to confirm it."""

    row_id: str
    text: str
    citation: str
    evidence: str
    unsure: bool = False
