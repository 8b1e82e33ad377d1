"""Views kept between answers: never anything but what a view written from nothing would be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.ids import Stream
from engine.kernel.machine import Machine
from engine.reactions.commands import GradeReaction
from engine.reactions.state import Severity
from engine.services.views import HIDDEN, VIEWS, LastViews, view
from tests.reactions.test_machine import PHYSICIAN, graded
from tests.services.house import machines
from tests.workflows.play import Play
from tests.workflows.session import stories


def _states(play: Play) -> list[Any]:
    """Return the state before the first event of a story and after each."""
    states = [play.machine.initial(play.stream.id)]
    for recorded in play.log:
        states.append(play.machine.apply(states[-1], recorded))
    return states


def _worse() -> Play:
    """Return a reaction that was graded twice, so that steps came and went."""
    play = graded(Severity.MILD, "hives")
    play.do(GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis"), PHYSICIAN)
    return play


STATES = {
    "session": [*_states(stories.at("sealed")), *_states(stories.at("deferred"))],
    "reaction": _states(_worse()),
}


@pytest.mark.parametrize("machine", STATES)
@given(data=st.data())
def test_a_kept_view_is_the_view(machine: str, data: st.DataObject) -> None:
    """Whatever state is shown after whatever other, the message is the one written from nothing."""
    last, stream = LastViews(1), Stream(machine, "one")

    for state in data.draw(st.lists(st.sampled_from(STATES[machine]), max_size=12)):
        assert last.of(stream, state) == view(machine, state)


@pytest.mark.parametrize(
    "machine", [one for one in machines() if one.name in VIEWS], ids=lambda one: one.name
)
def test_nothing_erasable_is_kept(machine: Machine) -> None:
    """What a view is kept beside holds no protected field: an erasure must not have to look for it here."""
    protected = {field for kind in machine.events for field in kind.protected}

    assert not protected & ({field.name for field in VIEWS[machine.name].DESCRIPTOR.fields} - HIDDEN)


def test_views_are_kept_of_so_many_streams_and_no_more() -> None:
    """At the limit each stream's is kept; one past it one goes, and is written anew when it is asked for again."""
    last, state = LastViews(2), STATES["session"][-1]
    streams = [Stream("session", name) for name in ("one", "two", "three")]
    kept = []
    for stream in streams:
        last.of(stream, state)
        kept.append(len(last))

    assert kept == [1, 2, 2]
    assert last.of(streams[0], state) == view("session", state)
