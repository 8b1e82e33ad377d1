"""An inbound message is kept before it is acknowledged, and held loudly when it cannot be read."""

import pytest

from engine.kernel.commands import Actor, Command
from engine.workflows import message
from engine.workflows.message import commands as c
from engine.workflows.message import events as e
from tests.workflows.machines import facts
from tests.workflows.play import Play, names

MACHINE = message.machine()
INTEGRATOR = Actor(person_id="int-1", role="integrator")
APPLIED = c.RecordMessageApplied(sessions=("ses-1",))
HELD = c.RecordMessageHeld(reason="CODE_UNKNOWN", what="OBR-4 CTXYZ")
UNUSED = c.RecordMessageUnused(why="ADT^A99")
PATHS: dict[str, tuple[Command, ...]] = {
    "received": (),
    "applied": (APPLIED,),
    "held": (HELD,),
    "unused": (UNUSED,),
}


def at(phase: str) -> Play:
    play = Play(MACHINE, "msg-1")
    play.do(
        c.ReceiveMessage(
            feed_id="feed-1",
            organization_id="org-1",
            site_id="site-1",
            sender="RIS",
            control_id="C1",
            message_type="ORM^O01",
            content_hash="h",
            raw="TVNI",
        )
    )
    for command in PATHS[phase]:
        play.do(command)
    assert play.state.phases == (phase,)
    return play


def test_the_bytes_are_protected() -> None:
    """The raw message is an erasable field; everything else of the event is not about a patient."""
    assert e.MessageReceived.protected == ("raw",)
    assert at("received").state.raw == "TVNI"


def test_a_held_message_says_why_and_can_be_replayed() -> None:
    """Held with reason and code; replayed after the map is mended; applied with its sessions and no reason left."""
    play = at("held")
    assert (play.state.reason, play.state.what) == ("CODE_UNKNOWN", "OBR-4 CTXYZ")
    play.do(c.ReplayMessage(), INTEGRATOR)
    assert play.state.phases == ("received",)
    play.do(APPLIED)

    assert (play.state.phases, play.state.sessions, play.state.reason) == (("applied",), ("ses-1",), "")


def test_what_was_not_taken_stays_until_the_next_reading() -> None:
    """Notices and the sessions of the other orders stand beside the reason; a replay that goes well clears them."""
    play = at("received")
    play.do(c.RecordMessageHeld(reason="R", what="OBR-4", sessions=("ses-1",), notices=("OBX-6",)))
    assert (play.state.sessions, play.state.notices) == (("ses-1",), ("OBX-6",))
    play.do(c.ReplayMessage(), INTEGRATOR)
    play.do(c.RecordMessageApplied(sessions=("ses-1", "ses-2"), notices=("PID-8",)))
    assert (play.state.sessions, play.state.notices) == (("ses-1", "ses-2"), ("PID-8",))


@pytest.mark.parametrize("phase", ["received", "applied", "unused"])
def test_only_a_held_message_is_replayed_or_dismissed(phase: str) -> None:
    """What was applied is not applied again by hand, and nothing but a held message leaves the worklist."""
    assert at(phase).refused(c.ReplayMessage(), INTEGRATOR) == "WRONG_PHASE"
    assert at(phase).refused(c.DismissMessage(dismissal="sent again"), INTEGRATOR) == "WRONG_PHASE"


def test_a_dismissed_message_keeps_why_it_was_held_and_can_be_replayed() -> None:
    """Off the worklist with a person's reason, the engine's own beside it; a replay takes the dismissal back."""
    play = at("held")
    play.do(c.DismissMessage(dismissal="sent again, mended"), INTEGRATOR)
    assert play.state.phases == ("dismissed",)
    assert (play.state.reason, play.state.dismissal) == ("CODE_UNKNOWN", "sent again, mended")
    play.do(c.ReplayMessage(), INTEGRATOR)

    assert (play.state.phases, play.state.dismissal) == (("received",), "")


def test_the_same_message_is_received_once() -> None:
    """A stream is one message: receiving it again is refused and changes nothing."""
    again = c.ReceiveMessage(
        feed_id="f", organization_id="o", site_id="s", sender="S", control_id="C", message_type="M",
        content_hash="h", raw="",
    )  # fmt: skip

    assert at("applied").refused(again) == "WRONG_PHASE"


@pytest.mark.parametrize("phase", PATHS)
def test_facts_are_taken_in_every_phase(phase: str) -> None:
    """Each report is kept wherever the message is; what was applied stays applied."""
    assert {type(APPLIED), type(HELD), type(UNUSED)} == set(facts("message"))
    for fact in (APPLIED, HELD, UNUSED):
        play = at(phase)
        assert len(names(play.do(fact))) == 1
        assert phase != "applied" or play.state.phases == ("applied",)
