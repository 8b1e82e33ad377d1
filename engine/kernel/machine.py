"""The glue that runs a chart purely: (state, command, context) → Decision, and the fold of what was recorded.

Rule: nothing here knows medicine, reads a clock or touches the outside.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec
from statemachine import StateChart

from engine.kernel.commands import Actor, Command, verb
from engine.kernel.effects import Effect
from engine.kernel.errors import Invalid, Missing
from engine.kernel.events import Event, Recorded
from engine.kernel.stepper import Guard, Stepper


class State(Protocol):
    """What every machine's state has: its version and the chart's leaves."""

    @property
    def version(self) -> int:
        """How many events the stream has."""
        ...

    @property
    def phases(self) -> tuple[str, ...]:
        """The chart's configuration as sorted leaf ids."""
        ...


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision may know besides state and command: the moment, the actor, the machine's objectives."""

    now: dt.datetime
    actor: Actor
    objectives: Any = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard sees: the state before, the command and the context."""

    state: Any
    command: Any
    context: Context


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision yields: events in order, the configuration they lead to, and flags for the unexpected."""

    events: tuple[Event, ...]
    phases: tuple[str, ...]
    flags: tuple[str, ...] = ()


Handler = Callable[[Any, Any, Context], Iterable[Event]]
S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine, assembled: the chart says what is legal, `handlers` what a legal command leads to.

    `initial(stream_id)` is the state of a stream without events (`version` 0, `phases` the chart's initial leaves).
    `evolve(state, event, recorded)` folds one event; `react(state, event, now)` lists the effects of one event given
    the state after it. `flag(state, command, context)` names what is unexpected about an accepted fact.
    """

    name: str
    chart: type[StateChart[Any]]
    stepper: Stepper
    guards: Mapping[str, Guard]
    handlers: Mapping[type[Command], Handler]
    events: tuple[type[Event], ...]
    initial: Callable[[str], Any]
    evolve: Callable[[Any, Recorded], Any]
    react: Callable[[Any, Recorded], Iterable[Effect]]
    flag: Callable[[Any, Any, Context], tuple[str, ...]] = lambda state, command, context: ()
    objectives: Any = None

    @property
    def commands(self) -> tuple[type[Command], ...]:
        """Every verb of the machine."""
        return tuple(self.handlers)

    def decide(self, state: Any, command: Command, context: Context) -> Decision:
        """Check the chart, then let the verb's handler say what happened.

        Raises Missing for a stream that does not exist, Rejected with the first guard that refuses, Invalid for a
        verb of another machine. A fact is never refused on phase or clinical ground.
        """
        kind = type(command)
        handler = self.handlers.get(kind)
        if handler is None:
            raise Invalid("command", f"{kind.__name__} is not a command of {self.name}")
        if state.version == 0 and not kind.creates:
            raise Missing(f"there is no such {self.name}")
        context = Context(now=context.now, actor=context.actor, objectives=self.objectives)
        step = self.stepper.step(
            state.phases, verb(kind), Facts(state=state, command=command, context=context)
        )
        events = tuple(handler(state, command, context))
        flags = self.flag(state, command, context)
        return Decision(events=events, phases=step, flags=flags)

    def apply(self, state: Any, recorded: Recorded) -> Any:
        """Fold one recorded event: phases come from the record, the rest from `evolve`."""
        evolved = self.evolve(state, recorded)
        # `replace` sets every frozen field by itself, and a session has some fifty of them.
        after = object.__new__(type(evolved))
        vars(after).update(vars(evolved), version=recorded.version, phases=recorded.phases)
        return after

    def fold(self, stream_id: str, history: Iterable[Recorded]) -> Any:
        """Return the state that a whole history leads to."""
        state = self.initial(stream_id)
        for recorded in history:
            state = self.apply(state, recorded)
        return state
