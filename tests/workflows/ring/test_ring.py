"""A ring climbs by time, rings everybody it rang before, and ends only by an answer or because nobody is needed."""

from decimal import Decimal
from typing import Any

import pytest

from engine.kernel.commands import Actor, Command, TimerFired
from engine.kernel.errors import Rejected
from engine.workflows import ring
from engine.workflows.ring import commands as c
from engine.workflows.ring import events as e
from engine.workflows.ring.state import Candidate, Objectives, RingEvidence, Rung
from tests.workflows.machines import facts
from tests.workflows.play import Play, names

MACHINE = ring.machine()


def doc(name: str) -> Actor:
    return Actor(person_id=name, role="physician")


def rung(name: str, *people: str) -> Rung:
    return Rung(name=name, people=tuple(Candidate(person_id=p, coverage_id=f"cov-{p}") for p in people))


FULL = (rung("primary", "p1"), rung("backup", "b1"), rung("bench", "n1", "n2"))


def started(ladder: tuple[Rung, ...] = FULL, machine: Any = MACHINE, *, urgent: bool = False) -> Play:
    play = Play(machine, "ses-1-1")
    play.do(
        c.StartRing(
            session_id="ses-1",
            organization_id="org-1",
            site_id="site-1",
            room_id="ct-1",
            cause="request",
            urgent=urgent,
            ladder=ladder,
            contact="cm-1",
        )
    )
    return play


def answer(person: str, *problems: str, elsewhere: bool = False, full: bool = False) -> c.AnswerRing:
    return c.AnswerRing(
        evidence=RingEvidence(
            person_id=person,
            coverage_id=f"cov-{person}",
            problems=problems,
            in_reaction_elsewhere=elsewhere,
            at_capacity=full,
        )
    )


def paged(play: Play) -> list[str]:
    return [send.body["person_id"] for send in play.sent]


@pytest.mark.hazard("H-01", "H-14")
def test_the_ladder_climbs_on_time_and_rings_everybody_so_far() -> None:
    """30 s a rung: primary; with backup; with the bench; then the named human too, with everybody."""
    play = started()
    assert paged(play) == ["p1"]
    for seconds, phase, people in (
        (30, "ringing_backup", ["p1", "b1"]),
        (30, "ringing_bench", ["p1", "b1", "n1", "n2"]),
        (30, "escalated", ["p1", "b1", "n1", "n2", "cm-1"]),
    ):
        play.sent.clear()
        assert play.wait(seconds - 1) == []
        play.wait(1)
        assert play.state.phases == (phase,)
        assert paged(play) == people


@pytest.mark.hazard("H-01")
def test_it_never_ends_unanswered_by_itself() -> None:
    """A day at the highest rung: still ringing, every thirty seconds, each time with the human named."""
    play = started()
    play.wait(90)
    play.sent.clear()
    repeats = play.wait(24 * 3600)

    assert set(names(repeats)) == {"RingRepeated"}
    assert len(repeats) == 24 * 3600 // 30
    assert paged(play).count("cm-1") == len(repeats)
    assert play.state.phases == ("escalated",)
    assert "rung" in play.timers


@pytest.mark.hazard("H-15")
def test_every_page_has_a_key_of_its_own() -> None:
    """No two pages of a ring share a key, so none is dropped as a repeat and none is sent twice."""
    play = started()
    play.wait(3600)
    keys = [send.key for send in play.sent]

    assert len(keys) == len(set(keys))


@pytest.mark.hazard("H-32")
def test_a_page_carries_ids_only() -> None:
    """Who, which ring, which session, where, how urgent: nothing of the patient."""
    play = started(urgent=True)

    assert {tuple(sorted(send.body)) for send in play.sent} == {
        ("person_id", "ring_id", "room_id", "session_id", "site_id", "urgency")
    }
    assert play.sent[0].body["urgency"] == "reaction"


@pytest.mark.hazard("H-01")
@pytest.mark.parametrize(
    ("people", "path"),
    [
        ("", ["escalated"]),
        ("p", ["ringing_primary", "escalated"]),
        ("b", ["ringing_backup", "escalated"]),
        ("n", ["ringing_bench", "escalated"]),
        ("pb", ["ringing_primary", "ringing_backup", "escalated"]),
        ("pn", ["ringing_primary", "ringing_bench", "escalated"]),
        ("bn", ["ringing_backup", "ringing_bench", "escalated"]),
        ("pbn", ["ringing_primary", "ringing_backup", "ringing_bench", "escalated"]),
    ],
)
def test_empty_rungs_are_passed_over_at_once(people: str, path: list[str]) -> None:
    """A rung without people costs no time; state and phase agree on where the ring is, at every rung."""
    ladder = tuple(
        rung(name, *(["x-" + letter] if letter in people else []))
        for name, letter in (("primary", "p"), ("backup", "b"), ("bench", "n"))
    )
    play = started(ladder)
    walked = [play.state.phases[0]]
    while play.state.phases != ("escalated",):
        play.wait(30)
        walked.append(play.state.phases[0])

    assert walked == path
    assert play.state.rung_phase == "escalated"
    assert paged(play)[-1] == "cm-1"
    for recorded in play.log:
        if isinstance(recorded.event, e.RungRaised):
            assert recorded.phases == (f"ringing_{recorded.event.name}",)


def test_a_ladder_that_is_empty_says_so() -> None:
    """Nobody on any rung: escalated with the reason, and the timer runs."""
    play = started(())

    assert play.of(e.RingEscalated)[0].cause == "nobody_on_the_ladder"
    assert "rung" in play.timers


def test_objectives_are_obeyed() -> None:
    """Rungs and repeats ring as long as they are set up to."""
    play = started(machine=ring.machine(Objectives(rung_s=(10, 20, 40), repeat_s=5)))
    play.wait(10)
    assert play.state.phases == ("ringing_backup",)
    play.wait(20)
    assert play.state.phases == ("ringing_bench",)
    play.wait(39)
    assert play.state.phases == ("ringing_bench",)
    play.wait(1)
    assert play.state.phases == ("escalated",)
    assert len(play.wait(20)) == 4


@pytest.mark.parametrize("at_s", [0, 30, 60, 90, 600])
def test_an_answer_says_who_where_and_after_how_long(at_s: int) -> None:
    """The event carries rung, window and time to the millisecond; nothing rings after it."""
    play = started()
    play.wait(at_s + 1.25)
    play.do(answer("p1"), doc("p1"))
    (answered,) = play.of(e.RingAnswered)

    assert (answered.physician_id, answered.coverage_id) == ("p1", "cov-p1")
    assert answered.answered_after_s == Decimal(at_s) + Decimal("1.25")
    assert answered.rung == ("primary", "backup", "bench", "escalated")[min(at_s // 30, 3)]
    play.sent.clear()
    assert play.wait(3600) == [] and play.sent == []


REFUSALS: tuple[tuple[str, Command, Actor], ...] = (
    ("NOT_ON_THIS_RING", answer("b1"), doc("b1")),
    ("NOT_ON_THIS_RING", answer("stranger"), doc("stranger")),
    ("PHYSICIAN_UNLICENSED", answer("p1", "LICENCE_EXPIRED"), doc("p1")),
    ("PHYSICIAN_UNLICENSED", c.AnswerRing(), doc("p1")),
    ("PHYSICIAN_IN_REACTION", answer("p1", elsewhere=True), doc("p1")),
    ("PHYSICIAN_AT_CAPACITY", answer("p1", full=True), doc("p1")),
    ("NOT_ON_THIS_RING", c.DeclineRing(reason="busy"), doc("b1")),
)


@pytest.mark.hazard("H-03", "H-26")
@pytest.mark.parametrize(("reason", "command", "who"), REFUSALS)
def test_who_may_not_answer_is_told_why(reason: str, command: Command, who: Actor) -> None:
    """Refused with a reason, and the ring rings on as before."""
    play = started()

    assert play.refused(command, who) == reason
    assert "rung" in play.timers


def test_the_second_of_two_answers_is_told_who_was_first() -> None:
    """Two press at once: one has the session, the other reads who; answering again is no mistake and does nothing."""
    play = started((rung("primary", "p1", "p2"),))
    play.do(answer("p1"), doc("p1"))
    assert play.refused(answer("p2"), doc("p2")) == "ALREADY_ANSWERED"
    with pytest.raises(Rejected) as refused:
        play.do(answer("p2"), doc("p2"))

    assert refused.value.sentence == "Another physician was quicker: this ring is answered already (p1)."
    assert refused.value.facts["answered_by"] == "p1"
    assert play.do(answer("p1"), doc("p1")) == []


def test_at_the_highest_rung_any_licensed_physician_may_answer() -> None:
    """Somebody who was never on the ladder may, but not one without a licence or in another reaction."""
    play = started()
    play.wait(90)
    assert play.refused(answer("x", "LICENCE_MISSING_IN_STATE"), doc("x")) == "PHYSICIAN_UNLICENSED"
    assert play.refused(answer("x", elsewhere=True), doc("x")) == "PHYSICIAN_IN_REACTION"
    play.do(answer("x"), doc("x"))

    assert play.state.answered_by == "x"


def test_a_reaction_may_take_a_physician_past_the_cap() -> None:
    """For a reaction the other rooms are released, so a full window is no reason to refuse."""
    play = started(urgent=True)
    play.do(answer("p1", full=True), doc("p1"))

    assert play.state.phases == ("answered",)


def test_when_everybody_declined_the_next_rung_rings_at_once() -> None:
    """No waiting for a timer that nobody will answer; who declined is not rung again on the way up."""
    play = started()
    play.do(c.DeclineRing(reason="busy"), doc("p1"))
    assert play.state.phases == ("ringing_backup",)
    play.do(c.DeclineRing(reason="busy"), doc("b1"))
    assert play.state.phases == ("ringing_bench",)
    play.do(c.DeclineRing(reason="busy"), doc("n1"))
    assert play.state.phases == ("ringing_bench",)
    play.do(c.DeclineRing(reason="busy"), doc("n2"))

    assert play.state.phases == ("escalated",)
    assert paged(play)[-1] == "cm-1"
    assert len(play.wait(300)) == 10


def test_a_declined_ring_can_still_be_answered_at_the_top() -> None:
    """Whoever could not may find that they can."""
    play = started((rung("primary", "p1"),))
    play.do(c.DeclineRing(reason="busy"), doc("p1"))
    play.do(answer("p1"), doc("p1"))

    assert play.state.answered_by == "p1"


def test_a_withdrawn_ring_is_silent() -> None:
    """No timer, no page; neither an answer nor another withdrawal changes it."""
    play = started()
    play.do(c.WithdrawRing(reason="session_ended"))
    play.sent.clear()

    assert play.wait(3600) == [] and play.sent == []
    assert play.refused(answer("p1"), doc("p1")) == "WRONG_PHASE"
    assert play.refused(c.WithdrawRing(reason="again")) == "WRONG_PHASE"


@pytest.mark.hazard("H-14")
def test_facts_are_taken_in_every_phase() -> None:
    """Pages that left or failed are kept, ringing or not; a timer after the end leads to nothing."""
    sent = c.RecordPageSent(person_id="p1", channel="console")
    failed = c.RecordPageFailed(person_id="p1", channel="sms", cause="unreachable")
    assert {type(sent), type(failed), TimerFired} == set(facts("ring"))
    plays = [started(), started(), started(), started(), started(), started()]
    for n, play in enumerate(plays[:4]):
        play.wait(30 * n)
    plays[4].do(answer("p1"), doc("p1"))
    plays[5].do(c.WithdrawRing(reason="x"))
    for play in plays:
        assert names(play.do(sent)) == ["PageSent"]
        assert names(play.do(failed)) == ["PageFailed"]
        assert play.state.pages_failed == 1
        assert play.do(TimerFired(name="unheard_of", due_at=play.now)) == []
    for play in plays[4:]:
        assert play.do(TimerFired(name="rung", due_at=play.now)) == []
