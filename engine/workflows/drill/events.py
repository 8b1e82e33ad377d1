"""What happened in a drill. Released types are never edited; a new shape is a new `schema`."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.events import Event, declared
from engine.workflows.drill.scenario import DrillVitals, Exam, Patient, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillPlanned(Event):
    """A drill was planned, with its whole script: what is judged later is judged by the script that was played."""

    withheld: ClassVar[tuple[str, ...]] = ("scenario",)
    organization_id: str
    site_id: str
    room_id: str
    session_id: str
    scenario: Scenario
    announced: bool
    due_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillStarted(Event):
    """The drill began, by hand or by its `timer`: its session is to be opened for the script's patient."""

    organization_id: str
    site_id: str
    room_id: str
    session_id: str
    patient: Patient
    exam: Exam
    by_timer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientChanged(Event):
    """The scripted patient is like this from now on. `cause`: started, untreated or treated."""

    stage: str
    said: str
    signs: tuple[str, ...]
    vitals: DrillVitals
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientTreated(Event):
    """A drug reached the scripted patient."""

    drug: str
    route: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillEnded(Event):
    """The practice is over: `ended` by somebody, or `time_over`."""

    session_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillCancelled(Event):
    """The drill was called off, or broken off while it ran."""

    session_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDebriefed(Event):
    """The team has talked it over: who took part, and the points out of 100."""

    session_id: str
    organization_id: str
    notes: str
    participants: tuple[str, ...]
    points: int


ALL = declared(vars())
