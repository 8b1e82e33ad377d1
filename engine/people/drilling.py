"""Looks at the place of a drill before it is planned.

Rule: it never refuses on clinical ground; a site or room that the directory does not have is a mistake of form.
"""

from collections.abc import Mapping

from engine.kernel.commands import Command, Request
from engine.people.registry import Registry
from engine.runtime.executor import Enricher
from engine.workflows.drill.commands import PlanDrill
from engine.workflows.drill.state import DrillState


class DrillEnrichers:
    """The enrichers of the drill machine that look at places."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {PlanDrill: self.place}

    async def place(self, state: DrillState, command: PlanDrill, request: Request) -> Command:
        """Let a drill be planned in a room of the organization only. Raises Invalid for no such place."""
        await self._registry.site(command.organization_id, command.site_id)
        await self._registry.modality(command.organization_id, command.site_id, command.room_id)
        return command
