"""Every checker of drills can fail: each is handed a real run with one thing forged, and must find it."""

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.reactions import events as reaction
from engine.simulation import drill_checkers as checkers
from engine.simulation.checkers import Network
from engine.simulation.drill_checkers import DRILL_CHECKERS, sessions_of_drills
from engine.simulation.life import ground
from engine.simulation.run import Report, simulate_cell
from engine.simulation.world import Odds
from engine.workflows.coverage import events as coverage
from engine.workflows.drill import events as drill
from engine.workflows.ring import events as ring
from engine.workflows.session import events as session

pytestmark = pytest.mark.hazard("H-43")


@pytest.fixture(scope="module")
def network() -> Network:
    report = Report(sessions=60, seed=0)
    return asyncio.run(simulate_cell(ground(), "practice", 60, report, Odds()))


def drills(network: Network) -> set[str]:
    """The sessions of drills."""
    return set(sessions_of_drills(network).values())


def forged(
    network: Network, wanted: Callable[[Recorded], bool], change: Callable[[Recorded], Recorded | None]
) -> Network:
    """Return the network with the first event that is wanted changed, or left out where `change` gives None."""
    for stream, history in network.histories.items():
        for n, recorded in enumerate(history):
            if wanted(recorded):
                changed = change(recorded)
                kept = [*history[:n], *([changed] if changed else []), *history[n + 1 :]]
                return replace(network, histories={**network.histories, stream: kept})
    raise AssertionError("the run holds no such event")


def of(
    kind: type, *, within: set[str] | None = None, without: set[str] | None = None
) -> Callable[[Recorded], bool]:
    """Return whether an event is of a kind, in (or not in) the sessions named."""

    def wanted(recorded: Recorded) -> bool:
        owner = recorded.stream.id if recorded.stream.machine == "session" else recorded.correlation
        return (
            isinstance(recorded.event, kind)
            and (within is None or owner in within)
            and (without is None or owner not in without)
        )

    return wanted


def fields(**change: Any) -> Callable[[Recorded], Recorded]:
    """Return a change of an event's own fields."""
    return lambda recorded: structs.replace(recorded, event=replace(recorded.event, **change))


def test_a_true_history_passes(network: Network) -> None:
    """What the engine did itself breaks nothing, and there were drills that were debriefed."""
    assert [wrong for check in DRILL_CHECKERS for wrong in check(network)] == []
    assert network.debriefings and network.drill_documents


def test_what_a_drill_does_to_a_patient_is_found(network: Network) -> None:
    """An event of a patient's session that follows from a drill, and one whose ring is a drill's."""
    [mine, *_] = drills(network)
    caused = forged(
        network,
        of(session.PhysicianAssigned, without=drills(network)),
        lambda r: structs.replace(r, causation=f"session/{mine}@3"),
    )
    assert "follows from a drill" in checkers.a_drill_touches_no_patient(caused)[0]
    rung = next(
        r.event.ring_id
        for s in drills(network)
        for r in network.histories.get(Stream("session", s), ())
        if isinstance(r.event, session.SupervisionRequested)
    )
    lent = forged(network, of(session.SupervisionRequested, without=drills(network)), fields(ring_id=rung))
    assert any("is a patient's" in wrong for wrong in checkers.a_drill_touches_no_patient(lent))


def test_a_window_that_holds_a_drill_is_found(network: Network) -> None:
    """4: a physician's window engaged for a drill covers patients no more."""
    [mine, *_] = drills(network)
    engaged = forged(network, of(coverage.CoverageEngaged), fields(session_id=mine))
    assert "is about a drill" in checkers.a_drill_touches_no_patient(engaged)[0]


@pytest.mark.parametrize("kind", [session.SessionScheduled, ring.RingStarted, reaction.ReactionOpened])
def test_a_missing_or_false_mark_is_found(network: Network, kind: type) -> None:
    """A drill's stream that does not say so, and a patient's that does."""
    unmarked = forged(network, of(kind, within=drills(network)), fields(drill=False))
    assert "not marked" in checkers.a_drill_is_marked_everywhere(unmarked)[0]
    falsely = forged(network, of(kind, without=drills(network)), fields(drill=True))
    assert "is none" in checkers.a_drill_is_marked_everywhere(falsely)[0]


def test_a_document_without_its_mark_is_found(network: Network) -> None:
    """Debriefing, record and each of a reaction's papers: one unmarked is enough."""
    kinds = set()
    for drill_id, documents in network.drill_documents.items():
        for number, document in enumerate(documents):
            wrong = [*documents[:number], unmarked(document), *documents[number + 1 :]]
            found = checkers.a_drill_is_marked_everywhere(replace(network, drill_documents={drill_id: wrong}))
            assert len(found) == 1
            kinds.add(found[0].split(": ")[1].split(" does")[0])
    assert {"attend-drill-debriefing/1", "incident_report", "ems_handover", "attend-record/1"} <= kinds


def unmarked(document: bytes) -> bytes:
    """Take the mark of a drill out of a document."""
    content = json.loads(document)
    if "head" in content:
        content["head"]["drill"] = False
    elif "record" in content:
        content["record"]["engine"]["drill"]["value"] = None
    else:
        content["mark"] = ""
    return json.dumps(content).encode()


def test_a_physician_kept_in_a_drill_is_found(network: Network) -> None:
    """4: on the line to a patient's reaction and in a drill's at once, and for how long; a moment is no violation."""
    stream, patient = next(
        (s, h[: n + 1])
        for s, h in network.histories.items()
        if s.machine == "session" and s.id not in drills(network)
        for n, r in enumerate(h)
        if isinstance(r.event, session.ReactionReported) and r.event.alerted
    )
    own, history = next(
        (Stream("session", one), list(h[: n + 1]))
        for one in sorted(drills(network))
        if (h := network.histories.get(Stream("session", one)))
        for n, r in enumerate(h)
        if isinstance(r.event, session.PhysicianAssigned) and "active" in r.phases
    )
    person = patient[-1].event.alerted  # type: ignore[attr-defined]  # chosen above
    there = history[-1]
    history[-1] = structs.replace(
        there, event=replace(there.event, evidence=replace(there.event.evidence, person_id=person))
    )  # type: ignore[attr-defined, type-var]  # chosen above
    both = replace(network, histories={stream: after(0, patient), own: after(len(patient), history)})
    assert "is in a drill and treats a patient" in checkers.a_patient_comes_before_a_drill(both)[0]
    left = session.PhysicianLeft(physician_id=person, cause="in_reaction_elsewhere")
    for late_s, wrong in ((2, 0), (60, 1)):
        gone = structs.replace(
            history[-1],
            version=len(history) + 1,
            event=left,
            at=history[-1].at + dt.timedelta(seconds=late_s),
        )
        told = replace(
            network, histories={stream: after(0, patient), own: after(len(patient), [*history, gone])}
        )
        assert len(checkers.a_patient_comes_before_a_drill(told)) == wrong


def after(position: int, history: Sequence[Recorded]) -> list[Recorded]:
    """Return a history at the positions after one."""
    return [structs.replace(r, position=position + n) for n, r in enumerate(history, start=1)]


def test_a_score_that_changes_is_found(network: Network) -> None:
    """9: told otherwise after a restart, and points kept that the events do not give."""
    drill_id, told = next(
        (name, told)
        for name, told in network.debriefings.items()
        if any(isinstance(r.event, drill.DrillDebriefed) for r in network.histories[Stream("drill", name)])
    )
    again = replace(network, debriefings={drill_id: [*told[:-1], told[-1].replace(b"DRILL", b"drill", 1)]})
    assert "told in 2 ways" in checkers.a_score_is_its_events(again)[0]
    kept = forged(network, of(drill.DrillDebriefed), fields(points=101))
    assert "101 points kept" in checkers.a_score_is_its_events(kept)[0]


def test_a_drill_that_goes_on_is_found(network: Network) -> None:
    """It never ended; its patient changed after the end; somebody is still rung for it."""
    assert checkers.a_drill_that_is_over_is_over(forged(network, of(drill.DrillEnded), lambda r: None))
    stream, history = next(
        (s, list(h)) for s, h in network.of("drill") if any(isinstance(r.event, drill.DrillEnded) for r in h)
    )
    changed = next(r for r in history if isinstance(r.event, drill.PatientChanged))
    late = structs.replace(changed, position=history[-1].position + 1, version=history[-1].version + 1)
    more = {**network.histories, stream: [*history, late]}
    found = checkers.a_drill_that_is_over_is_over(replace(network, histories=more))
    assert "PatientChanged after the drill" in found[0]
    ringing = {
        s: [r for r in h if not isinstance(r.event, ring.RingAnswered | ring.RingWithdrawn)]
        if s.machine == "ring" and s.id.startswith("drill-")
        else h
        for s, h in network.histories.items()
    }
    assert any(
        "rings after" in w for w in checkers.a_drill_that_is_over_is_over(replace(network, histories=ringing))
    )
