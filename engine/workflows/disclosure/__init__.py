"""The disclosure machine: who read a session's patient data."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.disclosure import events
from engine.workflows.disclosure.chart import GUARDS, DisclosureChart
from engine.workflows.disclosure.decide import HANDLERS
from engine.workflows.disclosure.evolve import fold_one
from engine.workflows.disclosure.react import react
from engine.workflows.disclosure.state import initial

NAME = "disclosure"


def machine() -> Machine:
    """Assemble the disclosure machine."""
    stepper = Stepper(DisclosureChart, GUARDS)
    return Machine(
        name=NAME,
        chart=DisclosureChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
    )
