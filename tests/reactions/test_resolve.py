"""Protocols for a patient: the right order, first drug, call level, and nothing silent where the pack is silent."""

import re
from dataclasses import replace
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import Invalid
from engine.reactions.dose import Dose, WeightNeeded
from engine.reactions.resolve import (
    ProtocolStep,
    ResolvedProtocol,
    Situation,
    needs_weight,
    resolve,
    resolve_protocol,
)
from engine.reactions.row import Presentation
from engine.reactions.severity import suggest
from engine.reactions.state import Severity, Vitals
from tests.reactions.packs import ACR, CONSENSUS, pack
from tests.reactions.test_guards import went_in
from tests.reactions.test_severity import vitals

ADULT = Situation(presentation="anaphylaxis", severity=Severity.SEVERE, age_years=40, weight_kg=Decimal(70))
CHILD = replace(ADULT, age_years=6, weight_kg=Decimal(20))


def drugs(steps: tuple[ProtocolStep, ...]) -> list[str]:
    """The first choice of every drug order, in order."""
    return [step.dose.row_id for step in steps if step.kind == "drug" and step.dose is not None]


def protocol(situation: Situation, name: str = ACR) -> ResolvedProtocol:
    return resolve_protocol(pack(name), situation)


@pytest.mark.parametrize("name", [ACR, CONSENSUS])
@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
@pytest.mark.parametrize(
    "presentation",
    ["anaphylaxis", "bronchospasm", "laryngeal_edema", "hypotension_tachycardia", "diffuse_erythema"],
)
def test_the_first_drug_is_epinephrine_im(name: str, patient: Situation, presentation: str) -> None:
    """Decision (b), with IV only as an alternative that the physician orders."""
    steps = resolve(pack(name), replace(patient, presentation=presentation))
    first = next(step for step in steps if step.kind == "drug")
    shown = [option.dose for option in first.options]

    assert isinstance(shown[0], Dose)
    assert (shown[0].drug, shown[0].route) == ("epinephrine", "IM")
    assert first.dose is not None
    assert first.dose.instead_of == ""
    assert [(option.instead_of, option.condition != "") for option in first.alternatives] == [
        (first.dose.row_id, True)
    ] * 2
    assert isinstance(shown[2], Dose)
    assert (shown[2].route, shown[2].fresh_order, shown[2].read_back) == ("IV", True, "0.1 mg/mL")


@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
@pytest.mark.parametrize("presentation", ["hypotension_bradycardia", "hypotension"])
@pytest.mark.parametrize("severity", list(Severity))
def test_a_vasovagal_row_lists_no_epinephrine(
    patient: Situation, presentation: str, severity: Severity
) -> None:
    """Decision (b): neither first nor later."""
    steps = resolve(pack(), replace(patient, presentation=presentation, severity=severity))

    assert not any("epinephrine" in option.dose.drug for step in steps for option in step.options)


def test_out_of_zone_four_comes_before_everything() -> None:
    """In MRI the patient leaves the magnet's room first; elsewhere the step is not there."""
    inside = resolve(pack(), replace(ADULT, mri_zone="IV"))

    assert (inside[0].number, inside[0].step_id) == (1, "ZONE.1")
    assert "Zone IV" in inside[0].text
    assert inside[1:] == tuple(replace(step, number=step.number + 1) for step in resolve(pack(), ADULT))


@pytest.mark.parametrize(
    ("setting", "presentation", "severity", "level"),
    [
        ("idtf", "anaphylaxis", "severe", "call"),
        ("office", "anaphylaxis", "severe", "call"),
        ("hopd", "anaphylaxis", "severe", "activate_team"),
        ("", "anaphylaxis", "severe", "call"),
        ("idtf", "bronchospasm", "mild", "consider"),
        ("hopd", "bronchospasm", "moderate", "consider"),
        ("idtf", "bronchospasm", "severe", "call"),
        ("hopd", "bronchospasm", "severe", "activate_team"),
        ("idtf", "hives", "severe", "none"),
        ("idtf", "hypotension_bradycardia", "mild", "none"),
        ("idtf", "hypotension_bradycardia", "severe", "consider"),
        ("hopd", "hypotension_tachycardia", "severe", "activate_team"),
        ("idtf", "diffuse_erythema", "moderate", "none"),
        ("office", "diffuse_erythema", "severe", "call"),
        ("hopd", "diffuse_erythema", "severe", "activate_team"),
        ("idtf", "laryngeal_edema", "mild", "call"),
        ("hopd", "laryngeal_edema", "moderate", "activate_team"),
        ("office", "cardiac_arrest", "severe", "call"),
        ("hopd", "cardiac_arrest", "severe", "activate_team"),
        ("idtf", "pulmonary_edema", "severe", "call"),
        ("hopd", "pulmonary_edema", "severe", "activate_team"),
        ("idtf", "seizure", "severe", "if_unremitting"),
        ("hopd", "seizure", "severe", "if_unremitting"),
        ("idtf", "hypertensive_crisis", "severe", "call"),
        ("hopd", "hypertensive_crisis", "severe", "activate_team"),
        ("idtf", "anxiety", "mild", "none"),
        ("idtf", "vomiting", "moderate", "none"),
        ("idtf", "rebound_prevention", "severe", "none"),
    ],
)
def test_the_emergency_call_goes_by_row_and_setting(
    setting: str, presentation: str, severity: str, level: str
) -> None:
    """Decision (e): rows that need help call it, inside a hospital they activate its team; other ones keep theirs."""
    found = protocol(replace(ADULT, presentation=presentation, severity=Severity(severity), setting=setting))
    calls = [step for step in found.steps if step.kind == "call"]

    assert found.emergency_call == level
    assert [step.call_level for step in calls] == ([] if level == "none" else [level])


@pytest.mark.parametrize(("age", "row", "mg"), [(17, "C-EPI-IM", "0.3"), (18, "A-EPI-IM", "0.3")])
def test_the_boundary_between_child_and_adult(age: int, row: str, mg: str) -> None:
    """Decision (f): 18 years is an adult; a child of 50 kg and over gets the capped, adult-sized dose."""
    first = next(step for step in resolve(pack(), replace(ADULT, age_years=age)) if step.kind == "drug")

    assert first.dose is not None
    assert isinstance(first.dose.dose, Dose)
    assert (first.dose.row_id, first.dose.dose.dose_mg) == (row, Decimal(mg))


def test_an_unknown_weight_asks_in_a_child_and_still_shows_in_an_adult() -> None:
    """Fixed adult doses show; the child's wait for the weight, with their rule in view."""
    child = [step for step in resolve(pack(), replace(CHILD, weight_kg=None)) if step.kind == "drug"]
    adult = [step for step in resolve(pack(), replace(ADULT, weight_kg=None)) if step.kind == "drug"]

    assert needs_weight(child[0])
    assert child[0].dose is not None
    assert isinstance(child[0].dose.dose, WeightNeeded)
    assert not any(needs_weight(step) for step in adult)


@pytest.mark.parametrize("age", [40, None])
def test_the_consensus_leaves_no_adult_without_a_number(age: int | None) -> None:
    """Until the weight is known ACR's fixed dose is offered first; a child is never offered it, a weight ends it."""
    asked = replace(ADULT, age_years=age, weight_kg=None)
    (first, *_) = (step for step in resolve(pack(CONSENSUS), asked) if step.kind == "drug")
    (fixed,) = (option for option in first.options if option.row_id == "A-EPI-IM-FIXED")

    assert isinstance(fixed.dose, Dose) and (fixed.dose.dose_mg, fixed.dose.volume_ml) == (
        Decimal("0.3"),
        Decimal("0.3"),
    )
    assert first.dose is fixed and "while the weight is not known" in fixed.condition
    (by_weight,) = (option for option in first.options if option.row_id == "A-EPI-IM-CONS")
    assert by_weight.instead_of == "A-EPI-IM-FIXED" and "by weight" in by_weight.condition
    assert ("from 18 years on" in fixed.condition) == (age is None)
    assert "Table 3" in fixed.dose.citation and "consensus" in fixed.dose.citation
    for known in (ADULT, CHILD, replace(CHILD, weight_kg=None)):
        steps = resolve(pack(CONSENSUS), known)
        assert "A-EPI-IM-FIXED" not in {option.row_id for step in steps for option in step.options}


def test_an_unknown_age_shows_both_doses_and_for_whom() -> None:
    """Nobody is taken for an adult in silence."""
    found = protocol(replace(ADULT, age_years=None))
    first = next(step for step in found.steps if step.kind == "drug")
    shown = {option.row_id: option.condition for option in first.options}

    assert found.population == "unknown"
    assert shown["A-EPI-IM"] == "from 18 years on"
    assert shown["C-EPI-IM"] == "below 18 years"


@pytest.mark.parametrize(
    ("measured", "signs", "row"),
    [
        (vitals(84, 45), (), "T-A-HYP-B"),
        (vitals(84, 120), (), "T-A-HYP-T"),
        (vitals(84, 80), (), "T-A-HYP-0"),
        (vitals(84, 80), ("S-A1-1",), "T-A-ANA"),
        (vitals(84, 45), ("S-A1-1",), "T-A-ANA"),
        (vitals(84, None), (), "T-A-HYP-0"),
        (None, (), "T-A-HYP-0"),
        (None, ("S-A1-1",), "T-A-ANA"),
    ],
)
def test_hypotension_never_falls_through(measured: Vitals | None, signs: tuple[str, ...], row: str) -> None:
    """Decision (d): every pulse leads somewhere, and between slow and fast the physician is asked."""
    found = protocol(replace(ADULT, presentation="hypotension", vitals=measured, signs=signs))

    assert found.row_id == row
    assert bool(found.physician_decides) == (row == "T-A-HYP-0")


def test_a_mild_vasovagal_reaction_gets_no_drug_but_fluid() -> None:
    """Position and fluid; atropine from moderate on, if still symptomatic."""
    mild = resolve(pack(), replace(ADULT, presentation="hypotension_bradycardia", severity=Severity.MILD))
    severe = resolve(pack(), replace(ADULT, presentation="hypotension_bradycardia"))

    assert drugs(mild) == ["A-NS"]
    assert drugs(severe) == ["A-NS", "A-ATR"]


@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
@pytest.mark.parametrize("presentation", get_args(Presentation))
def test_every_presentation_has_a_row_or_asks_the_physician(patient: Situation, presentation: str) -> None:
    """No presentation is silent: steps from a row of its own, or a row tagged UNSURE that asks."""
    for severity in Severity:
        found = protocol(replace(patient, presentation=presentation, severity=severity))

        assert not found.row_id.startswith("NO-ROW")
        assert found.steps


@pytest.mark.parametrize(
    ("presentation", "patient"),
    [("vomiting", CHILD), ("hypertensive_crisis", CHILD), ("seizure", CHILD), ("hypotension", ADULT)],
)
def test_where_the_source_is_silent_the_physician_is_asked(presentation: str, patient: Situation) -> None:
    """No drug is made up for a child's crisis, vomiting or seizure."""
    found = protocol(replace(patient, presentation=presentation))

    assert found.physician_decides
    assert [row for row in drugs(found.steps) if row not in ("A-NS", "C-FLU")] == []


@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
@pytest.mark.parametrize("presentation", ["hypoglycemia", "extravasation", "hypotension"])
def test_no_call_level_stated_is_none_and_marked(presentation: str, patient: Situation) -> None:
    """A call step tagged UNSURE stands there and asks."""
    found = protocol(replace(patient, presentation=presentation))
    (call,) = [step for step in found.steps if step.kind == "call"]

    assert (found.emergency_call, call.call_level, call.evidence) == ("none", "none", "UNSURE")
    assert call.physician_decides


def test_the_order_of_an_arrest_is_call_cpr_aed_epinephrine() -> None:
    """Nothing stands between a known weight and the first dose."""
    known = [step.step_id for step in resolve(pack(), replace(CHILD, presentation="cardiac_arrest"))]

    assert known[:6] == ["STOP.1", "STOP.2", "T-C-ARR.2", "T-C-ARR.3", "T-C-ARR.4", "T-C-ARR.5"]


def test_labetalol_is_replaced_by_two_drugs_together() -> None:
    """No labetalol: nitroglycerin and furosemide, both instead of it, never after it."""
    step = next(
        s for s in resolve(pack(), replace(ADULT, presentation="hypertensive_crisis")) if s.kind == "drug"
    )

    assert [(option.row_id, option.instead_of) for option in step.options] == [
        ("A-LAB", ""),
        ("A-NTG", "A-LAB"),
        ("A-FUR", "A-LAB"),
    ]
    assert all("together" in option.condition for option in step.alternatives)


def test_rebound_prevention_is_for_severe_reactions_only() -> None:
    """One steroid, once; no drug for a lower grade."""
    tiers = {
        severity: drugs(resolve(pack(), replace(ADULT, presentation="rebound_prevention", severity=severity)))
        for severity in Severity
    }

    assert tiers == {Severity.MILD: [], Severity.MODERATE: [], Severity.SEVERE: ["A-HC"]}


@pytest.mark.hazard("H-37")
@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
def test_extravasation_has_first_actions_consult_triggers_and_no_volume(patient: Situation) -> None:
    """E-1 to E-12: raise, compress, examine; a consult by signs, never by a volume; no made-up time."""
    found = protocol(replace(patient, presentation="extravasation", severity=Severity.MODERATE))
    ids = [step.step_id for step in found.steps]
    words = " ".join(step.text for step in found.steps)
    triggers = [sign for sign in pack().signs if sign.source_row == "E-5"]

    assert ids[0] == "E-1.1"
    assert {"E-2.1", "E-5.1", "E-9.1", "E-10.1", "E-12.1", "E-8"} <= set(ids)
    assert len(triggers) == 6
    assert drugs(found.steps) == []
    assert not re.search(r"\d+ ?mL", words)
    assert found.steps[ids.index("E-8")].observe_min_s is None
    assert suggest(pack(), [triggers[0].id]).presentations == ("extravasation",)


@pytest.mark.parametrize("severity", [Severity.MILD, Severity.MODERATE])
def test_erythema_with_low_pressure_is_the_row_for_it(severity: Severity) -> None:
    """Whatever grade was set, a measured low pressure is not treated as normotensive."""
    asked = replace(ADULT, presentation="diffuse_erythema", severity=severity)

    assert protocol(asked).row_id == "T-A-ERY-N"
    assert protocol(replace(asked, vitals=vitals(84, 110))).row_id == "T-A-ERY-H"
    assert protocol(replace(asked, vitals=vitals(124, 80))).row_id == "T-A-ERY-N"


def test_a_dose_that_is_used_up_says_so() -> None:
    """Albuterol three times, a steroid once; the upper end of a range counts."""
    seen = protocol(
        replace(
            ADULT, presentation="bronchospasm", given=(went_in("A-ALB", "0.18", counter="albuterol"),) * 3
        )
    )
    seizure = protocol(
        replace(ADULT, presentation="seizure", given=(went_in("A-LOR", "2", counter="lorazepam"),))
    )
    problems = {option.row_id: option.problem for step in seen.steps for option in step.options}
    upper = next(step.dose for step in seizure.steps if step.dose and step.dose.row_id == "A-LOR")

    assert problems["A-ALB"] is not None
    assert problems["A-EPI-IM"] is None
    assert upper.problem is not None


def test_hives_have_three_tiers() -> None:
    """By mouth when mild, IM or IV when severe; no epinephrine in any of them."""
    tiers = {
        severity: drugs(resolve(pack(), replace(ADULT, presentation="hives", severity=severity)))
        for severity in Severity
    }

    assert tiers == {
        Severity.MILD: ["A-DPH.PO"],
        Severity.MODERATE: ["A-DPH.PO"],
        Severity.SEVERE: ["A-DPH.IM"],
    }


def test_only_epinephrine_im_for_anaphylaxis_is_a_standing_order() -> None:
    """Decision (i)."""
    standing = [
        (presentation, step.step_id)
        for presentation in pack().presentations
        for severity in Severity
        for step in resolve(pack(), replace(ADULT, presentation=presentation, severity=severity))
        if step.standing_order
    ]

    assert set(standing) == {("anaphylaxis", "T-A-ANA.1")}


def test_what_was_given_warns_and_hides_nothing() -> None:
    """After 0.9 mg the next IM dose is over the total: it is still shown, with the sentence."""
    steps = resolve(pack(), replace(ADULT, given=(went_in("A-EPI-IM", "0.3"),) * 3))
    first = next(step for step in steps if step.kind == "drug")

    assert first.dose is not None
    assert first.dose.problem is not None
    assert first.dose.problem.reason == "CUMULATIVE_EXCEEDED"
    assert isinstance(first.dose.dose, Dose)


def test_after_the_reaction_the_observation_of_its_grade() -> None:
    """O-1 when mild, O-4 when moderate, emergency department and biphasic warning when severe; not for vasovagal."""
    found = {
        severity: {
            step.step_id
            for step in resolve(pack(), replace(ADULT, presentation="hives", severity=severity))
            if step.kind == "observe"
        }
        for severity in Severity
    }
    vasovagal = {s.step_id for s in resolve(pack(), replace(ADULT, presentation="hypotension_bradycardia"))}

    assert {"VS-8-MILD", "O-1"} <= found[Severity.MILD]
    assert {"VS-8", "O-4"} <= found[Severity.MODERATE]
    assert {"VS-8", "O-5", "O-6", "O-8"} <= found[Severity.SEVERE]
    assert "O-8" not in vasovagal


def test_epinephrine_lifts_the_observation_of_a_moderate_reaction() -> None:
    """O-6: one dose or more."""
    steps = resolve(
        pack(),
        replace(
            ADULT,
            presentation="bronchospasm",
            severity=Severity.MODERATE,
            given=(went_in("A-EPI-IM", "0.3"),),
        ),
    )

    assert {"O-4", "O-6", "O-8"} <= {step.step_id for step in steps}


def test_the_agent_is_named_in_the_first_step() -> None:
    """Stop what is running, by name."""
    assert resolve(pack(), replace(ADULT, agent="iohexol"))[0].text == "Stop iohexol. Keep the IV in."
    assert resolve(pack(), ADULT)[0].text == "Stop the contrast. Keep the IV in."


def test_a_presentation_that_no_pack_row_has_is_refused_with_the_list() -> None:
    """The message says what there is."""
    with pytest.raises(Invalid, match="anaphylaxis"):
        resolve(pack(), replace(ADULT, presentation="hiccups"))


def test_a_missing_row_leaves_the_decision_to_the_physician() -> None:
    """A pack without a row for this patient gives stop, base set and the question."""
    without = replace(pack(), protocols=tuple(row for row in pack().protocols if row.id != "T-C-HIV"))
    found = resolve_protocol(without, replace(CHILD, presentation="hives"))

    assert found.physician_decides
    assert drugs(found.steps) == []
    assert found.steps[0].step_id == "STOP.1"


@given(
    presentation=st.sampled_from(pack().presentations),
    severity=st.sampled_from(Severity),
    age=st.none() | st.integers(0, 100),
    weight=st.none() | st.decimals(min_value="1", max_value="200", places=1),
    setting=st.sampled_from(["office", "idtf", "hopd"]),
    zone=st.sampled_from(["", "IV"]),
    name=st.sampled_from([ACR, CONSENSUS]),
)
def test_every_situation_gives_steps_with_sources(
    presentation: str,
    severity: Severity,
    age: int | None,
    weight: Decimal | None,
    setting: str,
    zone: str,
    name: str,
) -> None:
    """Numbered without a gap, no step twice, each with citation and tag, the same again when asked again."""
    situation = Situation(
        presentation=presentation,
        severity=severity,
        age_years=age,
        weight_kg=weight,
        setting=setting,
        mri_zone=zone,
    )
    steps = resolve(pack(name), situation)

    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert len({step.step_id for step in steps}) == len(steps)
    assert all(step.text and step.citation and step.evidence for step in steps)
    assert all(option.dose.citation and option.dose.evidence for step in steps for option in step.options)
    assert all(step.options for step in steps if step.kind == "drug")
    assert all(len({option.row_id for option in step.options}) == len(step.options) for step in steps)
    assert steps == resolve(pack(name), situation)
