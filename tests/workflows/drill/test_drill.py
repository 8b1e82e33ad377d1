"""A drill's course: planned by rule, worse by its timers, turned by treatment, over at its time."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bootstrap import load_packs, load_scenarios
from engine.kernel.commands import TimerFired
from engine.kernel.errors import Invalid
from engine.workflows.drill import commands as c
from engine.workflows.drill import events as e
from engine.workflows.drill.scenario import CHECKS, FULL_MARKS, Scenario, parse_scenarios
from tests.workflows.machines import machine
from tests.workflows.play import START, Play

SCENARIO = "anaphylaxis-adult"


def plan(**change: object) -> c.PlanDrill:
    fields = {
        "organization_id": "org-1",
        "site_id": "site-1",
        "room_id": "ct-1",
        "scenario_id": SCENARIO,
        "announced": True,
    }
    return c.PlanDrill(**{**fields, **change})  # type: ignore[arg-type]  # fields of mixed kinds


def running() -> Play:
    play = Play(machine("drill"), "d-1")
    play.do(plan())
    play.do(c.StartDrill())
    return play


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scenario_id": "unheard-of"}, "SCENARIO_UNKNOWN"),
        ({"announced": False}, "DUE_TIME_MISSING"),
        ({"due_at": START}, "DUE_TIME_PAST"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, object], reason: str) -> None:
    """An unknown script, a surprise without a time, a time that has passed."""
    assert Play(machine("drill"), "d-1").refused(plan(**change)) == reason


def test_calling_off_needs_a_reason() -> None:
    """A drill that was called off says why; it never starts after that."""
    play = Play(machine("drill"), "d-1")
    play.do(plan(announced=False, due_at=START + dt.timedelta(minutes=5)))

    assert play.refused(c.CancelDrill(reason=" ")) == "REASON_MISSING"
    play.do(c.CancelDrill(reason="a patient needs the room"))
    assert play.timers == {}
    assert play.wait(3600) == []
    assert play.refused(c.StartDrill()) == "WRONG_PHASE"


def test_untreated_it_gets_worse_at_its_seconds_and_ends() -> None:
    """Each stage at its own time, the last one stays, and the drill is over at its last moment."""
    play = running()
    play.wait(7200)
    changes = [(one.at, one.event) for one in play.log if isinstance(one.event, e.PatientChanged)]

    assert [change.stage for _, change in changes] == ["well", "onset", "shock", "unconscious"]
    assert [(at - START).total_seconds() for at, _ in changes] == [0, 60, 240, 540]
    assert {change.cause for _, change in changes} == {"started", "untreated"}
    assert [event.cause for event in play.of(e.DrillEnded)] == ["time_over"]
    assert play.log[-1].at == START + dt.timedelta(seconds=1800)
    assert play.timers == {}


def test_a_dose_by_another_route_turns_nobody() -> None:
    """The script asks for the muscle in the first stage; later any route will do."""
    play = running()
    play.wait(60)
    play.do(c.ReportTreated(drug="epinephrine", route="IV"))
    assert play.state.stage == "onset"
    play.wait(180)

    assert play.state.stage == "improving", "what went in before counts in the stage that asks for any route"
    assert play.wait(600) == []


def test_a_late_timer_of_an_earlier_stage_changes_nothing() -> None:
    """A course timer that fires after the patient was turned finds a stage without a next one."""
    play = running()
    play.wait(60)
    play.do(c.ReportTreated(drug="epinephrine", route="IM"))

    assert play.do(TimerFired(name="course", due_at=play.now)) == []
    assert play.state.stage == "improving"


TREATMENTS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.sampled_from(["epinephrine", "oxygen", "diphenhydramine"]),
        st.sampled_from(["IM", "IV", "mask"]),
    ),
    max_size=6,
)


@given(TREATMENTS)
def test_whatever_is_given_the_course_is_one_of_the_script(treatments: list[tuple[int, str, str]]) -> None:
    """Any drugs at any times: each change is an edge of the script, and the drill ends once."""
    play = running()
    scenario: Scenario = play.state.scenario
    for seconds, drug, route in treatments:
        play.wait(seconds)
        play.do(c.ReportTreated(drug=drug, route=route))
    play.wait(7200)
    stages = [event.stage for event in play.of(e.PatientChanged)]

    for before, after in itertools.pairwise(stages):
        stage = scenario.stage(before)
        assert after in {stage.then, *(turn.to for turn in stage.turns)}
    assert len(play.of(e.DrillEnded)) == 1


def test_the_shipped_scripts_are_made_up_and_ask_for_steps_that_exist() -> None:
    """Each says that it is no rule; each step it asks for is in the pack; some sign is shown after the beginning."""
    protocols = load_packs()["acr-2026"].protocols
    steps = {step.id for row in protocols for step in row.steps}
    for scenario in load_scenarios().values():
        assert "no clinical rule" in scenario.notice
        assert set(scenario.expected.steps) <= steps
        assert not scenario.stages[0].signs
        assert any(stage.signs for stage in scenario.stages)


GOOD = """
id = "x"
title = "x"
notice = "made up"
ends_after_s = 60
[patient]
family = "D"
given = "D"
sex = "female"
age_years = 30
weight_kg = "70"
[exam]
modality = "CT"
contrast_class = "iodinated"
procedure_code = "X"
procedure_text = "X"
[expected]
severity = ["mild"]
presentations = ["hives"]
epinephrine = false
emergency_call = false
steps = []
[points]
{points}
[[stages]]
id = "a"
said = "well"
"""
POINTS = "\n".join(f"{name} = {FULL_MARKS if name == CHECKS[0] else 0}" for name in CHECKS)


def test_a_whole_script_loads() -> None:
    """The form the broken ones below are made from."""
    assert parse_scenarios({"a.toml": GOOD.format(points=POINTS)})["x"].expected.report_within_s is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('notice = "made up"', 'notice = " "', "a.toml notice"),
        ("ends_after_s = 60", "ends_after_s = 0", "a.toml ends_after_s"),
        ('said = "well"', 'said = "well"\nthen = "b"\nafter_s = 5', "a.toml stages a"),
        ('said = "well"', 'said = "well"\nafter_s = 5', "a.toml stages a"),
        ('said = "well"', 'said = "well"\nthen = "a"\nafter_s = 0', "a.toml stages a"),
        ('said = "well"', 'said = "well"\nturns = [{ needs = [], to = "a" }]', "a.toml stages a"),
        (f"{CHECKS[0]} = 100", f"{CHECKS[0]} = 99", "a.toml points"),
        (f"{CHECKS[1]} = 0", "invented = 0", "a.toml points"),
        ('title = "x"', 'title = "x"\nsurprise = 1', "a.toml surprise"),
        ("age_years = 30", 'age_years = "thirty"', "a.toml"),
        ('id = "x"', "id = ", "a.toml"),
    ],
)
def test_a_broken_script_is_named(old: str, new: str, where: str) -> None:
    """File and field of the first thing that is wrong; such a script does not load."""
    text = GOOD.format(points=POINTS)
    assert old in text
    with pytest.raises(Invalid) as error:
        parse_scenarios({"a.toml": text.replace(old, new, 1)})

    assert error.value.field == where


def test_two_scripts_of_one_name_are_refused() -> None:
    """The second file is named."""
    text = GOOD.format(points=POINTS)
    with pytest.raises(Invalid, match="two scenarios"):
        parse_scenarios({"a.toml": text, "b.toml": text})
