"""The reaction machine in clinic language: signs, grade, order, read-back, dose, repeat, disposition."""

import datetime as dt
from decimal import Decimal

import pytest

from engine.kernel.commands import Actor
from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine
from engine.reactions.state import Disposition, OfferedDose, Severity
from tests.reactions.packs import ACR, CONSENSUS, pack
from tests.workflows.play import START, Play, names

TECHNOLOGIST = Actor(person_id="tech-1", role="technologist")
RESPONDER = Actor(person_id="responder-1", role="responder")
PHYSICIAN = Actor(person_id="physician-1", role="physician")


def opened(
    *,
    age_years: int | None = 54,
    weight_kg: Decimal | None = Decimal("72.5"),
    modality: str = "CT",
    pack_id: str = ACR,
    onset_at: dt.datetime = START,
) -> Play:
    play = Play(machine(Objectives(pack=pack(pack_id))), "ses-1-r1")
    play.do(
        c.OpenReaction(
            session_id="ses-1",
            organization_id="org-1",
            site_id="site-1",
            onset_at=onset_at,
            age_years=age_years,
            weight_kg=weight_kg,
            setting="office",
            modality=modality,
            agent="iohexol",
            demo=True,
            alerted="physician-1",
        )
    )
    return play


def graded(
    severity: Severity = Severity.SEVERE, presentation: str = "anaphylaxis", **patient: object
) -> Play:
    play = opened(**patient)  # type: ignore[arg-type]  # the patient's own fields
    play.do(c.GradeReaction(severity=severity, presentation=presentation), PHYSICIAN)
    return play


def test_steps_stand_in_the_order_of_the_protocol_and_left_ones_last() -> None:
    """After another grade the present protocol comes first, by number; what is no longer asked stands at the end."""
    play = graded(Severity.MILD, "hives")
    mild = play.state.step_order
    play.do(c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis"), PHYSICIAN)
    steps = [play.state.steps[step_id] for step_id in play.state.step_order]
    left = ["superseded" in step.phases for step in steps]
    numbers = [step.offer.number for step in steps if "superseded" not in step.phases]

    assert mild and numbers == sorted(numbers)
    assert left == sorted(left) and any(left)
    assert tuple(play.state.steps) == play.state.step_order


def offer(play: Play, drug: str, route: str) -> tuple[str, OfferedDose]:
    for step_id, step in play.state.steps.items():
        for dose in step.offer.doses:
            if (dose.drug, dose.route) == (drug, route):
                return step_id, dose
    raise AssertionError(f"{drug} {route} is not offered")


def order(play: Play, drug: str = "epinephrine", route: str = "IM", **change: object) -> c.OrderStep:
    step_id, dose = offer(play, drug, route)
    return c.OrderStep(step_id=step_id, row_id=dose.row_id, **change)  # type: ignore[arg-type]  # see above


def give(play: Play, drug: str = "epinephrine", route: str = "IM", mg: str = "0.3") -> list[object]:
    step_id, _ = offer(play, drug, route)
    given = c.RecordMedicationGiven(step_id=step_id, drug=drug, route=route, dose_mg=Decimal(mg))
    return list(play.do(given, RESPONDER))


@pytest.mark.hazard("H-12")
def test_a_dose_goes_in_by_order_and_read_back() -> None:
    """Ordered by the physician, repeated by the room word for word, given, and the repeat interval runs."""
    play = graded()
    play.do(order(play), PHYSICIAN)
    step_id, dose = offer(play, "epinephrine", "IM")
    wrong = [
        c.ReadBackStep(step_id=step_id, dose_mg=Decimal(3), concentration_mg_per_ml=Decimal(1), route="IM"),
        c.ReadBackStep(
            step_id=step_id, dose_mg=dose.dose_mg, concentration_mg_per_ml=Decimal("0.1"), route="IM"
        ),
        c.ReadBackStep(step_id=step_id, dose_mg=dose.dose_mg, concentration_mg_per_ml=Decimal(1), route="IV"),
    ]

    assert [play.refused(command, RESPONDER) for command in wrong] == ["READ_BACK_MISMATCH"] * 3

    right = c.ReadBackStep(
        step_id=step_id,
        dose_mg=dose.dose_mg,
        concentration_mg_per_ml=dose.concentration_mg_per_ml,
        route="IM",
    )
    assert names(play.do(right, RESPONDER)) == ["StepReadBack"]
    assert names(give(play)) == ["MedicationGiven", "StepDone"]  # type: ignore[arg-type]  # events
    assert play.refused(order(play), PHYSICIAN) == "REPEAT_TOO_SOON"
    assert "RepeatDue" in names(play.wait(5 * 60))
    assert names(play.do(order(play), PHYSICIAN)) == ["StepOrdered"]


@pytest.mark.hazard("H-42")
def test_only_a_physician_grades_orders_and_disposes() -> None:
    """The suggestion is shown with its rules; the act is the physician's."""
    play = opened()
    suggested = play.do(c.RecordSigns(signs=("S-A3-5",)), TECHNOLOGIST)

    assert names(suggested) == ["SignsRecorded", "SeveritySuggested", "ProtocolResolved"]
    assert play.of(e.SeveritySuggested)[-1].rules
    grade = c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis")
    assert play.refused(grade, TECHNOLOGIST) == "NOT_A_PHYSICIAN"
    play.do(grade, PHYSICIAN)
    assert play.refused(order(play), RESPONDER) == "NOT_A_PHYSICIAN"
    assert (
        play.refused(c.DisposeReaction(disposition=Disposition.ADMITTED), TECHNOLOGIST) == "NOT_A_PHYSICIAN"
    )


def test_what_no_rule_decides_is_asked() -> None:
    """Low pressure without an allergic sign suggests nothing and says what is left to decide."""
    play = opened()
    play.do(c.RecordVitals(systolic_mmhg=80, heart_rate_bpm=80), TECHNOLOGIST)
    question = play.of(e.SeveritySuggested)[-1]

    assert question.severity is None
    assert question.physician_decides


def test_an_unknown_presentation_is_refused() -> None:
    """The grade names a presentation of the pack."""
    wrong = c.GradeReaction(severity=Severity.MILD, presentation="nothing")

    assert opened().refused(wrong, PHYSICIAN) == "PRESENTATION_UNKNOWN"


def test_it_escalates_in_place_and_goes_down_only_with_a_reason() -> None:
    """Hives become anaphylaxis: open steps are superseded, done ones stay; back down needs words."""
    play = graded(Severity.MILD, "hives")
    before = set(play.state.steps)
    events = play.do(c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis"), PHYSICIAN)

    assert names(events) == ["ReactionGraded", "ProtocolResolved"]
    gone = {key for key in before if "superseded" in play.state.steps[key].phases}
    assert gone
    assert play.state.worst is Severity.SEVERE
    down = c.GradeReaction(severity=Severity.MILD, presentation="hives")
    assert play.refused(down, PHYSICIAN) == "DE_ESCALATION_UNEXPLAINED"
    play.do(c.GradeReaction(severity=Severity.MILD, presentation="hives", reason="was a cough"), PHYSICIAN)
    assert play.state.worst is Severity.SEVERE


@pytest.mark.hazard("H-11", "H-13")
def test_a_child_without_a_weight_gets_no_number_until_it_is_known() -> None:
    """The weight is asked for; once recorded in kilograms the dose is there with its formula."""
    play = graded(age_years=6, weight_kg=None)

    assert play.refused(order(play), PHYSICIAN) == "WEIGHT_MISSING"
    play.do(c.RecordPatientWeight(weight_kg=Decimal(20), method="scale"), TECHNOLOGIST)
    _, dose = offer(play, "epinephrine", "IM")
    assert dose.dose_mg == Decimal("0.2")
    assert "20 kg" in dose.formula
    play.do(order(play), PHYSICIAN)


@pytest.mark.hazard("H-13")
def test_an_adult_without_a_weight_is_ordered_the_fixed_dose_of_the_consensus_pack() -> None:
    """The dose per kg waits for the weight; the fixed one is ordered, read back and counted meanwhile."""
    play = graded(weight_kg=None, pack_id=CONSENSUS)
    step_id, fixed = offer(play, "epinephrine", "IM")

    assert fixed.row_id == "A-EPI-IM-FIXED"
    assert play.refused(c.OrderStep(step_id=step_id, row_id="A-EPI-IM-CONS"), PHYSICIAN) == "WEIGHT_MISSING"
    play.do(c.OrderStep(step_id=step_id, row_id="A-EPI-IM-FIXED"), PHYSICIAN)
    (ordered,) = (step.order for step in play.state.steps.values() if step.order is not None)
    assert (ordered.row_id, ordered.dose_mg, ordered.volume_ml) == (
        "A-EPI-IM-FIXED",
        Decimal("0.3"),
        Decimal("0.3"),
    )


def test_a_range_needs_the_physicians_number() -> None:
    """Diphenhydramine 25-50 mg is ordered with a number, drawn to the syringe's mark."""
    play = graded(Severity.SEVERE, "hives")

    assert play.refused(order(play, "diphenhydramine", "IM"), PHYSICIAN) == "DOSE_UNDECIDED"
    play.do(order(play, "diphenhydramine", "IM", dose_mg=Decimal(33)), PHYSICIAN)
    assert play.of(e.StepOrdered)[-1].order is not None
    assert play.of(e.StepOrdered)[-1].order.volume_ml == Decimal("0.66")  # type: ignore[union-attr]  # just asserted


def test_a_cap_is_passed_only_with_a_reason_which_is_kept() -> None:
    """Above the single maximum, and above 1 mg in all."""
    play = graded()

    assert play.refused(order(play, dose_mg=Decimal("0.5")), PHYSICIAN) == "DOSE_OVER_CAP"
    play.do(order(play, dose_mg=Decimal("0.5"), override_reason="100 kg, in shock"), PHYSICIAN)
    kept = play.of(e.StepOrdered)[-1]
    assert kept.overrides == ("DOSE_OVER_CAP",)
    assert kept.override_reason == "100 kg, in shock"
    for _ in range(3):
        give(play)
        play.wait(5 * 60)
    assert play.refused(order(play), PHYSICIAN) == "CUMULATIVE_EXCEEDED"


def test_a_dose_beyond_its_caps_is_a_fact_and_flagged() -> None:
    """What went in is kept, whoever ordered it, with the limits it went past."""
    play = graded()
    for _ in range(5):
        give(play)

    assert play.of(e.MedicationGiven)[0].beyond == ()
    assert "REPEAT_TOO_SOON" in play.of(e.MedicationGiven)[1].beyond
    assert "CUMULATIVE_EXCEEDED" in play.of(e.MedicationGiven)[4].beyond
    play.do(c.RecordMedicationGiven(drug="epinephrine", route="IV"), RESPONDER)
    assert play.state.given[-1].counter == "epinephrine"


def test_steps_keep_their_order_of_things() -> None:
    """What was not ordered cannot be read back; what is over cannot be refused; an unknown step is unknown."""
    play = graded()
    step_id, _ = offer(play, "epinephrine", "IM")

    assert play.refused(c.ReadBackStep(step_id=step_id), RESPONDER) == "STEP_NOT_ORDERED"
    assert play.refused(c.OrderStep(step_id=step_id, row_id="none"), PHYSICIAN) == "DOSE_ROW_UNKNOWN"
    assert play.refused(c.OrderStep(step_id="none"), PHYSICIAN) == "STEP_UNKNOWN"
    play.do(c.RefuseStep(step_id=step_id, reason="no vein, no need"), PHYSICIAN)
    give(play)
    assert play.refused(c.RefuseStep(step_id=step_id, reason="again"), PHYSICIAN) == "STEP_NOT_REFUSABLE"


def test_a_superseded_step_cannot_be_ordered() -> None:
    """A step of an earlier grade belongs to that grade."""
    play = graded(Severity.MILD, "hives")
    step_id, dose = offer(play, "diphenhydramine", "PO")
    play.do(c.GradeReaction(severity=Severity.SEVERE, presentation="bronchospasm"), PHYSICIAN)
    stale = c.OrderStep(step_id=step_id, row_id=dose.row_id, dose_mg=Decimal(25))

    assert play.refused(stale, PHYSICIAN) == "STEP_NOT_ORDERABLE"


def test_albuterol_is_given_as_often_as_its_row_allows() -> None:
    """The fourth time needs a reason."""
    play = graded(Severity.MODERATE, "bronchospasm")
    for _ in range(3):
        give(play, "albuterol", "inhaled", "0.18")

    assert play.refused(order(play, "albuterol", "inhaled"), PHYSICIAN) in {
        "TOO_MANY_TIMES",
        "CUMULATIVE_EXCEEDED",
    }
    play.do(order(play, "albuterol", "inhaled", override_reason="still wheezing"), PHYSICIAN)


@pytest.mark.hazard("H-38")
def test_in_mri_the_patient_leaves_zone_four_first() -> None:
    """The first step of an MRI reaction is out of the magnet's room."""
    play = graded(modality="MR")
    first = min(play.state.steps.values(), key=lambda step: step.offer.number)

    assert "Zone IV" in first.offer.text


def test_after_epinephrine_nobody_goes_home_without_a_reason() -> None:
    """A severe reaction or any epinephrine goes to an emergency department."""
    play = graded()
    give(play)
    play.do(c.ReportResolved(), TECHNOLOGIST)
    home = c.DisposeReaction(disposition=Disposition.DISCHARGED_HOME)

    assert play.refused(home, PHYSICIAN) == "DISPOSITION_TOO_LIGHT"
    play.do(c.DisposeReaction(disposition=Disposition.TRANSFERRED_BY_EMS), PHYSICIAN)
    assert names(
        play.do(c.DocumentReaction(allergy_documented=True, instructions_given=True), TECHNOLOGIST)
    ) == ["ReactionDocumented"]
    assert play.timers == {}


def test_facts_are_kept_after_the_end_and_marked_late() -> None:
    """A dose remembered after the documentation is closed is still a dose."""
    play = graded()
    play.do(c.ReportResolved(), TECHNOLOGIST)
    play.do(c.DisposeReaction(disposition=Disposition.EMERGENCY_DEPARTMENT), PHYSICIAN)
    play.do(c.DocumentReaction(allergy_documented=True, instructions_given=True), TECHNOLOGIST)
    play.do(c.RecordMedicationGiven(drug="oxygen", route="inhaled"), RESPONDER)

    assert play.log[-1].flags == ("late", "unordered")


def test_the_emergency_call_is_a_fact_beside_the_course() -> None:
    """Calling 911 moves its own region and leaves the grade alone."""
    play = graded()
    play.do(c.RecordEmergencyCalled(service="911"), TECHNOLOGIST)

    assert {"emergency_called", "severe"} <= set(play.state.phases)
    assert play.state.emergency_called_at == play.now


def test_a_reaction_keeps_the_pack_it_started_with_by_hash() -> None:
    """The event names pack and hash, so that a record says which values were shown."""
    play = graded()

    assert play.of(e.ReactionOpened)[0].pack_hash == pack().hash
    assert play.of(e.ProtocolResolved)[0].pack_hash == pack().hash


def test_an_open_order_is_replaced_only_with_a_reason() -> None:
    """A room that heard two orders might give both: the second one needs words, which are kept."""
    play = graded()
    play.do(order(play), PHYSICIAN)

    assert play.refused(order(play), PHYSICIAN) == "ORDER_OPEN"
    play.do(order(play, override_reason="said again, the first was not heard"), PHYSICIAN)
    assert play.of(e.StepOrdered)[-1].overrides == ("ORDER_OPEN",)


@pytest.mark.parametrize("mg", ["0", "-0.1"])
def test_nothing_is_not_a_dose(mg: str) -> None:
    """An order of no drug is refused even with a reason."""
    nothing = order(graded(), dose_mg=Decimal(mg), override_reason="x")

    assert graded().refused(nothing, PHYSICIAN) == "DOSE_NOT_POSITIVE"


@pytest.mark.hazard("H-05")
def test_a_dose_that_is_not_the_ordered_one_leaves_the_step_open() -> None:
    """What went in is kept and flagged; the order is not done by it."""
    play = graded()
    play.do(order(play), PHYSICIAN)
    step_id, _ = offer(play, "epinephrine", "IM")
    given = c.RecordMedicationGiven(step_id=step_id, drug="epinephrine", route="IV", dose_mg=Decimal(300))

    assert names(play.do(given, RESPONDER)) == ["MedicationGiven"]
    assert play.of(e.MedicationGiven)[0].beyond
    assert "ordered" in play.state.steps[step_id].phases
    assert names(give(play)) == ["MedicationGiven", "StepDone"]  # type: ignore[arg-type]  # events


def test_a_physician_without_a_licence_here_directs_nothing() -> None:
    """What the engine found against the licence refuses grade, order and disposition."""
    found = ("LICENCE_MISSING_IN_STATE",)
    grade = c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis", problems=found)

    assert opened().refused(grade, PHYSICIAN) == "PHYSICIAN_UNLICENSED"
    play = graded()
    assert play.refused(order(play, problems=found), PHYSICIAN) == "PHYSICIAN_UNLICENSED"
    going = c.DisposeReaction(disposition=Disposition.ADMITTED, problems=found)
    assert play.refused(going, PHYSICIAN) == "PHYSICIAN_UNLICENSED"
