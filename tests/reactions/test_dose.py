"""Doses: the reference's check vectors, exact arithmetic, caps, marks, and what is asked when a number is missing."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reactions.care_rows import WeightEstimate
from engine.reactions.dose import (
    Dose,
    PhysicianDecides,
    WeightNeeded,
    cumulative_cap_mg,
    measure,
    plain,
    resolve_dose,
    rule_text,
    span,
)
from engine.reactions.pack import AgeCap, SyringeMark, WeightBand
from engine.reactions.weight import both_readings, estimates, weight_problem
from tests.reactions.packs import ACR, CONSENSUS, pack

WEIGHTS = st.decimals(min_value="0.5", max_value="300", places=2, allow_nan=False, allow_infinity=False)
CHILD_ROWS = [row.id for row in pack().drugs if row.population == "child"]
EVERY_ROW = [(name, row.id) for name in (ACR, CONSENSUS) for row in pack(name).drugs]

# Clinical reference 3.2: kg, IM mg, IV mg, IV mL, AI mg, DPH mg, atropine mg, fluid low, fluid high, HC mg, MP mg,
# D25 mL, arrest mL.
VECTORS = """
3    0.03  0.03  0.3  0.15 3   0.1  30  60   15   3   6   0.3
5    0.05  0.05  0.5  0.15 5   0.1  50  100  25   5   10  0.5
7.5  0.075 0.075 0.75 0.15 7.5 0.15 75  150  37.5 7.5 15  0.75
10   0.1   0.1   1.0  0.15 10  0.2  100 200  50   10  20  1.0
15   0.15  0.1   1.0  0.15 15  0.3  150 300  75   15  30  1.5
20   0.2   0.1   1.0  0.15 20  0.4  200 400  100  20  40  2.0
25   0.25  0.1   1.0  0.15 25  0.5  250 500  125  25  50  2.5
30   0.3   0.1   1.0  0.3  30  0.6  300 600  150  30  60  3.0
40   0.3   0.1   1.0  0.3  40  0.6  400 800  200  40  80  4.0
50   0.3   0.1   1.0  0.3  50  0.6  500 1000 200  40  100 5.0
"""
ROWS = [tuple(map(Decimal, line.split())) for line in VECTORS.split("\n") if line]


def dose(row_id: str, weight_kg: Decimal | str | None, *, age: int | None = 6, name: str = ACR) -> Dose:
    weight = None if weight_kg is None else Decimal(weight_kg)
    resolved = resolve_dose(pack(name), pack(name).drug(row_id), age_years=age, weight_kg=weight)
    assert isinstance(resolved, Dose)
    return resolved


@pytest.mark.parametrize("vector", ROWS, ids=[f"{row[0]}kg" for row in ROWS])
def test_the_check_vectors_of_the_reference(vector: tuple[Decimal, ...]) -> None:
    """Section 3.2, every column, compared with the exact dose."""
    kg, im, iv, iv_ml, ai, dph, atropine, low, high, hc, mp, d25_ml, arrest_ml = vector

    assert dose("C-EPI-IM", kg).dose_mg == im
    assert dose("C-EPI-IM", kg).volume_ml == im
    assert dose("C-EPI-IV", kg).dose_mg == iv
    assert dose("C-EPI-IV", kg).volume_ml == iv_ml
    assert dose("C-EPI-AI", kg).dose_mg == ai
    assert dose("C-DPH.IV", kg).dose_mg == dph
    assert dose("C-ATR", kg).dose_mg == atropine
    assert (dose("C-FLU", kg).amount, dose("C-FLU", kg).amount_max) == (low, high)
    assert dose("C-HC", kg).dose_mg == hc
    assert dose("C-MP", kg).dose_mg == mp
    assert dose("C-D25", kg).volume_ml == d25_ml
    assert dose("C-EPI-ARREST", kg).volume_ml == arrest_ml


@pytest.mark.parametrize(("kg", "mg"), [("40", "0.4"), ("50", "0.5"), ("70", "0.5")])
def test_the_adult_vectors_of_the_consensus(kg: str, mg: str) -> None:
    """0.01 mg/kg up to 0.5 mg in the consensus pack, 0.3 mg fixed in the ACR one."""
    assert dose("A-EPI-IM", kg, age=40, name=CONSENSUS).dose_mg == Decimal(mg)
    assert dose("A-EPI-IM", kg, age=40).dose_mg == Decimal("0.3")


def test_a_dose_shows_how_it_came_about() -> None:
    """Formula, source row, citation and tag stand beside the number."""
    shown = dose("C-EPI-IM", "12")

    assert shown.formula == "0.01 mg/kg x 12 kg = 0.12 mg; 1 mg/mL → 0.12 mL"
    assert shown.amount_text == "epinephrine 0.12 mg (1 mg/mL, 0.12 mL) IM into the anterolateral thigh"
    assert (shown.row_id, shown.evidence) == ("C-EPI-IM", "D2")
    assert "Table 2" in shown.citation
    assert "ephedrine" in shown.name_alert


def test_exact_and_measured_dose_are_both_kept() -> None:
    """7.5 kg: exactly 0.075 mL, drawn up 0.07 mL, never 0.08."""
    shown = dose("C-EPI-IM", "7.5")

    assert (shown.volume_ml, shown.measured_ml, shown.measured_mg) == tuple(
        map(Decimal, ("0.075", "0.07", "0.07"))
    )


@pytest.mark.parametrize(("kg", "trap"), [("30", "0.1"), ("100", "0.1")])
def test_the_child_iv_cap_is_never_forgotten(kg: str, trap: str) -> None:
    """Trap X-5: 0.01 mg/kg at 30 kg would be 0.3 mg; the cap is 0.1 mg and the formula says so."""
    shown = dose("C-EPI-IV", kg)

    assert shown.dose_mg == Decimal(trap)
    assert shown.cap_applied
    assert "capped at 0.1 mg" in shown.formula


def test_a_concentration_that_the_source_lacks_prints_see_vial() -> None:
    """No volume is made up for a product of unknown strength."""
    shown = dose("C-HC", "20")

    assert shown.concentration_mg_per_ml is None
    assert shown.volume_ml is None
    assert "see vial" in shown.amount_text
    assert "see vial" in shown.formula


def test_a_range_keeps_both_ends() -> None:
    """25 to 50 mg is offered as a range with its volumes."""
    shown = dose("A-DPH.IV", None, age=40)

    assert (shown.dose_mg, shown.dose_max_mg) == (Decimal(25), Decimal(50))
    assert (shown.volume_ml, shown.volume_max_ml) == (Decimal("0.5"), Decimal(1))
    assert shown.amount_text == "diphenhydramine 25-50 mg (50 mg/mL, 0.5-1 mL) IV"
    assert shown.formula == "25 mg to 50 mg fixed; 50 mg/mL → 0.5-1 mL"


def test_a_range_that_is_swallowed_keeps_both_ends_and_has_no_volume() -> None:
    """25 to 50 mg by mouth: no syringe, no vial."""
    shown = dose("A-DPH.PO", None, age=40)

    assert shown.amount_text == "diphenhydramine 25-50 mg oral PO"
    assert shown.formula == "25 mg to 50 mg fixed"


def test_both_ends_of_a_range_are_drawn_up_downwards() -> None:
    """Furosemide at 7.35 kg: what the syringe holds is said first, what was computed after it."""
    shown = dose("C-FUR", "7.35")
    same_start = dose("C-FUR", "7.2")

    assert shown.amount_text == ("furosemide 3.6-7.3 mg (10 mg/mL, 0.36-0.73 mL; exactly 3.675-7.35 mg) IV")
    assert shown.formula.endswith("; 10 mg/mL → 0.3675-0.735 mL, drawn up 0.36-0.73 mL")
    assert same_start.amount_text == "furosemide 3.6-7.2 mg (10 mg/mL, 0.36-0.72 mL) IV"


def test_a_fixed_dose_says_so_and_no_limit_touched_it() -> None:
    """0.3 mg for every adult: not capped, whatever the adult weighs."""
    shown = dose("A-EPI-IM", "120", age=40)

    assert shown.formula == "0.3 mg fixed; 1 mg/mL → 0.3 mL"
    assert not shown.cap_applied
    assert shown.confirm == ""


def test_what_is_drawn_up_stands_beside_what_was_computed() -> None:
    """7.5 kg: the formula tells both volumes."""
    expected = "0.01 mg/kg x 7.5 kg = 0.075 mg; 1 mg/mL → 0.075 mL, drawn up 0.07 mL"

    assert dose("C-EPI-IM", "7.5").formula == expected


def test_a_kit_without_a_strength_prints_see_vial_even_with_a_volume() -> None:
    """A volume says nothing about what is in it."""
    kit = replace(pack().drug("A-GLG"), volume_ml=Decimal(1))
    shown = resolve_dose(pack(), kit, age_years=40, weight_kg=None)

    assert isinstance(shown, Dose)
    assert shown.formula == "1 mg fixed; concentration: see vial"


def test_exactly_at_the_cap_nothing_was_cut() -> None:
    """30 kg is 0.3 mg by weight: the cap is reached, not applied."""
    assert not dose("C-EPI-IM", "30").cap_applied
    assert "capped" not in dose("C-EPI-IM", "30").formula
    assert dose("C-EPI-IM", "30.01").cap_applied


@pytest.mark.parametrize(
    ("kg", "low", "high", "capped"),
    [
        ("50", "500", "1000", False),
        ("60", "600", "1000", True),
        ("100", "1000", None, True),
        ("120", "1000", None, True),
    ],
)
def test_a_fluid_by_weight_stops_at_its_cap(kg: str, low: str, high: str | None, capped: bool) -> None:
    """10 to 20 mL/kg and never more than a litre; where both ends are the litre it is no range."""
    shown = dose("C-FLU", kg)

    assert (shown.amount, shown.amount_max) == (Decimal(low), None if high is None else Decimal(high))
    assert shown.cap_applied == capped
    assert ("capped at 1000 mL" in shown.formula) == capped


def test_a_fluid_waits_for_the_weight_with_its_rule() -> None:
    """What is shown meanwhile has both ends and the cap, and no cap where the row has none."""
    row = pack().drug("C-FLU")
    waiting = resolve_dose(pack(), row, age_years=6, weight_kg=None)

    assert isinstance(waiting, WeightNeeded)
    assert waiting.formula == "10-20 mL/kg, at most 1000 mL"
    assert rule_text(replace(row, max_single_amount=None)) == "10-20 mL/kg"
    assert rule_text(pack().drug("A-EPI-IM")) == ""


@pytest.mark.parametrize(
    ("kg", "words"),
    [
        ("10", "10 kg is below 20 kg: 1 mg"),
        ("20", "20 kg is below 30 kg: 2 mg"),
        ("25", "25 kg is below 30 kg: 2 mg"),
        ("30", "30 kg is 30 kg or more: 3 mg"),
        ("40", "40 kg is 30 kg or more: 3 mg"),
    ],
)
def test_the_formula_names_the_weight_band(kg: str, words: str) -> None:
    """A dose in three bands: the band told is the one the dose came from."""
    made = tuple(
        WeightBand(from_kg=Decimal(start), dose_mg=Decimal(mg)) for start, mg in ((0, 1), (20, 2), (30, 3))
    )
    row = replace(pack().drug("C-EPI-AI"), dose_bands=made)
    shown = resolve_dose(pack(), row, age_years=6, weight_kg=Decimal(kg))

    assert isinstance(shown, Dose)
    assert shown.formula == words


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [("25", "50", "25-50"), ("25", None, "25"), ("25", "25", "25"), ("25", "25.0", "25")],
)
def test_a_range_is_written_only_where_there_is_one(low: str, high: str | None, text: str) -> None:
    """ "25-25" would be read as a choice."""
    assert span(Decimal(low), None if high is None else Decimal(high)) == text


def test_an_unknown_weight_is_asked_for_and_a_fixed_dose_still_shows() -> None:
    """Weight-based rows ask, fixed adult rows answer."""
    waiting = resolve_dose(pack(), pack().drug("C-EPI-IM"), age_years=6, weight_kg=None)

    assert isinstance(waiting, WeightNeeded)
    assert waiting.formula == "0.01 mg/kg, at most 0.3 mg"
    assert dose("A-EPI-IM", None, age=40).dose_mg == Decimal("0.3")


def test_without_a_number_the_physician_decides() -> None:
    """A row without a dose gives no dose."""
    empty = replace(pack().drug("A-GLG"), dose_mg=None, max_single_mg=None)

    assert isinstance(resolve_dose(pack(), empty, age_years=40, weight_kg=None), PhysicianDecides)


def test_the_physician_confirms_below_the_label_and_above_the_rule() -> None:
    """An auto-injector below 15 kg and atropine's minimum below 5 kg are confirmed."""
    assert dose("C-EPI-AI", "14.9").confirm
    assert not dose("C-EPI-AI", "15").confirm
    assert not dose("C-EPI-AI", "16").confirm
    assert dose("C-ATR", "4.9").confirm
    assert not dose("C-ATR", "5").confirm


@pytest.mark.parametrize(("kg", "mg"), [("19.9", "0.5"), ("20", "1"), ("20.1", "1")])
def test_glucagon_at_exactly_20_kg(kg: str, mg: str) -> None:
    """Decision (f): exactly 20 kg is 1 mg."""
    assert dose("C-GLG.IM", kg).dose_mg == Decimal(mg)


@pytest.mark.parametrize(("age", "total"), [(6, "1"), (11, "1"), (12, "2"), (17, "2"), (None, "1")])
def test_the_atropine_total_goes_by_age(age: int | None, total: str) -> None:
    """1 mg for a child, 2 mg from 12 years; the lower one when the age is unknown."""
    assert dose("C-ATR", "20", age=age).max_cumulative_mg == Decimal(total)


def test_an_infants_total_is_the_one_from_birth() -> None:
    """Age 0 is an age, and the total that starts at one year is not theirs yet."""
    steps = (
        AgeCap(from_years=0, max_cumulative_mg=Decimal(1)),
        AgeCap(from_years=1, max_cumulative_mg=Decimal(2)),
    )
    row = replace(pack().drug("C-ATR"), cumulative_by_age=steps)

    assert [cumulative_cap_mg(row, age) for age in (0, None, 1)] == [1, 1, 2]


def test_the_heaviest_weight_is_still_a_weight() -> None:
    """1,000 kg is taken, one past it is not."""
    assert dose("C-EPI-IM", "1000").dose_mg == Decimal("0.30")


@pytest.mark.parametrize("kg", ["0", "-1", "NaN", "Infinity", "1000.1"])
def test_a_weight_that_is_none_gives_no_dose_and_asks(kg: str) -> None:
    """It counts as not known: nothing is computed from it, and no fact is refused for it."""
    found = resolve_dose(pack(), pack().drug("C-EPI-IM"), age_years=6, weight_kg=Decimal(kg))

    assert isinstance(found, WeightNeeded)


@pytest.mark.parametrize(
    ("exact", "mark"),
    [("0.009", "0.00"), ("0.999", "0.99"), ("1", "1.00"), ("1.001", "1.0"), ("1.09", "1.0"), ("2.47", "2.4")],
)
def test_syringe_marks(exact: str, mark: str) -> None:
    """0.01 mL up to 1 mL, 0.1 mL above, always down."""
    assert measure(pack().syringe_marks, Decimal(exact)) == Decimal(mark)


def test_the_last_mark_of_a_syringe_is_still_on_it() -> None:
    """0.55 mL in a syringe that ends there is read by its own marks, not by those of the larger one."""
    row = pack().syringe_marks[0]
    small: SyringeMark = replace(row, up_to_ml=Decimal("0.55"))
    marks = (small, pack().syringe_marks[1])

    assert measure(marks, Decimal("0.55")) == Decimal("0.55")
    assert measure(marks, Decimal("0.56")) == Decimal("0.5")


@given(weight=WEIGHTS, row_id=st.sampled_from(EVERY_ROW), age=st.integers(0, 100))
def test_no_dose_is_ever_above_its_cap(weight: Decimal, row_id: tuple[str, str], age: int) -> None:
    """For any weight and age, in either pack; and what is drawn up is never more than the exact volume."""
    name, row = row_id
    shown = dose(row, weight, age=age, name=name)

    for amount in (shown.dose_mg, shown.dose_max_mg):
        assert amount is None or shown.max_single_mg is None or amount <= shown.max_single_mg
    cap = pack(name).drug(row).max_single_amount
    for amount in (shown.amount, shown.amount_max):
        assert amount is None or cap is None or amount <= cap
    for measured, exact in (
        (shown.measured_ml, shown.volume_ml),
        (shown.measured_max_ml, shown.volume_max_ml),
        (shown.measured_mg, shown.dose_mg),
    ):
        assert measured is None or exact is None or measured <= exact


@given(first=WEIGHTS, second=WEIGHTS, row_id=st.sampled_from(CHILD_ROWS))
def test_a_heavier_child_never_gets_less(first: Decimal, second: Decimal, row_id: str) -> None:
    """Doses rise with weight until the cap holds them."""
    light, heavy = sorted((first, second))
    less, more = dose(row_id, light), dose(row_id, heavy)

    for one, other in (
        (less.dose_mg, more.dose_mg),
        (less.amount, more.amount),
    ):
        assert (one is None) == (other is None)
        assert one is None or other is None or one <= other
    # Less than the first mark is not drawn up at all.
    assert (less.measured_ml or 0) <= (more.measured_ml or 0)


def test_less_than_the_first_mark_is_the_physicians_and_never_nothing() -> None:
    """0.5 kg: 0.005 mL cannot be read on the syringe; the dose is not shown as 0."""
    shown = dose("C-EPI-IM", "0.5")

    assert (shown.dose_mg, shown.measured_ml, shown.measured_mg) == (Decimal("0.005"), None, None)
    assert "physician decides" in shown.confirm
    assert "first mark" in shown.amount_text


@given(weight=WEIGHTS, row=st.sampled_from(EVERY_ROW))
def test_the_line_of_a_dose_names_everything(weight: Decimal, row: tuple[str, str]) -> None:
    """An injectable: name, mg, mg/mL or "see vial", mL, route, site; another form: name, amount, unit, form, route."""
    name, row_id = row
    source = pack(name).drug(row_id)
    line = dose(row_id, weight, age=40 if source.population == "adult" else 6, name=name).amount_text

    assert line.startswith(source.drug)
    assert line.endswith(f"{source.route} into the {source.site}" if source.site else source.route)
    if source.injected and source.concentration_mg_per_ml is None:
        assert "see vial" in line
    elif source.injected:
        assert " mg (" in line or " g (" in line
        assert f"{plain(source.concentration_mg_per_ml or Decimal(0))} mg/mL" in line
        assert " mL" in line or "first mark" in line
    else:
        assert (source.unit or "mg") in line
        assert source.form in line


@given(weight=WEIGHTS, row=st.sampled_from(EVERY_ROW))
def test_what_is_drawn_up_holds_the_dose_that_is_shown(weight: Decimal, row: tuple[str, str]) -> None:
    """Volume x concentration is the dose, exact and measured, at both ends of a range."""
    name, row_id = row
    shown = dose(row_id, weight, age=40 if row_id.startswith("A-") else 6, name=name)
    strength = shown.concentration_mg_per_ml
    pairs = ((shown.volume_ml, shown.dose_mg), (shown.measured_ml, shown.measured_mg))
    upper = ((shown.volume_max_ml, shown.dose_max_mg), (shown.measured_max_ml, shown.measured_max_mg))

    for volume, held in (*pairs, *upper):
        assert strength is None or volume is None or held is None or volume * strength == held


def test_a_weight_is_estimated_only_by_a_row_of_the_pack() -> None:
    """No shipped pack has such a row; a pack that has one offers it beside the question."""
    row = WeightEstimate(
        id="EST-1",
        citation="a test",
        evidence="UNSURE",
        by="age_years",
        at_least=Decimal(6),
        below=Decimal(8),
        weight_kg=Decimal(22),
    )
    longer = replace(row, id="EST-2", by="length_cm", at_least=Decimal(110), below=Decimal(120))
    with_rows = replace(pack(), weight_estimates=(row, longer))

    assert estimates(pack(), age_years=6, length_cm=Decimal(115)) == ()
    assert [e.row_id for e in estimates(with_rows, age_years=7, length_cm=None)] == ["EST-1"]
    assert [e.row_id for e in estimates(with_rows, age_years=8, length_cm=Decimal(110))] == ["EST-2"]
    assert estimates(with_rows, age_years=None, length_cm=Decimal(120)) == ()


@given(weight=WEIGHTS)
def test_below_the_cap_the_dose_is_exactly_the_product(weight: Decimal) -> None:
    """No rounding hides in the exact dose."""
    expected = min(Decimal("0.01") * weight, Decimal("0.30"))

    assert dose("C-EPI-IM", weight).dose_mg == expected
    assert dose("C-EPI-IM", weight).cap_applied == (weight > 30)


@given(value=st.decimals(min_value=0, max_value=100000, places=3, allow_nan=False))
def test_a_number_is_written_without_trailing_zero_and_reads_the_same(value: Decimal) -> None:
    """ "1.0" is read as ten: it is written "1"; a leading zero stays."""
    written = plain(value)

    assert Decimal(written) == value
    assert "E" not in written
    assert "." not in written or not written.endswith("0")
    assert not written.startswith(".")


def test_pounds_entered_as_kilograms_are_seen() -> None:
    """Trap X-7: 44 lb entered as 44 kg beside a stated 44 lb or a known 20 kg."""
    first = weight_problem(pack(), Decimal(44), stated_lb=Decimal(44))
    second = weight_problem(pack(), Decimal(44), other_kg=Decimal(20))
    third = weight_problem(pack(), Decimal(20), other_kg=Decimal(44))

    assert first is not None
    assert first.reason == "WEIGHT_UNITS_DISAGREE"
    assert second is not None
    assert second.reason == "POUNDS_AS_KILOGRAMS"
    assert third is not None
    assert third.reason == "KILOGRAMS_AS_POUNDS"
    assert weight_problem(pack(), Decimal(20), stated_lb=Decimal(44), other_kg=Decimal(19)) is None
    assert both_readings(Decimal(44)) == "44 kg is 97 lb; 44 lb would be 20 kg"
