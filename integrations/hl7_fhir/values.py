"""What messages mean once read: plain values without a trace of HL7 or FHIR syntax, shared by both ways in.

Absent is None or empty, never a guess; what was odd is said in `warnings`, whose sentences hold no patient data.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

Sex = Literal["female", "male", "other", "unknown"]


@dataclass(frozen=True, slots=True)
class Coded:
    """A code, the text shown for it, and the code system as the sender names it (a v2 name or a FHIR URI)."""

    code: str = ""
    text: str = ""
    system: str = ""


NO_CODE: Final = Coded()
"""Nothing was said."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A patient identifier: it means nothing without who assigned it (`authority`); `type` is of v2 table 0203."""

    value: str
    authority: str
    type: str


@dataclass(frozen=True, slots=True)
class Patient:
    """Who the patient is. `identifiers` are those the profile accepts best; `others` the rest."""

    identifiers: tuple[Identifier, ...]
    family: str = ""
    given: str = ""
    birth_date: dt.date | None = None
    sex: Sex = "unknown"
    others: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Allergy:
    """One reported allergy. `kind` is drug, food, environment, other or empty; `reactions` in its words.

    `severity` is severe, moderate, mild, empty, or another word as it was sent.
    """

    substance: Coded
    kind: str = ""
    severity: str = ""
    reactions: tuple[str, ...] = ()
    active: bool = True
    confirmed: bool | None = None


@dataclass(frozen=True, slots=True)
class Allergies:
    """What is known of allergies. `unknown` (nothing was said) is not `none_known` (somebody says there are none)."""

    status: Literal["listed", "none_known", "unknown"] = "unknown"
    items: tuple[Allergy, ...] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A person who ordered something; any part may be empty."""

    id: str = ""
    family: str = ""
    given: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a message and under which control id: with the bytes' hash, the key of a duplicate."""

    application: str
    facility: str
    control_id: str


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """An imaging order to schedule, amend or cancel.

    `site` and `room` are ours (from the profile), `planned_at` is UTC, `weight_kg` and `height_cm` exact or None.
    `contrast` is the class of contrast the procedure's code stands for. On cancel only the numbers are certain.
    `weight_taken_back`: the sender says that the weight sent before is none (OBX-11), and gives no other.
    """

    action: Literal["schedule", "amend", "cancel"]
    sender: Sender
    patient: Patient
    placer: str
    filler: str
    accession: str
    study_instance_uid: str
    procedure: Coded
    modality: str
    contrast: str
    site: str
    room: str
    planned_at: dt.datetime | None
    provider: Provider
    allergies: Allergies
    weight_kg: Decimal | None
    height_cm: Decimal | None
    warnings: tuple[str, ...] = ()
    weight_taken_back: bool = False

    @property
    def number(self) -> str:
        """The number the order's session is known by."""
        return self.accession or self.filler or self.placer or self.study_instance_uid


@dataclass(frozen=True, slots=True)
class PatientMessage:
    """A patient registered or updated (`trigger` is the ADT event)."""

    action: Literal["register", "update"]
    trigger: str
    sender: Sender
    patient: Patient
    allergies: Allergies
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentityMessage:
    """Whose number is whose was changed, or a patient withdrawn (`trigger` is the ADT event): a person must look.

    `identifiers` are all numbers named, without their type; one whose authority is empty may be anybody's. Of a merge
    or renumbering `stays` remain in use and `goes` do not. `reason` and `why` are what that person is told.
    """

    trigger: str
    reason: str
    why: str
    sender: Sender
    identifiers: tuple[Identifier, ...]
    stays: tuple[Identifier, ...] = ()
    goes: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """Stored and readable, but a person here must mend a map before it can become a command.

    `reason` is an UPPER_SNAKE word, `what` names the code or field (never patient data).
    """

    reason: str
    what: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Unused:
    """Stored and acknowledged; this engine makes nothing of it. `type` is MSH-9, `why` a sentence."""

    type: str
    why: str
    sender: Sender


Meaning = OrderMessage | PatientMessage | IdentityMessage | Held | Unused
