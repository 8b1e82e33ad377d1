"""One organization on a real executor with the real enrichers and policies: no doors, no network, a clock by hand."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from engine.bootstrap import load_rulebook
from engine.kernel.clock import ManualClock
from engine.kernel.commands import Actor, Command, Request
from engine.kernel.ids import Stream
from engine.people.enrich import PeopleEnrichers
from engine.people.registry import Registry
from engine.people.screening import ScreeningEnrichers
from engine.people.verdict import Rules
from engine.people.view import Views
from engine.policies import POLICIES
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine as reaction_machine
from engine.runtime.executor import Executor
from engine.runtime.ids import SeededIds
from engine.runtime.subscriptions import PolicyRunner
from engine.store.memory import MemoryStore
from engine.workflows import coverage, delivery, directory, ring, session
from engine.workflows.directory import commands as d
from engine.workflows.session.commands import ScheduleSession
from tests.reactions.packs import pack
from tests.workflows.play import START
from tests.workflows.session import stories as s

FAR = dt.date(2099, 12, 31)
NURSE, DOC, TECH = s.NURSE, s.DOC, s.TECH


class Town:
    """Commands in, what follows from them done, states out."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        machines = [
            *(room.machine() for room in (session, ring, coverage, delivery, directory)),
            reaction_machine(Objectives(pack=pack())),
        ]
        ids = SeededIds("town")
        self.executor = Executor(machines, MemoryStore(), self.clock, ids, fingerprint_key=b"k" * 32)
        self.registry = Registry(self.executor)
        enrichers = PeopleEnrichers(self.registry, Rules(load_rulebook()), self.clock)
        self.executor.enrichers.update(enrichers.all())
        self.executor.enrichers.update(ScreeningEnrichers(self.registry, pack(), self.clock).all())
        self._views = Views(self.executor, self.registry, self.clock, lambda _site: ())
        self.policies = PolicyRunner(POLICIES, self.executor, self._views.of)
        self._count = 0

    async def do(self, machine: str, identifier: str, command: Command, by: Actor = TECH) -> Any:
        """Run a command, then the policies until nothing follows; return the state. Raises what the engine raises."""
        self._count += 1
        stream = Stream(machine, identifier)
        await self.executor.execute(
            Request(request_id=f"town-{self._count}", stream=stream, command=command, actor=by)
        )
        await self.policies.subscription.drain()
        return await self.executor.state(stream)

    async def crash(self) -> None:
        """Handle every event again, as policies do whose position was never saved."""
        self.policies = PolicyRunner(POLICIES, self.executor, self._views.of)
        await self.policies.subscription.drain()

    def wait(self, seconds: int) -> None:
        """Let time pass; no timer fires."""
        self.clock.advance(dt.timedelta(seconds=seconds))

    async def schedule(self, **change: Any) -> Any:
        """Open the session ses-1 in ct-1."""
        plan: ScheduleSession = s.schedule(**{"weight_kg": Decimal("72.5"), **change})
        return await self.do("session", "ses-1", plan)


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    """A town with one site, one room and two licensed people."""
    made = Town()
    await made.executor.open()
    await made.registry.open()
    for command in _organization():
        await made.do("directory", "org-1", command)
    yield made


def _organization() -> tuple[Command, ...]:
    licence = {"kind": "licence", "state": "TX", "expires_on": FAR, "source": "board", "verified_by": "o-1"}
    return (
        d.RegisterOrganization(name="Org"),
        d.RegisterSite(
            site_id="site-1",
            name="Site",
            state="TX",
            setting="office",
            address="1 Way",
            ems_address="1 Way",
            ems_phone="911",
            time_zone="America/Chicago",
        ),
        d.RegisterRoom(site_id="site-1", room_id="ct-1", name="CT 1", modality="CT"),
        d.RegisterRoom(site_id="site-1", room_id="ct-2", name="CT 2", modality="CT"),
        d.RegisterPerson(person_id="md-1", name="Doc", role="physician", sites=("site-1",)),
        d.RecordCredential(person_id="md-1", licence_type="MD", number="1", **licence),  # type: ignore[arg-type]  # fields of mixed kinds
    )
