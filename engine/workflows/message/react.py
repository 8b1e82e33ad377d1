"""What follows from a message's events: nothing by itself; policies and readers take it from here."""

from collections.abc import Iterator

from engine.kernel.effects import Effect
from engine.kernel.events import Recorded


def react(state: object, recorded: Recorded) -> Iterator[Effect]:
    """Yield no effects."""
    return iter(())
