"""The delivery machine: one outbound message, from pending to acknowledged or dead."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.delivery import events
from engine.workflows.delivery.chart import GUARDS, DeliveryChart
from engine.workflows.delivery.decide import HANDLERS
from engine.workflows.delivery.evolve import fold_one
from engine.workflows.delivery.react import react
from engine.workflows.delivery.state import Objectives, initial

NAME = "delivery"


def machine(objectives: Objectives | None = None) -> Machine:
    """Assemble the delivery machine for one set of objectives."""
    stepper = Stepper(DeliveryChart, GUARDS)
    return Machine(
        name=NAME,
        chart=DeliveryChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
        objectives=objectives or Objectives(),
    )
