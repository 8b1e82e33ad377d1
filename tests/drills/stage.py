"""A clinic on a real executor with real policies, enrichers and timers, a clock by hand, and a drill to run in it."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.bootstrap import load_rulebook, load_scenarios
from engine.kernel.clock import ManualClock
from engine.kernel.commands import Actor, Command, Request
from engine.kernel.ids import Stream
from engine.people.drilling import DrillEnrichers
from engine.people.enrich import PeopleEnrichers
from engine.people.registry import Registry
from engine.people.verdict import Rules
from engine.people.view import Views
from engine.policies import POLICIES
from engine.reactions import commands as r
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine as reaction_machine
from engine.reactions.state import OfferedDose, ReactionState, Severity, StepState
from engine.records.debriefing import Debriefing, Debriefings
from engine.runtime.executor import Executor
from engine.runtime.ids import SeededIds
from engine.runtime.subscriptions import PolicyRunner
from engine.runtime.timers import Timers
from engine.store.memory import MemoryStore
from engine.workflows import coverage, delivery, directory, drill, ring, session
from engine.workflows.coverage import commands as cover
from engine.workflows.coverage.state import Objectives as CoverageObjectives
from engine.workflows.coverage.state import RoomRef
from engine.workflows.directory import commands as d
from engine.workflows.drill import commands as c
from engine.workflows.drill.state import Objectives as DrillObjectives
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session.commands import ReportReaction
from tests.reactions.packs import pack
from tests.workflows.play import START

FAR = dt.date(2099, 12, 31)
ORG = "org-1"
TECH = Actor(person_id="tech-1", role="technologist", organization_id=ORG)
NURSE = Actor(person_id="rn-1", role="responder", organization_id=ORG)
DOC = Actor(person_id="md-1", role="physician", organization_id=ORG)
OTHER = Actor(person_id="md-2", role="physician", organization_id=ORG)
DIRECTOR = Actor(person_id="dir-1", role="medical_director", organization_id=ORG)
DRILL, SESSION, REACTION = "d-1", "d-1-session", "d-1-session-r1"


class Stage:
    """Commands in, what follows from them done, time passed with every timer at its moment."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        objectives = DrillObjectives(scenarios=load_scenarios())
        machines = [
            *(room.machine() for room in (session, ring, delivery, directory)),
            coverage.machine(CoverageObjectives(lease_s=8 * 3600)),
            drill.machine(objectives),
            reaction_machine(Objectives(pack=pack())),
        ]
        ids = SeededIds("stage")
        self.executor = Executor(machines, MemoryStore(), self.clock, ids, fingerprint_key=b"k" * 32)
        self.registry = Registry(self.executor)
        self.debriefings = Debriefings(self.executor)
        for enrichers in (
            PeopleEnrichers(self.registry, Rules(load_rulebook()), self.clock).all(),
            DrillEnrichers(self.registry).all(),
            self.debriefings.all(),
        ):
            self.executor.enrichers.update(enrichers)
        views = Views(self.executor, self.registry, self.clock, lambda _site: (("oru", "ris"),))
        self.policies = PolicyRunner(POLICIES, self.executor, views.of)
        self.timers = Timers(self.executor)
        self._count = 0

    async def do(self, machine: str, identifier: str, command: Command, by: Actor = TECH) -> Any:
        """Run a command and what follows; return the state. Raises what the engine raises."""
        self._count += 1
        stream = Stream(machine, identifier)
        await self.executor.execute(
            Request(request_id=f"stage-{self._count}", stream=stream, command=command, actor=by)
        )
        await self.policies.subscription.drain()
        return await self.executor.state(stream)

    async def wait(self, seconds: int) -> None:
        """Let time pass second by second; every timer fires when it is due, and what follows is done."""
        for _ in range(seconds):
            self.clock.advance(dt.timedelta(seconds=1))
            while await self.timers.run_due(self.clock.now()):
                await self.policies.subscription.drain()

    async def state(self, machine: str, identifier: str) -> Any:
        """Return a stream's state."""
        return await self.executor.state(Stream(machine, identifier))

    async def plan(self, *, announced: bool = True, due_in_s: int | None = None, scenario: str = "") -> Any:
        """Plan the drill d-1 in ct-1."""
        due_at = None if due_in_s is None else self.clock.now() + dt.timedelta(seconds=due_in_s)
        planned = c.PlanDrill(
            organization_id=ORG,
            site_id="site-1",
            room_id="ct-1",
            scenario_id=scenario or "anaphylaxis-adult",
            announced=announced,
            due_at=due_at,
        )
        return await self.do("drill", DRILL, planned, DIRECTOR)

    async def start(self, scenario: str = "") -> None:
        """Plan the drill and start it by hand."""
        await self.plan(scenario=scenario)
        await self.do("drill", DRILL, c.StartDrill(), DIRECTOR)

    async def debriefing(self) -> Debriefing:
        """Return the debriefing of the drill as it is now."""
        return await self.debriefings.of(await self.state("drill", DRILL))

    async def report(self) -> None:
        """REACTION."""
        await self.do("session", SESSION, ReportReaction(), TECH)

    async def answer(self) -> None:
        """The physician answers the drill's ring."""
        await self.do("ring", f"{SESSION}-1", AnswerRing(), DOC)

    async def grade(self, severity: str = "severe", presentation: str = "anaphylaxis") -> None:
        """The physician grades, with a reason."""
        graded = r.GradeReaction(severity=Severity(severity), presentation=presentation, reason="as seen")
        await self.react(graded, DOC)

    async def react(self, command: Command, by: Actor) -> ReactionState:
        """Run a command of the drill's reaction."""
        state: ReactionState = await self.do("reaction", REACTION, command, by)
        return state

    async def step(self, step_id: str) -> StepState:
        """Return a step of the protocol."""
        state: ReactionState = await self.state("reaction", REACTION)
        return next(step for step in state.steps.values() if step.offer.step_id == step_id)

    async def order(self, step_id: str, *, route: str = "") -> OfferedDose:
        """The physician orders a step by its first choice, or by the first one of a route; return the dose offered."""
        step = await self.step(step_id)
        dose = next(dose for dose in step.offer.doses if route in ("", dose.route))
        order = r.OrderStep(
            step_id=step.offer.step_id,
            row_id=dose.row_id,
            dose_mg=dose.dose_mg if dose.dose_max_mg is not None else None,
            pulse_confirmed=dose.route == "IV",
        )
        await self.react(order, DOC)
        return dose

    async def read_back(self, step_id: str) -> None:
        """The room repeats the order."""
        step = await self.step(step_id)
        assert step.order is not None
        heard = r.ReadBackStep(
            step_id=step.offer.step_id,
            dose_mg=step.order.dose_mg,
            concentration_mg_per_ml=step.order.concentration_mg_per_ml,
            route=step.order.route,
        )
        await self.react(heard, NURSE)

    async def give(self, step_id: str, dose: OfferedDose, **change: Any) -> None:
        """The nurse reports a drug given: as offered, with what is changed."""
        step = await self.step(step_id)
        fields: dict[str, Any] = {
            "drug": dose.drug,
            "route": dose.route,
            "dose_mg": dose.dose_mg,
            "concentration_mg_per_ml": dose.concentration_mg_per_ml,
            "volume_ml": dose.measured_ml,
        }
        given = r.RecordMedicationGiven(step_id=step.offer.step_id, **{**fields, **change})
        await self.react(given, NURSE)

    async def done(self, step_id: str) -> None:
        """A step without a drug is done."""
        step = await self.step(step_id)
        await self.react(r.RecordStepDone(step_id=step.offer.step_id), NURSE)

    async def call(self) -> None:
        """Somebody calls the emergency service."""
        await self.react(r.RecordEmergencyCalled(service="ems"), TECH)

    async def end(self) -> Any:
        """The drill is over."""
        return await self.do("drill", DRILL, c.EndDrill(), DIRECTOR)

    async def covered(self, cap: int = 2, *, who: Actor = DOC, coverage_id: str = "cov-1") -> None:
        """A physician holds a window over both rooms."""
        window = cover.OfferCoverage(
            organization_id=ORG,
            physician_id=who.person_id,
            rooms=tuple(RoomRef(site_id="site-1", room_id=room) for room in ("ct-1", "ct-2")),
            starts_at=self.clock.now(),
            ends_at=self.clock.now() + dt.timedelta(hours=8),
            cap=cap,
        )
        await self.do("coverage", coverage_id, window, DIRECTOR)
        await self.do("coverage", coverage_id, cover.HoldCoverage(), who)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """A stage with one site, two rooms, a technologist, a nurse and two physicians, one of them on the roster."""
    made = Stage()
    await made.executor.open()
    await made.registry.open()
    for command in _organization():
        await made.do("directory", ORG, command, DIRECTOR)
    yield made


def _organization() -> tuple[Command, ...]:
    return (
        d.RegisterOrganization(name="Org"),
        d.RegisterSite(
            site_id="site-1",
            name="Site",
            state="TX",
            setting="idtf",
            address="1 Way",
            ems_address="1 Way",
            ems_phone="911",
            time_zone="America/Chicago",
        ),
        d.RegisterRoom(site_id="site-1", room_id="ct-1", name="CT 1", modality="CT"),
        d.RegisterRoom(site_id="site-1", room_id="ct-2", name="CT 2", modality="CT"),
        *(
            d.RegisterPerson(person_id=person, name=person, role=role, sites=("site-1",))
            for person, role in (
                ("tech-1", "technologist"),
                ("rn-1", "responder"),
                ("md-1", "physician"),
                ("md-2", "physician"),
            )
        ),
        *(
            d.RecordCredential(
                person_id=person, kind="licence", licence_type=kind, state="TX", number="1", expires_on=FAR
            )
            for person, kind in (("rn-1", "RN"), ("md-1", "MD"), ("md-2", "MD"))
        ),
        d.RecordCredential(person_id="rn-1", kind="competency", expires_on=FAR),
        d.SetRoster(site_id="site-1", rung="primary", people=("md-1",)),
    )
