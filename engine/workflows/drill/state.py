"""What the engine believes of one drill; folded from events."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from engine.workflows.drill.scenario import DrillVitals, Scenario, Treatment


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """The scenarios that may be played, by id."""

    scenarios: Mapping[str, Scenario] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class DrillState:
    """One drill. `version` 0 means it does not exist yet. Its script is for those who plan, never for the drilled."""

    drill_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    organization_id: str = ""
    site_id: str = ""
    room_id: str = ""
    session_id: str = ""
    scenario: Scenario | None = None
    scenario_id: str = ""
    title: str = ""
    announced: bool = True
    due_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    stage: str = ""
    said: str = ""
    signs: tuple[str, ...] = ()
    vitals: DrillVitals | None = None
    treatments: tuple[Treatment, ...] = ()
    participants: tuple[str, ...] = ()
    points: int | None = None
    notes: str = ""

    @property
    def hidden(self) -> bool:
        """Whether only those who plan drills may know of it: it comes unannounced and has not begun."""
        return not self.announced and self.started_at is None


def initial(stream_id: str, phases: tuple[str, ...]) -> DrillState:
    """Return the state of a drill that does not exist yet."""
    return DrillState(drill_id=stream_id, phases=phases)
