"""What the engine believes of one reaction and of each step of its protocol; folded from events."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

# The call levels that call for help, without an if.
CALLING = ("call", "activate_team")


class Severity(StrEnum):
    """ACR severity (clinical reference section 1)."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"

    @property
    def rank(self) -> int:
        """0 mild, 1 moderate, 2 severe."""
        return ("mild", "moderate", "severe").index(self.value)


class Disposition(StrEnum):
    """Where the patient went."""

    DISCHARGED_HOME = "discharged_home"
    RETURNED_TO_WARD = "returned_to_ward"
    EMERGENCY_DEPARTMENT = "emergency_department"
    TRANSFERRED_BY_EMS = "transferred_by_ems"
    ADMITTED = "admitted"
    DIED = "died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """Where a fact comes from that a console wrote down without the network: which entry, when by the device, by whom.

    `signed_in` False: the sign-in had run out by then, because nobody could sign in anew.
    """

    entry_id: str
    at: dt.datetime
    by: str
    signed_in: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One set of vital signs; None and "" mean not measured. `response` is how the doses since the
    last such word have worked, as seen."""

    at: dt.datetime
    systolic_mmhg: int | None = None
    diastolic_mmhg: int | None = None
    heart_rate_bpm: int | None = None
    spo2_percent: int | None = None
    respiratory_rate_bpm: int | None = None
    conscious: bool | None = None
    oxygen_l_per_min: Decimal | None = None
    rhythm: str = ""
    glucose_mg_per_dl: int | None = None
    response: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedDose:
    """A resolved dose as shown: exact and measured, with the formula and the row it came from.

    `concentration_mg_per_ml` None prints "see vial". `dose_max_mg` is the upper end of a range. `waits_for` is
    "weight" or "physician" when there is no number yet. `caution` is what the room must know before giving it.
    """

    row_id: str
    drug: str
    route: str
    form: str
    dose_mg: Decimal | None
    dose_max_mg: Decimal | None
    concentration_mg_per_ml: Decimal | None
    volume_ml: Decimal | None
    measured_ml: Decimal | None
    amount_text: str
    formula: str
    cap_applied: bool
    max_single_mg: Decimal | None
    counter: str
    repeat_min_s: int | None
    repeat_max_s: int | None
    fresh_order: bool
    condition: str
    waits_for: str
    citation: str
    evidence: str
    site: str = ""
    rate: str = ""
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedStep:
    """One protocol step as resolved for this patient when the reaction was graded.

    Of a step that watches: `repeat_s` is how often to measure, `observe_s` how long to watch at least, from `onset` or
    from `resolution` on.
    """

    step_id: str
    number: int
    kind: str
    text: str
    row_id: str
    citation: str
    evidence: str
    doses: tuple[OfferedDose, ...] = ()
    call_level: str = "none"
    physician_decides: str = ""
    standing_order: bool = False
    repeat_s: int | None = None
    observe_s: int | None = None
    observe_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedDose:
    """What the physician ordered: the exact dose, what to draw up, and why it differs if it does."""

    row_id: str
    drug: str
    route: str
    dose_mg: Decimal | None
    concentration_mg_per_ml: Decimal | None
    volume_ml: Decimal | None
    amount_text: str
    formula: str
    counter: str
    citation: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step: the offer, its chart phase, and the order that is current.

    `outdated`: the open order is of a dose that the patient's weight, as known since, no longer gives.
    """

    offer: OfferedStep
    phases: tuple[str, ...]
    orders: int = 0
    order: OrderedDose | None = None
    ordered_at: dt.datetime | None = None
    read_back_at: dt.datetime | None = None
    done_at: dt.datetime | None = None
    outdated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Medication:
    """A dose that went in, as reported; `site` is where on the body, "" not said.

    Drug and route stand as the pack spells them; `told_as` is there where somebody wrote them otherwise.
    `counted_from` is there where the time cannot be: a dose was in when it was told, and not before its reaction began.
    """

    step_id: str
    row_id: str
    drug: str
    route: str
    dose_mg: Decimal | None
    concentration_mg_per_ml: Decimal | None
    volume_ml: Decimal | None
    counter: str
    given_at: dt.datetime
    given_by: str
    site: str = ""
    lot: str = ""
    told_as: str = ""
    counted_from: dt.datetime | None = None

    @property
    def counted_at(self) -> dt.datetime:
        """The moment from which its interval is counted."""
        return self.counted_from or self.given_at


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What is told about a reaction besides its treatment; None and "" mean that nobody has said.

    `patient_class` as in HL7 PV1-2, in words. An extravasation (row E-12) is examined again and again: each
    `extravasation_exam` told adds to those before it, while of everything else the last word stands.
    """

    ems_arrived_at: dt.datetime | None = None
    tryptase_drawn: bool | None = None
    tryptase_drawn_at: dt.datetime | None = None
    differential: str = ""
    referred_to_allergist: bool | None = None
    referrer_told_at: dt.datetime | None = None
    family_told_at: dt.datetime | None = None
    called_back_at: dt.datetime | None = None
    safety_event_number: str = ""
    medwatch_reported: bool | None = None
    kit_restocked_at: dt.datetime | None = None
    debriefed_at: dt.datetime | None = None
    patient_class: str = ""
    physician_location: str = ""
    extravasated_ml: Decimal | None = None
    extravasation_exam: str = ""
    extravasation_notified: str = ""
    photo_taken: bool | None = None

    def with_(self, later: "FollowUp") -> "FollowUp":
        """Return what stands once more was told: of each thing what was said last, of the exams all."""
        said = {one.name: getattr(later, one.name) for one in fields(later)}
        said["extravasation_exam"] = "\n".join(
            filter(None, (self.extravasation_exam, later.extravasation_exam))
        )
        return replace(self, **{name: value for name, value in said.items() if value not in (None, "")})


# What a set of vital signs measures; the rest of it is words.
MEASURED = tuple(f.name for f in fields(Vitals) if f.default is None)


@dataclass(frozen=True, kw_only=True)
class ReactionState:
    """One reaction. `version` 0 means it does not exist yet."""

    reaction_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    session_id: str = ""
    organization_id: str = ""
    site_id: str = ""
    setting: str = ""
    modality: str = ""
    agent: str = ""
    demo: bool = False
    drill: bool = False
    age_years: int | None = None
    age_days: int | None = None
    weight_kg: Decimal | None = None
    weight_at: dt.datetime | None = None
    weight_doubt: str = ""
    onset_at: dt.datetime | None = None
    pack_id: str = ""
    pack_hash: str = ""
    pack_signed_by: str = ""
    signs: tuple[str, ...] = ()
    signs_at: dt.datetime | None = None
    vitals: tuple[Vitals, ...] = ()
    suggested: Severity | None = None
    suggested_rules: tuple[str, ...] = ()
    suggested_presentations: tuple[str, ...] = ()
    physician_decides: str = ""
    severity: Severity | None = None
    graded_at: dt.datetime | None = None
    worst: Severity | None = None
    presentation: str = ""
    also: tuple[str, ...] = ()
    reference: bool = False
    steps: Mapping[str, StepState] = field(default_factory=lambda: MappingProxyType({}))
    step_order: tuple[str, ...] = ()
    given: tuple[Medication, ...] = ()
    given_elsewhere: tuple[Medication, ...] = ()
    directed_at: dt.datetime | None = None
    directed_by: str = ""
    emergency_called_at: dt.datetime | None = None
    emergency_address: str = ""
    resolved_at: dt.datetime | None = None
    disposition: Disposition | None = None
    follow_up: FollowUp = FollowUp()

    def in_phase(self, *names: str) -> bool:
        """Return whether any of the named phases is active."""
        return not frozenset(names).isdisjoint(self.phases)

    @property
    def doses(self) -> tuple[Medication, ...]:
        """Every dose of the session: what caps, totals and intervals are judged by."""
        return (*self.given_elsewhere, *self.given)

    @property
    def watching(self) -> tuple[OfferedStep, ...]:
        """The steps in force that watch the patient."""
        return tuple(
            step.offer
            for step in self.steps.values()
            if step.offer.kind == "observe" and "superseded" not in step.phases
        )

    @property
    def latest_vitals(self) -> Vitals | None:
        """The newest measurement of each vital sign: one that was not measured again hides nothing."""
        if not self.vitals:
            return None
        latest = self.vitals[0]
        for one in self.vitals[1:]:
            told = {name: getattr(one, name) for name in MEASURED if getattr(one, name) is not None}
            latest = replace(latest, at=one.at, **told)
        return latest

    @property
    def vitals_since_graded(self) -> tuple[Vitals, ...]:
        """The measurements since the last grade; () before the first one."""
        graded = self.graded_at
        return tuple(one for one in self.vitals if graded is not None and one.at >= graded)

    @property
    def signs_weighed(self) -> bool:
        """Whether the last grade was given with the present signs known."""
        return self.graded_at is not None and (self.signs_at is None or self.signs_at <= self.graded_at)

    @property
    def help_needed(self) -> bool:
        """Whether a step in force calls the emergency service or the hospital's team."""
        return any(
            step.offer.call_level in CALLING and "superseded" not in step.phases
            for step in self.steps.values()
        )

    @property
    def epinephrine_given(self) -> bool:
        """Whether any epinephrine went in, by whatever route."""
        return any(dose.counter.startswith("epinephrine") for dose in self.doses)


def initial(stream_id: str, phases: tuple[str, ...]) -> ReactionState:
    """Return the state of a reaction that does not exist yet."""
    return ReactionState(reaction_id=stream_id, phases=phases)
