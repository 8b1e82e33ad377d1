"""The invariants of DESIGN section 5 as functions over a whole log: each returns what it found wrong, in words.

Rule: a checker reads stored events and acknowledged outcomes only; it never trusts the engine's own state.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.kernel.effects import CancelTimer, SetTimer
from engine.kernel.errors import Corrupt, Missing
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.kernel.machine import Machine
from engine.kernel.store import EventRow
from engine.reactions import events as reaction
from engine.reactions.guards import order_problems
from engine.reactions.pack import Pack
from engine.records.completeness import missing_paths
from engine.records.document import History, codec, folded, seal_hash
from engine.records.reader import sealed_part
from engine.services.ports import MissingItem
from engine.workflows.coverage import events as coverage
from engine.workflows.ring import events as ring
from engine.workflows.session import events as session
from engine.workflows.session import readiness

OWED = ("identifying", "reviewing", "cleared", "injecting", "monitoring")
RING_PHASES = {"ringing_primary", "ringing_backup", "ringing_bench", "escalated", "answered", "withdrawn"}


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a caller was told: this request is done and the stream is at this version."""

    request_id: str
    stream: Stream
    version: int


@dataclass(frozen=True, slots=True)
class Network:
    """A finished run: every stream's events, everything acknowledged, the machines to replay with, the last moment.

    `worklist` is what the engine's own worklist says at the end, by session. Of drills that are over, by drill:
    `debriefings` as they were told, in that order, the last by an engine that saw nothing of it, and every document.
    """

    histories: Mapping[Stream, Sequence[Recorded]]
    acknowledged: Sequence[Acknowledged]
    requests: Mapping[str, int]
    machines: Mapping[str, Machine]
    ended_at: dt.datetime
    lateness_s: float
    rows: Sequence[EventRow]
    pack: Pack
    outages: Sequence[tuple[dt.datetime, dt.datetime]] = ()
    worklist: Mapping[str, Sequence[MissingItem]] = field(default_factory=dict)
    debriefings: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    drill_documents: Mapping[str, Sequence[bytes]] = field(default_factory=dict)

    @property
    def fired(self) -> frozenset[str]:
        """The request ids of every timer that fired, without the version that set it."""
        return frozenset(name.rpartition(":")[0] + ":" for name in self.requests if name.startswith("timer:"))

    def excused_s(self, due_at: dt.datetime, at: dt.datetime) -> float:
        """Return how late something due at one moment and done at another was, outages not counted, in seconds."""
        late = max(0.0, (at - due_at).total_seconds())
        for start, end in self.outages:
            late -= max(0.0, (min(end, at) - max(start, due_at)).total_seconds())
        return late

    def of(self, machine: str) -> Iterable[tuple[Stream, Sequence[Recorded]]]:
        """Return the histories of one machine."""
        return ((s, h) for s, h in self.histories.items() if s.machine == machine)


def injection_only_under_ready(network: Network) -> list[str]:
    """1: an injection starts only under an unexpired READY whose every fact holds; a deny never gives READY."""
    wrong = []
    machine = network.machines["session"]
    for stream, history in network.of("session"):
        state = machine.initial(stream.id)
        for recorded in history:
            event = recorded.event
            if isinstance(event, session.InjectionStarted):
                ready = state.ready
                if ready is None or ready.token != event.ready_token or ready.expires_at <= recorded.at:
                    wrong.append(f"{recorded.id}: injected without READY")
                elif lost := readiness.missing(state, recorded.at):
                    wrong.append(f"{recorded.id}: READY stood without {lost[0]}")
            if isinstance(event, session.ReadyGranted) and (
                state.verdict is None or state.verdict.result == "deny"
            ):
                wrong.append(f"{recorded.id}: READY under a verdict that denies")
            state = machine.apply(state, recorded)
    return wrong


def nothing_acknowledged_is_lost(network: Network) -> list[str]:
    """2: every acknowledged request is in the store, at the version its caller was told."""
    return [
        f"{ack.request_id}: acknowledged at version {ack.version}, stored {network.requests.get(ack.request_id)}"
        for ack in network.acknowledged
        if network.requests.get(ack.request_id) != ack.version
    ]


def every_ring_is_answered_or_rings(network: Network) -> list[str]:
    """3: a ring is answered, withdrawn, or still climbing or ringing at its highest rung with a human named."""
    wrong = []
    for stream, history in network.of("ring"):
        last = history[-1]
        raised = [r.event for r in history if isinstance(r.event, ring.RingEscalated)]
        if "escalated" in last.phases and not any(event.contact for event in raised):
            wrong.append(f"{stream}: escalated without a human named")
        if not RING_PHASES & set(last.phases):
            wrong.append(f"{stream}: neither answered, withdrawn nor ringing")
    for _, history in network.of("session"):
        for recorded in history:
            if isinstance(recorded.event, session.SupervisionRequested) and not network.histories.get(
                Stream("ring", recorded.event.ring_id)
            ):
                wrong.append(f"{recorded.id}: no ring was started")
    return wrong


def every_timer_fires_on_time(network: Network) -> list[str]:
    """3: whatever names its due time happened then, outages apart; no timer that was due is still pending at the end.

    The timers a history must have had are worked out from its events, not read from the store.
    """
    wrong = []
    all_fired = network.fired
    for stream, history in network.histories.items():
        pending: dict[str, dt.datetime] = {}
        machine = network.machines[stream.machine]
        state = machine.initial(stream.id)
        for recorded in history:
            due = getattr(recorded.event, "due_at", None)
            if due is not None and network.excused_s(due, recorded.at) > network.lateness_s:
                wrong.append(f"{recorded.id}: {network.excused_s(due, recorded.at):.0f} s late")
            state = machine.apply(state, recorded)
            for effect in machine.react(state, recorded):
                if isinstance(effect, SetTimer):
                    pending[effect.name] = effect.due_at
                elif isinstance(effect, CancelTimer):
                    pending.pop(effect.name, None)
        for name, due_at in pending.items():
            overdue = network.excused_s(due_at, network.ended_at) > network.lateness_s
            fired = f"timer:{stream}:{name}:{due_at.isoformat()}:"
            if overdue and fired not in all_fired:
                wrong.append(f"{stream}: timer {name} of {due_at.isoformat()} never fired")
    return wrong


def a_reaction_holds_one_room(network: Network) -> list[str]:
    """4: while a physician is in a reaction, none of their other sessions stays covered."""
    wrong = []
    machine = network.machines["coverage"]
    for stream, history in network.of("coverage"):
        state = machine.initial(stream.id)
        for recorded in history:
            state = machine.apply(state, recorded)
            if isinstance(recorded.event, coverage.ReactionEntered):
                others = set(state.sessions) - {recorded.event.session_id}
                if others:
                    wrong.append(f"{recorded.id}: still covers {len(others)} other sessions")
            if isinstance(recorded.event, coverage.CoverageEngaged) and "in_reaction" in recorded.phases:
                wrong.append(f"{recorded.id}: engaged while in a reaction")
    return wrong


def nobody_injects_under_a_physician_elsewhere(network: Network) -> list[str]:
    """4: no injection starts under a physician whose window is, at that moment, in another session's reaction."""
    wrong = []
    owner: dict[str, str] = {}
    busy: dict[str, str] = {}
    holder: dict[Stream, str] = {}
    log = sorted((r for h in network.histories.values() for r in h), key=lambda r: r.position)
    for recorded in log:
        event, session_id = recorded.event, recorded.stream.id
        if recorded.stream.machine == "coverage":
            if isinstance(event, coverage.CoverageOffered):
                holder[recorded.stream] = event.physician_id
            elif isinstance(event, coverage.ReactionEntered):
                busy[event.physician_id] = event.session_id
            if "in_reaction" not in recorded.phases:
                busy.pop(holder[recorded.stream], None)
        elif isinstance(event, session.PhysicianAssigned | session.HandOffAccepted):
            owner[session_id] = event.evidence.person_id
        elif isinstance(event, session.InjectionStarted):
            elsewhere = busy.get(owner.get(session_id, ""), session_id)
            if elsewhere != session_id:
                wrong.append(f"{recorded.id}: injected while the physician treats {elsewhere}")
    return wrong


def nobody_treats_and_supervises(network: Network) -> list[str]:
    """4: who is on the line to a reaction, or grades or orders in it, is there for no other session, window or not."""
    wrong = []
    machine = network.machines["session"]
    states = {stream.id: machine.initial(stream.id) for stream, _ in network.of("session")}
    directed: dict[str, set[str]] = defaultdict(set)
    there: dict[str, dict[str, bool]] = defaultdict(dict)
    since: dict[str, dt.datetime] = {}

    def clash_over(person: str, at: dt.datetime) -> None:
        begun = since.pop(person, at)
        if network.excused_s(begun, at) > network.lateness_s:
            wrong.append(f"{person}: treated one patient and was there for another since {begun.isoformat()}")

    histories = (*network.of("session"), *network.of("reaction"))
    for recorded in sorted((r for _, h in histories for r in h), key=lambda r: r.position):
        session_id = recorded.correlation
        if recorded.stream.machine == "session":
            session_id = recorded.stream.id
            states[session_id] = machine.apply(states[session_id], recorded)
        elif not isinstance(recorded.event, reaction.ReactionGraded | reaction.StepOrdered):
            continue
        else:
            directed[recorded.actor.person_id].add(recorded.stream.id)
        state = states[session_id]
        person = state.physician.person_id if state.physician is not None and state.physician_present else ""
        for one, sessions in there.items():
            if sessions.pop(session_id, None) is not None and one != person and not _clashes(sessions):
                clash_over(one, recorded.at)
        if person and not state.drill and (state.open_reactions or state.in_phase(*OWED)):
            treats = state.in_phase("verified", "degraded") or state.open_reactions & directed[person]
            there[person][session_id] = bool(state.open_reactions and treats)
        if not person:
            continue
        if not _clashes(there[person]):
            clash_over(person, recorded.at)
            continue
        since.setdefault(person, recorded.at)
        if isinstance(recorded.event, session.InjectionStarted) and not state.open_reactions:
            wrong.append(f"{recorded.id}: injected while the physician treats another patient")
    for person in tuple(since):
        clash_over(person, network.ended_at)
    return wrong


def _clashes(sessions: Mapping[str, bool]) -> bool:
    return len(sessions) > 1 and any(sessions.values())


def every_alarm_reaches_somebody(network: Network) -> list[str]:
    """5: a reaction names a physician on a live line, or a ring was started for it, and its stream opened."""
    wrong = []
    for stream, history in network.of("session"):
        asked = {r.version for r in history if isinstance(r.event, session.SupervisionRequested)}
        for recorded in history:
            event = recorded.event
            if not isinstance(event, session.ReactionReported):
                continue
            if not event.alerted and recorded.version + 1 not in asked:
                wrong.append(f"{recorded.id}: nobody was alarmed in {stream.id}")
            if not network.histories.get(Stream("reaction", event.reaction_id)):
                wrong.append(f"{recorded.id}: its reaction was never opened")
        if history and (left := _left_alone(network, stream, history)):
            wrong.append(left)
    return wrong


def _left_alone(network: Network, stream: Stream, history: Sequence[Recorded]) -> str:
    """Return what is wrong when a run ends with nobody there who must be, and no ring ringing for them."""
    state = network.machines["session"].fold(stream.id, history)
    if state.physician_present or not (state.open_reactions or state.in_phase("requested", *OWED)):
        return ""
    rings = [
        network.histories.get(Stream("ring", f"{stream.id}-{n}"), ()) for n in range(1, state.requests + 1)
    ]
    if any(one and {"answered", "withdrawn"}.isdisjoint(one[-1].phases) for one in rings):
        return ""
    waits = "a reaction is open" if state.open_reactions else "a physician is owed"
    return f"{stream}: {waits}, none is there and nothing rings"


def orders_keep_their_limits(network: Network) -> list[str]:
    """6: no order leaves caps, totals or intervals without a recorded override and reason: worked out again here."""
    wrong = []
    machine = network.machines["reaction"]
    for stream, history in network.of("reaction"):
        state = machine.initial(stream.id)
        for recorded in history:
            event = recorded.event
            if isinstance(event, reaction.StepOrdered) and event.order is not None:
                row = network.pack.drug(event.order.row_id)
                against = order_problems(
                    network.pack,
                    row,
                    event.order.dose_mg,
                    state.given,
                    recorded.at,
                    age_years=state.age_years,
                )
                if against and not (event.overrides and event.override_reason.strip()):
                    wrong.append(f"{recorded.id}: past {against[0].reason} without an override")
                if {problem.reason for problem in against} - set(event.overrides):
                    wrong.append(f"{recorded.id}: an override does not say all it goes past")
            state = machine.apply(state, recorded)
    return wrong


def gaps_are_whole(network: Network) -> list[str]:
    """7: while presence is owed and the line is not proven, a gap stands; each has start, cause, action and end."""
    wrong = []
    machine = network.machines["session"]
    for stream, history in network.of("session"):
        state = machine.initial(stream.id)
        for number, recorded in enumerate(history):
            state = machine.apply(state, recorded)
            last_of_decision = number + 1 == len(history) or history[number + 1].at != recorded.at
            proven = state.in_phase("verified", "degraded", "connecting", "absent")
            unproven = state.in_phase(*OWED) and not proven and state.line_ever_verified
            if last_of_decision and unproven and state.open_gap is None:
                wrong.append(f"{recorded.id}: presence is owed, the line is down and no gap is open")
            if last_of_decision and state.open_gap is not None and state.in_phase("signed", "sealed"):
                wrong.append(f"{recorded.id}: signed over an open gap")
        for gap in state.gaps:
            if not gap.cause or not gap.action:
                wrong.append(f"{stream}: gap {gap.number} without cause or action")
            if gap.end is not None and gap.end < gap.start:
                wrong.append(f"{stream}: gap {gap.number} ends before it starts")
    return wrong


def only_signed_records_are_sealed(network: Network) -> list[str]:
    """8: a sealed record was confirmed and attested, both bound to the same content."""
    wrong = []
    for _, history in network.of("session"):
        confirmed = attested = ""
        for recorded in history:
            event = recorded.event
            if isinstance(event, session.RecordConfirmed):
                confirmed = event.signature.record_hash
            elif isinstance(event, session.RecordAttested):
                attested = event.signature.record_hash
            elif isinstance(event, session.RecordSealed) and (not confirmed or confirmed != attested):
                wrong.append(f"{recorded.id}: sealed without two signatures on one content")
    return wrong


def sealed_records_are_complete(network: Network) -> list[str]:
    """8 and 9: the record folded again from the events a seal covers lacks nothing and has the hash that was sealed."""
    wrong = []
    reader = codec()
    rows: dict[str, list[EventRow]] = defaultdict(list)
    for row in network.rows:
        if row.stream.machine in ("session", "ring", "reaction"):
            rows[row.stream.id if row.stream.machine == "session" else row.correlation].append(row)
    for stream, history in network.of("session"):
        for recorded in history:
            event = recorded.event
            if not isinstance(event, session.RecordSealed):
                continue
            try:
                covered = sealed_part(History(tuple(rows[stream.id])), event.revision).through(event.through)
            except (Corrupt, Missing) as error:
                wrong.append(f"{recorded.id}: {error}")
                continue
            record = folded(covered, reader)
            if lacking := missing_paths(record, signatures=True):
                wrong.append(f"{recorded.id}: sealed without {lacking[0]}")
            if seal_hash(record, [row.hash for row in covered.rows]) != event.record_hash:
                wrong.append(f"{recorded.id}: the seal is over another record")
    return wrong


def every_session_ends_or_is_on_the_worklist(network: Network) -> list[str]:
    """8: what is neither sealed nor called off is on the worklist, each item with its reason and who must act."""
    wrong = []
    for stream, history in network.of("session"):
        state = network.machines["session"].fold(stream.id, history)
        if state.drill:
            continue  # practice needs no record
        items = network.worklist.get(stream.id, ())
        off = state.in_phase("cancelled", "declined") and not state.open_reactions and not state.contrast
        if not items and not off and not state.in_phase("sealed"):
            wrong.append(f"{stream}: {', '.join(history[-1].phases)} at the end and on no worklist")
        if any(not (item.field and item.reason and item.who) for item in items):
            wrong.append(f"{stream}: on the worklist without what is missing or who must act")
    return wrong


def no_record_reopens_by_itself(network: Network) -> list[str]:
    """8: a signed record is opened again by a fact that is newer than its signature, and by nothing else."""
    wrong = []
    for _, history in network.of("session"):
        reactions = [r.event.reaction_id for r in history if isinstance(r.event, session.ReactionReported)]
        told = [r.position for name in reactions for r in network.histories.get(Stream("reaction", name), ())]
        signed_at = 0
        for number, recorded in enumerate(history):
            if isinstance(recorded.event, session.RecordAttested):
                signed_at = recorded.position
            if not isinstance(recorded.event, session.AddendumOpened):
                continue
            fact = history[number + 1] if number + 1 < len(history) else None
            if fact is None or fact.at != recorded.at or isinstance(fact.event, session.AddendumOpened):
                wrong.append(f"{recorded.id}: opened again without a fact")
            elif isinstance(fact.event, session.LateEntryReported) and not any(
                signed_at < position < recorded.position for position in told
            ):
                wrong.append(f"{recorded.id}: opened again by what was signed already")
    return wrong


def replay_is_whole(network: Network) -> list[str]:
    """9 and 12: versions count from 1 without gap, and replaying twice gives the same state."""
    wrong = []
    for stream, history in network.histories.items():
        if [r.version for r in history] != list(range(1, len(history) + 1)):
            wrong.append(f"{stream}: versions are not 1..{len(history)}")
        machine = network.machines[stream.machine]
        if machine.fold(stream.id, history) != machine.fold(stream.id, history):
            wrong.append(f"{stream}: replay differs")
    positions = sorted(r.position for h in network.histories.values() for r in h)
    if positions != list(range(1, len(positions) + 1)):
        wrong.append("the log has holes or repeats")
    return wrong


def somebody_is_always_responsible(network: Network) -> list[str]:
    """10: a hand-off releases the old owner only by the new one's acceptance."""
    wrong = []
    for _, history in network.of("session"):
        owner = offered = ""
        for recorded in history:
            event = recorded.event
            if isinstance(event, session.PhysicianAssigned):
                owner, offered = event.evidence.person_id, ""
            elif isinstance(event, session.HandOffOffered):
                offered = event.to_physician_id
            elif isinstance(event, session.HandOffAccepted):
                if event.evidence.person_id != offered or event.replaces != owner:
                    wrong.append(f"{recorded.id}: handed off without an offer")
                owner, offered = event.evidence.person_id, ""
    return wrong


def who_supervises_has_cleared(network: Network) -> list[str]:
    """1: an injection starts under the clearance of the physician present, given after everything that was told."""
    wrong = []
    for _, history in network.of("session"):
        present = reviewed = cleared = ""
        for recorded in history:
            event = recorded.event
            if isinstance(event, session.PhysicianAssigned | session.HandOffAccepted):
                present = event.evidence.person_id
            elif isinstance(event, session.ScreeningRecorded | session.AllergiesRecorded):
                reviewed = cleared = ""
            elif isinstance(event, session.ScreeningReviewed):
                reviewed = recorded.actor.person_id
            elif isinstance(event, session.ContrastCleared):
                cleared = recorded.actor.person_id
            elif isinstance(event, session.InjectionStarted) and not present == reviewed == cleared:
                wrong.append(
                    f"{recorded.id}: injected under the clearance of somebody else, or of what was known before"
                )
    return wrong


def commitments_do_not_clash(network: Network) -> list[str]:
    """4: no physician is engaged for more sessions than their window's cap."""
    wrong = []
    machine = network.machines["coverage"]
    engaged: dict[Stream, int] = defaultdict(int)
    for stream, history in network.of("coverage"):
        state = machine.initial(stream.id)
        for recorded in history:
            state = machine.apply(state, recorded)
            engaged[stream] = max(engaged[stream], len(state.sessions))
        if engaged[stream] > max(state.cap, 1):
            wrong.append(f"{stream}: {engaged[stream]} sessions over a cap of {state.cap}")
    return wrong


CHECKERS: tuple[Callable[[Network], list[str]], ...] = (
    injection_only_under_ready,
    who_supervises_has_cleared,
    nothing_acknowledged_is_lost,
    every_ring_is_answered_or_rings,
    every_timer_fires_on_time,
    a_reaction_holds_one_room,
    nobody_injects_under_a_physician_elsewhere,
    nobody_treats_and_supervises,
    commitments_do_not_clash,
    every_alarm_reaches_somebody,
    orders_keep_their_limits,
    gaps_are_whole,
    only_signed_records_are_sealed,
    sealed_records_are_complete,
    every_session_ends_or_is_on_the_worklist,
    no_record_reopens_by_itself,
    replay_is_whole,
    somebody_is_always_responsible,
)
