"""What is offered, which offer an order means, and which row a reported dose belongs to."""

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions import protocol
from engine.reactions.resolve import ProtocolStep, resolve
from engine.reactions.state import OfferedDose, OfferedStep, OrderedDose, Severity, StepState
from tests.reactions.packs import pack
from tests.reactions.test_machine import PHYSICIAN, RESPONDER, graded, offer, opened, order
from tests.reactions.test_resolve import ADULT, CHILD
from tests.reactions.test_steps import other

ANAPHYLAXIS = graded()


def one(row_id: str, **change: object) -> OfferedDose:
    """Return a dose as offered in anaphylaxis to an adult."""
    doses = (dose for step in ANAPHYLAXIS.state.steps.values() for dose in step.offer.doses)
    return replace(next(dose for dose in doses if dose.row_id == row_id), **change)  # type: ignore[arg-type]


def of(*doses: OfferedDose) -> OfferedStep:
    return replace(ANAPHYLAXIS.state.steps["T-A-ANA.1"].offer, doses=doses)


def ordered(row_id: str, mg: str | None = None, **change: object) -> OrderedDose:
    amount = None if mg is None else Decimal(mg)
    made = protocol.order(pack(), of(one(row_id, **change)), "", amount)
    assert made is not None
    return made


def test_an_order_without_a_row_means_the_only_dose_there_is() -> None:
    """One dose needs no name; of several the row has to be said, and a row that is not offered means none."""
    im, iv = one("A-EPI-IM"), one("A-EPI-IV")

    assert protocol.offered(of(im), "") == im
    assert protocol.offered(of(im), "A-EPI-IM") == im
    assert protocol.offered(of(im), "A-EPI-IV") is None
    assert protocol.offered(of(im, iv), "") is None
    assert [protocol.offered(of(im, iv), name) for name in ("A-EPI-IM", "A-EPI-IV")] == [im, iv]
    assert protocol.offered(of(), "") is None


@pytest.mark.parametrize(
    ("waits_for", "high", "weight", "open_"),
    [
        ("", None, False, False),
        ("", Decimal("0.5"), False, True),
        ("weight", None, True, False),
        ("physician", None, False, True),
    ],
)
def test_what_an_order_still_needs(waits_for: str, high: Decimal | None, weight: bool, open_: bool) -> None:
    """The weight, or the mg: of a range and of what the physician decides."""
    step = of(one("A-EPI-IM", waits_for=waits_for, dose_max_mg=high))

    assert protocol.needs_weight(step, "") is weight
    assert protocol.undecided(step, "") is open_
    assert (protocol.needs_weight(of(), ""), protocol.undecided(of(), "")) == (False, False)


def test_an_order_as_offered_is_the_offer() -> None:
    """No mg, or the same mg: the row's words, volume and formula."""
    offered = one("A-EPI-IM")
    for mg in (None, "0.3", "0.30"):
        made = ordered("A-EPI-IM", mg)

        assert (made.dose_mg, made.volume_ml) == (Decimal("0.3"), Decimal("0.3"))
        assert (made.amount_text, made.formula) == (offered.amount_text, offered.formula)
        assert (made.row_id, made.counter, made.route) == ("A-EPI-IM", "epinephrine", "IM")


def test_an_order_of_other_mg_is_measured_anew() -> None:
    """The volume is of these mg, rounded down to the mark, and the words say whose dose it is."""
    made = ordered("A-EPI-IM", "0.256")

    assert (made.dose_mg, made.volume_ml) == (Decimal("0.256"), Decimal("0.25"))
    assert made.amount_text == "epinephrine 0.256 mg (1 mg/mL, 0.25 mL) IM into the anterolateral thigh"
    assert made.formula == f"ordered by the physician; the row says: {one('A-EPI-IM').formula}"


def test_an_order_out_of_a_range_says_its_own_mg() -> None:
    """Also where it is the lower end of the range."""
    low = ordered("A-DPH.IV", "25")

    assert low.amount_text == "diphenhydramine 25 mg (50 mg/mL, 0.5 mL) IV"
    assert (low.volume_ml, low.formula) == (Decimal("0.5"), one("A-DPH.IV").formula)
    assert ordered("A-DPH.IV", "50").volume_ml == Decimal(1)
    assert ordered("A-DPH.PO", "50").amount_text == "diphenhydramine 50 mg oral PO"


def test_an_order_without_a_known_product_says_see_vial() -> None:
    """No concentration, no volume, and nothing guessed."""
    made = ordered("A-DPH.IV", "30", concentration_mg_per_ml=None, measured_ml=None)

    assert made.volume_ml is None
    assert made.amount_text == "diphenhydramine 30 mg (concentration: see vial) IV"
    assert ordered("A-DPH.IV", dose_mg=None).amount_text == one("A-DPH.IV").amount_text


@pytest.mark.parametrize(
    ("counter", "route", "pushed"),
    [
        ("epinephrine", "IV", True),
        ("epinephrine", "IV/IO", True),
        ("epinephrine", "IM", False),
        ("diphenhydramine", "IV", False),
        ("atropine", "IV", False),
        ("epinephrine_arrest", "IV/IO", False),
        ("hydrocortisone", "IV", False),
    ],
)
def test_only_epinephrine_with_a_pulse_asks_for_the_pulse(counter: str, route: str, pushed: bool) -> None:
    """Decision (b); in arrest there is none, and nobody confirms one for another drug."""
    assert protocol.pushed_epinephrine(replace(ordered("A-EPI-IV"), counter=counter, route=route)) is pushed
    assert protocol.pushed_epinephrine(None) is False


@pytest.mark.parametrize(
    ("drug", "route", "row_id"),
    [
        ("epinephrine", "IM", "A-EPI-IM"),
        ("epinephrine", "IV", "A-EPI-IV"),
        ("epinephrine auto-injector", "IM", "A-EPI-AI"),
        ("diphenhydramine", "IM", "A-DPH.IM"),
        ("diphenhydramine", "IV", "A-DPH.IV"),
        ("albuterol", "inhaled", "A-ALB"),
        ("oxygen", "mask", "A-O2"),
        ("albuterol", "IV", None),
        ("atropine", "IV", None),
        ("zinc", "IM", None),
    ],
)
@pytest.mark.parametrize("under", ["T-A-ANA.1", "T-A-ANA.8", ""])
def test_a_reported_dose_belongs_to_the_row_of_its_drug_and_route(
    drug: str, route: str, row_id: str | None, under: str
) -> None:
    """Told under whatever step, with whatever order open there: what went in decides, not what was meant."""
    state = ANAPHYLAXIS.state
    step: StepState | None = state.steps.get(under)
    for row in ("A-EPI-IM", "A-EPI-IV", "A-DPH.IM"):
        told = replace(step, order=ordered(row)) if step is not None else None
        found = protocol.row_of(pack(), state, told, drug, route)

        assert (found.id if found else None) == row_id


def test_the_row_of_the_order_stands_before_the_first_of_its_drug() -> None:
    """Two rows of one drug and route, as with the consensus's fixed dose: the one ordered is meant."""
    state = ANAPHYLAXIS.state
    step = replace(state.steps["T-A-ANA.1"], order=replace(ordered("A-EPI-IM"), row_id="C-EPI-IM"))

    found = protocol.row_of(pack(), state, step, "epinephrine", "IM")

    assert found is not None and found.id == "C-EPI-IM"


def test_doses_of_another_row_use_up_no_order() -> None:
    """A fresh order for each dose counts the doses of its own row: IM before and after changes nothing of IV."""
    play = graded()
    for drug, route in (("epinephrine", "IM"), ("epinephrine auto-injector", "IM"), ("oxygen", "mask")):
        step_id, dose = offer(play, drug, route)
        play.do(
            c.RecordMedicationGiven(step_id=step_id, drug=drug, route=route, dose_mg=dose.dose_mg), RESPONDER
        )
    play.do(order(play, route="IV", pulse_confirmed=True, override_reason="no answer to IM"), PHYSICIAN)
    step_id, dose = offer(play, "epinephrine", "IV")
    told = c.RecordMedicationGiven(step_id=step_id, drug="epinephrine", route="IV", dose_mg=dose.dose_mg)
    play.do(told, RESPONDER)
    play.do(told, RESPONDER)
    flags = ["FRESH_ORDER_NEEDED" in given.beyond for given in play.of(e.MedicationGiven)]

    assert flags == [False, False, False, False, True]
    kept = replace(play.state, given=tuple(replace(m, row_id=other(m.row_id)) for m in play.state.given))
    assert "FRESH_ORDER_NEEDED" in protocol.beyond(
        pack(), play.state.given[-1], kept, play.now, ordered=2, doses_mg=()
    )
    assert "FRESH_ORDER_NEEDED" not in protocol.beyond(
        pack(), play.state.given[-1], kept, play.now, ordered=3, doses_mg=()
    )
    assert [dose.row_id for dose in play.state.given] == [
        "A-EPI-IM",
        "A-EPI-AI",
        "A-O2",
        "A-EPI-IV",
        "A-EPI-IV",
    ]


def test_only_a_step_that_watches_repeats_by_the_clock() -> None:
    """The interval of a drug is its dose's; a step that gives it is not measured again."""
    steps = {step.step_id: step for step in (state.offer for state in ANAPHYLAXIS.state.steps.values())}
    im = steps["T-A-ANA.1"]

    assert (im.doses[0].repeat_min_s, im.doses[0].repeat_max_s) == (300, 900)
    assert {step_id: step.repeat_s for step_id, step in steps.items() if step.repeat_s} == {"VS-8": 300}
    assert {step_id: step.observe_s for step_id, step in steps.items() if step.observe_s} == {}


def test_merged_steps_keep_every_action_and_watch_last() -> None:
    """Two presentations: no action lost, one call at its most urgent, observations at the end, numbers through."""
    names = ("seizure", "bronchospasm", "hypotension_bradycardia")
    asked = [replace(ADULT, presentation=name, severity=Severity.MODERATE) for name in names]
    apart: list[ProtocolStep] = [step for situation in asked for step in resolve(pack(), situation)]
    merged = protocol.merged(apart)
    kinds = [step.kind for step in merged]

    assert {step.text for step in apart if step.kind in ("action", "observe")} == {
        step.text for step in merged if step.kind in ("action", "observe")
    }
    assert [step.call_level for step in merged if step.kind == "call"] == ["if_unremitting"]
    assert kinds == sorted(kinds, key=lambda kind: kind == "observe")
    assert [step.number for step in merged] == list(range(1, len(merged) + 1))
    offered = [option.row_id for step in merged for option in step.options]
    assert sorted(offered) == sorted({option.row_id for step in apart for option in step.options})
    assert all((step.options == ()) is (step.dose is None) for step in merged)


@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
def test_laryngeal_edema_with_low_pressure_is_offered_anaphylaxis_beside_it(patient: object) -> None:
    """Rule 1C suggests it, and together they have the airway, the fluid and each epinephrine once."""
    child = patient is CHILD
    play = opened(age_years=6, weight_kg=Decimal(20)) if child else opened()
    play.do(c.RecordSigns(signs=("S-A2-4",)), RESPONDER)
    play.do(c.RecordVitals(systolic_mmhg=60, heart_rate_bpm=150, spo2_percent=97), RESPONDER)

    assert {"anaphylaxis", "laryngeal_edema"} <= set(play.state.suggested_presentations)
    assert play.state.suggested is Severity.SEVERE
    steps = [step.offer for step in play.state.steps.values() if "superseded" not in step.phases]
    rows = [dose.row_id for step in steps for dose in step.doses]
    assert child or "Prepare help for the airway." in {step.text for step in steps}
    assert len(rows) == len(set(rows))
    assert ({"C-EPI-IM", "C-FLU"} if child else {"A-EPI-IM", "A-NS"}) <= set(rows)


@pytest.mark.parametrize(
    ("mg", "ml", "strength", "went"),
    [
        ("0.3", "9", "1", "0.3"),
        (None, "0.3", "1", "0.3"),
        (None, "10", "0.1", "1"),
        (None, "10", None, None),
        (None, None, "1", None),
    ],
)
def test_how_much_went_in(mg: str | None, ml: str | None, strength: str | None, went: str | None) -> None:
    """As told in mg, or volume times concentration, or not known."""
    told = [None if number is None else Decimal(number) for number in (mg, ml, strength)]

    assert protocol.amount_mg(*told) == (None if went is None else Decimal(went))


@pytest.mark.parametrize(
    ("row_id", "kg", "waits_for", "settled"),
    [
        ("A-EPI-IM", "70", "", True),
        ("A-EPI-IM", "70", "physician", False),
        ("C-EPI-IM", "20", "", True),
        ("C-EPI-IM", None, "", False),
        ("C-EPI-AI", "20", "", True),
        ("C-EPI-AI", "14", "", False),
        ("A-EPI-XX", "70", "", False),
    ],
)
def test_only_a_dose_that_needs_nobody_is_settled(
    row_id: str, kg: str | None, waits_for: str, settled: bool
) -> None:
    """A standing order holds for a number that is there and that nobody has to confirm."""
    state = replace(ANAPHYLAXIS.state, weight_kg=None if kg is None else Decimal(kg))
    dose = replace(one("A-EPI-IM"), row_id=row_id, waits_for=waits_for)

    assert protocol.settled(pack(), state, dose) is settled


@pytest.mark.parametrize(
    ("row_id", "never"),
    [("A-EPI-ARREST", True), ("C-EPI-ARREST", True), ("A-EPI-IV", False), ("A-EPI-XX", False)],
)
def test_only_doses_in_arrest_pass_everything(row_id: str, never: bool) -> None:
    """Decision (g); a row that is gone passes nothing."""
    assert protocol.never_blocked(pack(), replace(ordered("A-EPI-IV"), row_id=row_id)) is never


def test_an_order_of_a_row_that_is_gone_says_so() -> None:
    """Another pack in force: the order stands and is not judged by a neighbour."""
    gone = replace(ordered("A-EPI-IM"), row_id="A-EPI-XX")

    assert protocol.problems(pack(), gone, ANAPHYLAXIS.state, ANAPHYLAXIS.now) == ("DOSE_ROW_GONE",)


@pytest.mark.parametrize(
    ("drug", "counter"),
    [
        ("EpiPen", "epinephrine"),
        ("Adrenaline", "epinephrine"),
        ("Atropine", "atropine"),
        ("ephedrine", "ephedrine"),
    ],
)
def test_a_dose_without_a_row_is_summed_by_its_drug(drug: str, counter: str) -> None:
    """Every name of epinephrine is one counter."""
    assert protocol.counter(drug) == counter


def test_the_same_words_are_done_once_and_another_drug_is_offered_still() -> None:
    """Two rows may say one action; two drugs with the same sentence are two drugs."""
    steps = {step.step_id: step for step in resolve(pack(), ADULT)}
    stop, epinephrine, wheeze = (steps[name] for name in ("STOP.2", "T-A-ANA.1", "T-A-ANA.7"))
    again = replace(stop, step_id=other("X.1"), kind=other(stop.kind), text=other(stop.text))
    repeated = replace(epinephrine, step_id=other(epinephrine.step_id))
    like = replace(wheeze, step_id="X.2", text=epinephrine.text)
    call = replace(steps["T-A-ANA.2"], kind=other("call"), step_id="X.3", call_level="consider")
    renamed = replace(stop, step_id=other(stop.step_id), text="Tell somebody.")
    urgent = replace(
        steps["T-A-ANA.2"], step_id="X.4", kind=other("call"), text="Call.", call_level="activate_team"
    )
    every = [
        stop,
        epinephrine,
        steps["T-A-ANA.2"],
        again,
        renamed,
        repeated,
        like,
        call,
        steps["VS-8"],
        wheeze,
    ]
    found = protocol.merged(every)
    more = protocol.merged([*every, urgent])

    assert [step.step_id for step in found] == ["STOP.2", "T-A-ANA.1", "T-A-ANA.2", "X.2", "VS-8"]
    assert [step.call_level for step in found if step.kind == "call"] == ["call"]
    assert [step.step_id for step in more] == ["STOP.2", "T-A-ANA.1", "X.4", "X.2", "VS-8"]


@pytest.mark.parametrize(
    ("rows", "first", "rest"),
    [
        (("A-EPI-IM",), "A-EPI-AI", ["A-EPI-IV"]),
        (("A-EPI-AI",), "A-EPI-IM", ["A-EPI-IV"]),
        (("A-EPI-IM", "A-EPI-AI"), "A-EPI-IV", []),
    ],
)
def test_what_is_offered_already_leaves_the_rest_of_its_step(
    rows: tuple[str, ...], first: str, rest: list[str]
) -> None:
    """The first that is left is the step's dose, the others its alternatives."""
    step = next(one_ for one_ in resolve(pack(), ADULT) if one_.step_id == "T-A-ANA.1")
    kept = tuple(option for option in step.options if option.row_id in rows)
    before = replace(step, step_id="X.1", dose=kept[0], alternatives=kept[1:])
    found = protocol.merged([before, step])[1]

    assert found.dose is not None and found.dose.row_id == first
    assert [option.row_id for option in found.alternatives] == rest


def test_an_offer_is_the_same_whatever_object_its_words_are() -> None:
    """A drug told from outside, and a dose kept from before, are compared by what they say."""
    state = ANAPHYLAXIS.state
    step = replace(state.steps["T-A-ANA.1"], order=replace(ordered("A-EPI-IM"), row_id="C-EPI-IM"))
    for under, row_id in ((step, "C-EPI-IM"), (None, "A-EPI-IM")):
        found = protocol.row_of(pack(), state, under, other("epinephrine"), other("IM"))

        assert found is not None and found.id == row_id
    for waits_for, weight, open_ in (("weight", True, False), ("physician", False, True)):
        waiting = of(one("A-EPI-IM", waits_for=other(waits_for)))

        assert (protocol.needs_weight(waiting, ""), protocol.undecided(waiting, "")) == (weight, open_)
    assert protocol.pushed_epinephrine(replace(ordered("A-EPI-IV"), counter=other("epinephrine")))


@pytest.mark.parametrize(
    ("sign", "steps"),
    [("S-A1-1", {"T-A-HIV-1.2"}), ("S-A2-1", {"T-A-HIV-2.1"}), ("S-A3-4", {"T-A-BRO-3.1", "T-A-BRO-3.3"})],
)
def test_before_a_grade_the_steps_are_those_of_the_grade_suggested(sign: str, steps: set[str]) -> None:
    """Not of a worse one, not of a milder one."""
    play = opened()
    play.do(c.RecordSigns(signs=(sign,)), RESPONDER)
    offered = {step.offer.step_id for step in play.state.steps.values() if step.offer.kind == "drug"}

    assert offered == steps


def test_what_waits_for_the_weight_has_no_number_and_no_cap_applied() -> None:
    """The rule in words, the product and the cap of the row."""
    play = graded(age_years=6, weight_kg=None)
    _, waiting = offer(play, "epinephrine", "IM")

    assert (waiting.waits_for, waiting.dose_mg, waiting.volume_ml, waiting.measured_ml) == (
        "weight",
        None,
        None,
        None,
    )
    assert (waiting.cap_applied, waiting.max_single_mg) == (False, Decimal("0.3"))
    assert (waiting.concentration_mg_per_ml, waiting.formula) == (Decimal(1), "0.01 mg/kg, at most 0.3 mg")
    assert waiting.amount_text == "epinephrine IM: 0.01 mg/kg, at most 0.3 mg"


def test_an_order_too_small_for_the_syringe_has_no_volume() -> None:
    """The mg stand; nothing is drawn up that no mark shows."""
    made = ordered("A-DPH.IV", "25", measured_ml=None)

    assert (made.dose_mg, made.volume_ml) == (Decimal(25), None)
    assert made.amount_text.startswith("diphenhydramine 25 mg (")
