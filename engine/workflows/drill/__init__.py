"""The drill machine: a scripted patient in a room, a session marked as drill, and what the practice was worth."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.drill import events
from engine.workflows.drill.chart import GUARDS, DrillChart
from engine.workflows.drill.decide import HANDLERS
from engine.workflows.drill.evolve import fold_one
from engine.workflows.drill.react import react
from engine.workflows.drill.state import Objectives, initial

NAME = "drill"


def machine(objectives: Objectives | None = None) -> Machine:
    """Assemble the drill machine for the scenarios it may play."""
    stepper = Stepper(DrillChart, GUARDS)
    return Machine(
        name=NAME,
        chart=DrillChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
        objectives=objectives or Objectives(),
    )
