"""The directory machine: an organization's sites, rooms, people, credentials and rosters."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.directory import events
from engine.workflows.directory.chart import GUARDS, DirectoryChart
from engine.workflows.directory.decide import HANDLERS
from engine.workflows.directory.evolve import fold_one
from engine.workflows.directory.react import react
from engine.workflows.directory.state import initial

NAME = "directory"


def machine() -> Machine:
    """Assemble the directory machine."""
    stepper = Stepper(DirectoryChart, GUARDS)
    return Machine(
        name=NAME,
        chart=DirectoryChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
    )
