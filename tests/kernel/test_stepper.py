"""The stepper answers as the library does, says why it refuses, and knows an illegal configuration."""

import pytest
from statemachine import State, StateChart

from engine.kernel.errors import Corrupt, Rejected
from engine.kernel.stepper import Stepper


class Lamp(StateChart[None]):
    """Two regions, a guarded wish with two refusals, and a fact that listens everywhere."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class lamp(State.Parallel):
        class power(State.Compound):
            off = State(initial=True)
            on = State()
            switch_on = off.to(on, unless=["unplugged", "broken"])
            switch_off = on.to(off)

        class colour(State.Compound):
            white = State(initial=True)
            red = State()
            paint = white.to(red) | red.to(white, cond=["repaintable"])

    report_bump = lamp.to(None)


def unplugged(facts: dict[str, bool]) -> bool:
    """The lamp is not plugged in;
    plug it in."""
    return facts.get("unplugged", False)


def broken(facts: dict[str, bool]) -> bool:
    """The lamp is broken."""
    return facts.get("broken", False)


def repaintable(facts: dict[str, bool]) -> bool:
    """Route: red paint comes off."""
    return facts.get("repaintable", False)


GUARDS = {guard.__name__: guard for guard in (unplugged, broken, repaintable)}


@pytest.fixture
def stepper() -> Stepper:
    return Stepper(Lamp, GUARDS)


def test_a_legal_event_moves_only_its_region(stepper: Stepper) -> None:
    """One region moves and the other keeps its place."""
    assert ("off", "white") == stepper.initial
    assert ("on", "white") == stepper.step(("off", "white"), "switch_on", {})
    assert ("off", "red") == stepper.step(("off", "white"), "paint", {})


def test_the_first_refusing_guard_is_the_reason(stepper: Stepper) -> None:
    """The reason is the first guard in declared order, its sentence is the docstring, and all of them are listed."""
    with pytest.raises(Rejected) as refused:
        stepper.step(("off", "white"), "switch_on", {"broken": True, "unplugged": True})

    assert refused.value.reason == "UNPLUGGED"
    assert refused.value.sentence == "The lamp is not plugged in; plug it in."
    assert refused.value.facts["missing"] == "UNPLUGGED,BROKEN"


def test_an_event_no_phase_listens_to_is_a_wrong_phase(stepper: Stepper) -> None:
    """Switching off a lamp that is off is refused and named."""
    with pytest.raises(Rejected) as refused:
        stepper.step(("off", "white"), "switch_off", {})

    assert refused.value.reason == "WRONG_PHASE"
    assert refused.value.facts["phase"] == "off+white"
    assert refused.value.facts["possible_in"] == "on"
    assert refused.value.sentence == (
        "Switch off is not possible while the lamp is off; it is possible while it is on."
    )


def test_a_routing_guard_is_not_a_reason(stepper: Stepper) -> None:
    """A condition that routes gives WRONG_PHASE, not its own name."""
    with pytest.raises(Rejected, match="WRONG_PHASE"):
        stepper.step(("off", "red"), "paint", {})

    assert ("off", "white") == stepper.step(("off", "red"), "paint", {"repaintable": True})


@pytest.mark.parametrize("phases", [("off", "white"), ("on", "white"), ("off", "red"), ("on", "red")])
def test_a_fact_is_accepted_everywhere_and_moves_nothing(stepper: Stepper, phases: tuple[str, ...]) -> None:
    """An event on the root leaves every configuration as it is."""
    assert phases == stepper.step(phases, "report_bump", {})


@pytest.mark.parametrize("phases", [("off",), ("off", "on", "white"), ("off", "white", "gone"), ()])
def test_an_illegal_configuration_is_corrupt(stepper: Stepper, phases: tuple[str, ...]) -> None:
    """What this chart cannot be in is never worked on."""
    with pytest.raises(Corrupt):
        stepper.step(phases, "report_bump", {})


def test_guard_outcomes_are_part_of_the_memo(stepper: Stepper) -> None:
    """A refusal remembered for one outcome does not leak into another."""
    with pytest.raises(Rejected):
        stepper.step(("off", "white"), "switch_on", {"broken": True})

    assert ("on", "white") == stepper.step(("off", "white"), "switch_on", {})
