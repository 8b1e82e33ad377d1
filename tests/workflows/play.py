"""A machine in a test's hand: commands in, events and effects out, the clock moved by the test. No store, no engine."""

import datetime as dt
from collections.abc import Iterator
from typing import Any, TypeVar

from engine.kernel.commands import Actor, Command, TimerFired
from engine.kernel.effects import CancelTimer, Effect, Send, SetTimer
from engine.kernel.errors import Rejected
from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.kernel.machine import Context, Machine

START = dt.datetime(2026, 3, 2, 14, 0, tzinfo=dt.UTC)
SYSTEM = Actor.system("test")

E = TypeVar("E", bound=Event)


class Play:
    """One stream of one machine. `do` decides and folds; `wait` moves the clock and fires timers that fall due."""

    def __init__(self, machine: Machine, stream_id: str) -> None:
        self.machine = machine
        self.stream = Stream(machine.name, stream_id)
        self.state: Any = machine.initial(stream_id)
        self.now = START
        self.log: list[Recorded] = []
        self.timers: dict[str, dt.datetime] = {}
        self.sent: list[Send] = []

    def do(self, command: Command, by: Actor = SYSTEM) -> list[Event]:
        """Run one command; return its events. Raises what the machine raises, and then nothing has changed."""
        decision = self.machine.decide(self.state, command, Context(now=self.now, actor=by))
        if isinstance(command, TimerFired):
            self.timers.pop(command.name, None)
        for event in decision.events:
            recorded = Recorded(
                position=len(self.log) + 1,
                stream=self.stream,
                version=len(self.log) + 1,
                at=self.now,
                actor=by,
                correlation="",
                causation="",
                phases=decision.phases,
                flags=decision.flags,
                event=event,
                hash="",
                prev_hash="",
            )
            self.log.append(recorded)
            self.state = self.machine.apply(self.state, recorded)
            for effect in self.machine.react(self.state, recorded):
                self._take(effect)
        return list(decision.events)

    def refused(self, command: Command, by: Actor = SYSTEM) -> str:
        """Return the reason with which a wish is refused; assert that nothing changed and that a sentence is given."""
        before = (self.state, len(self.log), dict(self.timers), len(self.sent))
        try:
            happened = self.do(command, by)
        except Rejected as refusal:
            assert (self.state, len(self.log), dict(self.timers), len(self.sent)) == before
            assert refusal.sentence.endswith(".")
            return refusal.reason
        raise AssertionError(f"{type(command).__name__} was accepted: {happened}")

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass; fire what falls due, in order, each at its own moment; return the events of the timers."""
        end = self.now + dt.timedelta(seconds=seconds)
        fired: list[Event] = []
        while due := [(at, name) for name, at in self.timers.items() if at <= end]:
            at, name = min(due)
            self.now = max(self.now, at)
            fired += self.do(TimerFired(name=name, due_at=at), Actor.system("timers"))
        self.now = end
        return fired

    def of(self, kind: type[E]) -> list[E]:
        """Return every event of a type so far."""
        return [recorded.event for recorded in self.log if isinstance(recorded.event, kind)]

    def types(self) -> Iterator[str]:
        """Yield the type of every event so far."""
        return (recorded.type for recorded in self.log)

    def _take(self, effect: Effect) -> None:
        if isinstance(effect, SetTimer):
            self.timers[effect.name] = effect.due_at
        elif isinstance(effect, CancelTimer):
            self.timers.pop(effect.name, None)
        else:
            self.sent.append(effect)


def names(events: list[Event]) -> list[str]:
    """Return the types of some events, in order."""
    return [type(event).__name__ for event in events]
