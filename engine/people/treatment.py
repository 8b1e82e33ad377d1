"""Fills the evidence of a reaction's commands that rests on people and places, just before the decision.

Rule: it looks up and asks; it never refuses.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.kernel.clock import Clock
from engine.kernel.commands import Command, Request
from engine.people.evidence import physician_evidence
from engine.people.registry import Registry
from engine.reactions import commands as c
from engine.reactions.state import ReactionState
from engine.runtime.executor import Enricher


class TreatmentEnrichers:
    """The enrichers of the reaction machine."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {
            c.OpenReaction: self.doses,
            c.ReportDosesElsewhere: self.doses,
            c.GradeReaction: self.directing,
            c.OrderStep: self.directing,
            c.DisposeReaction: self.directing,
            c.RecordMedicationGiven: self.connected,
            c.RecordEmergencyCalled: self.address,
            c.ReportOfflineEntries: self.told,
        }

    async def directing(
        self,
        state: ReactionState,
        command: c.GradeReaction | c.OrderStep | c.DisposeReaction,
        request: Request,
    ) -> Command:
        """Fill what stands against the one who directs treatment: their licence in the site's state."""
        directory = await self._registry.directory(state.organization_id)
        site = directory.sites.get(state.site_id)
        person = request.actor.person_id
        found = physician_evidence(directory, person, site.state if site else "", self._clock.now())
        return replace(command, problems=found.problems)

    async def doses(
        self, state: ReactionState, command: c.OpenReaction | c.ReportDosesElsewhere, request: Request
    ) -> Command:
        """Fill what went in during the other reactions of the session, in the order of giving."""
        session_id = command.session_id if isinstance(command, c.OpenReaction) else state.session_id
        given = await self._registry.doses_of(session_id, but=request.stream.id)
        return replace(command, given_elsewhere=given)

    async def connected(
        self, state: ReactionState, command: c.RecordMedicationGiven, request: Request
    ) -> Command:
        """Fill whether the session's physician is there and can be heard, or directs."""
        return replace(
            command, physician_connected=await self._registry.physician_connected(state.session_id)
        )

    async def told(self, state: ReactionState, command: c.ReportOfflineEntries, request: Request) -> Command:
        """Fill in what each fact of a console's log needs as if it had been reported alone."""
        facts: list[Any] = [
            await self.address(state, fact, request) if isinstance(fact, c.RecordEmergencyCalled) else fact
            for fact in command.facts
        ]
        return replace(command, facts=tuple(facts))

    async def address(
        self, state: ReactionState, command: c.RecordEmergencyCalled, request: Request
    ) -> Command:
        """Fill where the emergency service is sent: the site's EMS address as the directory has it."""
        directory = await self._registry.directory(state.organization_id)
        site = directory.sites.get(state.site_id)
        return replace(command, address=(site.ems_address or site.address) if site else "")
