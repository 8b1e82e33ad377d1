"""What a reaction becomes when the patient gets worse, and what is watched after it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.reactions.resolve import Situation
from engine.reactions.state import Severity
from tests.reactions.test_resolve import ADULT, CHILD, drugs, protocol
from tests.reactions.test_severity import vitals


@pytest.mark.hazard("H-48")
@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize(
    ("presentation", "measured", "signs", "became"),
    [
        ("hives", {"sbp": 60, "hr": 150}, (), "anaphylaxis"),
        ("hives", {"sbp": 60, "hr": 80}, (), "anaphylaxis"),
        ("hives", {"spo2": 85}, (), "anaphylaxis"),
        ("hives", {}, ("S-A3-3",), "anaphylaxis"),
        ("bronchospasm", {"sbp": 60, "hr": 150}, (), "anaphylaxis"),
        ("bronchospasm", {"spo2": 85}, (), "bronchospasm"),
        ("diffuse_erythema", {"sbp": 60}, (), "diffuse_erythema"),
        ("diffuse_erythema", {"sbp": 60, "spo2": 85}, (), "anaphylaxis"),
    ],
)
@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
def test_a_reaction_that_got_worse_has_the_steps_of_what_it_became(
    patient: Situation,
    presentation: str,
    measured: dict[str, int],
    signs: tuple[str, ...],
    became: str,
    severity: Severity,
) -> None:
    """Trap X-12: low pressure or hard breathing is epinephrine first and help called, at any grade."""
    asked = replace(patient, presentation=presentation, severity=severity, signs=signs)
    found = protocol(replace(asked, vitals=vitals(**measured) if measured else None))
    ids = {step.step_id for step in found.steps}

    assert (found.asked, found.presentation, found.severity) == (presentation, became, Severity.SEVERE)
    assert "EPI-IM" in drugs(found.steps)[0]
    assert found.emergency_call == "call"
    assert {"VS-8", "O-5", "O-6"} <= ids
    assert not {"VS-8-MILD", "O-1", "O-4"} & ids


@pytest.mark.parametrize("presentation", ["hives", "bronchospasm", "diffuse_erythema"])
def test_a_reaction_that_is_not_worse_keeps_its_own_steps(presentation: str) -> None:
    """Normal vital signs and signs that the grading physician knew change nothing."""
    asked = replace(ADULT, presentation=presentation, severity=Severity.MILD, vitals=vitals(120, 110, 97))

    assert protocol(asked).severity is Severity.MILD
    known = replace(asked, signs=("S-A3-3", "S-A3-5"), signs_weighed=True)
    assert protocol(known).presentation == presentation


@pytest.mark.parametrize("severity", [Severity.MILD, Severity.MODERATE])
@pytest.mark.parametrize(
    "presentation",
    ["anaphylaxis", "laryngeal_edema", "cardiac_arrest", "hypotension_tachycardia", "pulmonary_edema"],
)
@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
def test_who_needs_help_is_watched_as_severe(
    patient: Situation, presentation: str, severity: Severity
) -> None:
    """A row that always calls for help has no mild aftercare beside the call (O-5, O-6, VS-8)."""
    found = protocol(replace(patient, presentation=presentation, severity=severity))
    ids = {step.step_id for step in found.steps}

    assert found.emergency_call == "call"
    assert {"VS-8", "O-5", "O-6"} <= ids
    assert not {"VS-8-MILD", "O-1", "O-4"} & ids


@pytest.mark.parametrize(("days", "low"), [(10, False), (28, False), (29, True), (None, True)])
def test_a_newborn_has_its_own_limits(days: int | None, low: bool) -> None:
    """5B-1 holds to 28 days: 65 mmHg is low from 29 days on, and while the days are not known."""
    infant = replace(
        CHILD, presentation="hives", age_years=0, age_days=days, weight_kg=Decimal(4), vitals=vitals(65, 150)
    )

    assert (protocol(infant).presentation == "anaphylaxis") is low
