"""The drill's verbs."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDrill(Command):
    """Plan a drill in a room. An unannounced one starts by itself at `due_at`; an announced one is started by hand."""

    creates: ClassVar[bool] = True
    organization_id: str
    site_id: str
    room_id: str
    scenario_id: str
    announced: bool
    due_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDrill(Command):
    """Begin now: the drill's session opens and the patient's script runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTreated(Command):
    """A drug was given in the drill's session."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    drug: str
    route: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDrill(Command):
    """The practice is over; it can be debriefed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelDrill(Command):
    """Call a drill off or break it off, with the reason; a real patient always comes first."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebriefDrill(Command):
    """The team has talked the drill over. Who took part and the points are filled by the engine."""

    notes: str = ""
    participants: tuple[str, ...] = ()
    points: int = 0
