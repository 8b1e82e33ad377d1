"""Every checker can fail: each is handed a history of a real run with one thing forged, and must find it."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from engine.kernel.commands import Actor
from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.reactions import events as reaction
from engine.services.ports import MissingItem
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
    return lambda recorded: structs.replace(recorded, event=replace(recorded.event, **fields))


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


def test_an_injection_that_another_cleared_is_found(network: Network) -> None:
    """1: a clearance of a physician who is not there, and one from before the last answers."""
    other = Actor(person_id="md-elsewhere", role="physician")
    stranger = forged(network, session.ContrastCleared, lambda r: structs.replace(r, actor=other), every=True)
    assert checkers.who_supervises_has_cleared(stranger)
    unreviewed = forged(network, session.ScreeningReviewed, drop, every=True)
    assert checkers.who_supervises_has_cleared(unreviewed)


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
        return structs.replace(recorded, event=replace(raised, due_at=raised.due_at - dt.timedelta(hours=5)))

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
    twice = structs.replace(engaged, phases=("in_reaction",))
    assert checkers.a_reaction_holds_one_room(
        replace(network, histories={stream: [*history[:n], twice, *history[n + 1 :]]})
    )
    more = [
        structs.replace(engaged, event=coverage.CoverageEngaged(session_id=f"other-{k}")) for k in range(5)
    ]
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
    entered = structs.replace(
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
        return structs.replace(recorded, event=replace(ordered, order=order, overrides=()))

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
        return structs.replace(
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
    twice = forged(network, session.WeightRecorded, lambda r: structs.replace(r, version=r.version - 1))
    assert checkers.replay_is_whole(twice)


def test_a_hand_off_nobody_offered_is_found(network: Network) -> None:
    """10: the new owner was never offered the session."""
    assert checkers.somebody_is_always_responsible(forged(network, session.HandOffOffered, drop, every=True))


def until(network: Network, kind: type[Event], *, but: str = "") -> tuple[Stream, list[Recorded]]:
    """Return the first patient's session but one, up to an event of a kind (an alarm: one that was heard)."""
    return next(
        (stream, list(history[: n + 1]))
        for stream, history in network.histories.items()
        if stream.machine == "session" and stream.id != but and not getattr(history[0].event, "drill", False)
        for n, recorded in enumerate(history)
        if isinstance(recorded.event, kind) and getattr(recorded.event, "alerted", "heard")
    )


def follows(history: list[Recorded], *events: Event) -> list[Recorded]:
    """Return a history with events of the same moment after it."""
    last = history[-1]
    added = [
        structs.replace(last, version=last.version + n, position=last.position + n, event=one)
        for n, one in enumerate(events, start=1)
    ]
    return [*history, *added]


def test_a_patient_whom_nobody_comes_to_is_found(network: Network) -> None:
    """5: a reaction whose physician left, and a request, each with every ring silent; one that rings is enough."""
    stream, history = until(network, session.ReactionReported)
    alarm = history[-1].event
    assert isinstance(alarm, session.ReactionReported)
    left = session.PhysicianLeft(physician_id=alarm.alerted, cause="forged")
    reaction_id = Stream("reaction", alarm.reaction_id)
    alone = {stream: follows(history, left), reaction_id: network.histories[reaction_id]}
    found = checkers.every_alarm_reaches_somebody(replace(network, histories=alone))
    assert any("a reaction is open, none is there and nothing rings" in wrong for wrong in found)

    asked, request = until(network, session.SupervisionRequested)
    ring_id = Stream("ring", f"{asked.id}-1")
    rings = list(network.histories[ring_id])
    silent = {asked: request, ring_id: [*rings[:-1], structs.replace(rings[-1], phases=("withdrawn",))]}
    found = checkers.every_alarm_reaches_somebody(replace(network, histories=silent))
    assert any("a physician is owed, none is there and nothing rings" in wrong for wrong in found)
    ringing = {asked: request, ring_id: rings[:1]}
    assert not checkers.every_alarm_reaches_somebody(replace(network, histories=ringing))


def test_a_physician_with_a_patient_who_reacts_and_another_one_is_found(network: Network) -> None:
    """4: no window says so, but two sessions believe that the same physician is there, one of them in a reaction."""
    here, history = until(network, session.ReactionReported)
    assigned = next(
        r.event
        for r in reversed(history)
        if isinstance(r.event, session.PhysicianAssigned | session.HandOffAccepted)
    )
    other, request = until(network, session.PhysicianAssigned, but=here.id)
    request[-1] = structs.replace(request[-1], event=replace(request[-1].event, evidence=assigned.evidence))
    both = replace(network, histories={here: history, other: request}, outages=())
    assert any(
        "was there for another since" in wrong for wrong in checkers.nobody_treats_and_supervises(both)
    )
    start = session.InjectionStarted(ready_token="0" * 32)
    late = [structs.replace(r, position=r.position + 10**6) for r in follows(request, start)]
    injected = replace(network, histories={here: history, other: late})
    found = checkers.nobody_treats_and_supervises(injected)
    assert any("injected while the physician treats another patient" in wrong for wrong in found)


def test_a_physician_who_directs_by_phone_and_has_another_patient_is_found(network: Network) -> None:
    """4: no line to the reaction and no presence to see, but a grade by whom another session believes in."""
    here, history = until(network, session.ReactionReported)
    last = history[-1]
    phases = tuple("on_phone" if phase in ("verified", "degraded") else phase for phase in last.phases)
    history[-1] = structs.replace(last, phases=phases)
    assigned = next(
        r.event
        for r in reversed(history)
        if isinstance(r.event, session.PhysicianAssigned | session.HandOffAccepted)
    )
    other, request = until(network, session.PhysicianAssigned, but=here.id)
    request[-1] = structs.replace(request[-1], event=replace(request[-1].event, evidence=assigned.evidence))
    silent = replace(network, histories={here: history, other: request}, outages=())
    assert not checkers.nobody_treats_and_supervises(silent)

    graded = structs.replace(
        next(
            r for h in network.histories.values() for r in h if isinstance(r.event, reaction.ReactionGraded)
        ),
        stream=Stream("reaction", last.event.reaction_id),
        correlation=here.id,
        actor=Actor(person_id=assigned.evidence.person_id, role="physician"),
        at=last.at,
        position=max(last.position, request[-1].position) + 1,
    )
    directed = replace(silent, histories={**silent.histories, graded.stream: [graded]})
    assert any(
        "was there for another since" in wrong for wrong in checkers.nobody_treats_and_supervises(directed)
    )


def test_a_session_that_nobody_finishes_is_found(network: Network) -> None:
    """8: neither sealed nor called off and on no worklist; on the worklist with nobody who must act."""
    stream, history = until(network, session.MonitoringCompleted)
    unfinished = replace(network, histories={stream: history})
    found = checkers.every_session_ends_or_is_on_the_worklist(unfinished)
    assert any("at the end and on no worklist" in wrong for wrong in found)

    listed = {stream.id: [MissingItem(field="signatures.physician", reason="not signed", who="physician")]}
    assert not checkers.every_session_ends_or_is_on_the_worklist(replace(unfinished, worklist=listed))
    nobody = {stream.id: [MissingItem(field="signatures.physician", reason="not signed", who="")]}
    assert checkers.every_session_ends_or_is_on_the_worklist(replace(unfinished, worklist=nobody))


def test_a_record_that_opens_by_itself_is_found(network: Network) -> None:
    """8: opened again by nothing, and by a reaction that was signed with the rest."""
    stream, history = until(network, session.RecordSealed)
    opened = session.AddendumOpened(revision=2, source="ReportLateEntry")
    alone = replace(network, histories={stream: follows(history, opened)})
    assert "without a fact" in checkers.no_record_reopens_by_itself(alone)[0]

    entry = session.LateEntryReported(source="reaction:VitalsRecorded")
    old = replace(network, histories={stream: follows(history, opened, entry)})
    assert "what was signed already" in checkers.no_record_reopens_by_itself(old)[0]
    weight = session.WeightRecorded(weight_kg=Decimal(70), method="stated")
    told = replace(network, histories={stream: follows(history, opened, weight)})
    assert not checkers.no_record_reopens_by_itself(told)
