"""Every checker can fail: each is handed a history of a real run with one thing forged, and must find it."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.reactions import events as reaction
from engine.simulation import checkers
from engine.simulation.checkers import CHECKERS, Acknowledged, Network
from engine.simulation.life import ground
from engine.simulation.run import Report, simulate_cell
from engine.simulation.world import Odds
from engine.workflows.coverage import events as coverage
from engine.workflows.ring import events as ring
from engine.workflows.session import events as session


@pytest.fixture(scope="module")
def network() -> Network:
    report = Report(sessions=60, seed=0)
    return asyncio.run(simulate_cell(ground(), "forge", 60, report, Odds()))


Forge = Callable[[Recorded], Recorded | None]


def forged(network: Network, kind: type[Event], change: Forge, *, every: bool = False) -> Network:
    """Return the network with the first (or every) event of a kind changed, or dropped where `change` gives None."""
    histories: dict[Stream, Any] = {}
    found = False
    for stream, history in network.histories.items():
        kept: list[Recorded] = []
        for recorded in history:
            if isinstance(recorded.event, kind) and (every or not found):
                found = True
                changed = change(recorded)
                if changed is not None:
                    kept.append(changed)
            else:
                kept.append(recorded)
        if kept:
            histories[stream] = kept
    assert found, f"the run holds no {kind.__name__}"
    return replace(network, histories=histories)


def event(**fields: Any) -> Forge:
    """Return a change of an event's own fields."""
    return lambda recorded: replace(recorded, event=replace(recorded.event, **fields))


def drop(recorded: Recorded) -> None:
    """Leave an event out."""


def test_a_true_history_passes(network: Network) -> None:
    """What the engine did itself breaks nothing."""
    assert [wrong for check in CHECKERS for wrong in check(network)] == []


def test_an_injection_without_ready_is_found(network: Network) -> None:
    """1: another token, and a fact that was lost."""
    wrong = forged(network, session.InjectionStarted, event(ready_token="0" * 32))
    assert checkers.injection_only_under_ready(wrong)
    unseen = forged(network, session.ViewConfirmed, drop, every=True)
    assert "view_confirmed" in checkers.injection_only_under_ready(unseen)[0]


def test_a_lost_acknowledgement_is_found(network: Network) -> None:
    """2: somebody was told of something that the store does not hold."""
    lost = Acknowledged("never", Stream("session", "ses-0"), 3)
    wrong = replace(network, acknowledged=(*network.acknowledged, lost))
    assert checkers.nothing_acknowledged_is_lost(wrong)


def test_a_ring_that_nobody_hears_is_found(network: Network) -> None:
    """3: no ring for a request, and the highest rung without a human."""
    some = next(s for s in network.histories if s.machine == "ring")
    gone = {stream: history for stream, history in network.histories.items() if stream != some}
    assert checkers.every_ring_is_answered_or_rings(replace(network, histories=gone))
    escalated = Stream("ring", "forged")
    source = next(
        history[: n + 1]
        for s, history in network.histories.items()
        for n, r in enumerate(history)
        if isinstance(r.event, ring.RingEscalated)
    )
    last = event(contact="")(source[-1])
    assert last is not None
    nameless = {**network.histories, escalated: [*source[:-1], last]}
    assert checkers.every_ring_is_answered_or_rings(replace(network, histories=nameless))


def test_a_late_timer_is_found(network: Network) -> None:
    """3: an event of a timer ten minutes after it was due, and a timer that never fired at all."""

    def late(recorded: Recorded) -> Recorded:
        raised = recorded.event
        assert isinstance(raised, ring.RungRaised)
        return replace(recorded, event=replace(raised, due_at=raised.due_at - dt.timedelta(hours=5)))

    assert checkers.every_timer_fires_on_time(forged(network, ring.RungRaised, late))
    unfired = {name: v for name, v in network.requests.items() if not name.startswith("timer:")}
    assert checkers.every_timer_fires_on_time(replace(network, requests=unfired))


def test_an_outage_excuses_what_was_due_in_it(network: Network) -> None:
    """3: only the part of a delay that lies inside an outage is excused."""
    at = network.ended_at
    away = replace(network, outages=((at, at + dt.timedelta(seconds=60)),))
    assert away.excused_s(at, at + dt.timedelta(seconds=61)) == 1
    assert away.excused_s(at - dt.timedelta(seconds=30), at + dt.timedelta(seconds=60)) == 30


def test_a_physician_in_two_rooms_is_found(network: Network) -> None:
    """4: in a reaction with another session still covered, and more sessions than the cap."""
    held = next(
        (stream, history)
        for stream, history in network.histories.items()
        if any(isinstance(r.event, coverage.CoverageEngaged) for r in history)
    )
    stream, history = held
    n = next(n for n, r in enumerate(history) if isinstance(r.event, coverage.CoverageEngaged))
    engaged = history[n]
    twice = replace(engaged, phases=("in_reaction",))
    assert checkers.a_reaction_holds_one_room(
        replace(network, histories={stream: [*history[:n], twice, *history[n + 1 :]]})
    )
    more = [replace(engaged, event=coverage.CoverageEngaged(session_id=f"other-{k}")) for k in range(5)]
    assert checkers.commitments_do_not_clash(replace(network, histories={stream: [*history[: n + 1], *more]}))


def test_an_injection_under_a_busy_physician_is_found(network: Network) -> None:
    """4: the physician's window went into another session's reaction just before the injection started."""
    start = next(
        r for h in network.histories.values() for r in h if isinstance(r.event, session.InjectionStarted)
    )
    given = [
        r.event.evidence.person_id
        for r in network.histories[start.stream]
        if isinstance(r.event, session.PhysicianAssigned | session.HandOffAccepted)
        and r.version < start.version
    ]
    window, history = next(
        (stream, list(history))
        for stream, history in network.histories.items()
        if isinstance(history[0].event, coverage.CoverageOffered)
        and history[0].event.physician_id == given[-1]
        and history[0].position < start.position
    )
    entered = replace(
        history[0],
        position=start.position,
        event=coverage.ReactionEntered(physician_id=given[-1], session_id="another", released=()),
        phases=("in_reaction",),
    )
    before = [r for r in history if r.position < start.position]
    kept = {s: h for s, h in network.histories.items() if s.machine == "session"}
    found = checkers.nobody_injects_under_a_physician_elsewhere(
        replace(network, histories={window: [*before, entered], **kept})
    )
    assert any(start.id in wrong for wrong in found)


def test_a_silent_alarm_is_found(network: Network) -> None:
    """5: nobody alarmed and no ring asked for; and a reaction whose stream never opened."""
    silent = forged(network, session.ReactionReported, event(alerted=""), every=True)
    quiet = forged(silent, session.SupervisionRequested, drop, every=True)
    assert any("nobody was alarmed" in wrong for wrong in checkers.every_alarm_reaches_somebody(quiet))
    unopened = forged(network, session.ReactionReported, event(reaction_id="never"))
    assert any("never opened" in wrong for wrong in checkers.every_alarm_reaches_somebody(unopened))


def test_an_order_past_its_cap_is_found(network: Network) -> None:
    """6: a dose nobody may order, without an override; a reason alone is not enough."""

    def tenfold(recorded: Recorded) -> Recorded:
        ordered = recorded.event
        assert isinstance(ordered, reaction.StepOrdered)
        if ordered.order is None or ordered.order.dose_mg is None:
            return recorded
        order = replace(ordered.order, dose_mg=ordered.order.dose_mg * 1000)
        return replace(recorded, event=replace(ordered, order=order, overrides=()))

    assert checkers.orders_keep_their_limits(forged(network, reaction.StepOrdered, tenfold, every=True))


def test_a_missing_gap_is_found(network: Network) -> None:
    """7: the line was lost while presence was owed, and no gap was written; a gap without a cause."""
    assert checkers.gaps_are_whole(forged(network, session.GapOpened, drop, every=True))
    assert checkers.gaps_are_whole(forged(network, session.GapOpened, event(cause="")))


def test_a_seal_over_too_little_is_found(network: Network) -> None:
    """8: two signatures over different contents, a record without one of its events, a seal over another hash."""

    def other(recorded: Recorded) -> Recorded:
        attested = recorded.event
        assert isinstance(attested, session.RecordAttested)
        return replace(
            recorded, event=replace(attested, signature=replace(attested.signature, record_hash="0" * 64))
        )

    assert checkers.only_signed_records_are_sealed(forged(network, session.RecordAttested, other, every=True))
    short = tuple(row for row in network.rows if row.type != "LineVerified")
    assert checkers.sealed_records_are_complete(replace(network, rows=short))
    unsigned = forged(network, session.RecordSealed, event(record_hash="0" * 64))
    assert checkers.sealed_records_are_complete(unsigned)


def test_a_hole_in_the_log_is_found(network: Network) -> None:
    """9 and 12: an event that is not there, and a version that is there twice."""
    assert checkers.replay_is_whole(forged(network, session.WeightRecorded, drop))
    twice = forged(network, session.WeightRecorded, lambda r: replace(r, version=r.version - 1))
    assert checkers.replay_is_whole(twice)


def test_a_hand_off_nobody_offered_is_found(network: Network) -> None:
    """10: the new owner was never offered the session."""
    assert checkers.somebody_is_always_responsible(forged(network, session.HandOffOffered, drop, every=True))
