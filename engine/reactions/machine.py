"""The reaction machine, assembled for one pack."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.reactions import events
from engine.reactions.chart import GUARDS, ReactionChart
from engine.reactions.decide import HANDLERS, Objectives, flag
from engine.reactions.evolve import fold_one
from engine.reactions.react import react
from engine.reactions.state import initial

NAME = "reaction"


def machine(objectives: Objectives) -> Machine:
    """Assemble the reaction machine for the pack in force."""
    stepper = Stepper(ReactionChart, GUARDS)
    return Machine(
        name=NAME,
        chart=ReactionChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
        flag=flag,
        objectives=objectives,
    )
