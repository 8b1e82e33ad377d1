"""The message machine: one inbound HL7 message, kept before it is acknowledged."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.message import events
from engine.workflows.message.chart import GUARDS, MessageChart
from engine.workflows.message.decide import HANDLERS
from engine.workflows.message.evolve import fold_one
from engine.workflows.message.react import react
from engine.workflows.message.state import initial

NAME = "message"


def machine() -> Machine:
    """Assemble the message machine."""
    stepper = Stepper(MessageChart, GUARDS)
    return Machine(
        name=NAME,
        chart=MessageChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
    )
