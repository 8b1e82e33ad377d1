"""Every chart, exhaustively: no illegal configuration, every pair of phase and verb, every fact in every phase."""

import ast
import inspect
import random  # noqa: TID251 - seeded: the same walk every time
import re
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest
from statemachine import HistoryState, StateChart
from statemachine.state import State

from engine.kernel.commands import verb
from engine.kernel.errors import Corrupt, Rejected
from engine.kernel.machine import Machine
from engine.kernel.stepper import Guard, Stepper
from engine.reactions.step_chart import STEPPER, StepChart
from tests.workflows.explore import Live, Phases, explored, living, reachable, refusals, regions, walk
from tests.workflows.machines import NAMES, facts, machine

REACHABLE = {
    "session": 15 * 6 * 3,
    "ring": 7,
    "coverage": 7,
    "reaction": 9 * 2,
    "delivery": 6,
    "message": 6,
    "directory": 2,
    "disclosure": 1,
    "drill": 6,
}


Question = tuple[Phases, str, frozenset[tuple[str, bool]]]


class Outcomes:
    """Facts for a stepper whose guards read their answer out of the test's hand."""

    def __init__(self, made: Machine) -> None:
        self.says = dict.fromkeys(made.guards, False)

    def stepper(self, made: Machine, told: Mapping[Question, Phases | None] | None = None) -> Stepper:
        """Return the machine's stepper with these answers in place of its guards.

        `told` spares it to ask the library what the exploration asked already.
        """
        guards = {name: self._guard(name, made) for name in made.guards}
        return Stepper(made.chart, guards) if told is None else _Told(made.chart, guards, told)

    def _guard(self, name: str, made: Machine) -> "_Answer":
        return _Answer(self.says, name, made.guards[name].__doc__ or "")


class _Told(Stepper):
    """A stepper that reads the library's answers from an exploration."""

    def __init__(
        self,
        chart: type[StateChart[Any]],
        guards: Mapping[str, Guard],
        told: Mapping[Question, Phases | None],
    ) -> None:
        super().__init__(chart, guards)
        self._told = told

    def ask(self, phases: Phases, event: str, outcomes: Mapping[str, bool]) -> Phases | None:
        """Return what the library said to the exploration."""
        return self._told[phases, event, frozenset(outcomes.items())]


class _Answer:
    """A guard that answers what the test says, with the real guard's sentence."""

    def __init__(self, says: dict[str, bool], name: str, sentence: str) -> None:
        self._says = says
        self._name = name
        self.__doc__ = sentence

    def __call__(self, facts: object) -> bool:
        return self._says[self._name]


@pytest.mark.parametrize("name", NAMES)
def test_every_reachable_configuration_is_legal(name: str) -> None:
    """One leaf of each region, no more and no less, after every event under every guard outcome; all are reached."""
    made = machine(name)
    parts = regions(made.chart)
    found = reachable(name)

    assert len(found) == REACHABLE[name]
    for phases in found:
        assert [sum(leaf in part for leaf in phases) for part in parts] == [1] * len(parts)
        assert len(phases) == len(parts)
    assert {leaf for phases in found for leaf in phases} == {leaf for part in parts for leaf in part}


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_illegal_configuration_is_corrupt(name: str) -> None:
    """Whatever is not reachable is not worked on: too few leaves, too many, unknown ones."""
    made = machine(name)
    event = made.stepper.events()[0]
    leaves = [leaf for part in regions(made.chart) for leaf in part]
    broken: list[Phases] = [(), ("nowhere",), (*made.stepper.initial, "nowhere")]
    broken += [pair for part in regions(made.chart) for pair in combinations(part, 2)]
    broken += [(leaf,) for leaf in leaves if len(regions(made.chart)) > 1]
    broken += [tuple(leaves)] if len(leaves) > 1 else []

    for phases in broken:
        with pytest.raises(Corrupt):
            made.stepper.ask(phases, event, {})


@pytest.mark.parametrize("name", NAMES)
def test_illegal_pairs_are_refused_and_legal_ones_accepted(name: str) -> None:
    """For every configuration and verb the stepper refuses what the library refuses, with a reason, and moves alike.

    A guard alone that refuses is the reason; several are all listed; none means that the phase does not listen.
    """
    made = machine(name)
    hand = Outcomes(made)
    told = {
        (edge.before, edge.event, frozenset(edge.outcomes.items())): edge.after for edge in explored(name)
    }
    stepper = hand.stepper(made, told)
    for edge in explored(name):
        hand.says.update(dict.fromkeys(hand.says, False) | dict(edge.outcomes))
        if edge.after is not None:
            assert stepper.step(edge.before, edge.event, None) == edge.after
            continue
        with pytest.raises(Rejected) as refusal:
            stepper.step(edge.before, edge.event, None)
        says_no = [g for g in refusals(made, edge.before, edge.event)[0] if edge.outcomes[g]]
        assert refusal.value.reason == (says_no[0].upper() if says_no else "WRONG_PHASE")
        assert refusal.value.sentence


@pytest.mark.hazard("H-33")
@pytest.mark.parametrize("name", NAMES)
def test_facts_are_accepted_in_every_phase(name: str) -> None:
    """No phase and no guard refuses what happened: REACTION, a dose, a lost line, a timer."""
    expected = {verb(kind) for kind in facts(name) if not kind.creates}
    refused = {
        (edge.before, edge.event)
        for edge in explored(name)
        if edge.event in expected and edge.after is None and edge.before in living(name)
    }

    assert refused == set()
    assert expected <= set(machine(name).stepper.events())


@pytest.mark.parametrize("name", NAMES)
def test_facts_change_nothing_but_what_they_name(name: str) -> None:
    """An event moves at most the regions it is declared in; the others keep their leaf."""
    made = machine(name)
    parts = regions(made.chart)
    for edge in explored(name):
        if edge.after is None:
            continue
        moved = [part for part in parts if set(edge.before) & set(part) != set(edge.after) & set(part)]
        for part in moved:
            sources = {
                str(event)
                for leaf in part
                for state in _line(made, leaf)
                for transition in state.transitions
                for event in transition.events
            }
            assert edge.event in sources


def _line(made: Machine, leaf: str) -> list[State]:
    state: State | None = made.chart.states_map[leaf]
    found = []
    while state is not None and state.id:
        found.append(state)
        state = state.parent
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_event_brings_a_stream_back_to_before_it_existed(name: str) -> None:
    """The initial leaf of a region that a creating verb leaves is never entered again."""
    made = machine(name)
    born = [leaf for leaf in made.stepper.initial if leaf.startswith("un")]

    for edge in explored(name):
        if edge.after is not None and not set(born) & set(edge.before):
            assert not set(born) & set(edge.after)


@pytest.mark.parametrize("name", NAMES)
def test_the_stepper_walks_as_a_live_instance_does(name: str) -> None:
    """A long random walk: the memoised stepper and one living instance of the chart agree after every event."""
    made = machine(name)
    dice = random.Random(f"walk {name}")
    hand = Outcomes(made)
    stepper = hand.stepper(made)
    live = Live(made.stepper, made.chart)
    live.put(made.stepper.initial)
    phases = made.stepper.initial
    events = made.stepper.events()
    accepted = 0
    for _ in range(1200):
        event = dice.choice(events)
        says = {guard: dice.random() < 0.25 for guard in made.guards}
        hand.says.update(says)
        after = live.send(event, says)
        try:
            stepped: Phases | None = stepper.step(phases, event, None)
        except Rejected:
            stepped = None
        assert stepped == after, (phases, event, says)
        phases = after or phases
        assert live.phases == phases
        accepted += after is not None
    assert accepted > 60


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_instance_answers_as_the_used_one(name: str) -> None:
    """The exploration uses one instance again and again; a new one for each question says the same."""
    made = machine(name)
    dice = random.Random(f"sample {name}")
    edges = explored(name)
    for edge in dice.sample(edges, min(150, len(edges))):
        assert made.stepper.ask(edge.before, edge.event, edge.outcomes) == edge.after


@pytest.mark.parametrize("name", NAMES)
def test_verbs_events_and_guards_are_the_same_set(name: str) -> None:
    """Each verb is an event of the chart and each event a verb; each guard is used, and each one used exists."""
    made = machine(name)
    used = _conditions(made.chart)

    assert {verb(kind) for kind in made.commands} == set(made.stepper.events())
    assert used == set(made.guards)


@pytest.mark.parametrize("name", NAMES)
def test_every_refusing_guard_has_a_sentence(name: str) -> None:
    """Who is refused reads a sentence: it starts with a capital, ends with a full stop and names no code."""
    made = machine(name)
    for phases in living(name):
        for event in made.stepper.events():
            for guard in refusals(made, phases, event)[0]:
                sentence = " ".join((made.guards[guard].__doc__ or "").split())
                assert re.fullmatch(r"[A-Z][^_]{8,140}\.", sentence), guard


@pytest.mark.parametrize("chart", [*(machine(name).chart for name in NAMES), StepChart])
def test_charts_use_nothing_that_is_banned(chart: type[StateChart[Any]]) -> None:
    """No internal transition, delay, timeout, invoke, history, callback or final state; strictness is switched on."""
    assert chart.allow_event_without_transition is False
    assert chart.catch_errors_as_events is False
    for state in chart.states_map.values():
        assert not isinstance(state, HistoryState)
        assert not state.final
        assert not _named([*state.enter, *state.exit, *state.invoke])
        for transition in state.transitions:
            assert not transition.internal or transition.target is None or transition.target is state
            assert not _named([*transition.before, *transition.on, *transition.after, *transition.validators])
    hooks = {member for member in vars(chart) if re.match("(on|before|after|enter|exit|prepare)_", member)}
    assert hooks <= set(Stepper(chart, dict.fromkeys(_conditions(chart), bool)).events())
    source = inspect.getsource(inspect.getmodule(chart) or chart)
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    keywords = {keyword.arg for call in calls for keyword in call.keywords}
    names = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    assert not keywords & {"internal", "delay", "timeout", "invoke", "on", "before", "after", "validators"}
    assert not names & {"itself", "from_", "send", "raise_"}
    assert "async def" not in source


def _conditions(chart: type[StateChart[Any]]) -> set[str]:
    """Return the names of every guard a chart mentions."""
    return {
        spec.attr_name
        for state in chart.states_map.values()
        for transition in state.transitions
        for spec in transition.cond
    }


def _named(callbacks: list[Any]) -> list[Any]:
    """Return the callbacks that somebody wrote; the library also looks for methods by convention."""
    return [callback for callback in callbacks if not callback.is_convention]


@pytest.mark.parametrize("name", NAMES)
def test_events_are_declared_past_tense_and_frozen(name: str) -> None:
    """Every event type of a machine is in ALL, documented, and cannot be changed once made."""
    made = machine(name)
    module = inspect.getmodule(made.events[0])
    assert module is not None
    assert made.events == module.ALL
    for kind in made.events:
        assert kind.__doc__
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # dataclasses do not type this


def test_the_steps_of_a_protocol_have_no_illegal_configuration_either() -> None:
    """Six phases, all reached; what was done is only ever done or ordered again."""
    edges = walk(STEPPER, StepChart)

    assert {edge.before for edge in edges} == {
        (leaf,) for leaf in ("proposed", "ordered", "read_back", "done", "refused", "superseded")
    }
    after_done = {edge.after for edge in edges if edge.before == ("done",) and edge.after is not None}
    assert after_done == {("done",), ("ordered",)}
    assert all(edge.after is not None for edge in edges if edge.event == "record_done")


def test_a_live_instance_starts_where_the_stepper_says() -> None:
    """The initial configuration is the library's own."""
    for name in NAMES:
        made = machine(name)

        assert Live(made.stepper, made.chart).phases == made.stepper.initial
