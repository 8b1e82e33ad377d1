"""Caps, totals and intervals, at the limit and one past it; arrest doses are never held up."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from engine.reactions.dose import measure
from engine.reactions.guards import (
    EPINEPHRINE,
    Given,
    cap_problem,
    cumulative_problem,
    fresh_order_problem,
    order_problems,
    product_problem,
    repeat_too_soon,
    single_cap_mg,
    single_problem,
    times_problem,
    total_mg,
    volume_problem,
)
from engine.reactions.pack import DrugRow, Pack
from engine.reactions.protocol import counter
from engine.reactions.state import Medication
from tests.reactions.packs import CONSENSUS, pack

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
IM, IV, AI = pack().drug("A-EPI-IM"), pack().drug("A-EPI-IV"), pack().drug("A-EPI-AI")
ARREST = pack().drug("A-EPI-ARREST")


def went_in(row_id: str, mg: str | None, minutes: int = 0, counter: str = "epinephrine") -> Given:
    amount = None if mg is None else Decimal(mg)
    at = NOON + dt.timedelta(minutes=minutes)
    return Given(row_id=row_id, counter=counter, dose_mg=amount, given_at=at)


def reason(problem: object) -> str:
    return getattr(problem, "reason", "")


@pytest.mark.parametrize(
    ("mg", "expected"),
    [("0.15", ""), ("0.3", ""), ("0.300", ""), ("0.31", "DOSE_OVER_CAP"), ("3", "DOSE_OVER_CAP")],
)
def test_the_single_cap(mg: str, expected: str) -> None:
    """On the cap is allowed, above it is not (trap X-6, tenfold)."""
    assert reason(cap_problem(pack(), IM, Decimal(mg), ())) == expected


def test_an_im_dose_by_the_iv_row_is_over_its_cap() -> None:
    """Traps X-2, X-3 and X-4: 0.3 mg or 1 mg pushed IV to a patient with a pulse."""
    for mg in ("0.3", "1"):
        assert reason(cap_problem(pack(), IV, Decimal(mg), ())) == "DOSE_OVER_CAP"


def test_landing_exactly_on_one_milligram_is_allowed_and_above_it_is_not() -> None:
    """Decision (g): IM, IV and auto-injector are summed; strictly above 1 mg needs an override."""
    before = (went_in("A-EPI-IM", "0.3"), went_in("A-EPI-AI", "0.3"), went_in("A-EPI-IV", "0.1"))

    assert cap_problem(pack(), IM, Decimal("0.3"), before) is None
    assert (
        reason(cap_problem(pack(), IM, Decimal("0.3"), (*before, went_in("A-EPI-IV", "0.1"))))
        == "CUMULATIVE_EXCEEDED"
    )
    assert cap_problem(pack(), IV, Decimal("0.1"), (*before, went_in("A-EPI-IV", "0.2"))) is None


def test_three_auto_injectors_and_no_fourth() -> None:
    """0.9 mg by devices, whatever else was given."""
    before = [went_in("A-EPI-AI", "0.3")] * 3

    assert cap_problem(pack(), AI, Decimal("0.3"), before[:2]) is None
    assert reason(cap_problem(pack(), AI, Decimal("0.3"), before)) == "CUMULATIVE_EXCEEDED"
    assert reason(times_problem(pack(), AI, before)) == "TOO_MANY_TIMES"


def test_every_epinephrine_counts_toward_the_milligram_also_where_the_row_has_a_total_of_its_own() -> None:
    """Decision (g): two IM and two IV doses leave no room for a device, although none of the three was used."""
    counter = "".join(AI.counter)
    before = [went_in(row, mg, counter=counter) for row, mg in (("A-EPI-IM", "0.3"), ("A-EPI-IV", "0.1"))] * 2
    found = cap_problem(pack(), AI, Decimal("0.3"), before)

    assert found is not None
    assert (found.reason, found.row_id) == ("CUMULATIVE_EXCEEDED", "VAL-EPI-TOTAL")
    assert found.sentence.startswith("0.8 mg of epinephrine went in; with 0.3 mg more")


def test_the_milligram_of_epinephrine_is_of_epinephrine_only() -> None:
    """Atropine and furosemide do not use it up, and epinephrine uses up the total of nothing else."""
    others = [went_in("A-ATR", "3", counter="atropine"), went_in("A-FUR", "40", counter="furosemide")]
    epinephrine = [went_in("A-EPI-IM", "0.3")] * 3

    assert cap_problem(pack(), AI, Decimal("0.3"), others) is None
    for row_id in ("A-ATR", "A-FUR", "A-ALB"):
        row = pack().drug(row_id)
        assert cap_problem(pack(), row, single_cap_mg(row), epinephrine) is None


def test_only_devices_use_up_the_devices() -> None:
    """Three auto-injectors may follow, whatever came from a syringe or from where nobody knows."""
    before = [went_in("A-EPI-IM", "0.05")] * 3 + [went_in("", "0.05")] * 3

    assert times_problem(pack(), AI, before) is None
    assert cap_problem(pack(), AI, Decimal("0.3"), [*before, went_in("A-EPI-AI", "0.3")]) is None


def test_a_row_without_a_stated_maximum_has_no_cap() -> None:
    """Ondansetron has no single cap in the source: nothing is made up for it."""
    row = pack().drug("A-OND")

    assert single_cap_mg(row) is None
    assert single_problem(pack(), row, Decimal(8)) is None
    assert cap_problem(pack(), row, Decimal(8), ()) is None


def test_an_order_of_unknown_milligrams_passes_the_caps() -> None:
    """Oxygen, a fluid: what has no mg has no cap in mg."""
    assert cap_problem(pack(), IM, None, [went_in("A-EPI-IM", "0.3")] * 4) is None


def test_no_cap_holds_up_an_arrest_dose() -> None:
    """Each check says so for itself."""
    before = [went_in("A-EPI-ARREST", "1", counter="epinephrine_arrest")] * 5

    assert single_problem(pack(), ARREST, Decimal(10)) is None
    assert cumulative_problem(pack(), ARREST, Decimal(10), before) is None


def test_arrest_doses_are_a_counter_of_their_own_without_a_stop() -> None:
    """Nothing blocks or delays an arrest dose, and it does not use up the anaphylaxis total."""
    arrest = [went_in("A-EPI-ARREST", "1", counter="epinephrine_arrest")] * 20
    before = (*arrest, went_in("A-EPI-IM", "0.9"))

    assert order_problems(pack(), ARREST, Decimal(1), before, NOON) == ()
    assert order_problems(pack(), ARREST, Decimal(10), (), NOON) == ()
    assert cap_problem(pack(), IV, Decimal("0.1"), before) is None


def test_a_dose_of_unknown_amount_counts_as_the_largest_one() -> None:
    """What went in and was not measured is not taken for nothing."""
    assert total_mg(pack(), [went_in("A-EPI-IM", None)]) == Decimal("0.3")
    assert total_mg(pack(), [went_in("", None)]) == Decimal("0.3")
    assert (
        reason(cap_problem(pack(), IM, Decimal("0.3"), [went_in("A-EPI-IM", None)] * 3))
        == "CUMULATIVE_EXCEEDED"
    )


@pytest.mark.parametrize("row", pack().drugs, ids=lambda row: row.id)
def test_an_unknown_amount_is_the_largest_of_its_own_row(row: DrugRow) -> None:
    """An IV dose nobody measured is 0.1 mg, an IM one 0.3 mg; without a stated maximum nothing is made up."""
    unknown = went_in("".join(list(row.id)), None, counter=row.counter)

    assert total_mg(pack(), [unknown]) == (single_cap_mg(row) or 0)


@pytest.mark.parametrize(
    ("counter", "mg"),
    [("epinephrine", "0.3"), ("hydrocortisone", "200"), ("ondansetron", "0"), ("of the ambulance", "0")],
)
def test_an_unknown_amount_by_no_row_is_the_largest_of_its_drug(counter: str, mg: str) -> None:
    """Whoever gave it: the most that any row of the drug allows at once."""
    assert total_mg(pack(), [went_in("", None, counter=counter)]) == Decimal(mg)


def test_the_row_of_the_consensus_takes_the_place_of_the_fixed_one() -> None:
    """0.5 mg is within the consensus pack's cap and above that of ACR."""
    row = pack(CONSENSUS).drug("A-EPI-IM")

    assert cap_problem(pack(CONSENSUS), row, Decimal("0.5"), ()) is None
    assert cap_problem(pack(CONSENSUS), row, Decimal("0.5"), [went_in(row.id, "0.5")]) is None
    assert (
        reason(cap_problem(pack(CONSENSUS), row, Decimal("0.5"), [went_in(row.id, "0.5")] * 2))
        == "CUMULATIVE_EXCEEDED"
    )


@pytest.mark.parametrize(("age", "expected"), [(6, "CUMULATIVE_EXCEEDED"), (12, "")])
def test_the_atropine_total_goes_by_age(age: int, expected: str) -> None:
    """1 mg for a child, 2 mg from 12 years."""
    row = pack().drug("C-ATR")
    before = [went_in("C-ATR", "0.6", counter="atropine")]

    assert reason(cap_problem(pack(), row, Decimal("0.6"), before, age_years=age)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "REPEAT_TOO_SOON"), (299, "REPEAT_TOO_SOON"), (300, ""), (901, "")]
)
def test_the_repeat_interval(seconds: int, expected: str) -> None:
    """Five minutes after the last dose, to the second."""
    now = NOON + dt.timedelta(seconds=seconds)

    assert reason(repeat_too_soon(IM, [went_in("A-EPI-IM", "0.3")], now)) == expected


def test_the_interval_counts_from_any_route_and_says_how_long() -> None:
    """An auto-injector two minutes ago holds up the next IM dose for three."""
    found = repeat_too_soon(
        IM, [went_in("A-EPI-AI", "0.3", 3), went_in("A-EPI-IM", "0.3")], NOON + dt.timedelta(minutes=5)
    )

    assert found is not None
    assert found.sentence == "The next epinephrine IM is due in 180 s."


def test_another_drug_holds_nothing_up() -> None:
    """Albuterol and furosemide a moment ago do not delay epinephrine."""
    before = [went_in("A-ALB", "0.18", counter="albuterol"), went_in("A-FUR", "20", counter="furosemide")]

    assert repeat_too_soon(IM, before, NOON) is None


def test_a_late_report_is_judged_by_its_own_time() -> None:
    """A dose reported afterwards is too soon beside its neighbour, before or after it, and not otherwise."""
    later = [went_in("A-EPI-IM", "0.3", 10)]

    assert repeat_too_soon(IM, later, NOON) is None
    assert repeat_too_soon(IM, later, NOON + dt.timedelta(minutes=5)) is None
    assert reason(repeat_too_soon(IM, later, NOON + dt.timedelta(minutes=6))) == "REPEAT_TOO_SOON"


def test_a_vague_interval_needs_a_fresh_order_for_each_dose() -> None:
    """ "Every few minutes" is no number: not too soon, but one order is one dose."""
    assert repeat_too_soon(IV, [went_in("A-EPI-IV", "0.1")], NOON) is None
    assert fresh_order_problem(IV, ordered=1, given=0) is None
    assert reason(fresh_order_problem(IV, ordered=1, given=1)) == "FRESH_ORDER_NEEDED"
    assert reason(fresh_order_problem(IV, ordered=1, given=2)) == "FRESH_ORDER_NEEDED"
    assert fresh_order_problem(IV, ordered=3, given=1) is None
    assert fresh_order_problem(IM, ordered=0, given=3) is None


def test_albuterol_three_times() -> None:
    """Three times two puffs, and no fourth."""
    row = pack().drug("A-ALB")
    before = [went_in("A-ALB", "0.18", counter="albuterol")] * 3

    assert order_problems(pack(), row, Decimal("0.18"), before[:2], NOON) == ()
    assert {p.reason for p in order_problems(pack(), row, Decimal("0.18"), before, NOON)} == {
        "CUMULATIVE_EXCEEDED",
        "TOO_MANY_TIMES",
    }


def test_a_drug_is_counted_over_adult_and_child_rows_and_over_nothing_else() -> None:
    """An age set right in mid-reaction gives no new three times; another drug does not use them up."""
    row = pack().drug("A-ALB")

    for times in (3, 4):
        before = [went_in("C-ALB", "0.18", counter="albuterol")] * times
        assert reason(times_problem(pack(), row, before)) == "TOO_MANY_TIMES"
    assert times_problem(pack(), row, [went_in("A-ATR", "0.6", counter="atropine")] * 3) is None
    assert (
        times_problem(pack(), pack().drug("A-FEX"), [went_in("A-ALB", "0.18", counter="albuterol")]) is None
    )


def test_everything_that_stands_against_an_order_is_told_the_dose_first() -> None:
    """A fourth device, set too high, a minute after the third: four reasons, the dangerous ones before the others."""
    before = [went_in("A-EPI-AI", "0.3")] * 3
    found = order_problems(pack(), AI, Decimal("0.4"), before, NOON + dt.timedelta(minutes=1))

    assert [problem.reason for problem in found] == [
        "DOSE_OVER_CAP",
        "CUMULATIVE_EXCEEDED",
        "TOO_MANY_TIMES",
        "REPEAT_TOO_SOON",
    ]


@pytest.mark.parametrize(
    ("row", "strength", "route", "expected"),
    [
        (IM, "1", "IM", ""),
        (IM, "0.1", "IM", "WRONG_PRODUCT"),
        (IV, "1", "IV", "WRONG_PRODUCT"),
        (IM, "1", "IV", "WRONG_ROUTE"),
        (IV, "0.1", "IV", ""),
        (IV, "0.1", "IM", "WRONG_ROUTE"),
    ],
    ids=["right", "X-1", "X-2", "X-4", "right-iv", "iv-row-given-im"],
)
def test_the_product_in_the_hand(row: DrugRow, strength: str, route: str, expected: str) -> None:
    """Traps X-1, X-2 and X-4: concentration and route are those of the row."""
    found = product_problem(row, concentration_mg_per_ml=Decimal(strength), route=route)

    assert reason(found) == expected


def volume(row: DrugRow, volume_ml: str | None, *doses_mg: str, strength: str | None = None) -> str:
    """Return the reason word that a volume meets."""
    found = volume_problem(
        pack(),
        row,
        volume_ml=None if volume_ml is None else Decimal(volume_ml),
        concentration_mg_per_ml=None if strength is None else Decimal(strength),
        doses_mg=tuple(map(Decimal, doses_mg)),
    )
    return reason(found)


@pytest.mark.parametrize(
    ("row", "volume_ml", "doses", "expected"),
    [
        (IM, "0.3", ("0.3",), ""),
        (IM, "0.30", ("0.3", "0.3"), ""),
        (IM, "0.5", ("0.5", "0.5"), ""),
        (IM, "0.07", ("0.075",), ""),
        (IM, "0.08", ("0.075",), "WRONG_VOLUME"),
        (IM, "0.3", ("0.5",), "WRONG_VOLUME"),
        (IM, "0.5", ("0.5", "0.3"), "WRONG_VOLUME"),
        (IM, "0.3", ("0.5", "0.3"), "WRONG_VOLUME"),
        (IM, "3", ("0.3",), "WRONG_VOLUME"),
        (IM, "0.03", ("0.3",), "WRONG_VOLUME"),
        (IV, "10", (), "WRONG_VOLUME"),
        (IV, "10", ("0.1",), "WRONG_VOLUME"),
        (IV, "10", ("1",), ""),
        (IV, "1", (), ""),
        (IM, "0.3", (), ""),
        (IM, "0.31", (), "WRONG_VOLUME"),
        (IM, None, ("0.3",), ""),
    ],
)
def test_a_volume_holds_the_dose_that_it_is_said_to_be(
    row: DrugRow, volume_ml: str | None, doses: tuple[str, ...], expected: str
) -> None:
    """Reported and ordered alike, rounded down to the mark or exact; without either the row's largest single dose.

    A dose past its cap in its own volume is over its cap, and no wrong volume.
    """
    assert volume(row, volume_ml, *doses) == expected


def test_a_row_without_a_concentration_goes_by_the_vial() -> None:
    """What the row does not state is taken from the vial; where the vial is not told either, nothing is judged."""
    steroid = next(row for row in pack().drugs if row.concentration_mg_per_ml is None and row.route == "IV")

    assert volume(steroid, "2", "100", strength="50") == ""
    assert volume(steroid, "3", "100", strength="50") == "WRONG_VOLUME"
    assert volume(steroid, "3", "100") == ""


@hypothesis_given(
    row=st.sampled_from([IM, IV]),
    dose=st.decimals("0.01", "3", places=2),
    wrong=st.sampled_from([10, 2, "0.1"]),
)
def test_only_another_amount_is_a_wrong_volume(row: DrugRow, dose: Decimal, wrong: int | str) -> None:
    """Whatever the dose, its own measured volume is right and ten times, twice or a tenth of it is wrong."""
    assert row.concentration_mg_per_ml is not None
    right = measure(pack().syringe_marks, dose / row.concentration_mg_per_ml)

    assert volume(row, str(right), str(dose), str(dose)) == ""
    assert volume(row, str(right * Decimal(wrong)), str(dose)) == "WRONG_VOLUME"


def test_a_medication_of_the_reaction_is_a_given_dose() -> None:
    """The machine's own record goes straight into the guards."""
    dose = Medication(
        step_id="T-A-ANA.1",
        row_id="A-EPI-IM",
        drug="epinephrine",
        route="IM",
        dose_mg=Decimal("0.3"),
        concentration_mg_per_ml=Decimal(1),
        volume_ml=Decimal("0.3"),
        counter="epinephrine",
        given_at=NOON,
        given_by="person",
    )

    assert [p.reason for p in order_problems(pack(), IM, Decimal("0.3"), [dose], NOON)] == ["REPEAT_TOO_SOON"]


DOSES = st.sampled_from([("A-EPI-IM", "0.3"), ("A-EPI-AI", "0.3"), ("A-EPI-IV", "0.1")])


@hypothesis_given(orders=st.lists(st.tuples(DOSES, st.integers(0, 20)), max_size=25))
def test_no_sequence_of_accepted_orders_leaves_a_cap_or_an_interval(
    orders: list[tuple[tuple[str, str], int]],
) -> None:
    """Whatever is ordered in whatever order: the sum stays at 1 mg or below and intervals are kept."""
    given: list[Given] = []
    now = NOON
    for (row_id, mg), minutes in orders:
        now += dt.timedelta(minutes=minutes)
        row = pack().drug(row_id)
        if order_problems(pack(), row, Decimal(mg), given, now):
            continue
        if row.repeat_min_s is not None and given:
            assert (now - given[-1].given_at).total_seconds() >= row.repeat_min_s
        given.append(Given(row_id=row_id, counter=row.counter, dose_mg=Decimal(mg), given_at=now))

    assert total_mg(pack(), given) <= 1


def named(row_id: str, drug: str, mg: str = "0.3") -> Given:
    return Given(row_id=row_id, drug=drug, counter="epinephrine", dose_mg=Decimal(mg), given_at=NOON)


DEVICE = "epinephrine auto-injector"


def renamed(other: str = "A-EPI-AI-2") -> Pack:
    """The consensus pack of a later edition, in which the device has a row of its own in the place of the old one."""
    whole = pack(CONSENSUS)
    drugs = tuple(replace(row, id=other) if row.id == AI.id else row for row in whole.drugs)
    return replace(whole, drugs=drugs, replaced=(*whole.replaced, (AI.id, other)))


@pytest.mark.parametrize("row_id", [AI.id, "A-EPI-AI-2", "A-EPI-AI-3", ""])
def test_a_device_counts_toward_the_devices_by_whichever_pack_it_was_given(row_id: str) -> None:
    """A session whose pack changed names the same row otherwise; a dose without a row is judged by its name."""
    later = renamed()
    row = later.drug("A-EPI-AI-2")
    before = [named(row_id, DEVICE)] * 3

    assert reason(times_problem(later, row, before)) == "TOO_MANY_TIMES"
    problem = cumulative_problem(later, row, Decimal("0.05"), before)
    assert problem is not None
    assert (problem.reason, problem.row_id) == ("CUMULATIVE_EXCEEDED", row.id)
    assert cumulative_problem(later, row, Decimal("0.05"), before[:2]) is None


@pytest.mark.parametrize("row_id", ["A-EPI-IM", "A-EPI-IM-CONS", "A-EPI-IM-9", ""])
def test_a_syringe_is_no_device_by_whichever_pack_it_was_given(row_id: str) -> None:
    """Three IM doses use up no device; they count toward the one milligram all the same."""
    for one in (pack(), pack(CONSENSUS), renamed()):
        row = one.drug(AI.id)
        before = [named(row_id, "epinephrine")] * 3

        assert times_problem(one, row, before) is None
        assert reason(cumulative_problem(one, row, Decimal("0.3"), before)) == "CUMULATIVE_EXCEEDED"


def test_a_device_of_another_drug_is_not_this_one() -> None:
    """What is summed apart is counted apart, whatever it is called."""
    assert times_problem(pack(), AI, [replace(named("gone", DEVICE), counter="atropine")] * 3) is None
    assert times_problem(pack(), AI, [named("gone", DEVICE)] * 2) is None


def test_a_known_row_is_compared_by_id_and_an_unknown_one_by_name_exactly() -> None:
    """Neither a row that sorts before the device's nor a name that sorts after it is the device."""
    last = renamed("Z-DEVICE")

    assert times_problem(last, last.drug("Z-DEVICE"), [named("A-EPI-IM", "epinephrine")] * 3) is None
    assert times_problem(last, last.drug("Z-DEVICE"), [named("gone", "epinephrine nasal")] * 3) is None


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize("said", ["Epinephrine", "adrenaline", "EpiPen Jr", "epinephrine auto-injector"])
def test_a_dose_typed_by_another_name_counts_as_epinephrine(said: str) -> None:
    """The total is the patient's, whatever the label says; another drug has a total of its own."""
    assert counter(said) == EPINEPHRINE
    assert counter("ephedrine") == "ephedrine"
