"""A delivery is tried until it is taken, lies dead only where a person sees it, and can be replayed."""

import pytest

from engine.kernel.commands import Actor, Command, TimerFired
from engine.workflows import delivery
from engine.workflows.delivery import commands as c
from engine.workflows.delivery import events as e
from engine.workflows.delivery.state import Objectives
from tests.workflows.machines import facts
from tests.workflows.play import Play, names

MACHINE = delivery.machine()
INTEGRATOR = Actor(person_id="int-1", role="integrator")
OK = c.RecordDeliveryAttempt(outcome=c.AttemptOutcome.ACCEPTED, detail="AA")
NO = c.RecordDeliveryAttempt(outcome=c.AttemptOutcome.REJECTED, detail="AR")
LATER = c.RecordDeliveryAttempt(outcome=c.AttemptOutcome.RETRY, detail="timeout")
CREATE = c.CreateDelivery(
    session_id="ses-1",
    organization_id="org-1",
    site_id="site-1",
    kind="oru",
    destination="ris",
    record_hash="h",
)


START = c.ReportDeliveryStarted()


def created(objectives: Objectives | None = None) -> Play:
    play = Play(delivery.machine(objectives) if objectives else MACHINE, "del-1")
    play.do(CREATE)
    return play


def at(phase: str) -> Play:
    play = created()
    course: dict[str, tuple[Command, ...]] = {
        "pending": (),
        "sending": (START,),
        "retrying": (START, LATER),
        "acknowledged": (START, OK),
        "dead": (START, NO),
    }
    for command in course[phase]:
        play.do(command)
    assert play.state.phases == (phase,)
    return play


PHASES = ("pending", "sending", "retrying", "acknowledged", "dead")


def test_a_delivery_is_sent_once_and_acknowledged() -> None:
    """One send with a key of its own, then rest."""
    play = created()
    (send,) = play.sent
    play.do(OK)

    assert (send.kind, send.body["destination"]) == ("delivery.oru", "ris")
    assert play.state.phases == ("acknowledged",)
    assert play.wait(86400) == [] and len(play.sent) == 1
    assert play.do(OK) == []


@pytest.mark.hazard("H-41")
def test_it_retries_ever_more_patiently_and_then_lies_dead() -> None:
    """Waits double up to the longest; after the last attempt it is dead with the last detail, never forgotten."""
    play = created(Objectives(first_wait_s=2, longest_wait_s=10, max_attempts=6))
    waits = []
    while play.state.phases == ("pending",):
        before = play.now
        play.do(START)
        play.do(LATER)
        if play.state.phases == ("retrying",):
            waits.append((play.timers["retry"] - before).total_seconds())
            play.wait(waits[-1])

    assert waits == [2, 4, 8, 10, 10]
    assert play.state.phases == ("dead",)
    assert play.state.attempts == 6
    assert play.state.last_detail == "timeout"
    assert len({send.key for send in play.sent}) == 6


@pytest.mark.hazard("H-41")
def test_a_dead_one_is_replayed_with_all_its_attempts() -> None:
    """Refused for good is dead at once; a person replays it and it has its patience back."""
    play = at("dead")
    play.do(c.ReplayDelivery(), INTEGRATOR)

    assert play.state.phases == ("pending",)
    assert play.state.attempts_since_replay == 0
    assert len(play.sent) == 2
    play.do(LATER)
    assert play.state.phases == ("retrying",)
    play.do(OK)
    assert play.state.phases == ("acknowledged",)


@pytest.mark.parametrize("phase", ["pending", "sending", "retrying", "acknowledged"])
def test_only_a_dead_one_is_replayed(phase: str) -> None:
    """Anything else is under way or done."""
    assert at(phase).refused(c.ReplayDelivery(), INTEGRATOR) == "WRONG_PHASE"


@pytest.mark.parametrize("phase", PHASES)
def test_a_late_acknowledgement_counts_and_a_late_failure_does_not(phase: str) -> None:
    """Whenever the far side says it has it, it has it; a failure after that changes nothing."""
    assert {c.ReportDeliveryStarted, c.RecordDeliveryAttempt, TimerFired} == set(facts("delivery"))
    play = at(phase)
    play.do(OK)
    assert play.state.phases == ("acknowledged",)
    late: tuple[Command, ...] = (START, NO, LATER, TimerFired(name="retry", due_at=play.now))
    for fact in late:
        assert play.do(fact) == []
    assert play.state.phases == ("acknowledged",)


def test_it_is_pending_until_it_is_taken_up() -> None:
    """Somebody who looks sees whether the far side may have it; taking it up twice says so once."""
    play = created()
    assert play.state.phases == ("pending",)
    assert [type(event).__name__ for event in play.do(START)] == ["DeliveryStarted"]
    assert play.state.phases == ("sending",)
    assert play.do(START) == []


def test_a_failure_reported_twice_is_one_failure() -> None:
    """While it waits for its retry, a second report of the same attempt uses up nothing."""
    play = at("retrying")

    assert play.do(LATER) == [] and play.do(NO) == []
    assert play.state.attempts == 1
    assert names(play.wait(2)) == ["DeliveryResent"]
    assert play.of(e.DeliveryResent)[0].cause == "retry"
