"""The reading RPCs about drills: score and debriefing of one that is over, scripts, and who is due for training."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from attend.v1 import drills_pb2
from engine.access.tokens import Principal
from engine.kernel.ids import Stream
from engine.people.refreshers import refreshers
from engine.services.convert import write
from engine.services.ports import Ports
from engine.services.views import view

Existing = Callable[[str, str, Principal], Awaitable[Any]]
Unary = Callable[[Any, Principal], Awaitable[Message]]
SCORED = ("ended", "debriefed")


class DrillReads:
    """Handlers of the reading RPCs about drills, by `Service/Rpc`."""

    def __init__(self, ports: Ports, existing: Existing) -> None:
        self._ports = ports
        self._existing = existing
        self.handlers: dict[str, Unary] = {
            "DrillService/GetDrill": self._get,
            "DrillService/ListDrillScenarios": self._scenarios,
            "DrillService/ListRefreshers": self._refreshers,
        }

    async def _get(self, message: Any, principal: Principal) -> Message:
        drill = await self._existing("drill", message.drill_id, principal)
        shown: Any = view("drill", drill)
        answer = drills_pb2.GetDrillResponse(drill=shown)
        if any(phase in drill.phases for phase in SCORED):
            made = await self._ports.debriefings.of(drill)
            score: Any = write(made.score, drills_pb2.DrillScore.DESCRIPTOR)
            answer.score.CopyFrom(score)
            answer.debriefing = made.document
            answer.debriefing_hash = made.content_hash
            if message.include_pdf:
                answer.debriefing_pdf = await asyncio.to_thread(made.pdf)
        return answer

    async def _scenarios(self, message: Any, principal: Principal) -> Message:
        scenarios = self._ports.executor.machines["drill"].objectives.scenarios
        answer = drills_pb2.ListDrillScenariosResponse()
        for scenario_id, scenario in sorted(scenarios.items()):
            answer.scenarios.add(scenario_id=scenario_id, title=scenario.title, notice=scenario.notice)
        return answer

    async def _refreshers(self, message: Any, principal: Principal) -> Message:
        directory = await self._ports.executor.state(Stream("directory", principal.organization_id))
        sites = [message.site_id] if message.site_id else list(directory.sites)
        covered = [site for site in sites if principal.covers(site)]
        answer = drills_pb2.ListRefreshersResponse()
        for one in refreshers(directory, covered, self._ports.clock.now().date()):
            shown: Any = write(one, drills_pb2.Refresher.DESCRIPTOR)
            answer.refreshers.append(shown)
        return answer
