"""`attend protocol`: one object with the same keys in every step, exact numbers, and one sentence for wrong use."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli import cli
from engine.reactions.dose import plain
from engine.reactions.resolve import Situation, resolve_protocol
from engine.reactions.row import Evidence, Presentation
from engine.reactions.shown import shown
from engine.reactions.state import Severity
from tests.reactions.packs import ACR, CONSENSUS, pack
from tests.reactions.test_dose import ROWS

STEP = [
    "id",
    "kind",
    "text",
    "drug",
    "dose_mg",
    "concentration_mg_per_ml",
    "dose_max_mg",
    "volume_ml",
    "volume_max_ml",
    "amount",
    "unit",
    "form",
    "route",
    "rate",
    "repeat_min_s",
    "repeat_max_s",
    "max_single_mg",
    "max_cumulative_mg",
    "needs_order",
    "read_back",
    "alternative_of",
    "condition",
    "exact_dose_mg",
    "citation",
    "evidence",
    "formula",
]
LEVELS = ("none", "consider", "if_unremitting", "call", "activate_team")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["protocol", *arguments])


def show(presentation: str, *options: str, name: str = ACR) -> Mapping[str, Any]:
    """The object as a reader gets it, numbers exact."""
    done = run("show", "--presentation", presentation, "--pack", name, "--json", *options)
    assert done.exit_code == 0, done.output
    answer: Mapping[str, Any] = json.loads(done.output, parse_float=Decimal)
    return answer


def only(answer: Mapping[str, Any], drug: str, route: str) -> Mapping[str, Any]:
    """The step for a drug by a route; there is exactly one."""
    (step,) = [s for s in answer["steps"] if (s["drug"], s["route"]) == (drug, route)]
    found: Mapping[str, Any] = step
    return found


def test_the_object_has_exactly_its_keys() -> None:
    """Nothing more, nothing less, null where a key does not apply."""
    answer = show(
        "bronchospasm", "--severity", "severe", "--age-years", "6", "--weight-kg", "20", "--setting", "idtf"
    )

    assert list(answer) == ["pack", "pack_hash", "presentation", "severity", "steps", "emergency_call"]
    assert all(list(step) == STEP for step in answer["steps"])
    assert (answer["pack"], answer["pack_hash"]) == (ACR, pack().hash)
    assert (answer["presentation"], answer["severity"], answer["emergency_call"]) == (
        "bronchospasm",
        "severe",
        "call",
    )


def test_an_injectable_has_its_five_things() -> None:
    """Drug, mg, mg/mL, mL and route, with caps, interval, formula and source."""
    step = only(show("bronchospasm", "--age-years", "6", "--weight-kg", "12"), "epinephrine", "IM")

    assert (step["dose_mg"], step["concentration_mg_per_ml"], step["volume_ml"]) == (
        Decimal("0.12"),
        1,
        Decimal("0.12"),
    )
    assert (step["max_single_mg"], step["max_cumulative_mg"]) == (Decimal("0.3"), 1)
    assert (step["repeat_min_s"], step["repeat_max_s"]) == (300, 900)
    assert step["formula"] == "0.01 mg/kg x 12 kg = 0.12 mg; 1 mg/mL → 0.12 mL"
    assert (step["needs_order"], step["alternative_of"], step["evidence"]) == (True, None, "D2")
    assert "Table 2" in step["citation"]


def test_exact_and_measured_stand_side_by_side() -> None:
    """7.5 kg: drawn up 0.07 mL, which is 0.07 mg; exactly 0.075 mg."""
    step = only(show("anaphylaxis", "--age-years", "1", "--weight-kg", "7.5"), "epinephrine", "IM")

    assert (step["dose_mg"], step["volume_ml"], step["exact_dose_mg"]) == tuple(
        map(Decimal, ("0.07", "0.07", "0.075"))
    )


def test_alternatives_name_the_step_they_replace() -> None:
    """The auto-injector and IV epinephrine never read as the next step."""
    answer = show("anaphylaxis", "--age-years", "40")
    first = only(answer, "epinephrine", "IM")
    device = only(answer, "epinephrine auto-injector", "IM")
    vein = only(answer, "epinephrine", "IV")

    assert device["alternative_of"] == vein["alternative_of"] == first["id"]
    assert device["condition"]
    assert (device["amount"], device["unit"], device["form"]) == (1, "device", "auto-injector")
    assert (vein["read_back"], vein["repeat_min_s"]) == ("0.1 mg/mL", None)
    assert "fresh order" in vein["condition"]
    assert len({step["id"] for step in answer["steps"]}) == len(answer["steps"])


def test_how_to_repeat_is_said_in_words_too() -> None:
    """Labetalol is doubled; a number of seconds alone would not say so."""
    step = only(show("hypertensive_crisis", "--age-years", "40"), "labetalol", "IV")

    assert "double every 10 min" in step["text"]
    assert (step["dose_mg"], step["max_single_mg"], step["repeat_min_s"]) == (20, 80, 600)


def test_a_range_fills_both_ends() -> None:
    """25 to 50 mg of diphenhydramine; a fluid's range in mL with the first bolus as its amount (decision (f))."""
    step = only(show("hives", "--age-years", "40", "--severity", "severe"), "diphenhydramine", "IM")
    fluid = next(
        s
        for s in show("hypotension_bradycardia", "--age-years", "6", "--weight-kg", "20")["steps"]
        if s["form"] == "fluid"
    )

    assert (step["dose_mg"], step["dose_max_mg"]) == (25, 50)
    assert (step["volume_ml"], step["volume_max_ml"]) == (Decimal("0.5"), 1)
    assert (fluid["volume_ml"], fluid["volume_max_ml"], fluid["amount"], fluid["unit"]) == (
        200,
        400,
        400,
        "mL",
    )


def test_a_tablet_is_amount_unit_form_and_route() -> None:
    """Other forms have no mL."""
    step = only(show("hives", "--age-years", "40", "--severity", "mild"), "fexofenadine", "PO")

    assert (step["amount"], step["unit"], step["form"], step["volume_ml"]) == (180, "mg", "tablet", None)


def test_a_concentration_that_is_not_given_is_null_and_says_see_vial() -> None:
    """Never a guess."""
    step = only(show("rebound_prevention", "--age-years", "6", "--weight-kg", "20"), "hydrocortisone", "IV")

    assert (step["concentration_mg_per_ml"], step["volume_ml"], step["dose_mg"]) == (None, None, 100)
    assert "see vial" in step["formula"]


def test_an_unknown_weight_asks_first_and_shows_fixed_doses() -> None:
    """A child's dose waits, the question comes before it; an adult's fixed dose shows."""
    child, adult = show("anaphylaxis", "--age-years", "6"), show("anaphylaxis", "--age-years", "40")
    ids = [step["id"] for step in child["steps"]]
    waiting = only(child, "epinephrine", "IM")

    assert ids.index("WEIGHT.1") == ids.index(waiting["id"]) - 1
    assert (waiting["dose_mg"], waiting["volume_ml"], waiting["exact_dose_mg"]) == (None, None, None)
    assert "weight" in waiting["condition"]
    assert only(adult, "epinephrine", "IM")["dose_mg"] == Decimal("0.3")
    assert "WEIGHT.1" not in [step["id"] for step in adult["steps"]]


def test_what_was_given_counts() -> None:
    """A running total stands in the formula; over the cap the step says that it needs an override."""
    patient = ("--age-years", "6", "--weight-kg", "20")
    once = only(show("anaphylaxis", *patient, "--given", "epinephrine im 0.2 mg"), "epinephrine", "IM")
    often = ["--given", "epinephrine im 0.2 mg"] * 5
    over = only(show("anaphylaxis", *patient, *often), "epinephrine", "IM")
    exact = only(show("anaphylaxis", *patient, *often[:8]), "epinephrine", "IM")

    assert "0.4 mg of at most 1 mg with this dose" in once["formula"]
    assert "override" not in str(once["condition"])
    assert "overrides with a reason" in over["condition"]
    assert "override" not in str(exact["condition"])


@pytest.mark.parametrize(
    "words",
    [
        "adrenaline i.m. 0.2 mg",
        "Epi intramuscular 200 mcg",
        "Adrenalin IM 200 µg",
        "epinephrine im 0.0002 g",
        "EpiPen IM 0.2 mg",
        "epinephrine auto-injector im 0.2mg",
        "epinephrine im 0.2 mL",
        "epinephrine iv 2 mL",
    ],
)
def test_a_dose_is_told_as_people_write_it(words: str) -> None:
    """Other names, a route written out or with points, micrograms, millilitres of the pack's product: 0.2 mg count."""
    patient = ("--age-years", "6", "--weight-kg", "20")
    found = only(show("anaphylaxis", *patient, "--given", words), "epinephrine", "IM")

    assert "0.2 mg given before" in found["formula"]


def test_puffs_are_counted_as_the_row_has_them() -> None:
    """Two puffs of 90 mcg are 0.18 mg."""
    answer = show("bronchospasm", "--age-years", "40", "--given", "albuterol inhaled 2 puffs")

    assert "0.18 mg given before" in only(answer, "albuterol", "inhaled")["formula"]


@pytest.mark.parametrize("pack_id", [ACR, CONSENSUS])
@pytest.mark.parametrize(
    "patient", [("--age-years", "40", "--weight-kg", "70"), ("--age-years", "6", "--weight-kg", "20")]
)
def test_the_text_of_a_step_is_enough_for_the_hands(pack_id: str, patient: tuple[str, ...]) -> None:
    """Whoever reads only `text` finds drug, amount, strength, volume and route of every dose."""
    for name in pack(pack_id).presentations:
        for step in show(name, *patient, name=pack_id)["steps"]:
            if step["dose_mg"] is None and step["amount"] is None:
                continue
            said = step["text"].casefold()
            assert step["drug"].casefold() in said and step["route"].casefold() in said
            if step["concentration_mg_per_ml"] is not None and step["volume_ml"] is not None:
                assert f"{step['concentration_mg_per_ml']} mg/ml, " in said
                assert f"{step['volume_ml']}" in said
            number = Decimal(str(step["dose_mg"] if step["amount"] is None else step["amount"]))
            grams = step["amount"] is None and number >= 1000
            assert plain(number / 1000 if grams else number) in said


@pytest.mark.hazard("H-12")
@pytest.mark.parametrize("pack_id", [ACR, CONSENSUS])
def test_the_arrest_syringe_is_warned_of_wherever_it_is_pushed_with_a_pulse(pack_id: str) -> None:
    """Trap X-3: every intravenous row of 0.1 mg/mL says that the whole 10 mL are never pushed, adult and child."""
    rows = [
        row
        for row in pack(pack_id).drugs
        if row.counter == "epinephrine" and row.concentration_mg_per_ml == Decimal("0.1")
    ]

    assert {row.population for row in rows} == {"adult", "child"}
    assert all("Never push the whole 10 mL syringe" in row.caution for row in rows)


def test_a_device_for_a_smaller_child_says_what_it_is_beside_the_dose_by_weight() -> None:
    """0.15 mg for 3 kg is five times 0.03 mg: the physician who confirms it reads that."""
    steps = show("anaphylaxis", "--age-days", "60", "--weight-kg", "3")["steps"]
    (device,) = (step for step in steps if step["drug"] == "epinephrine auto-injector")
    (enough,) = (
        step
        for step in show("anaphylaxis", "--age-years", "6", "--weight-kg", "15")["steps"]
        if step["drug"] == "epinephrine auto-injector"
    )

    assert "0.15 mg is 5 times the 0.03 mg by weight" in device["condition"]
    assert "times" not in enough["condition"]


def test_grams_are_written_as_grams() -> None:
    """25 g of dextrose is not read as 25,000 of anything; the number in mg stays exact."""
    (dextrose,) = (
        step for step in show("hypoglycemia", "--age-years", "40")["steps"] if step["drug"] == "dextrose 50 %"
    )

    assert "dextrose 50 % 25 g (500 mg/mL, 50 mL) IV" in dextrose["text"]
    assert dextrose["formula"].startswith("25 g fixed") and dextrose["dose_mg"] == 25000


def test_an_arrest_dose_is_a_counter_of_its_own() -> None:
    """Given in an arrest it does not count against the anaphylaxis doses, and no cap stops it."""
    given_doses = ["--given", "epinephrine iv 1 mg"] * 4
    arrest = show("cardiac_arrest", "--age-years", "40", *given_doses)
    step = only(arrest, "epinephrine", "IV/IO")

    assert (step["dose_mg"], step["volume_ml"], step["condition"]) == (1, 10, None)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}kg" for row in ROWS])
def test_the_check_vectors_reach_the_reader(row: tuple[Decimal, ...]) -> None:
    """Section 3.2 through the command: exact doses of every column."""
    kg, im, iv, iv_ml, ai, dph, atropine, low, high, hc, mp, d25_ml, arrest_ml = row
    patient = ("--age-years", "6", "--weight-kg", str(kg))
    anaphylaxis = show("anaphylaxis", *patient)
    fluid = next(s for s in anaphylaxis["steps"] if s["form"] == "fluid")
    rebound = show("rebound_prevention", *patient)

    assert only(anaphylaxis, "epinephrine", "IM")["exact_dose_mg"] == im
    assert only(anaphylaxis, "epinephrine", "IV")["exact_dose_mg"] == iv
    assert only(anaphylaxis, "epinephrine", "IV")["volume_ml"] == iv_ml
    assert only(anaphylaxis, "epinephrine auto-injector", "IM")["exact_dose_mg"] == ai
    assert only(anaphylaxis, "diphenhydramine", "IV")["exact_dose_mg"] == dph
    assert only(show("hypotension_bradycardia", *patient), "atropine", "IV")["exact_dose_mg"] == atropine
    assert (fluid["volume_ml"], fluid["volume_max_ml"]) == (low, high)
    assert only(rebound, "hydrocortisone", "IV")["exact_dose_mg"] == hc
    assert only(rebound, "methylprednisolone", "IV")["exact_dose_mg"] == mp
    assert only(show("hypoglycemia", *patient), "dextrose 25 %", "IV")["volume_ml"] == d25_ml
    assert only(show("cardiac_arrest", *patient), "epinephrine", "IV")["volume_ml"] == arrest_ml


@pytest.mark.parametrize(("kg", "mg"), [("40", "0.4"), ("50", "0.5"), ("70", "0.5")])
def test_the_consensus_pack_goes_by_weight_in_adults(kg: str, mg: str) -> None:
    """0.01 mg/kg up to 0.5 mg."""
    answer = show("anaphylaxis", "--age-years", "40", "--weight-kg", kg, name=CONSENSUS)

    assert only(answer, "epinephrine", "IM")["exact_dose_mg"] == Decimal(mg)


@settings(max_examples=200)
@given(
    presentation=st.sampled_from(get_args(Presentation)),
    severity=st.sampled_from(Severity),
    age=st.none() | st.integers(0, 100),
    weight=st.none() | st.decimals(min_value="0.5", max_value="200", places=1),
    setting=st.sampled_from(["office", "idtf", "hopd"]),
    name=st.sampled_from([ACR, CONSENSUS]),
)
def test_every_answer_holds_together(
    presentation: str, severity: Severity, age: int | None, weight: Decimal | None, setting: str, name: str
) -> None:
    """Volume x concentration = dose, never above exact or cap, alternatives point at steps, tags are tags."""
    situation = Situation(
        presentation=presentation, severity=severity, age_years=age, weight_kg=weight, setting=setting
    )
    answer = shown(pack(name), situation, resolve_protocol(pack(name), situation))
    ids = [step["id"] for step in answer["steps"]]

    assert answer["emergency_call"] in LEVELS
    assert answer["steps"]
    assert len(set(ids)) == len(ids)
    for step in answer["steps"]:
        assert list(step) == STEP
        assert step["evidence"] in get_args(Evidence)
        assert step["citation"]
        assert step["text"]
        if step["alternative_of"] is not None:
            assert step["alternative_of"] in ids[: ids.index(step["id"])]
            assert step["condition"]
        dose, strength, volume = step["dose_mg"], step["concentration_mg_per_ml"], step["volume_ml"]
        if None not in (dose, strength, volume):
            assert volume * strength == dose
        if dose is not None:
            assert 0 < dose <= step["exact_dose_mg"]
            assert step["max_single_mg"] is None or dose <= step["max_single_mg"]


WRONG = [
    ("--presentation", ["--presentation", "hiccups"]),
    ("--pack", ["--pack", "acr-1999"]),
    ("--severity", ["--severity", "bad"]),
    ("--setting", ["--setting", "moon"]),
    ("--age-years", ["--age-years", "six"]),
    ("--age-years", ["--age-years", "-1"]),
    ("--age-years", ["--age-years", "131"]),
    ("--weight-kg", ["--weight-kg", "0"]),
    ("--weight-kg", ["--weight-kg", "heavy"]),
    ("--weight-kg", ["--weight-kg", "nan"]),
    ("--weight-kg", ["--weight-kg", "-3"]),
    ("--weight-lb", ["--weight-lb", "44"]),
    ("--weight-lb", ["--weight-kg", "44", "--weight-lb", "44"]),
    ("--sbp", ["--sbp", "high"]),
    ("--hr", ["--hr", "301"]),
    ("--spo2", ["--spo2", "101"]),
    ("--signs", ["--signs", "S-A1-1,S-ZZ"]),
    ("--mri-zone", ["--mri-zone", "V"]),
    ("--given", ["--given", "aspirin po 300 mg"]),
    ("--given", ["--given", "epinephrine 0.2 mg"]),
    ("--given", ["--given", "epinephrine po 0.2 mg"]),
    ("--given", ["--given", "epinephrine im much mg"]),
    ("--given", ["--given", "epinephrine im 0 mg"]),
    ("--given", ["--presentation", "hypoglycemia", "--age-years", "40", "--given", "glucagon im 1 mL"]),
    ("--given", ["--given", "epinephrine im 2 puffs"]),
    ("--given", ["--given", "epinephrine im 0.2 drops"]),
    ("--given", ["--given", ""]),
]


@pytest.mark.parametrize(("option", "arguments"), WRONG, ids=[" ".join(case[1]) for case in WRONG])
def test_wrong_use_is_one_sentence_that_names_the_option(option: str, arguments: list[str]) -> None:
    """Exit code 2, no traceback, nothing printed as an answer."""
    asked = arguments if "--presentation" in arguments else ["--presentation", "hives", *arguments]
    done = run("show", "--json", *asked)

    assert done.exit_code == 2
    assert done.output.startswith(f"Error: {option}: ")
    assert len(done.output.strip().splitlines()) == 1


def test_low_pressure_is_routed_by_the_pulse_and_the_signs() -> None:
    """Decision (d) from the command line, and diffuse erythema with a low pressure is the row for it."""
    patient = ("--age-years", "40", "--sbp", "84")

    assert show("hypotension", *patient, "--hr", "45")["presentation"] == "hypotension_bradycardia"
    assert show("hypotension", *patient, "--hr", "80", "--signs", "S-A1-1")["presentation"] == "anaphylaxis"
    erythema = show("diffuse_erythema", *patient, "--severity", "moderate")
    assert only(erythema, "epinephrine", "IM")["id"] == "T-A-ERY-H.1"
    assert erythema["emergency_call"] == "call"


def test_the_readable_form_numbers_steps_and_not_alternatives() -> None:
    """One line with drug, mg, mg/mL, mL and route."""
    done = run("show", "--presentation", "anaphylaxis", "--age-years", "6", "--weight-kg", "20")

    assert done.exit_code == 0
    assert "epinephrine 0.2 mg (1 mg/mL, 0.2 mL) IM" in done.output
    assert "    or Instead: epinephrine auto-injector" in done.output


def test_list_and_lint() -> None:
    """Both packs, both without an objection, in words and as JSON."""
    listed = json.loads(run("list", "--json").output)
    objections = run("lint", "--json")

    assert {one["pack"]: one["pack_hash"] for one in listed} == {
        name: pack(name).hash for name in (ACR, CONSENSUS)
    }
    assert (json.loads(objections.output), objections.exit_code) == ([], 0)
    assert "no objection" in run("lint").output
    assert ACR in run("list").output
