"""What happened in a reaction. Released types are never edited; a new shape is a new `schema`.

`offline` is set on what a console wrote down without the network: it says when that happened, the event's own time when
the engine learned of it.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from engine.kernel.events import Event, declared
from engine.reactions.state import (
    Disposition,
    FollowUp,
    Medication,
    OfferedStep,
    Offline,
    OrderedDose,
    Severity,
    Vitals,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionOpened(Event):
    """A reaction began; it keeps the pack it started with."""

    session_id: str
    organization_id: str
    site_id: str
    onset_at: dt.datetime
    age_years: int | None
    weight_kg: Decimal | None
    setting: str
    modality: str
    agent: str
    demo: bool
    pack_id: str
    pack_hash: str
    pack_signed_by: str = ""
    drill: bool = False
    age_days: int | None = None
    weight_doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DosesElsewhereKnown(Event):
    """What went in during the session's other reactions, all of it as known now: caps and intervals count it too."""

    given: tuple[Medication, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignsRecorded(Event):
    """The signs as they are now, by pack id; `texts` are the pack's words for them (the id where it has none)."""

    signs: tuple[str, ...]
    texts: tuple[str, ...] = ()
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsRecorded(Event):
    """A set of vital signs in the reaction."""

    vitals: Vitals
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientWeightRecorded(Event):
    """The weight the doses are computed with from now on; `doubt` says what an earlier weight has against it."""

    weight_kg: Decimal
    method: str
    offline: Offline | None = None
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveritySuggested(Event):
    """The pack's rules suggest a grade; the physician decides. `reasons` are sentences.

    `severity` None: the rows decide nothing, and `physician_decides` is the question that is left.
    """

    severity: Severity | None
    rules: tuple[str, ...]
    reasons: tuple[str, ...]
    presentations: tuple[str, ...]
    physician_decides: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionGraded(Event):
    """The physician set the grade; `was` is the grade before, `suggested` what the rules had said.

    `also` are the presentations besides the leading one.
    """

    severity: Severity
    was: Severity | None
    suggested: Severity | None
    presentation: str
    reason: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolResolved(Event):
    """The steps for this patient, with doses, as the pack gives them now; earlier open steps are superseded.

    `renewed` are steps ordered or done already, with the doses of their next order: the weight is another than it was.
    `reference`: no physician has graded yet; these are the steps of what the rules suggest, to be read and not ordered.
    """

    pack_id: str
    pack_hash: str
    steps: tuple[OfferedStep, ...]
    superseded: tuple[str, ...]
    reference: bool = False
    renewed: tuple[OfferedStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOrdered(Event):
    """The physician's order. `overrides` are the guards it went past, with the reason."""

    step_id: str
    order_number: int
    order: OrderedDose | None
    overrides: tuple[str, ...]
    override_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReadBack(Event):
    """The room repeated the order, and it matched."""

    step_id: str
    order_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Event):
    """A step was done."""

    step_id: str
    order_number: int
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRefused(Event):
    """A step was decided against."""

    step_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicationGiven(Event):
    """A drug went in. `beyond` names caps it went past; `authority` is order, standing_order or none."""

    medication: Medication
    beyond: tuple[str, ...]
    authority: str = ""
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetReported(Event):
    """REACTION was pressed at a console without the network; an earlier onset than the known one counts."""

    onset_at: dt.datetime
    offline: Offline


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBackReported(Event):
    """A read-back was said while no order could reach the engine: kept as said, compared with nothing."""

    step_id: str
    dose_mg: Decimal | None
    concentration_mg_per_ml: Decimal | None
    volume_ml: Decimal | None
    route: str
    offline: Offline


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRecorded(Event):
    """Something the room wrote down in its own words."""

    text: str
    offline: Offline


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatDue(Event):
    """The repeat interval of a given drug is over: another dose may be ordered."""

    row_id: str
    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyCalled(Event):
    """EMS or the hospital's team was called, to `address` as the directory had it ("" unknown)."""

    service: str
    called_at: dt.datetime
    address: str = ""
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsDue(Event):
    """Vital signs are to be measured again: the pack's interval since the last ones is over."""

    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationReached(Event):
    """The pack's shortest observation after this grade is over; the physician may release."""

    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionImproving(Event):
    """The patient is getting better."""

    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionResolved(Event):
    """Every sign has gone."""

    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionDisposed(Event):
    """Where the patient went, by whose decision; the session may go on to close."""

    session_id: str
    disposition: Disposition
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionDocumented(Event):
    """The reaction's documentation is complete."""

    session_id: str
    allergy_documented: bool
    instructions_given: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpRecorded(Event):
    """Something was told about the reaction besides its treatment; what was not said now stays as it was."""

    follow_up: FollowUp


ALL = declared(vars())
