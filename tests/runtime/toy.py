"""A toy machine with one of everything: a wish, a fact, a timer, a send, a protected field, evidence; and its hall."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

from statemachine import State, StateChart

from engine.kernel.clock import Clock, ManualClock
from engine.kernel.commands import Actor, Command, Request, TimerFired
from engine.kernel.effects import CancelTimer, Effect, Send, SetTimer
from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.kernel.machine import Context, Facts, Machine
from engine.kernel.stepper import Stepper
from engine.kernel.store import Store
from engine.runtime.executor import Executor
from engine.runtime.ids import SeededIds
from engine.runtime.limits import Limits

START = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)
ANNA = Actor(person_id="anna", role="technologist", organization_id="org-1")


class KettleChart(StateChart[None]):
    """A kettle is idle, heating or hot; a spill may happen in every phase."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class kettle(State.Compound):
        idle = State(initial=True)
        heating = State()
        hot = State()

        fill = idle.to(None)
        heat = idle.to(heating, unless=["empty"]) | hot.to(heating)
        delay = heating.to(None)
        cool = heating.to(idle) | hot.to(idle)
        check_lid = idle.to(None) | heating.to(None) | hot.to(None)
        nudge = idle.to(None)
        timer_fired = heating.to(hot)

    report_spill = kettle.to(None)
    timer_fired = kettle.to(None)


def empty(f: Facts) -> bool:
    """The kettle is empty; fill it first."""
    return bool(f.state.litres == 0)


GUARDS = {"empty": empty}


@dataclass(frozen=True, kw_only=True)
class Kettle:
    """What is believed of a kettle."""

    id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    session_id: str = ""
    owner: str | None = None
    litres: Decimal = Decimal(0)
    spills: int = 0
    boils: int = 0
    lid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Command):
    creates: ClassVar[bool] = True
    owner: str
    litres: Decimal = Decimal(1)
    session_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat(Command):
    seconds: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Command):
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cool(Command):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLid(Command):
    lid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge(Command):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpill(Command):
    fact: ClassVar[bool] = True
    millilitres: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled(Event):
    protected: ClassVar[tuple[str, ...]] = ("owner",)
    owner: str | None
    litres: Decimal
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heating(Event):
    boils_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Boiled(Event):
    due_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooled(Event):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class LidChecked(Event):
    lid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilt(Event):
    millilitres: int


EVENTS = (Filled, Heating, Boiled, Cooled, LidChecked, Spilt)


def _heating(state: Kettle, command: Heat | Delay, context: Context) -> Iterator[Event]:
    yield Heating(boils_at=context.now + dt.timedelta(seconds=command.seconds))


def _timer_fired(state: Kettle, command: TimerFired, context: Context) -> Iterator[Event]:
    if state.phases == ("heating",):
        yield Boiled(due_at=command.due_at)


HANDLERS: dict[type[Command], Any] = {
    Fill: lambda s, c, x: [Filled(owner=c.owner, litres=s.litres + c.litres, session_id=c.session_id)],
    Heat: _heating,
    Delay: _heating,
    Cool: lambda s, c, x: [Cooled()],
    CheckLid: lambda s, c, x: [LidChecked(lid=c.lid)],
    Nudge: lambda s, c, x: [],
    ReportSpill: lambda s, c, x: [Spilt(millilitres=1)] * c.millilitres,
    TimerFired: _timer_fired,
}


def evolve(state: Kettle, recorded: Recorded) -> Kettle:
    """Fold one event."""
    match recorded.event:
        case Filled(owner=owner, litres=litres, session_id=session):
            return replace(state, owner=owner, litres=litres, session_id=session or state.session_id)
        case Boiled():
            return replace(state, boils=state.boils + 1)
        case Spilt():
            return replace(state, spills=state.spills + 1)
        case LidChecked(lid=lid):
            return replace(state, lid=lid)
    return state


def react(state: Kettle, recorded: Recorded) -> Iterable[Effect]:
    """Heating sets the timer, cooling forgets it, boiling whistles."""
    match recorded.event:
        case Heating(boils_at=boils_at):
            yield SetTimer("boil", boils_at)
        case Cooled():
            yield CancelTimer("boil")
        case Boiled():
            yield Send("whistle", f"whistle:{recorded.id}", {"kettle": state.id})


def kettle() -> Machine:
    """Assemble the toy."""
    stepper = Stepper(KettleChart, GUARDS)
    return Machine(
        name="kettle",
        chart=KettleChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=EVENTS,
        initial=lambda stream_id: Kettle(id=stream_id, phases=stepper.initial),
        evolve=evolve,
        react=react,
    )


def stream(name: str = "k1") -> Stream:
    """Name a kettle."""
    return Stream("kettle", name)


def ask(request_id: str, command: Command, to: str = "k1", **more: Any) -> Request:
    """Write a request from Anna."""
    return Request(request_id=request_id, stream=stream(to), command=command, **{"actor": ANNA} | more)


def hall(store: Store, clock: Clock | None = None, limits: Limits | None = None, **more: Any) -> Executor:
    """Build an executor over a store, with a clock that stands still."""
    return Executor(
        [kettle()],
        store,
        clock or ManualClock(START),
        SeededIds("toy"),
        fingerprint_key=b"k" * 32,
        limits=limits,
        **more,
    )
