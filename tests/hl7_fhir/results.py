"""Results of demo sessions for the tests of this folder: one with a severe reaction, one without any."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from integrations.hl7_fhir import codes
from integrations.hl7_fhir.result import (
    ContrastGiven,
    OrderNumbers,
    Reaction,
    SupervisionResult,
    Treatment,
    VitalSigns,
)
from integrations.hl7_fhir.values import Coded, Identifier, Patient, Provider

T0 = dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)


def after(minutes: int) -> dt.datetime:
    return T0 + dt.timedelta(minutes=minutes)


UNEVENTFUL = SupervisionResult(
    session_id="ses-demo-1",
    version=1,
    patient=Patient(
        identifiers=(Identifier("DEMO1001", "DEMO", "MR"), Identifier("DEMO-E-1", "DEMOENT", "PI")),
        family="DEMO",
        given="PATIENT",
        birth_date=dt.date(1961, 4, 12),
        sex="female",
    ),
    order=OrderNumbers("PL1001", "FL1001", "ACC1001", "1.2.3.4.5.1001"),
    procedure=Coded("CTABDWC", "CT abdomen with contrast", "DEMOPROC"),
    site="demo-hospital",
    physician=Provider("1234567893", "DEMO", "PHYSICIAN"),
    technologist=Provider("T-7", "DEMO", "TECHNOLOGIST"),
    started_at=T0,
    ended_at=after(40),
    sealed_at=after(45),
    verdict="allow",
    seal_hash="ab" * 32,
    contrast=(
        ContrastGiven(
            "c1", codes.AGENTS["iohexol"], after(5), Decimal("100.0"), Decimal("3.50"), codes.ROUTES["IV"]
        ),
    ),
    vitals=(VitalSigns("v1", after(1), (("systolic", Decimal(118)), ("diastolic", Decimal(76)))),),
    pdf=b"%PDF-1.7 demo",
)

SEVERE = replace(
    UNEVENTFUL,
    session_id="ses-demo-2",
    vitals=(
        *UNEVENTFUL.vitals,
        VitalSigns(
            "v2",
            after(8),
            (
                ("systolic", Decimal(82)),
                ("heart_rate", Decimal(124)),
                ("oxygen_saturation", Decimal("91.0")),
                ("temperature", Decimal("36.80")),
            ),
        ),
    ),
    reaction=Reaction(
        id="r1",
        kind="allergic_like",
        severity="severe",
        onset_at=after(7),
        manifestations=(codes.MANIFESTATIONS["anaphylaxis"], codes.MANIFESTATIONS["hypotension"]),
        treatments=(
            Treatment("t1", after(8), codes.DRUGS["epinephrine"], Decimal("0.30"), "mg", codes.ROUTES["IM"]),
            Treatment("t2", after(9), Coded("", "Legs raised & oxygen by mask", ""), is_drug=False),
        ),
        resolved_at=after(30),
        outcome="Transferred by ambulance | observed ^ stable",
        emergency_called=True,
    ),
)
