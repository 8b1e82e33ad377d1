"""How a dose is said: to the letter, because hands and read-backs go by it."""

from decimal import Decimal

import pytest

from engine.reactions.dose import mass
from tests.reactions.test_dose import dose


@pytest.mark.parametrize(
    ("row_id", "weight", "line", "formula"),
    [
        ("A-O2", None, "oxygen 6-10 L/min gas mask", "6 L/min to 10 L/min at any weight"),
        (
            "C-ALB",
            None,
            "albuterol 2 puffs = 0.18 mg metered-dose inhaler inhaled",
            "2 puffs at any weight = 0.18 mg",
        ),
        (
            "A-EPI-AI",
            None,
            "epinephrine auto-injector 1 device = 0.3 mg auto-injector IM into the outer thigh",
            "1 device at any weight = 0.3 mg",
        ),
        (
            "C-EPI-AI",
            "12",
            "epinephrine auto-injector 1 device = 0.15 mg auto-injector IM into the outer thigh",
            "12 kg is below 30 kg: 0.15 mg",
        ),
        ("A-D50", None, "dextrose 50 % 25 g (500 mg/mL, 50 mL) IV", "25 g fixed; 500 mg/mL → 50 mL"),
        (
            "C-D25",
            "1.9",
            "dextrose 25 % 950 mg (250 mg/mL, 3.8 mL) IV",
            "500 mg/kg x 1.9 kg = 950 mg; 250 mg/mL → 3.8 mL",
        ),
        ("C-D25", "2", "dextrose 25 % 1 g (250 mg/mL, 4 mL) IV", "500 mg/kg x 2 kg = 1 g; 250 mg/mL → 4 mL"),
        (
            "C-D25",
            "60",
            "dextrose 25 % 25 g (250 mg/mL, 100 mL) IV",
            "500 mg/kg x 60 kg = 30 g, capped at 25 g; 250 mg/mL → 100 mL",
        ),
        (
            "C-ATR",
            "2",
            "atropine 0.1 mg (0.1 mg/mL, 1 mL) IV",
            "0.02 mg/kg x 2 kg = 0.04 mg, raised to the minimum of 0.1 mg; 0.1 mg/mL → 1 mL",
        ),
        ("A-DPH.PO", None, "diphenhydramine 25-50 mg oral PO", "25 mg to 50 mg fixed"),
        (
            "C-EPI-IM",
            "40",
            "epinephrine 0.3 mg (1 mg/mL, 0.3 mL) IM into the anterolateral thigh",
            "0.01 mg/kg x 40 kg = 0.4 mg, capped at 0.3 mg; 1 mg/mL → 0.3 mL",
        ),
        (
            "C-EPI-IM",
            "12.34",
            "epinephrine 0.12 mg (1 mg/mL, 0.12 mL; exactly 0.1234 mg) IM into the anterolateral thigh",
            "0.01 mg/kg x 12.34 kg = 0.1234 mg; 1 mg/mL → 0.1234 mL, drawn up 0.12 mL",
        ),
        ("A-GLG", None, "glucagon 1 mg (concentration: see vial) IM", "1 mg fixed; concentration: see vial"),
    ],
)
def test_the_words_of_a_dose_and_of_how_it_came_about(
    row_id: str, weight: str | None, line: str, formula: str
) -> None:
    """To the letter, for each kind of row: rates, puffs, devices, grams, floors, caps, ranges, rounding."""
    found = dose(row_id, weight, age=40 if row_id.startswith("A-") else 6)

    assert (found.amount_text, found.formula) == (line, formula)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ("999", None, "999 mg"),
        ("1000", None, "1 g"),
        ("1001", None, "1.001 g"),
        ("25000", "50000", "25-50 g"),
        ("1500", "2500", "1.5-2.5 g"),
        ("25", "50", "25-50 mg"),
        ("500", "1000", "500-1000 mg"),
        ("0.05", "0.05", "0.05 mg"),
    ],
)
def test_a_mass_is_written_in_the_unit_that_is_read(low: str, high: str | None, words: str) -> None:
    """Milligrams below a gram, grams from there on; a range in the unit of its start."""
    assert mass(Decimal(low), None if high is None else Decimal(high)) == words
