"""The coverage machine: one physician's commitment to rooms, held by a heartbeat lease."""

from functools import partial

from engine.kernel.machine import Machine
from engine.kernel.stepper import Stepper
from engine.workflows.coverage import events
from engine.workflows.coverage.chart import GUARDS, CoverageChart
from engine.workflows.coverage.decide import HANDLERS
from engine.workflows.coverage.evolve import fold_one
from engine.workflows.coverage.react import react
from engine.workflows.coverage.state import Objectives, initial

NAME = "coverage"


def machine(objectives: Objectives | None = None) -> Machine:
    """Assemble the coverage machine for one set of objectives."""
    chosen = objectives or Objectives()
    stepper = Stepper(CoverageChart, GUARDS)
    return Machine(
        name=NAME,
        chart=CoverageChart,
        stepper=stepper,
        guards=GUARDS,
        handlers=HANDLERS,
        events=events.ALL,
        initial=partial(initial, phases=stepper.initial),
        evolve=fold_one,
        react=react,
        objectives=chosen,
    )
