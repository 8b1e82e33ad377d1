"""Every machine of the engine as the tests drive it."""

from collections.abc import Callable
from functools import cache

from engine.bootstrap import load_scenarios
from engine.kernel.commands import Command, TimerFired, verb
from engine.kernel.machine import Machine
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine as reaction_machine
from engine.workflows import coverage, delivery, directory, disclosure, drill, message, ring, session
from engine.workflows.drill.state import Objectives as DrillObjectives
from tests.reactions.packs import pack

NAMES = ("session", "ring", "coverage", "reaction", "delivery", "message", "directory", "disclosure", "drill")


@cache
def machine(name: str) -> Machine:
    """Return the machine of that name, with its usual objectives."""
    if name == "reaction":
        return reaction_machine(Objectives(pack=pack()))
    made: dict[str, Callable[[], Machine]] = {
        "session": session.machine,
        "ring": ring.machine,
        "coverage": coverage.machine,
        "delivery": delivery.machine,
        "message": message.machine,
        "directory": directory.machine,
        "disclosure": disclosure.machine,
        "drill": lambda: drill.machine(DrillObjectives(scenarios=load_scenarios())),
    }
    return made[name]()


def facts(name: str) -> tuple[type[Command], ...]:
    """Return the verbs of a machine that may never be refused: its facts, and its timers."""
    return tuple(kind for kind in machine(name).commands if kind.fact or kind is TimerFired)


def verbs(name: str) -> dict[str, type[Command]]:
    """Return a machine's commands by their chart event."""
    return {verb(kind): kind for kind in machine(name).commands}
