"""The error traps of the clinical reference, section 9A: each as it happens in a room, and what stops it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.kernel.machine import Context
from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions.decide import Objectives
from engine.reactions.lint import lint
from engine.reactions.machine import machine
from engine.reactions.resolve import Situation, resolve
from engine.reactions.state import Severity
from engine.reactions.weight import weight_problem
from tests.reactions.packs import pack
from tests.reactions.test_machine import PHYSICIAN, RESPONDER, TECHNOLOGIST, give, graded, offer, order
from tests.workflows.explore import reachable
from tests.workflows.play import START, Play

pytestmark = pytest.mark.hazard("H-12")


def heard(play: Play, route: str, **change: object) -> c.ReadBackStep:
    """Read an epinephrine order back, with what was changed."""
    step_id, _ = offer(play, "epinephrine", route)
    said = play.state.steps[step_id].order
    right = c.ReadBackStep(
        step_id=step_id,
        dose_mg=said.dose_mg,
        concentration_mg_per_ml=said.concentration_mg_per_ml,
        volume_ml=said.volume_ml,
        route=said.route,
    )
    return replace(right, **change)


def reported(play: Play, route: str, **change: object) -> tuple[str, ...]:
    """Report an epinephrine dose; return what stands against it."""
    step_id, _ = offer(play, "epinephrine", route)
    dose = c.RecordMedicationGiven(step_id=step_id, drug="epinephrine", route=route, **change)  # type: ignore[arg-type]  # see the callers
    play.do(dose, RESPONDER)
    return play.of(e.MedicationGiven)[-1].beyond


def test_x1_the_dilute_syringe_is_not_an_intramuscular_dose() -> None:
    """0.3 mL of 0.1 mg/mL IM: the read-back does not match; given all the same, it is flagged as the wrong product."""
    play = graded()
    play.do(order(play), PHYSICIAN)

    assert (
        play.refused(heard(play, "IM", concentration_mg_per_ml=Decimal("0.1")), RESPONDER)
        == "READ_BACK_MISMATCH"
    )
    assert "WRONG_PRODUCT" in reported(
        play, "IM", volume_ml=Decimal("0.3"), concentration_mg_per_ml=Decimal("0.1")
    )
    assert play.state.given[-1].dose_mg == Decimal("0.03")


def test_x2_the_concentrated_vial_is_not_pushed() -> None:
    """1 mL of 1 mg/mL IV: wrong product, and ten times the dose, counted as the milligram it is."""
    play = graded()
    play.do(order(play, route="IV", pulse_confirmed=True), PHYSICIAN)

    assert (
        play.refused(heard(play, "IV", concentration_mg_per_ml=Decimal(1)), RESPONDER) == "READ_BACK_MISMATCH"
    )
    found = reported(play, "IV", volume_ml=Decimal(1), concentration_mg_per_ml=Decimal(1))
    assert {"WRONG_PRODUCT", "DOSE_OVER_CAP"} <= set(found)
    assert play.state.given[-1].dose_mg == Decimal(1)


def test_x3_the_whole_arrest_syringe_is_not_for_a_patient_with_a_pulse() -> None:
    """An order of 1 mg IV is refused; read back as 10 mL it does not match; given, it is flagged by its volume."""
    play = graded()

    assert (
        play.refused(order(play, route="IV", dose_mg=Decimal(1), pulse_confirmed=True), PHYSICIAN)
        == "DOSE_OVER_CAP"
    )
    play.do(order(play, route="IV", pulse_confirmed=True), PHYSICIAN)
    assert play.refused(heard(play, "IV", volume_ml=Decimal(10)), RESPONDER) == "READ_BACK_MISMATCH"
    found = reported(play, "IV", volume_ml=Decimal(10), concentration_mg_per_ml=Decimal("0.1"))
    assert {"WRONG_VOLUME", "DOSE_OVER_CAP"} <= set(found)


def test_a_dose_past_its_cap_in_its_own_volume_is_no_wrong_volume() -> None:
    """0.5 mg ordered with a reason and given as 0.5 mL of 1 mg/mL is over the cap; that is all that is said of it."""
    play = graded()
    exact = {"concentration_mg_per_ml": Decimal(1)}
    play.do(order(play, dose_mg=Decimal("0.5"), override_reason="poor response"), PHYSICIAN)

    assert reported(play, "IM", dose_mg=Decimal("0.5"), volume_ml=Decimal("0.50"), **exact) == (
        "DOSE_OVER_CAP",
    )


def test_less_than_ordered_in_the_ordered_volume_is_a_wrong_volume() -> None:
    """What was drawn up is not what the report says; and what was given instead of the order is told as such."""
    play = graded()
    play.do(order(play), PHYSICIAN)
    exact = {"concentration_mg_per_ml": Decimal(1)}

    assert reported(play, "IM", dose_mg=Decimal("0.15"), volume_ml=Decimal("0.3"), **exact) == (
        "WRONG_VOLUME",
        "NOT_AS_ORDERED",
    )
    play = graded()
    play.do(order(play), PHYSICIAN)
    assert reported(play, "IM", dose_mg=Decimal("0.15"), volume_ml=Decimal("0.15"), **exact) == (
        "WRONG_VOLUME",
        "NOT_AS_ORDERED",
    )


def test_x4_the_intramuscular_dose_is_not_pushed() -> None:
    """0.3 mg ordered IV is above the single dose; 0.3 mg IM heard as IV does not match."""
    play = graded()

    assert (
        play.refused(order(play, route="IV", dose_mg=Decimal("0.3"), pulse_confirmed=True), PHYSICIAN)
        == "DOSE_OVER_CAP"
    )
    play.do(order(play), PHYSICIAN)
    assert play.refused(replace(heard(play, "IM"), route="IV"), RESPONDER) == "READ_BACK_MISMATCH"


def test_x5_the_childs_intravenous_cap_holds() -> None:
    """At 30 kg 0.01 mg/kg would be 0.3 mg: 0.1 mg is offered, and more is refused."""
    play = graded(age_years=9, weight_kg=Decimal(30))
    _, dose = offer(play, "epinephrine", "IV")

    assert dose.dose_mg == Decimal("0.1") and dose.cap_applied
    assert (
        play.refused(order(play, route="IV", dose_mg=Decimal("0.3"), pulse_confirmed=True), PHYSICIAN)
        == "DOSE_OVER_CAP"
    )


def test_x6_milligrams_are_not_millilitres() -> None:
    """0.12 mg for 12 kg is 0.12 mL of 1 mg/mL; 1.2 mL heard does not match, and 1.2 mL given is ten times too much."""
    play = graded(age_years=3, weight_kg=Decimal(12))
    play.do(order(play), PHYSICIAN)

    assert play.refused(heard(play, "IM", volume_ml=Decimal("1.2")), RESPONDER) == "READ_BACK_MISMATCH"
    assert "WRONG_VOLUME" in reported(
        play, "IM", volume_ml=Decimal("1.2"), concentration_mg_per_ml=Decimal(1)
    )


def test_x7_pounds_are_not_kilograms() -> None:
    """44 beside a known 20 kg is asked about before a dose rests on it."""
    found = weight_problem(pack(), Decimal(44), other_kg=Decimal(20))

    assert found is not None and found.reason == "POUNDS_AS_KILOGRAMS"


def test_x8_no_ratio_label_is_ever_shown() -> None:
    """Every concentration is in mg/mL; a planted ratio is found by the lint."""
    assert not [one for one in lint(pack()) if "ratio" in one.rule]
    spoiled = replace(pack().drugs[0], caution="use 1:1,000")
    drugs = (spoiled, *pack().drugs[1:])
    assert any("ratio" in one.rule for one in lint(replace(pack(), drugs=drugs)))


def test_x9_intravenous_epinephrine_says_where_it_goes() -> None:
    """Into running fluid or with a flush: the line says so; without a confirmed pulse it cannot be ordered at all."""
    play = graded()
    _, dose = offer(play, "epinephrine", "IV")

    assert "running IV fluid" in dose.rate
    assert play.refused(order(play, route="IV"), PHYSICIAN) == "PULSE_UNCONFIRMED"
    for row in pack().drugs:
        if row.counter.startswith("epinephrine") and row.route.startswith("IV"):
            assert "fluid" in row.rate or "flush" in row.rate, row.id


def test_x9_every_intravenous_dose_needs_an_order_of_its_own() -> None:
    """The second push on one order is flagged."""
    play = graded()
    play.do(order(play, route="IV", pulse_confirmed=True), PHYSICIAN)
    exact = {"volume_ml": Decimal(1), "concentration_mg_per_ml": Decimal("0.1")}

    assert reported(play, "IV", **exact) == ()
    assert "FRESH_ORDER_NEEDED" in reported(play, "IV", **exact)


def test_x10_the_auto_injector_says_which_end() -> None:
    """Beside the device stand the needle's end and the thumb."""
    for age_years, weight_kg in ((54, Decimal(70)), (9, Decimal(30))):
        play = graded(age_years=age_years, weight_kg=weight_kg)
        _, dose = offer(play, "epinephrine auto-injector", "IM")
        assert "no thumb" in dose.caution


def test_x11_look_alike_names_are_flagged() -> None:
    """Epinephrine is not ephedrine: the alert stands with the dose."""
    _, dose = offer(graded(), "epinephrine", "IM")

    assert "ephedrine" in dose.caution


@pytest.mark.parametrize("age_years", [54, 9])
def test_x12_no_antihistamine_or_steroid_comes_before_epinephrine(age_years: int) -> None:
    """In every protocol that gives epinephrine by its own rows, it is the first injected drug."""
    for presentation in pack().presentations:
        situation = Situation(
            presentation=presentation,
            severity=Severity.SEVERE,
            age_years=age_years,
            weight_kg=Decimal(20) if age_years < 18 else Decimal(70),
        )
        drugs = [step.dose.dose for step in resolve(pack(), situation) if step.dose is not None]
        counters = [pack().drug(dose.row_id).counter for dose in drugs]
        late = [n for n, name in enumerate(counters) if name in {"diphenhydramine", "hydrocortisone"}]
        first = [n for n, name in enumerate(counters) if name.startswith("epinephrine")]
        if late and first and presentation == "anaphylaxis":
            assert min(first) < min(late)


def arrest(play: Play) -> c.RecordMedicationGiven:
    """A dose of epinephrine in cardiac arrest, as it is reported."""
    return c.RecordMedicationGiven(
        drug="epinephrine", route="IV/IO", dose_mg=Decimal(1), concentration_mg_per_ml=Decimal("0.1")
    )


@pytest.mark.hazard("H-33")
def test_a_dose_in_arrest_is_taken_in_every_reachable_configuration() -> None:
    """Whatever the reaction's phases: it is kept, and no limit is named against it."""
    room = machine(Objectives(pack=pack()))
    play = graded(presentation="cardiac_arrest")
    for phases in reachable("reaction"):
        state = replace(play.state, phases=phases)
        decision = room.decide(state, arrest(play), Context(now=START, actor=RESPONDER))
        given = decision.events[0]
        assert isinstance(given, e.MedicationGiven)
        assert given.beyond == ()


@pytest.mark.hazard("H-33")
def test_nothing_stands_against_an_order_in_arrest() -> None:
    """After more epinephrine than any cap allows, at once, with an order open: the arrest dose is ordered again."""
    play = graded()
    for _ in range(5):
        give(play)
    play.do(c.GradeReaction(severity=Severity.SEVERE, presentation="cardiac_arrest"), PHYSICIAN)
    [(step_id, dose)] = [
        (key, dose)
        for key, step in play.state.steps.items()
        for dose in step.offer.doses
        if dose.counter == "epinephrine_arrest" and "superseded" not in step.phases
    ]
    wish = c.OrderStep(step_id=step_id, row_id=dose.row_id)
    for _ in range(3):
        play.do(wish, PHYSICIAN)
    play.do(c.RecordVitals(conscious=False), TECHNOLOGIST)
    assert play.of(e.StepOrdered)[-1].overrides == ()
