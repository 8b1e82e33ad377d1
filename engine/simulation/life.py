"""One life of the engine over the disk: the real corridor, policies, pager and enrichers, rebuilt after every crash.

Rule: everything in here is lost in a crash; whatever must survive is in the disk or with the people.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.bootstrap import load_packs, load_rulebook, load_scenarios
from engine.kernel.clock import Clock
from engine.kernel.errors import PeerError
from engine.kernel.machine import Machine
from engine.kernel.store import OutboxRow
from engine.notify.pages import Pager
from engine.people.drilling import DrillEnrichers
from engine.people.enrich import PeopleEnrichers
from engine.people.registry import Registry
from engine.people.screening import ScreeningEnrichers
from engine.people.verdict import Rules
from engine.people.view import Views
from engine.policies import POLICIES
from engine.reactions.decide import Objectives as ReactionObjectives
from engine.reactions.machine import machine as reaction_machine
from engine.reactions.pack import Pack
from engine.records.debriefing import Debriefings
from engine.records.enrich import RecordEnrichers
from engine.records.reader import RecordReader
from engine.records.seal import SealingKey
from engine.rules.rulebook import Rulebook
from engine.runtime.executor import Executor
from engine.runtime.ids import SeededIds
from engine.runtime.outbox import Outbox
from engine.runtime.subscriptions import PolicyRunner
from engine.runtime.timers import Timers
from engine.simulation.store import Disk, LifeStore
from engine.workflows import coverage, delivery, directory, disclosure, drill, message, ring, session
from engine.workflows.coverage.state import Objectives as CoverageObjectives
from engine.workflows.drill.state import Objectives as DrillObjectives
from engine.workflows.ring.state import Objectives as RingObjectives
from engine.workflows.session.state import Objectives as SessionObjectives

PACK = "acr-2026"
LEASE_S = 180
DESTINATIONS = (("delivery.oru", "RIS"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every life of a network is built from: parsed once, never changed."""

    pack: Pack
    rulebook: Rulebook
    machines: tuple[Machine, ...]


def ground() -> Ground:
    """Read packs and rules and assemble the machines."""
    pack = load_packs()[PACK]
    machines = (
        session.machine(SessionObjectives()),
        ring.machine(RingObjectives()),
        coverage.machine(CoverageObjectives(lease_s=LEASE_S)),
        reaction_machine(ReactionObjectives(pack=pack)),
        delivery.machine(),
        message.machine(),
        directory.machine(),
        disclosure.machine(),
        drill.machine(DrillObjectives(scenarios=load_scenarios())),
    )
    return Ground(pack=pack, rulebook=load_rulebook(), machines=machines)


class PagingLine:
    """A channel to people that sometimes cannot reach them, as `reached` says."""

    name = "simulated"

    def __init__(self, reached: Callable[[], bool]) -> None:
        self._reached = reached

    async def page(self, person_id: str, urgency: str, ring_id: str) -> None:
        """Reach the person, or not. Raises PeerError."""
        if not self._reached():
            raise PeerError("not_connected", permanent=False)


class Life:
    """A built engine without doors: callers use `executor` directly."""

    def __init__(
        self,
        base: Ground,
        disk: Disk,
        clock: Clock,
        key: SealingKey,
        name: str,
        counts: Counter[str],
        reached: Callable[[], bool],
    ) -> None:
        self.store = LifeStore(disk, clock, counts)
        self.executor = Executor(
            base.machines, self.store, clock, SeededIds(name), fingerprint_key=name.partition("/")[0].encode()
        )
        self.registry = Registry(self.executor)
        self.reader = RecordReader(self.store)
        self.executor.enrichers.update(PeopleEnrichers(self.registry, Rules(base.rulebook), clock).all())
        self.executor.enrichers.update(ScreeningEnrichers(self.registry, base.pack, clock).all())
        self.executor.enrichers.update(RecordEnrichers(self.reader, key, clock).all())
        self.debriefings = Debriefings(self.executor)
        self.executor.enrichers.update(DrillEnrichers(self.registry).all())
        self.executor.enrichers.update(self.debriefings.all())
        self.timers = Timers(self.executor)
        views = Views(self.executor, self.registry, clock, lambda _site: DESTINATIONS)
        self.policies = PolicyRunner(POLICIES, self.executor, views.of)
        pager = Pager(self.executor, [PagingLine(reached)]).handle
        handlers: dict[str, Callable[[OutboxRow], Awaitable[None]]] = {
            "page": pager,
            "lookup.allergies": _far_side(reached),
            "delivery.oru": _far_side(reached),
            "delivery.fhir": _far_side(reached),
        }
        self.outbox = Outbox(self.executor, handlers)

    async def open(self) -> None:
        """Learn where the log stands. Raises Unavailable."""
        await self.executor.open()
        await self.registry.open()


def _far_side(reached: Callable[[], bool]) -> Callable[[OutboxRow], Awaitable[None]]:
    async def handle(row: OutboxRow) -> None:
        if not reached():
            raise PeerError("far side away", permanent=False)

    return handle
