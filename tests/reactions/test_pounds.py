"""Where the doubt about a weight begins and ends (X-7): 5 % between the two units, 10 % about 2.2 times."""

from decimal import Decimal

import pytest

from engine.reactions.weight import weight_doubt, weight_problem
from tests.reactions.packs import pack


@pytest.mark.parametrize(
    ("kg", "disagrees"),
    [
        ("2", True),
        ("10", True),
        ("18.9", True),
        ("19", False),
        ("20", False),
        ("20.9", False),
        ("21", True),
        ("40", True),
        ("44", True),
        ("200", True),
    ],
)
def test_a_weight_in_both_units_agrees_within_the_packs_tolerance(kg: str, disagrees: bool) -> None:
    """44 lb are 19.96 kg: from 18.96 to 20.95 kg they say the same."""
    found = weight_problem(pack(), Decimal(kg), stated_lb=Decimal(44))

    assert (found.reason if found else "") == ("WEIGHT_UNITS_DISAGREE" if disagrees else "")


@pytest.mark.parametrize(
    ("known", "told", "reason"),
    [
        ("20", "39.6", ""),
        ("20", "39.7", "POUNDS_AS_KILOGRAMS"),
        ("20", "44", "POUNDS_AS_KILOGRAMS"),
        ("20", "48.5", "POUNDS_AS_KILOGRAMS"),
        ("20", "48.6", ""),
        ("44", "18.1", ""),
        ("44", "18.2", "KILOGRAMS_AS_POUNDS"),
        ("44", "20", "KILOGRAMS_AS_POUNDS"),
        ("44", "22.1", "KILOGRAMS_AS_POUNDS"),
        ("44", "22.2", ""),
        ("20", "20", ""),
        ("20", "88", ""),
        ("20", "9", "KILOGRAMS_AS_POUNDS"),
        ("20", "4", ""),
        ("20", "0.5", ""),
    ],
)
def test_a_weight_near_two_point_two_times_another_is_doubted(known: str, told: str, reason: str) -> None:
    """From 1.984 to 2.425 times, either way round."""
    found = weight_problem(pack(), Decimal(told), other_kg=Decimal(known))

    assert (found.reason if found else "") == reason
    assert bool(weight_doubt(pack(), Decimal(told), Decimal(known))) is bool(reason)


def test_without_another_weight_there_is_no_doubt() -> None:
    """Nothing to compare with, or nothing that can be a weight."""
    assert weight_problem(pack(), Decimal(44)) is None
    assert weight_doubt(pack(), Decimal(44), None) == ""
    assert weight_doubt(pack(), Decimal(0), Decimal(20)) == ""
    assert weight_doubt(pack(), Decimal(44), Decimal(0)) == ""
