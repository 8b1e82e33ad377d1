"""Walks a chart exhaustively: every configuration it can reach, by every event, under every outcome of its guards.

Rule: the library answers here, not the stepper's memo, so that the two can be held against each other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import SimpleNamespace
from typing import Any

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet
from statemachine.state import State

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from tests.workflows.machines import machine

Phases = tuple[str, ...]

ALL_OUTCOMES_UP_TO = 5
"""With more guards than this on one event: none, each alone, each missing, all. Others: every combination."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One answer of the library: `after` None means that the event was not allowed."""

    before: Phases
    event: str
    outcomes: Mapping[str, bool]
    after: Phases | None


def outcomes(guards: tuple[str, ...]) -> Iterator[dict[str, bool]]:
    """Yield guard outcomes to try, all of them where that is feasible."""
    if len(guards) <= ALL_OUTCOMES_UP_TO:
        for bits in product((False, True), repeat=len(guards)):
            yield dict(zip(guards, bits, strict=True))
        return
    yield dict.fromkeys(guards, False)
    yield dict.fromkeys(guards, True)
    for one in guards:
        yield {guard: guard == one for guard in guards}
        yield {guard: guard != one for guard in guards}


class Live:
    """One instance of a chart, told where it is and what its guards say, and then sent an event.

    It is used again and again because making one costs more than all it does; the differential walk shows that it
    answers as a new one does.
    """

    def __init__(self, stepper: Stepper, chart: type[StateChart[Any]]) -> None:
        self._stepper = stepper
        self._model = SimpleNamespace(state=None, **dict.fromkeys(_guards(chart), False))
        self._chart = chart(self._model)

    @property
    def phases(self) -> Phases:
        """The leaves it is in."""
        return tuple(sorted(str(state.id) for state in self._chart.configuration if not state.states))

    def put(self, phases: Phases) -> None:
        """Place it. Raises Corrupt for a configuration that the chart cannot be in."""
        self._model.state = OrderedSet(legal(self._stepper, phases))

    def send(self, event: str, outcome: Mapping[str, bool]) -> Phases | None:
        """Send an event under guard outcomes; return the leaves after it, None when it is not allowed."""
        for guard, says in outcome.items():
            setattr(self._model, guard, says)
        try:
            self._chart.send(event)
        except TransitionNotAllowed:
            return None
        finally:
            for guard in outcome:
                setattr(self._model, guard, False)
        return self.phases


def legal(stepper: Stepper, phases: Phases) -> tuple[str, ...]:
    """Return leaves with their ancestors. Raises Corrupt when they are no configuration of the chart."""
    return tuple(stepper._expand(phases))


def _guards(chart: type[StateChart[Any]]) -> set[str]:
    return {
        spec.attr_name
        for state in chart.states_map.values()
        for transition in state.transitions
        for spec in transition.cond
    }


def walk(stepper: Stepper, chart: type[StateChart[Any]]) -> tuple[Edge, ...]:
    """Return every edge from every reachable configuration. Raises Corrupt at an illegal configuration."""
    edges: list[Edge] = []
    live = Live(stepper, chart)
    seen = {stepper.initial}
    waiting = [stepper.initial]
    events = stepper.events()
    while waiting:
        before = waiting.pop()
        for event in events:
            for outcome in outcomes(stepper.guards_of(before, event)):
                live.put(before)
                after = live.send(event, outcome)
                edges.append(Edge(before, event, outcome, after))
                if after is not None and after not in seen:
                    seen.add(after)
                    waiting.append(after)
    return tuple(edges)


@cache
def explored(name: str) -> tuple[Edge, ...]:
    """Return every edge of a machine's chart; walked once a test run."""
    return walk(machine(name).stepper, machine(name).chart)


def reachable(name: str) -> tuple[Phases, ...]:
    """Return every reachable configuration of a machine."""
    return tuple(sorted({edge.before for edge in explored(name)}))


def living(name: str) -> tuple[Phases, ...]:
    """Return the reachable configurations of a stream that exists: those some accepted event leads to."""
    after = {edge.after for edge in explored(name) if edge.after is not None}
    return tuple(sorted(after - {machine(name).stepper.initial} or after))


def regions(chart: type[StateChart[Any]]) -> tuple[tuple[str, ...], ...]:
    """Return the leaf ids of each region; a chart without parallel regions has one."""
    root = next(iter(chart.states))
    tops: list[State] = list(root.states) if root.parallel else [root]
    return tuple(tuple(_leaves(top)) for top in tops)


def _leaves(state: State) -> Iterator[str]:
    if not state.states:
        yield str(state.id)
    for child in state.states:
        yield from _leaves(child)


def refusals(made: Machine, phases: Phases, event: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the guards that refuse, and those that route, an event from these phases."""
    mentioned = made.stepper.guards_of(phases, event)
    refusing = {
        spec.attr_name
        for state in made.chart.states_map.values()
        for transition in state.transitions
        for spec in transition.cond
        if not spec.expected_value
    }
    return (
        tuple(guard for guard in mentioned if guard in refusing),
        tuple(guard for guard in mentioned if guard not in refusing),
    )
