"""The memoised stepper: asks python-statemachine once per (configuration, event, guard outcomes) and remembers.

Rule: the chart class is the single source of what is legal; this file only caches its answers. Guards are pure, so
a cached answer is the library's answer (the differential walk in tests holds the two together).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.orderedset import OrderedSet
from statemachine.state import State

from engine.kernel.errors import Corrupt, Rejected

Guard = Callable[[Any], bool]
Found = Callable[[Any], Mapping[str, str]]


class _Bits:
    """The model a chart instance reads: the stored configuration and one attribute per guard."""

    def __init__(self, values: "OrderedSet[str] | None", outcomes: Mapping[str, bool]) -> None:
        self.state = values
        for name, outcome in outcomes.items():
            setattr(self, name, outcome)


@dataclass(frozen=True, slots=True)
class _Refusals:
    """The guards that an event's transitions mention, in declared order, split by what they are for."""

    refusing: tuple[str, ...]
    routing: tuple[str, ...]


class Stepper:
    """Runs one chart class. `guards` maps the names used in the chart to pure functions.

    `found` maps a guard's name to what its refusal says besides its sentence, never anything of a patient.
    """

    def __init__(
        self,
        chart: type[StateChart[Any]],
        guards: Mapping[str, Guard],
        found: Mapping[str, Found] | None = None,
    ) -> None:
        self._chart = chart
        self._guards = guards
        self._found = found or {}
        self._memo: dict[tuple[tuple[str, ...], str, tuple[bool, ...]], tuple[str, ...] | None] = {}
        self._mentioned: dict[tuple[tuple[str, ...], str], _Refusals] = {}
        self._active: dict[tuple[str, ...], OrderedSet[str]] = {}
        self.initial = self._leaves(chart(_Bits(None, dict.fromkeys(guards, False))))

    def step(self, phases: tuple[str, ...], event: str, facts: Any) -> tuple[str, ...]:
        """Return the configuration after `event`.

        Raises Rejected with the first refusing guard in declared order (all of them under `missing`), or
        WRONG_PHASE when no transition of the active phases listens to the event. Raises Corrupt for a
        configuration that this chart cannot be in.
        """
        mentioned = self._guards_of(phases, event)
        refused = tuple(self._guards[name](facts) for name in mentioned.refusing)
        routed = tuple(self._guards[name](facts) for name in mentioned.routing)
        key = (phases, event, refused + routed)
        if key not in self._memo:
            outcomes = dict(zip(mentioned.refusing + mentioned.routing, refused + routed, strict=True))
            self._memo[key] = self.ask(phases, event, outcomes)
        after = self._memo[key]
        if after is None:
            raise self._refusal(phases, event, mentioned, refused, facts)
        return after

    def ask(
        self, phases: tuple[str, ...], event: str, outcomes: Mapping[str, bool]
    ) -> tuple[str, ...] | None:
        """Ask the library itself, without the memo; None means not allowed."""
        bits = dict.fromkeys(self._guards, False) | dict(outcomes)
        live = self._chart(_Bits(OrderedSet(self._expand(phases)), bits))
        try:
            live.send(event)
        except TransitionNotAllowed:
            return None
        return self._leaves(live)

    def guards_of(self, phases: tuple[str, ...], event: str) -> tuple[str, ...]:
        """Return the names of every guard that the event's transitions mention from these phases."""
        mentioned = self._guards_of(phases, event)
        return mentioned.refusing + mentioned.routing

    def events(self) -> tuple[str, ...]:
        """Return every event the chart listens to."""
        return tuple(sorted({str(event.id) for event in self._chart.events}))  # type: ignore[attr-defined]  # a class property upstream types as a method

    def _leaves(self, live: StateChart[Any]) -> tuple[str, ...]:
        return tuple(sorted(str(state.id) for state in live.configuration if not state.states))

    def _expand(self, phases: tuple[str, ...]) -> "OrderedSet[str]":
        if phases not in self._active:
            self._active[phases] = self._legal(phases)
        return self._active[phases]

    def _legal(self, phases: tuple[str, ...]) -> "OrderedSet[str]":
        """Derive the active ancestors of the leaves and check that together they are a legal configuration."""
        chosen: set[str] = set()
        for leaf in phases:
            state: State | None = self._find(leaf)
            while state is not None and state.id:
                chosen.add(str(state.id))
                state = state.parent
        top = [state for state in self._chart.states if str(state.id) in chosen]
        if len(top) != 1 or not all(self._whole(state, chosen) for state in top):
            raise Corrupt(f"{self._chart.__name__} cannot be in {'+'.join(phases)}")
        ordered: OrderedSet[str] = OrderedSet()
        for name in self._chart.states_map:
            if name in chosen:
                ordered.add(name)
        return ordered

    def _whole(self, state: State, chosen: set[str]) -> bool:
        children = [child for child in state.states if str(child.id) in chosen]
        expected = len(list(state.states)) if state.parallel else min(1, len(list(state.states)))
        return len(children) == expected and all(self._whole(child, chosen) for child in children)

    def _find(self, leaf: str) -> State:
        try:
            found: State = self._chart.states_map[leaf]
        except KeyError:
            raise Corrupt(f"{self._chart.__name__} has no phase {leaf}") from None
        return found

    def _guards_of(self, phases: tuple[str, ...], event: str) -> _Refusals:
        key = (phases, event)
        if key not in self._mentioned:
            refusing: dict[str, None] = {}
            routing: dict[str, None] = {}
            for name in self._expand(phases):
                for transition in self._find(name).transitions:
                    if event not in {str(e) for e in transition.events}:
                        continue
                    for spec in transition.cond:
                        (routing if spec.expected_value else refusing)[spec.attr_name] = None
            self._mentioned[key] = _Refusals(tuple(refusing), tuple(routing))
        return self._mentioned[key]

    def _refusal(
        self,
        phases: tuple[str, ...],
        event: str,
        mentioned: _Refusals,
        refused: tuple[bool, ...],
        facts: Any,
    ) -> Rejected:
        reasons = [name for name, says_no in zip(mentioned.refusing, refused, strict=True) if says_no]
        where = {"phase": "+".join(phases), "verb": event}
        if not reasons:
            return self._wrong_phase(phases, event, where)
        sentence = " ".join((self._guards[reasons[0]].__doc__ or "").split())
        found = self._found[reasons[0]](facts) if reasons[0] in self._found else {}
        if found:
            sentence = f"{sentence.removesuffix('.')} ({', '.join(found.values())})."
        missing = ",".join(name.upper() for name in reasons)
        return Rejected(reasons[0].upper(), sentence, {**where, **found, "missing": missing})

    def _wrong_phase(self, phases: tuple[str, ...], event: str, where: Mapping[str, str]) -> Rejected:
        """Say in words where the stream stands and from where the verb would be possible."""
        possible = list(self._listening(event))
        regions = {self._region(leaf) for leaf in possible}
        present = [leaf for leaf in phases if self._region(leaf) in regions]
        asked = event.replace("_", " ").capitalize()
        name = _words(self._chart.__name__.removesuffix("Chart").lower())
        if not possible or not present or set(present) & set(possible):
            return Rejected("WRONG_PHASE", f"{asked} is not possible as the {name} stands now.", where)
        sentence = (
            f"{asked} is not possible while the {name} is {_words(*present)}; "
            f"it is possible while it is {_words(*possible)}."
        )
        return Rejected("WRONG_PHASE", sentence, {**where, "possible_in": ",".join(possible)})

    def _listening(self, event: str) -> Iterator[str]:
        """Yield the leaves from which some transition listens to an event, in the chart's order."""
        for leaf, found in self._chart.states_map.items():
            state: State | None = found
            while not found.states and state is not None and state.id:
                if any(event in {str(e) for e in transition.events} for transition in state.transitions):
                    yield str(leaf)
                    break
                state = state.parent

    def _region(self, leaf: str) -> str:
        state = self._find(leaf)
        while state.parent is not None and state.parent.id and not state.parent.parallel:
            state = state.parent
        return str(state.id)


def _words(*codes: str) -> str:
    """Return codes as words: `a`, `a or b`, `a, b or c`."""
    *most, last = (code.replace("_", " ") for code in codes)
    return f"{', '.join(most)} or {last}" if most else last
