"""The largest single dose for a patient, and a volume beside the doses it is said to be: every side of each line."""

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.reactions.guards import patient_cap_mg, product_problem, times_problem, volume_problem
from tests.reactions.packs import pack
from tests.reactions.test_guards import AI, DEVICE, IM, IV, named, reason, volume


@pytest.mark.hazard("H-11")
@pytest.mark.parametrize(
    ("row_id", "weight", "cap"),
    [
        ("C-EPI-IM", "10", "0.1"),
        ("C-EPI-IM", "40", "0.3"),
        ("C-EPI-IM", None, "0.3"),
        ("C-EPI-IM", "20000", "0.3"),
        ("C-EPI-AI", "12", "0.15"),
        ("C-EPI-AI", "30", "0.3"),
        ("C-EPI-AI", None, "0.3"),
        ("A-EPI-IM", "5", "0.3"),
        ("C-FUR", "10", "10"),
        ("C-FUR", "60", "40"),
        ("A-DPH.PO", "3", "50"),
        ("A-LAB", "70", "80"),
        ("A-OND", "70", None),
    ],
)
def test_the_largest_single_dose_for_a_patient(row_id: str, weight: str | None, cap: str | None) -> None:
    """By weight what the row gives, the upper end of a range; without a weight, or not by weight, the row's cap."""
    row = pack().drug(row_id)
    age = 40 if row_id.startswith("A-") else 6
    found = patient_cap_mg(pack(), row, age, None if weight is None else Decimal(weight))

    assert found == (None if cap is None else Decimal(cap))


def test_the_first_dose_that_does_not_fit_is_named() -> None:
    """Of several doses that a volume is said to be."""
    problem = volume_problem(
        pack(),
        IM,
        volume_ml=Decimal("0.1"),
        concentration_mg_per_ml=None,
        doses_mg=(Decimal("0.3"), Decimal("0.5")),
    )

    assert problem is not None
    assert problem.sentence == "0.1 mL of 1 mg/mL is 0.1 mg, not 0.3 mg."


@pytest.mark.parametrize(
    ("volume_ml", "doses"),
    [
        ("0.55", ("0.0555",)),  # rounded down to the mark, by a product of another strength than 1 mg/mL
        ("0.5", ()),  # less than the row's largest dose
        ("0.123", ("0.0123",)),  # exactly, where the syringe has no mark
    ],
)
def test_a_volume_that_holds_what_it_is_said_to_be_is_no_problem(
    volume_ml: str, doses: tuple[str, ...]
) -> None:
    """Rounded down, exact between two marks, or below what the row allows."""
    assert volume(IV, volume_ml, *doses) == ""


def test_a_dose_of_another_sum_is_no_device_even_by_its_row() -> None:
    """What is summed apart stays apart, whether its name sorts before or after."""
    for counter in ("atropine", "zinc"):
        apart = replace(named(AI.id, DEVICE), counter=counter)
        assert times_problem(pack(), AI, [apart] * 3) is None
    assert reason(times_problem(pack(), AI, [named(AI.id, DEVICE)] * 3)) == "TOO_MANY_TIMES"


def test_a_route_is_compared_by_what_it_says() -> None:
    """A route that came over the wire is another object with the same letters."""
    assert product_problem(IM, concentration_mg_per_ml=None, route="".join(("I", "M"))) is None
