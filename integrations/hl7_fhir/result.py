"""What goes back to the RIS and EHR about one supervised session: plain values, the same for HL7 v2 and FHIR.

Times are aware UTC, amounts exact. Whatever is None or empty did not happen or is not known, and is not sent.
"""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from integrations.hl7_fhir.values import NO_CODE, Coded, Patient, Provider

Kind = Literal["allergic_like", "physiologic", "extravasation"]
Severity = Literal["mild", "moderate", "severe"]
Verdict = Literal["allow", "needs_attestation", "deny"]


@dataclass(frozen=True, slots=True)
class OrderNumbers:
    """The order as the RIS knows it: copied back unchanged."""

    placer: str = ""
    filler: str = ""
    accession: str = ""
    study_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class ContrastGiven:
    """One contrast injection. `volume_ml` None when it was not recorded."""

    id: str
    agent: Coded
    at: dt.datetime
    volume_ml: Decimal | None = None
    rate_ml_s: Decimal | None = None
    route: Coded = NO_CODE


@dataclass(frozen=True, slots=True)
class Treatment:
    """One thing done for a reaction: a drug with its dose (`unit` in UCUM), or a measure with text alone."""

    id: str
    at: dt.datetime
    what: Coded
    dose: Decimal | None = None
    unit: str = ""
    route: Coded = NO_CODE
    is_drug: bool = True


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """One set of vital signs; keys are those of codes.VITALS, units theirs."""

    id: str
    at: dt.datetime
    values: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Reaction:
    """The reaction, as the physician graded it."""

    id: str
    kind: Kind
    severity: Severity
    onset_at: dt.datetime
    manifestations: tuple[Coded, ...]
    treatments: tuple[Treatment, ...] = ()
    resolved_at: dt.datetime | None = None
    outcome: str = ""
    emergency_called: bool = False


@dataclass(frozen=True, slots=True)
class SupervisionResult:
    """The sealed supervision of one session. `version` counts from 1; from 2 on it corrects what was sent before.

    `pdf` is the readable record, `seal_hash` the SHA-256 that is sealed, in hex. `started_at` to `ended_at` is the
    supervision.
    """

    session_id: str
    version: int
    patient: Patient
    order: OrderNumbers
    procedure: Coded
    site: str
    physician: Provider
    technologist: Provider
    started_at: dt.datetime
    ended_at: dt.datetime
    sealed_at: dt.datetime
    verdict: Verdict
    seal_hash: str
    contrast: tuple[ContrastGiven, ...] = ()
    vitals: tuple[VitalSigns, ...] = ()
    reaction: Reaction | None = None
    pdf: bytes = b""
