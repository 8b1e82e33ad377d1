"""What holds of drills, as functions over a whole log: apart from patients, marked, second to them, scored by events.

Rule: as for every checker, stored events and what callers were told count, never the engine's own state.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.policies.debrief_refreshes import REFRESHER
from engine.records.debriefing import MARK
from engine.simulation.checkers import OWED, Network
from engine.workflows.directory.events import CredentialRecorded
from engine.workflows.drill import events as drill
from engine.workflows.session import events as session

Histories = Mapping[Stream, Sequence[Recorded]]


def _links(network: Network, session_id: str) -> Iterator[Stream]:
    """Yield the rings and reactions of a session."""
    for recorded in network.histories.get(Stream("session", session_id), ()):
        if isinstance(recorded.event, session.SupervisionRequested):
            yield Stream("ring", recorded.event.ring_id)
        elif isinstance(recorded.event, session.ReactionReported):
            yield Stream("reaction", recorded.event.reaction_id)


def sessions_of_drills(network: Network) -> dict[str, str]:
    """Return the session of each drill that was planned, by the drill's id."""
    return {
        stream.id: recorded.event.session_id
        for stream, history in network.of("drill")
        for recorded in history
        if isinstance(recorded.event, drill.DrillPlanned)
    }


def _practice(network: Network) -> set[Stream]:
    """Return every stream that belongs to a drill."""
    found = {stream for stream, _ in network.of("drill")}
    for session_id in sessions_of_drills(network).values():
        found |= {Stream("session", session_id), *_links(network, session_id)}
    return found


def a_drill_touches_no_patient(network: Network) -> list[str]:
    """Nothing in a drill leads to an event outside of it but its refreshers; no window and no delivery knows of one."""
    wrong, mine, sessions = [], _practice(network), set(sessions_of_drills(network).values())
    causes = {str(stream) for stream in mine}
    for stream, history in network.histories.items():
        if stream in mine:
            continue
        linked = set(_links(network, stream.id)) & mine if stream.machine == "session" else ()
        if linked:
            wrong.append(f"{stream}: a drill's ring or reaction is a patient's")
        for recorded in history:
            refreshed = (
                isinstance(recorded.event, CredentialRecorded) and recorded.event.credential.kind == REFRESHER
            )
            by_drill = recorded.causation.rpartition("@")[0] in causes or recorded.correlation in sessions
            if by_drill and not refreshed:
                wrong.append(f"{recorded.id}: {recorded.type} follows from a drill")
            elif getattr(recorded.event, "session_id", "") in sessions:
                wrong.append(f"{recorded.id}: {recorded.type} is about a drill")
    return wrong


def a_drill_is_marked_everywhere(network: Network) -> list[str]:
    """Its session, rings and reactions say so from their first event, every document does; no patient's says so."""
    wrong, mine = [], _practice(network)
    for stream, history in network.histories.items():
        if stream.machine not in ("session", "ring", "reaction"):
            continue
        said = getattr(history[0].event, "drill", False)
        if said != (stream in mine):
            wrong.append(
                f"{stream}: {'marked as a drill and is none' if said else 'of a drill and not marked'}"
            )
    for drill_id, documents in network.drill_documents.items():
        for document in documents:
            content = json.loads(document)
            if not _marked(content, drill_id):
                kind = content.get("head", content).get("kind") or content["format"]
                wrong.append(f"drill/{drill_id}: {kind} does not say that it is a drill")
    return wrong


def _marked(content: Mapping[str, object], drill_id: str) -> bool:
    """Return whether a debriefing, a paper or a record says that it is of a drill."""
    if "head" in content:
        head = content["head"]
        return isinstance(head, dict) and head["drill"] is True
    if "record" in content:
        record = content["record"]
        return isinstance(record, dict) and record["engine"]["drill"]["value"] == drill_id
    return content.get("mark") == MARK


def a_patient_comes_before_a_drill(network: Network) -> list[str]:
    """Whoever is on the line to a patient's reaction is in no drill that needs somebody: the drill is left."""
    wrong: list[str] = []
    machine = network.machines["session"]
    states = {stream: machine.initial(stream.id) for stream, _ in network.of("session")}
    treats: dict[str, set[str]] = defaultdict(set)
    practises: dict[str, set[str]] = defaultdict(set)
    since: dict[str, Recorded] = {}
    for recorded in sorted((r for _, h in network.of("session") for r in h), key=lambda r: r.position):
        state = states[recorded.stream] = machine.apply(states[recorded.stream], recorded)
        present = state.physician.person_id if state.physician is not None and state.physician_present else ""
        on_line = state.open_reactions and state.in_phase("verified", "degraded")
        for people in (treats, practises):
            for one in people.values():
                one.discard(recorded.stream.id)
        if present and state.drill and (state.open_reactions or state.in_phase(*OWED)):
            practises[present].add(recorded.stream.id)
        elif present and on_line:
            treats[present].add(recorded.stream.id)
        for person in {present, *since} - {""}:
            if treats[person] and practises[person]:
                since.setdefault(person, recorded)
            elif begun := since.pop(person, None):
                late = network.excused_s(begun.at, recorded.at)
                if late > network.lateness_s:
                    wrong.append(
                        f"{begun.id}: {person} was in a drill while treating a patient, for {late:.0f} s"
                    )
    wrong += [f"{begun.id}: {person} is in a drill and treats a patient" for person, begun in since.items()]
    return wrong


def a_score_is_its_events(network: Network) -> list[str]:
    """A drill that is over is told the same again, byte for byte, also by an engine that was not there."""
    wrong = []
    for drill_id, told in network.debriefings.items():
        if len(set(told)) > 1:
            wrong.append(f"drill/{drill_id}: its debriefing was told in {len(set(told))} ways")
        last = json.loads(told[-1])
        for recorded in network.histories[Stream("drill", drill_id)]:
            event = recorded.event
            if isinstance(event, drill.DrillDebriefed) and (
                event.points != last["points"] or list(event.participants) != last["participants"]
            ):
                wrong.append(f"{recorded.id}: {event.points} points kept, {last['points']} by the events")
    return wrong


def a_drill_that_is_over_is_over(network: Network) -> list[str]:
    """Once it is ended or called off nobody is rung for it, no reaction is open, and its patient goes on no more."""
    wrong = []
    for drill_id, session_id in sessions_of_drills(network).items():
        history = network.histories[Stream("drill", drill_id)]
        over = next(
            (r for r in history if isinstance(r.event, drill.DrillEnded | drill.DrillCancelled)), None
        )
        if over is None:
            wrong.append(f"drill/{drill_id}: {', '.join(history[-1].phases)} at the end")
            continue
        after = [
            r for r in history if r.position > over.position and not isinstance(r.event, drill.DrillDebriefed)
        ]
        wrong += [f"{recorded.id}: {recorded.type} after the drill" for recorded in after]
        own = network.histories.get(Stream("session", session_id))
        if own and (state := network.machines["session"].fold(session_id, own)).open_reactions:
            wrong.append(f"session/{session_id}: {len(state.open_reactions)} reactions open after the drill")
        rings = [
            network.histories.get(one, ()) for one in _links(network, session_id) if one.machine == "ring"
        ]
        if any(ring and {"answered", "withdrawn"}.isdisjoint(ring[-1].phases) for ring in rings):
            wrong.append(f"session/{session_id}: rings after the drill")
    return wrong


DRILL_CHECKERS: tuple[Callable[[Network], list[str]], ...] = (
    a_drill_touches_no_patient,
    a_drill_is_marked_everywhere,
    a_patient_comes_before_a_drill,
    a_score_is_its_events,
    a_drill_that_is_over_is_over,
)
