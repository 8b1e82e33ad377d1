"""Drugs and routes as people write them: no spelling hides a dose from a limit, and no name is taken for another's."""

import datetime as dt
from decimal import Decimal

import pytest

from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions.names import drug_named, fits, is_epinephrine, route_named
from engine.reactions.protocol import counter
from engine.reactions.resolve import Situation, resolve_protocol
from engine.reactions.state import Severity
from tests.reactions.test_machine import ACR, PHYSICIAN, RESPONDER, graded, opened, order, pack
from tests.workflows.play import START


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("epinephrine", "epinephrine"),
        (" Epinephrine  1 mg/mL ", "epinephrine"),
        ("EPI", "epinephrine"),
        ("Adrenaline", "epinephrine"),
        ("adrenalin hydrochloride", "epinephrine"),
        ("EpiPen", "epinephrine auto-injector"),
        ("EpiPen Jr", "epinephrine auto-injector"),
        ("Epinephrine Auto-Injector", "epinephrine auto-injector"),
        ("Atropine", "atropine"),
        ("atropine sulfate", "atropine"),
        ("Dextrose 50 %", "dextrose 50 %"),
        ("norepinephrine", "norepinephrine"),
        ("Noradrenaline", "Noradrenaline"),
        ("racemic epinephrine", "racemic epinephrine"),
        ("epinastine", "epinastine"),
        ("atropinex", "atropinex"),
        ("", ""),
    ],
)
def test_a_drug_is_known_by_what_people_call_it(told: str, means: str) -> None:
    """Case, spaces, salts, strengths and devices are one drug; a word that only holds the name is not it."""
    assert drug_named(pack(ACR), told) == means


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("im", "IM"),
        ("i.m.", "IM"),
        ("Intramuscular", "IM"),
        ("iv", "IV"),
        ("io", "IO"),
        ("IV/IO", "IV/IO"),
        ("subq", "SC"),
        ("oral", "PO"),
        ("Inhaled", "inhaled"),
        ("inhalation", "inhaled"),
        ("nasal", "nasal"),
    ],
)
def test_a_route_is_known_by_what_people_call_it(told: str, means: str) -> None:
    """A route that no row has stays as it was told."""
    assert route_named(pack(ACR), told) == means


def test_a_row_that_leaves_the_route_open_takes_either() -> None:
    """IV/IO is IV and IO, and IV is not IV/IO."""
    assert fits("IV/IO", "IV") and fits("IV/IO", "IO") and fits("IV/IO", "IV/IO")
    assert not fits("IV", "IV/IO") and not fits("IM", "IV")


def test_what_holds_epinephrine_counts_as_it_and_what_only_sounds_like_it_does_not() -> None:
    """Norepinephrine has a total of its own."""
    assert all(
        is_epinephrine(name)
        for name in ("racemic epinephrine", "Adrenaline", "EpiPen Jr", "lidocaine with epi")
    )
    assert not any(is_epinephrine(name) for name in ("norepinephrine", "noradrenaline", "epinastine"))
    assert counter("Norepinephrine") == "norepinephrine"


def given(drug: str, route: str, mg: str, step_id: str = "", **more: object) -> c.RecordMedicationGiven:
    """Report a dose."""
    return c.RecordMedicationGiven(
        step_id=step_id,
        drug=drug,
        route=route,
        dose_mg=Decimal(mg),
        **more,  # type: ignore[arg-type]  # fields
    )


@pytest.mark.hazard("H-12")
def test_a_dose_by_another_spelling_meets_its_cap_and_answers_its_order() -> None:
    """Kept as told, judged as what it is: over the cap flagged, the order done, the interval counted."""
    play = graded()
    wanted = order(play)
    play.do(wanted, PHYSICIAN)
    asked = play.state.steps[wanted.step_id].order
    heard = {"dose_mg": asked.dose_mg, "concentration_mg_per_ml": asked.concentration_mg_per_ml}
    play.do(c.ReadBackStep(step_id=wanted.step_id, route="i.m.", **heard), RESPONDER)  # type: ignore[arg-type]  # amounts
    play.do(given("Epinephrine", "i.m.", str(asked.dose_mg), wanted.step_id), RESPONDER)
    dose = play.state.given[0]

    assert (dose.drug, dose.route, dose.told_as) == ("epinephrine", "IM", "Epinephrine i.m.")
    assert "done" in play.state.steps[wanted.step_id].phases
    play.do(given("ADRENALINE", "im", "3"), RESPONDER)
    assert set(play.of(e.MedicationGiven)[1].beyond) >= {"DOSE_OVER_CAP"}


@pytest.mark.hazard("H-12")
def test_another_spelling_does_not_hide_a_dose_from_the_total() -> None:
    """Three milligrams of Atropine are the total of atropine: the next order needs an override."""
    play = graded(Severity.SEVERE, "hypotension_bradycardia")
    for _ in range(3):
        play.do(given("Atropine", "iv", "1"), RESPONDER)
    step = next(
        step
        for step in play.state.steps.values()
        if any(dose.drug == "atropine" for dose in step.offer.doses)
    )
    row = next(dose for dose in step.offer.doses if dose.drug == "atropine")
    play.now += dt.timedelta(hours=1)
    asked = c.OrderStep(step_id=step.offer.step_id, row_id=row.row_id, dose_mg=Decimal(1))

    assert {dose.counter for dose in play.state.given} == {row.counter}
    assert play.refused(asked, PHYSICIAN) == "CUMULATIVE_EXCEEDED"


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize(
    ("drug", "route"), [("ephedrine", "IM"), ("albuterol", "inhaled"), ("epinephrine", "PO")]
)
def test_another_drug_or_route_does_not_do_a_step(drug: str, route: str) -> None:
    """Named on the step of the first epinephrine without an order, it is kept, and the step still asks for its own."""
    play = graded()
    wanted = order(play)
    play.do(given(drug, route, "25", wanted.step_id), RESPONDER)

    assert play.state.given[0].drug == drug
    assert "proposed" in play.state.steps[wanted.step_id].phases
    play.do(given("epinephrine", "IM", "0.3", wanted.step_id), RESPONDER)
    assert "done" in play.state.steps[wanted.step_id].phases


@pytest.mark.hazard("H-16")
def test_a_dose_told_for_before_the_reaction_still_holds_back_the_next() -> None:
    """It cannot have been in before the reaction began: its interval counts from there, and the flag says why."""
    play = graded()
    wanted = order(play)
    dose = given("epinephrine", "IM", "0.3", wanted.step_id, given_at=dt.datetime(1, 1, 1, tzinfo=dt.UTC))
    play.do(dose, RESPONDER)

    assert play.state.given[0].given_at.year == 1 and play.state.given[0].counted_at == START
    assert play.refused(wanted, PHYSICIAN) == "REPEAT_TOO_SOON"
    assert any("given_before_onset" in recorded.flags for recorded in play.log)


@pytest.mark.hazard("H-11")
@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize(
    "presentation", ["diffuse_erythema", "hypotension_bradycardia", "hives", "anaphylaxis"]
)
def test_while_the_age_is_unknown_help_is_called_as_the_more_urgent_row_says(
    presentation: str, severity: Severity
) -> None:
    """The call of a child's row that the adult's has not is one of the steps."""

    def level(age_years: int | None) -> str:
        found = resolve_protocol(
            pack(ACR),
            Situation(
                presentation=presentation,
                severity=severity,
                age_years=age_years,
                weight_kg=None,
                setting="office",
            ),
        )
        calls = [step.call_level for step in found.steps if step.kind == "call"]
        assert calls == ([] if found.emergency_call == "none" else [found.emergency_call])
        return found.emergency_call

    order_of = ("none", "consider", "if_unremitting", "call")
    assert level(None) == max(level(40), level(6), key=order_of.index)


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize("route", ["IV", "io", "IV/IO"])
def test_an_arrest_dose_goes_by_the_vein_or_the_bone(route: str) -> None:
    """Read back and given as the room says it: the arrest's own counter, the order answered, nothing held back."""
    play = graded(Severity.SEVERE, "cardiac_arrest")
    wanted = order(play, "epinephrine", "IV/IO")
    play.do(wanted, PHYSICIAN)
    asked = play.state.steps[wanted.step_id].order
    heard = {"dose_mg": asked.dose_mg, "concentration_mg_per_ml": asked.concentration_mg_per_ml}
    play.do(c.ReadBackStep(step_id=wanted.step_id, route=route, **heard), RESPONDER)
    play.do(given("epinephrine", route, str(asked.dose_mg)), RESPONDER)
    dose = play.of(e.MedicationGiven)[0]

    assert (dose.medication.counter, dose.authority, dose.beyond) == ("epinephrine_arrest", "order", ())
    assert "done" in play.state.steps[wanted.step_id].phases


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize(("weight_kg", "word"), [("5", "none"), (None, "none"), ("20", "standing_order")])
def test_a_device_that_the_physician_has_to_confirm_is_no_standing_order(
    weight_kg: str | None, word: str
) -> None:
    """Three times an infant's dose is nobody's standing order, nor is one for a child whom nobody has weighed."""
    play = opened(age_years=1, weight_kg=Decimal(weight_kg) if weight_kg else None)
    play.do(c.RecordSigns(signs=("S-A3-5",)), RESPONDER)
    dose = given("EpiPen Jr", "IM", "0.15", "T-C-ANA.1", physician_connected=False)
    play.do(dose, RESPONDER)

    assert play.of(e.MedicationGiven)[0].authority == word


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize(("before_s", "word"), [(120, "none"), (0, "order"), (-60, "order")])
def test_a_dose_that_was_in_before_its_order_was_given_on_nobodys_word(before_s: int, word: str) -> None:
    """The step is done by it all the same, so that nobody gives it twice."""
    play = graded(onset_at=START - dt.timedelta(minutes=10))
    wanted = order(play)
    play.do(wanted, PHYSICIAN)
    play.now += dt.timedelta(minutes=2)
    ordered_at = play.state.steps[wanted.step_id].ordered_at
    dose = given(
        "epinephrine", "IM", "0.3", wanted.step_id, given_at=ordered_at - dt.timedelta(seconds=before_s)
    )
    play.do(dose, RESPONDER)

    assert play.of(e.MedicationGiven)[0].authority == word
    assert "done" in play.state.steps[wanted.step_id].phases


@pytest.mark.hazard("H-12")
def test_less_than_ordered_is_told_and_the_step_stays_open() -> None:
    """Half the dose is no cap's business, and the patient has half of what the physician wants."""
    play = graded()
    wanted = order(play)
    play.do(wanted, PHYSICIAN)
    play.do(given("epinephrine", "IM", "0.15", wanted.step_id), RESPONDER)

    assert play.of(e.MedicationGiven)[0].beyond == ("NOT_AS_ORDERED",)
    assert "ordered" in play.state.steps[wanted.step_id].phases


@pytest.mark.hazard("H-12")
def test_a_tenth_of_the_dose_from_the_wrong_syringe_does_no_step() -> None:
    """0.3 mL of 0.1 mg/mL told as 0.3 mg (trap X-1): the wrong product, the wrong volume, and the step still asks."""
    play = graded()
    wanted = order(play)
    play.do(wanted, PHYSICIAN)
    syringe = {"volume_ml": Decimal("0.3"), "concentration_mg_per_ml": Decimal("0.1")}
    play.do(given("epinephrine", "IM", "0.3", wanted.step_id, **syringe), RESPONDER)

    assert set(play.of(e.MedicationGiven)[0].beyond) == {"WRONG_PRODUCT", "WRONG_VOLUME"}
    assert "ordered" in play.state.steps[wanted.step_id].phases


def test_who_is_not_conscious_is_asked_about() -> None:
    """No row grades it alone; the physician does, and without a pulse it is an arrest."""
    play = opened()
    play.do(c.RecordVitals(conscious=False), RESPONDER)

    assert "not conscious" in play.state.physician_decides


@pytest.mark.hazard("H-16")
def test_a_second_dose_of_an_impossible_time_is_too_soon_like_any_other() -> None:
    """It is judged from when it can have been in, as the next order is."""
    play = graded()
    wanted = order(play)
    long_ago = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    for _ in range(2):
        play.do(given("epinephrine", "IM", "0.3", wanted.step_id, given_at=long_ago), RESPONDER)

    assert [event.beyond for event in play.of(e.MedicationGiven)] == [(), ("REPEAT_TOO_SOON",)]
