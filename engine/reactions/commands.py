"""The reaction's verbs: the physician orders, the room reads back and does; what happened is never refused.

`offline` says of a fact that it comes from a console's log; no caller sets it (see `ReportOfflineEntries`).

Filled by the engine, as found just before: `problems`, what stands against the licence of the one who directs, and
`given_elsewhere`, what went in during the other reactions of the session.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from engine.kernel.commands import Command
from engine.reactions.state import Disposition, FollowUp, Medication, Offline, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReaction(Command):
    """The session reported a reaction."""

    creates: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    emergency: ClassVar[bool] = True
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
    drill: bool = False
    alerted: str
    age_days: int | None = None
    weight_doubt: str = ""
    given_elsewhere: tuple[Medication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDosesElsewhere(Command):
    """A dose was reported in another reaction of the session; which ones went in is filled by the engine."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    given_elsewhere: tuple[Medication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSigns(Command):
    """Report the signs seen, by the pack's sign ids; the whole list as it is now."""

    fact: ClassVar[bool] = True
    signs: tuple[str, ...]
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordVitals(Command):
    """Report vital signs; None and "" mean not measured.

    `response` is how the doses since the last such word have worked, as seen.
    """

    fact: ClassVar[bool] = True
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
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPatientWeight(Command):
    """Report the weight, in kilograms, and how it was obtained."""

    fact: ClassVar[bool] = True
    weight_kg: Decimal
    method: str
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeReaction(Command):
    """The physician sets severity and presentation; the protocol's steps follow.

    `also` are further presentations seen at once: their steps are merged in. Going below the present grade needs a
    reason; so does differing from the suggestion.
    """

    severity: Severity
    presentation: str
    also: tuple[str, ...] = ()
    reason: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStep(Command):
    """The physician orders a step. For a drug: which of the step's dose rows, and the dose if it differs from it.

    `override_reason` lets an order past a cap, the cumulative epinephrine guard or a repeat interval. Epinephrine into
    a vein needs `pulse_confirmed`, said anew for each dose.
    """

    step_id: str
    row_id: str = ""
    dose_mg: Decimal | None = None
    pulse_confirmed: bool = False
    override_reason: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBackStep(Command):
    """The room repeats the order: dose, concentration and route as heard, and the volume where it is said."""

    step_id: str
    dose_mg: Decimal | None = None
    concentration_mg_per_ml: Decimal | None = None
    volume_ml: Decimal | None = None
    route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStepDone(Command):
    """Report that a step without a drug was done."""

    fact: ClassVar[bool] = True
    step_id: str
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMedicationGiven(Command):
    """Report a drug that went in, whether ordered or not, and where on the body. Beyond a cap it is kept and flagged.

    `physician_connected` is filled by the engine: a standing order holds only while no physician is on the line.
    """

    fact: ClassVar[bool] = True
    step_id: str = ""
    drug: str
    route: str
    dose_mg: Decimal | None = None
    concentration_mg_per_ml: Decimal | None = None
    volume_ml: Decimal | None = None
    given_at: dt.datetime | None = None
    given_by: str = ""
    site: str = ""
    lot: str = ""
    physician_connected: bool = True
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseStep(Command):
    """Decide against a step, with the reason."""

    step_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEmergencyCalled(Command):
    """Report that EMS or the hospital's team was called. `address`, where they are sent, is filled by the engine."""

    fact: ClassVar[bool] = True
    service: str
    called_at: dt.datetime | None = None
    address: str = ""
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImproving(Command):
    """Report that the patient is getting better."""

    fact: ClassVar[bool] = True
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResolved(Command):
    """Report that every sign has gone."""

    fact: ClassVar[bool] = True
    offline: Offline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """REACTION was pressed without the network."""

    offline: Offline


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """A read-back was said without the network."""

    step_id: str
    offline: Offline
    dose_mg: Decimal | None = None
    concentration_mg_per_ml: Decimal | None = None
    volume_ml: Decimal | None = None
    route: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something was written down without the network."""

    text: str
    offline: Offline


OfflineFact = (
    RecordSigns
    | RecordVitals
    | RecordPatientWeight
    | RecordStepDone
    | RecordMedicationGiven
    | RecordEmergencyCalled
    | ReportImproving
    | ReportResolved
    | Onset
    | ReadBack
    | Note
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOfflineEntries(Command):
    """What a console wrote down without the network, each fact `offline`, in the order in which it happened."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    facts: tuple[OfflineFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisposeReaction(Command):
    """The physician decides where the patient goes. Lighter than the pack's row needs a reason."""

    disposition: Disposition
    reason: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentReaction(Command):
    """Close the reaction's own documentation: allergy entry and instructions as stated."""

    allergy_documented: bool
    instructions_given: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFollowUp(Command):
    """Report what is known besides the treatment: EMS arrived, tryptase drawn, who was told; once or bit by bit."""

    fact: ClassVar[bool] = True
    follow_up: FollowUp
