"""The steps of a protocol in full: kind, words, call, doses and what follows, so that no routing moves unseen."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from engine.reactions.dose import Dose
from engine.reactions.pack import Choice, Pack, Progression, StepRow
from engine.reactions.resolve import (
    DoseOption,
    ProtocolStep,
    ResolvedProtocol,
    Situation,
    needs_weight,
    progressed,
    resolve_protocol,
    twins,
)
from engine.reactions.state import Severity
from tests.reactions.packs import CONSENSUS, pack
from tests.reactions.test_guards import went_in
from tests.reactions.test_resolve import ADULT, CHILD, protocol
from tests.reactions.test_severity import vitals

EPINEPHRINE = ("C-EPI-IM", "C-EPI-AI", "C-EPI-IV")
AFTER_SEVERE = [
    ("VS-8", "observe", "none", ()),
    ("O-5", "observe", "none", ()),
    ("O-6", "observe", "none", ()),
    ("O-8", "observe", "none", ()),
]
BRONCHOSPASM = {
    Severity.MILD: [
        ("T-C-BRO.3", "drug", "none", ("C-ALB",)),
        ("T-C-BRO.5", "call", "consider", ()),
        ("VS-8-MILD", "observe", "none", ()),
        ("O-1", "observe", "none", ()),
    ],
    Severity.MODERATE: [
        ("T-C-BRO.3", "drug", "none", ("C-ALB",)),
        ("T-C-BRO.4", "drug", "none", EPINEPHRINE),
        ("T-C-BRO.5", "call", "consider", ()),
        ("VS-8", "observe", "none", ()),
        ("O-4", "observe", "none", ()),
    ],
    Severity.SEVERE: [
        ("T-C-BRO.1", "drug", "none", EPINEPHRINE),
        ("T-C-BRO.2", "call", "call", ()),
        ("T-C-BRO.3", "drug", "none", ("C-ALB",)),
        *AFTER_SEVERE,
    ],
}


def lines(found: ResolvedProtocol) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return each step as id, kind, call level and the rows of its doses."""
    return [
        (step.step_id, step.kind, step.call_level, tuple(option.row_id for option in step.options))
        for step in found.steps
    ]


def step(found: ResolvedProtocol, step_id: str) -> ProtocolStep:
    return next(one for one in found.steps if one.step_id == step_id)


def with_row(row_id: str, **change: Any) -> Pack:
    """Return the pack with one protocol changed."""
    rows = tuple(replace(row, **change) if row.id == row_id else row for row in pack().protocols)
    return replace(pack(), protocols=rows)


@pytest.mark.parametrize("severity", Severity)
def test_a_childs_bronchospasm_has_the_steps_of_its_grade(severity: Severity) -> None:
    """T-C-BRO: every step of the grade and no other, with the child's oxygen, in order, numbered through."""
    found = protocol(replace(CHILD, presentation="bronchospasm", severity=severity))

    assert lines(found) == [
        ("STOP.1", "action", "none", ()),
        ("STOP.2", "action", "none", ()),
        ("BASE.1", "action", "none", ()),
        ("BASE.2", "action", "none", ("C-O2",)),
        *BRONCHOSPASM[severity],
    ]
    assert [one.number for one in found.steps] == list(range(1, len(found.steps) + 1))
    assert {one.needs_order for one in found.steps if one.kind == "drug"} == {True}
    assert {one.needs_order for one in found.steps if one.kind != "drug"} == {False}


def test_only_a_call_has_the_words_of_a_call() -> None:
    """Every other step keeps its own, whatever the level."""
    found = protocol(replace(CHILD, presentation="bronchospasm"))
    said = [one.step_id for one in found.steps if one.text == "Call the emergency service now."]

    assert said == ["T-C-BRO.2"]
    assert step(found, "T-C-BRO.1").text == "Give epinephrine IM now."
    assert step(found, "T-C-BRO.3").text == "Give albuterol by inhaler."


@pytest.mark.parametrize(
    ("severity", "minutes"), [(Severity.MILD, 15), (Severity.MODERATE, 5), (Severity.SEVERE, 5)]
)
def test_vital_signs_are_measured_again_in_the_minutes_of_the_row(severity: Severity, minutes: int) -> None:
    """VS-8: the words and the seconds say the same time."""
    found = protocol(replace(CHILD, presentation="bronchospasm", severity=severity))
    again = step(found, "VS-8-MILD" if severity is Severity.MILD else "VS-8")

    assert again.text == f"Measure vital signs again every {minutes} minutes."
    assert (again.repeat_min_s, again.repeat_max_s) == (minutes * 60, None)
    assert (again.observe_min_s, again.observe_max_s, again.observe_from) == (None, None, "")


@pytest.mark.parametrize(
    ("severity", "row_id", "watched"),
    [
        (Severity.MILD, "O-1", (1200, 1800, "onset")),
        (Severity.MODERATE, "O-4", (3600, None, "resolution")),
        (Severity.SEVERE, "O-6", (None, 21600, "resolution")),
    ],
)
def test_what_is_watched_has_the_times_of_its_row(
    severity: Severity, row_id: str, watched: tuple[int | None, int | None, str]
) -> None:
    """6A: from when, how long at least, how long at most."""
    found = step(protocol(replace(CHILD, presentation="bronchospasm", severity=severity)), row_id)

    assert (found.observe_min_s, found.observe_max_s, found.observe_from) == watched
    assert (found.repeat_min_s, found.repeat_max_s) == (None, None)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(
    ("presentation", "back"), [("hypotension_bradycardia", False), ("hypotension", True)]
)
def test_what_does_not_come_back_is_not_said_to(presentation: str, back: bool, given: bool) -> None:
    """O-8 is not for a physiologic reaction, which is watched and measured again all the same."""
    doses = (went_in("A-EPI-IM", "0.3", 0),) if given else ()
    severe = replace(ADULT, presentation=presentation, severity=Severity.SEVERE, given=doses)
    ids = {one.step_id for one in protocol(severe).steps}

    assert {"VS-8", "O-5", "O-6"} <= ids
    assert ("O-8" in ids) is back


@pytest.mark.parametrize("setting", ["".join(("ho", "pd")), "office"])
def test_the_team_is_for_the_hospital_alone(setting: str) -> None:
    """A setting that came in from outside is the same setting."""
    found = protocol(replace(CHILD, setting=setting))

    assert found.emergency_call == ("activate_team" if setting == "hopd" else "call")
    assert found.asked == "anaphylaxis"


@pytest.mark.parametrize("word", ["hypotension", "bronchospasm"])
def test_a_presentation_that_came_in_from_outside_is_the_same(word: str) -> None:
    """Words are compared by what they say: a fast pulse routes plain hypotension, and nothing else."""
    told = "".join(list(word))
    found = protocol(
        replace(ADULT, presentation=told, severity=Severity.MODERATE, vitals=vitals(120, 130, 98))
    )

    assert found.presentation == {"hypotension": "hypotension_tachycardia"}.get(word, word)


@pytest.mark.parametrize(
    ("sign", "became"), [("S-P1-1", "hypotension"), ("S-X3-1", "hypotension"), ("S-A1-1", "anaphylaxis")]
)
@pytest.mark.parametrize("measured", [True, False])
def test_only_an_allergic_like_sign_makes_low_pressure_anaphylaxis(
    sign: str, became: str, measured: bool
) -> None:
    """Decision (d): nausea, or arrest whose cause is unclear, does not; the support row asks the physician."""
    asked = replace(ADULT, presentation="hypotension", severity=Severity.MODERATE, signs=(sign,))
    found = protocol(replace(asked, vitals=vitals(80, 80) if measured else None))

    assert found.presentation == became


def test_zone_four_alone_is_left_first() -> None:
    """Outside of it nobody is moved."""
    first = [protocol(replace(ADULT, mri_zone=zone)).steps[0].step_id for zone in ("", "III", "IV")]

    assert first == ["STOP.1", "STOP.1", "ZONE.1"]


@pytest.mark.parametrize(("kg", "asks"), [(None, True), (Decimal(0), True), (Decimal(20), False)])
def test_the_weight_is_asked_once_and_just_before_the_first_dose_by_it(
    kg: Decimal | None, asks: bool
) -> None:
    """Not before the steps that need none, not again, and not when it is known."""
    found = protocol(replace(CHILD, weight_kg=kg))
    ids = [one.step_id for one in found.steps]
    first = next(one.number for one in protocol(replace(CHILD, weight_kg=None)).steps if needs_weight(one))

    assert ids.count("WEIGHT.1") == asks
    assert not asks or (ids.index("WEIGHT.1") + 2, ids.index("T-C-ANA.1") + 1) == (first, first)
    assert [one.number for one in found.steps] == list(range(1, len(ids) + 1))


def test_an_adult_with_fixed_doses_is_not_asked_for_the_weight() -> None:
    """The consensus's dose by weight asks, ACR's fixed one does not."""
    unknown = replace(ADULT, weight_kg=None)

    assert "WEIGHT.1" not in {one.step_id for one in protocol(unknown).steps}
    assert "WEIGHT.1" in {one.step_id for one in protocol(unknown, CONSENSUS).steps}


@pytest.mark.parametrize(
    ("presentation", "severity", "level", "calls"),
    [
        ("diffuse_erythema", Severity.MILD, "consider", ["T-C-ERY.2"]),
        ("hypotension_bradycardia", Severity.MILD, "consider", ["T-C-HYP-B.2"]),
        ("hypotension_bradycardia", Severity.MODERATE, "consider", ["T-A-HYP-B.2"]),
        ("bronchospasm", Severity.MILD, "consider", ["T-A-BRO-1.2"]),
        ("bronchospasm", Severity.SEVERE, "call", ["T-A-BRO-3.2"]),
        ("hives", Severity.SEVERE, "none", []),
    ],
)
def test_an_unknown_age_calls_as_the_more_urgent_row_says(
    presentation: str, severity: Severity, level: str, calls: list[str]
) -> None:
    """The child's call stands where the adult's row has none, and never beside the adult's."""
    found = protocol(replace(ADULT, presentation=presentation, severity=severity, age_years=None))
    shown = [one for one in found.steps if one.kind == "call"]

    assert (found.emergency_call, found.population) == (level, "unknown")
    assert [(one.step_id, one.call_level) for one in shown] == [(name, level) for name in calls]
    assert [one.number for one in found.steps] == list(range(1, len(found.steps) + 1))


def test_an_unknown_age_offers_each_dose_for_both_and_instead_of_the_first() -> None:
    """Adult's first, child's beside it; every alternative names the adult's first choice."""
    asked = replace(
        ADULT, presentation="bronchospasm", severity=Severity.MODERATE, age_years=None, weight_kg=None
    )
    found = step(protocol(asked), "T-A-BRO-2.2")

    assert [(one.row_id, one.instead_of, one.condition.partition(";")[0]) for one in found.options] == [
        ("A-EPI-IM", "", "from 18 years on"),
        ("C-EPI-IM", "A-EPI-IM", "below 18 years"),
        ("A-EPI-AI", "A-EPI-IM", "from 18 years on"),
        ("C-EPI-AI", "A-EPI-IM", "below 18 years"),
        ("A-EPI-IV", "A-EPI-IM", "from 18 years on"),
        ("C-EPI-IV", "A-EPI-IM", "below 18 years"),
    ]


def test_a_pack_without_a_childs_row_resolves_an_unknown_age() -> None:
    """What is not there adds no call."""
    rows = tuple(row for row in pack().protocols if row.id != "T-C-BRO")
    asked = replace(ADULT, presentation="bronchospasm", age_years=None)

    assert resolve_protocol(replace(pack(), protocols=rows), asked).emergency_call == "call"


def test_each_population_progresses_by_its_own_row() -> None:
    """A row that is changed for children changes nothing for adults, and the other way round."""
    elsewhere = (Progression(finding="hypotension", presentation="laryngeal_edema"),)
    low = vitals(60, 150)
    for row_id, patient, other in (("T-C-BRO", CHILD, ADULT), ("T-A-BRO-3", ADULT, CHILD)):
        changed = with_row(row_id, progressions=elsewhere)
        mine, theirs = (
            progressed(changed, replace(one, presentation="bronchospasm", vitals=low)).presentation
            for one in (patient, other)
        )
        assert (mine, theirs) == ("laryngeal_edema", "anaphylaxis")


@pytest.mark.parametrize(
    ("kg", "words"),
    [
        ("3", "0.15 mg is 5 times the 0.03 mg by weight"),
        ("7", "0.15 mg is 2.1 times the 0.07 mg by weight"),
        ("14.5", "0.15 mg is 1 times the 0.145 mg by weight"),
        ("15", ""),
        ("20", ""),
    ],
)
def test_a_device_for_a_larger_child_says_how_much_more_it_is(kg: str, words: str) -> None:
    """The auto-injector below its label's weight, beside the dose by weight of the same drug and route."""
    options = {
        one.row_id: one.dose
        for one in step(protocol(replace(CHILD, weight_kg=Decimal(kg))), "T-C-ANA.1").options
    }
    device, by_weight, pushed = (options[name] for name in ("C-EPI-AI", "C-EPI-IM", "C-EPI-IV"))

    assert isinstance(device, Dose) and isinstance(by_weight, Dose) and isinstance(pushed, Dose)
    assert device.confirm.endswith(words) and bool(device.confirm) == bool(words)
    assert device.dose_mg == Decimal("0.15")
    assert (by_weight.confirm, pushed.confirm) == ("", "")


def test_what_nobody_said_of_a_step_or_a_patient_is_no() -> None:
    """The defaults: no order needed, no standing order, no sign weighed, no call."""
    known = {one.name: one.default for kind in (Situation, ProtocolStep, DoseOption) for one in fields(kind)}

    assert (known["needs_order"], known["standing_order"], known["signs_weighed"]) == (False, False, False)
    assert known["call_level"] == "none"


@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
def test_laryngeal_edema_keeps_its_row_when_pressure_falls(patient: Situation) -> None:
    """T-A-LAR and T-C-LAR state no row that takes over: epinephrine, call and the airway stay, at every grade."""
    for severity in Severity:
        asked = replace(
            patient, presentation="laryngeal_edema", severity=severity, vitals=vitals(60, 150, 85)
        )
        found = protocol(asked)

        assert (found.presentation, found.severity, found.emergency_call) == (
            "laryngeal_edema",
            severity,
            "call",
        )
        assert {"T-A-LAR.3", "T-C-LAR.2"} & {one.step_id for one in found.steps}


def test_only_calls_of_the_childs_row_join_an_adults_steps() -> None:
    """While the age is not known, what else the child's row does is not mixed in."""
    more = (
        StepRow(id="X.1", kind="action", text="Something for a child."),
        StepRow(id="X.2", kind="drug", text="A drug."),
    )
    row = next(one for one in pack().protocols if one.id == "T-C-HYP-B")
    asked = replace(ADULT, presentation="hypotension_bradycardia", severity=Severity.MILD, age_years=None)
    found = resolve_protocol(with_row("T-C-HYP-B", steps=(*more, *row.steps)), asked)

    assert {"X.1", "X.2"} & {one.step_id for one in found.steps} == set()
    assert "T-C-HYP-B.2" in {one.step_id for one in found.steps}


@pytest.mark.parametrize(
    ("first", "kg", "words"),
    [
        ("C-ATR", "3", "0.15 mg is 5 times the 0.03 mg by weight"),
        ("C-EPI-IV", "14", "0.15 mg is 1.1 times the 0.14 mg by weight"),
    ],
)
def test_a_device_is_compared_with_its_own_drug_and_route_alone(first: str, kg: str, words: str) -> None:
    """Another drug or the same one into a vein, less than the device and offered first, is no measure of it."""
    choices = tuple(Choice(row=name) for name in (first, "C-EPI-AI", "C-EPI-IM"))
    changed = with_row("T-C-ANA", steps=(StepRow(id="X.1", kind="drug", text="Give.", choices=choices),))
    found = resolve_protocol(changed, replace(CHILD, weight_kg=Decimal(kg)))
    device = step(found, "X.1").options[1].dose

    assert isinstance(device, Dose)
    assert device.confirm.endswith(words)


def test_a_device_that_holds_less_than_the_dose_by_weight_says_nothing_of_it() -> None:
    """Only more than the weight gives is a reason to stop."""
    drugs = tuple(
        replace(row, confirm_below_kg=Decimal(29)) if row.id == "C-EPI-AI" else row for row in pack().drugs
    )
    for kg in ("15", "20"):
        found = resolve_protocol(replace(pack(), drugs=drugs), replace(CHILD, weight_kg=Decimal(kg)))
        device = step(found, "T-C-ANA.1").options[1].dose

        assert isinstance(device, Dose)
        assert device.confirm and "times" not in device.confirm


@pytest.mark.parametrize("patient", [ADULT, CHILD], ids=["adult", "child"])
def test_only_drugs_need_an_order(patient: Situation) -> None:
    """Looking again, oxygen and the call do not wait for one; the standing order is the first dose alone."""
    found = protocol(patient)

    assert [one.needs_order for one in found.steps] == [one.kind == "drug" for one in found.steps]
    assert [one.step_id for one in found.steps if one.standing_order] == [found.row_id + ".1"]


def test_the_other_populations_row_is_found_from_either_side() -> None:
    """The same drug, form and route; nothing of one's own population."""
    for mine, theirs in (("A-EPI-IM", "C-EPI-IM"), ("C-EPI-IM", "A-EPI-IM"), ("C-DPH.PO", "A-DPH.PO")):
        assert [row.id for row in twins(pack(), pack().drug(mine))] == [theirs]
    assert twins(pack(), pack().drug("A-LAB")) == ()


def test_two_rows_of_one_population_are_no_twins() -> None:
    """The consensus has two of the same drug, form and route for adults, in whatever objects their words are."""
    drugs = tuple(replace(row, population=other(row.population)) for row in pack(CONSENSUS).drugs)
    copy = replace(pack(CONSENSUS), drugs=drugs)

    for name in ("A-EPI-IM-CONS", "A-EPI-IM-FIXED"):
        assert [row.id for row in twins(copy, copy.drug(name))] == ["C-EPI-IM"]


def other(word: str) -> Any:
    """Return the same word as another object, as everything that comes in from outside is."""
    return "".join(list(word))


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("age_years", [40, 6, None])
@pytest.mark.parametrize("zone", ["", "IV"])
def test_words_are_compared_by_what_they_say(zone: str, age_years: int | None, severity: Severity) -> None:
    """A pack and a patient from elsewhere, whose words are the same and no shared objects, have the same steps."""
    known = pack()
    protocols = tuple(
        replace(
            row,
            population=other(row.population),
            nature=other(row.nature),
            steps=tuple(replace(one, kind=other(one.kind)) for one in row.steps),
        )
        for row in known.protocols
    )
    copy = replace(
        known,
        protocols=protocols,
        drugs=tuple(replace(row, population=other(row.population)) for row in known.drugs),
        values=tuple(replace(row, name=other(row.name)) for row in known.values),
        signs=tuple(replace(sign, kind=other(sign.kind)) for sign in known.signs),
    )
    for name in known.presentations:
        asked = replace(
            ADULT,
            presentation=name,
            severity=severity,
            age_years=age_years,
            signs=("S-A1-1",),
            signs_weighed=True,
        )
        told = replace(asked, presentation=other(name), mri_zone=other(zone), signs=(other("S-A1-1"),))

        assert resolve_protocol(copy, told) == resolve_protocol(known, replace(asked, mri_zone=zone))


@pytest.mark.parametrize(
    ("patient", "presentation", "step_id", "seconds"),
    [
        (ADULT, "anaphylaxis", "T-A-ANA.1", (300, 900)),
        (CHILD, "anaphylaxis", "T-C-ANA.1", (300, 900)),
        (ADULT, "cardiac_arrest", "T-A-ARR.5", (180, 300)),
        (ADULT, "hives", "T-A-HIV-3.1", (None, None)),
    ],
)
def test_a_step_is_repeated_as_its_first_dose_is(
    patient: Situation, presentation: str, step_id: str, seconds: tuple[int | None, int | None]
) -> None:
    """Not as its last alternative, whose interval may be no number."""
    found = step(protocol(replace(patient, presentation=presentation)), step_id)

    assert (found.repeat_min_s, found.repeat_max_s) == seconds


def test_the_consensus_offers_an_unknown_patient_the_fixed_dose_first() -> None:
    """Then the adult's by weight instead of it, and the child's beside that one."""
    found = step(protocol(replace(ADULT, age_years=None, weight_kg=None), CONSENSUS), "T-A-ANA.1")

    assert [(one.row_id, one.instead_of) for one in found.options[:3]] == [
        ("A-EPI-IM-FIXED", ""),
        ("A-EPI-IM-CONS", "A-EPI-IM-FIXED"),
        ("C-EPI-IM", "A-EPI-IM-CONS"),
    ]


def test_another_interval_of_a_pack_is_said_in_whole_minutes() -> None:
    """59 minutes are 59, whatever the shipped rows say."""
    values = tuple(replace(row, value=Decimal(3540)) if row.id == "VS-8" else row for row in pack().values)
    again = step(resolve_protocol(replace(pack(), values=values), ADULT), "VS-8")

    assert (again.text, again.repeat_min_s) == ("Measure vital signs again every 59 minutes.", 3540)
