"""The ring machine: one request's escalation ladder until a physician answers."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.ring import events
from engine.workflows.ring.chart import FOUND, GUARDS, RingChart
from engine.workflows.ring.decide import HANDLERS
from engine.workflows.ring.evolve import fold_one
from engine.workflows.ring.react import Reactor
from engine.workflows.ring.state import Objectives, initial

NAME = "ring"


def machine(objectives: Objectives | None = None) -> Machine:
    """Assemble the ring machine for one set of objectives."""
    chosen = objectives or Objectives()
    stepper = Stepper(RingChart, GUARDS, FOUND)
    return Machine(
        name=NAME,
        chart=RingChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=Reactor(chosen),
        objectives=chosen,
    )
