"""Runs a synthetic network from one seed and reports what it held, what was injected, and what went wrong.

Rule: a network is made of cells of CELL sessions, each an engine of its own, so that time grows with their number.
"""

import asyncio
import datetime as dt
import hashlib
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from engine.kernel.canonical import canonical_bytes
from engine.kernel.commands import Actor
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.reactions import events as reaction
from engine.records.papers.facts import Facts
from engine.records.papers.render import MAKERS
from engine.records.reader import RecordReader
from engine.services.copies import RecordCopies
from engine.services.ports import MissingItem
from engine.simulation.checkers import CHECKERS, Network
from engine.simulation.clinic import Clinic, clinic
from engine.simulation.drill_checkers import DRILL_CHECKERS, sessions_of_drills
from engine.simulation.life import Ground, Life, ground
from engine.simulation.practice import Practice
from engine.simulation.room import Room
from engine.simulation.store import LifeStore
from engine.simulation.supervisors import Rings, Window
from engine.simulation.world import Action, Odds, World
from engine.workflows.drill import events as drill
from engine.workflows.ring import events as ring
from engine.workflows.session import events as session

CELL = 100
CLINICS = 2
SHOWN = 20
#: One drill to so many sessions; the fewest a cell has.
SESSIONS_A_DRILL, DRILLS = 8, 3
EVERY = (*CHECKERS, *DRILL_CHECKERS)


@dataclass(slots=True)
class Report:
    """What a run was and found. Durations are seconds; `digest` is over every event's hash."""

    sessions: int
    seed: int
    digest: str = ""
    events: int = 0
    commands: int = 0
    elapsed_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    answers_by_rung: Counter[str] = field(default_factory=Counter)
    sealed: int = 0
    unfinished: int = 0
    cancelled: Counter[str] = field(default_factory=Counter)
    reactions: Counter[str] = field(default_factory=Counter)
    directive_s: list[float] = field(default_factory=list)
    drills: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "sessions": self.sessions,
            "seed": self.seed,
            "digest": self.digest,
            "events": self.events,
            "commands": self.commands,
            "elapsed_s": round(self.elapsed_s, 1),
            "faults": dict(sorted(self.faults.items())),
            "violations": self.violations,
            "refused": dict(self.refused.most_common()),
            "answers_by_rung": dict(sorted(self.answers_by_rung.items())),
            "onset_to_first_directive_s": percentiles(self.directive_s),
            "sealed": self.sealed,
            "cancelled": dict(sorted(self.cancelled.items())),
            "unfinished": self.unfinished,
            "reactions": dict(sorted(self.reactions.items())),
            "drills": dict(sorted(self.drills.items())),
        }


def percentiles(values: Sequence[float]) -> dict[str, float | int | None]:
    """Return p50, p95, max and count; None where there is nothing."""
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p95": None, "max": None, "count": 0}

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {"p50": at(0.5), "p95": at(0.95), "max": round(ordered[-1], 1), "count": len(ordered)}


def report_lines(report: Report) -> list[str]:
    """Return the report as a person reads it."""
    shown = report.as_json()
    lines = [
        f"{report.sessions} sessions from seed {report.seed}: {report.events} events in {report.elapsed_s:.1f} s",
        f"  sealed {report.sealed}, unfinished {report.unfinished}, cancelled {_words(shown['cancelled'])}",
        f"  reactions {_words(shown['reactions'])}",
        f"  drills {_words(shown['drills'])}",
        f"  answers by rung {_words(shown['answers_by_rung'])}",
        f"  onset to first directive, seconds: {_words(shown['onset_to_first_directive_s'])}",
        f"  faults injected: {_words(shown['faults'])}",
        f"  violations: {len(report.violations)}",
    ]
    return [*lines, *(f"    {wrong}" for wrong in report.violations[:SHOWN])]


def _words(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in counts.items()) or "none"


def simulate_network(sessions: int, seed: int, *, progress: bool = False, odds: Odds | None = None) -> Report:
    """Run `sessions` sessions from a seed and check every invariant."""
    started = perf_counter()
    report = Report(sessions=sessions, seed=seed)
    base = ground()
    digest = hashlib.sha256()
    with _quiet():
        for number, first in enumerate(range(0, sessions, CELL)):
            size = min(CELL, sessions - first)
            network = asyncio.run(simulate_cell(base, f"{seed}:{number}", size, report, odds or Odds()))
            for row in network.rows:
                digest.update(row.hash.encode())
            report.violations += [f"cell {number}: {wrong}" for check in EVERY for wrong in check(network)]
            _measure(network, report)
            if progress:
                sys.stderr.write(
                    f"\r{first + size} of {sessions} sessions, {len(report.violations)} violations"
                )
                sys.stderr.flush()
    if progress:
        sys.stderr.write("\n")
    report.digest = digest.hexdigest()
    report.elapsed_s = perf_counter() - started
    return report


@contextmanager
def _quiet() -> Any:
    """Keep the corridor's logs down: every fault they tell of was injected."""
    logger = logging.getLogger("engine")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


async def simulate_cell(base: Ground, seed: str, sessions: int, report: Report, odds: Odds) -> Network:
    """Run one cell to its end and return what it left behind."""
    world = World(base, seed, odds)
    await _populate(world, sessions)
    await world.run()
    await world.advance_to(world.now + dt.timedelta(minutes=2))
    world.finish()
    report.faults += world.faults
    report.refused += world.told.refused
    report.violations += [f"seed {seed}: {wrong}" for wrong in world.told.wrong]
    report.commands += len(world.told.acknowledged)
    return await network_of(world)


async def _populate(world: World, sessions: int) -> None:
    """Put organizations, physicians, sessions and the network's own bad luck on the heap."""
    rng = world.stream("network")
    rooms: list[Room] = []
    drills: list[Practice] = []
    clinics = [clinic(number, world.stream(f"clinic:{number}")) for number in range(CLINICS)]

    def going() -> bool:
        return (
            len(rooms) < sessions or any(not one.over for one in rooms) or any(not one.over for one in drills)
        )

    for one in clinics:
        stream = Stream("directory", one.organization_id)
        for command in one.commands:
            await world.life.executor.execute(world.request(stream, command, Actor.system("setup")))
        for person in one.physicians:
            world.after(rng.uniform(0, 60), Window(world, one, person, going).look)
    mine: dict[str, list[Room | Practice]] = {one.organization_id: [] for one in clinics}
    for one in clinics:
        listening = _listening(mine[one.organization_id])
        world.after(5, Rings(world, one, listening, going).look)

    at = 60.0
    for number in range(sessions):
        at += rng.expovariate(1 / 200)
        owner = rng.choice(clinics)
        weights = [5, 4, 1, 2]
        place = rng.choices(owner.places, weights)[0]

        async def begin(number: int = number, owner: Any = owner, place: Any = place) -> None:
            room = Room(world, owner, place, number)
            rooms.append(room)
            mine[owner.organization_id].append(room)
            world.after(0, room.look)

        world.after(at, begin)
    _practise(world, clinics, at, drills, mine)
    _bad_luck(world, at)


def _practise(
    world: World,
    clinics: Sequence[Clinic],
    until_s: float,
    drills: list[Practice],
    mine: Mapping[str, list[Room | Practice]],
) -> None:
    """Spread drills over the run, by draws of their own."""
    rng = world.stream("drills")
    for number in range(max(DRILLS, round(until_s / 200 / SESSIONS_A_DRILL))):
        owner = rng.choice(clinics)
        one = Practice(world, owner, rng.choice(owner.places), number)
        drills.append(one)
        mine[owner.organization_id].append(one)
        world.after(rng.uniform(60, until_s), one.look)


def _listening(rooms: list[Room | Practice]) -> Any:
    return lambda: [room.session_id for room in rooms if not room.over]


def _bad_luck(world: World, until_s: float) -> None:
    """Spread crashes, clock jumps and full disks over the run: at least one of each."""
    rng = world.stream("bad luck")
    for kind, every_s in (("crash", 3000), ("jump", 8000), ("disk", 6000)):
        for _ in range(max(1, round(until_s / every_s))):
            at = rng.uniform(120, until_s + 1500)
            world.after(at, _misfortune(world, kind, rng.random()))


def _misfortune(world: World, kind: str, size: float) -> Action:
    """Return one stroke of bad luck; `size` between 0 and 1 says how bad."""

    async def strike() -> None:
        if kind == "crash":
            await world.crash()
        elif kind == "jump":
            await world.jump(dt.timedelta(seconds=60 + 360 * size))
        else:
            await world.fill_disk(5 + 85 * size)

    return strike


async def network_of(world: World) -> Network:
    """Read everything back from the disk, with chains verified, through an engine that saw none of it."""
    life = world.born()
    store = LifeStore(world.disk, world.clock, Counter())
    life.executor.store = store
    histories: dict[Stream, Sequence[Recorded]] = {}
    for machine in life.executor.machines:
        for stream in await store.streams(machine, "", sys.maxsize):
            histories[stream] = await life.executor.history(stream)
    return Network(
        histories=histories,
        acknowledged=tuple(world.told.acknowledged),
        requests=world.disk.requests(),
        machines=life.executor.machines,
        ended_at=world.now,
        lateness_s=3.0,
        outages=tuple(world.told.outages),
        rows=world.disk.rows(),
        pack=world.base.pack,
        worklist=await _worklist(store, life, histories),
        debriefings=await _debriefings(world, life),
        drill_documents=await _drill_documents(store, life, histories),
    )


async def _debriefings(world: World, life: Life) -> dict[str, list[bytes]]:
    """Return what was told of each drill that is over, and what this engine, which saw nothing of it, tells."""
    told = {}
    for drill_id, before in sorted(world.told.debriefings.items()):
        again = await life.debriefings.of(await life.executor.state(Stream("drill", drill_id)))
        told[drill_id] = [*before, again.document]
    return told


async def _drill_documents(
    store: LifeStore, life: Life, histories: Mapping[Stream, Sequence[Recorded]]
) -> dict[str, list[bytes]]:
    """Return every document that there is of each drill whose session was opened."""
    reader = RecordReader(store)
    copies = RecordCopies(reader, life.executor, {})
    found: dict[str, list[bytes]] = {}
    for stream, history in histories.items():
        opened = history[0].event
        if not isinstance(opened, session.SessionScheduled) or not opened.drill_id:
            continue
        made = [await reader.unsealed(stream.id)]
        practised = await life.executor.state(Stream("drill", opened.drill_id))
        if {"ended", "debriefed"} & set(practised.phases):
            made.append((await life.debriefings.of(practised)).document)
        for recorded in history:
            if isinstance(recorded.event, session.ReactionReported):
                facts = Facts(await copies.case(recorded.event.reaction_id))
                made += [canonical_bytes(make(facts)) for make in MAKERS.values()]
        found[opened.drill_id] = made
    return found


async def _worklist(
    store: LifeStore, life: Life, histories: Mapping[Stream, Sequence[Recorded]]
) -> dict[str, Sequence[MissingItem]]:
    """Return what the engine's worklist says of every session that is not sealed."""
    copies = RecordCopies(RecordReader(store), life.executor, {})
    return {
        stream.id: await copies.missing(stream.id)
        for stream, history in histories.items()
        if stream.machine == "session" and "sealed" not in history[-1].phases
    }


def _measure(network: Network, report: Report) -> None:
    """Count outcomes; what belongs to drills is counted apart."""
    report.events += len(network.rows)
    _drills(network, report)
    for stream, history in network.histories.items():
        if getattr(history[0].event, "drill", False):
            continue
        if stream.machine == "session":
            _outcome(history, report)
        elif stream.machine == "reaction":
            _reaction(history, report)
        elif stream.machine == "ring":
            report.answers_by_rung.update(
                r.event.rung for r in history if isinstance(r.event, ring.RingAnswered)
            )


def _drills(network: Network, report: Report) -> None:
    """Count what became of drills and of their patients."""
    for stream, history in network.of("drill"):
        report.drills[history[-1].phases[0]] += 1
        for recorded in history:
            if isinstance(recorded.event, drill.PatientChanged):
                report.drills[f"patient_{recorded.event.cause}"] += 1
            elif isinstance(recorded.event, drill.DrillStarted):
                report.drills["unannounced"] += recorded.event.by_timer
        own = network.histories.get(Stream("session", sessions_of_drills(network)[stream.id]), ())
        report.drills["handed_over"] += sum(isinstance(r.event, session.HandOffAccepted) for r in own)
        left = [r.event.cause for r in own if isinstance(r.event, session.PhysicianLeft)]
        report.drills["left_for_a_patient"] += left.count("in_reaction_elsewhere")


def _outcome(history: Sequence[Recorded], report: Report) -> None:
    phases = history[-1].phases
    report.sealed += "sealed" in phases
    if "cancelled" in phases:
        reasons = [r.event.reason for r in history if isinstance(r.event, session.SessionCancelled)]
        report.cancelled[reasons[-1].value] += 1
    report.cancelled["declined"] += "declined" in phases
    report.unfinished += not {"sealed", "cancelled", "declined"} & set(phases)


def _reaction(history: Iterable[Recorded], report: Report) -> None:
    events = list(history)
    opened = next((r.event for r in events if isinstance(r.event, reaction.ReactionOpened)), None)
    graded = [r.event.severity for r in events if isinstance(r.event, reaction.ReactionGraded)]
    report.reactions[max(graded, key=lambda one: one.rank).value if graded else "ungraded"] += 1
    first = next((r.at for r in events if isinstance(r.event, reaction.StepOrdered)), None)
    if opened is not None and first is not None:
        report.directive_s.append((first - opened.onset_at).total_seconds())
