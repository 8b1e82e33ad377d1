"""The session machine: one supervised exam, from the order to the sealed record."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.session import events as _events
from engine.workflows.session.chart import GUARDS, SessionChart
from engine.workflows.session.decide import HANDLERS
from engine.workflows.session.evolve import fold_one
from engine.workflows.session.flags import flag
from engine.workflows.session.react import Reactor
from engine.workflows.session.state import Objectives, initial

NAME = "session"


def machine(objectives: Objectives | None = None) -> Machine:
    """Assemble the session machine for one set of objectives."""
    chosen = objectives or Objectives()
    stepper = Stepper(SessionChart, GUARDS)
    return Machine(
        name=NAME,
        chart=SessionChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=_events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=Reactor(chosen),
        flag=flag,
        objectives=chosen,
    )
