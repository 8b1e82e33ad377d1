"""What each event changes in what the engine believes of a drill."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.workflows.drill import events as e
from engine.workflows.drill.scenario import Treatment
from engine.workflows.drill.state import DrillState


def _planned(s: DrillState, v: e.DrillPlanned, at: dt.datetime) -> DrillState:
    return replace(
        s,
        organization_id=v.organization_id,
        site_id=v.site_id,
        room_id=v.room_id,
        session_id=v.session_id,
        scenario=v.scenario,
        scenario_id=v.scenario.id,
        title=v.scenario.title,
        announced=v.announced,
        due_at=v.due_at,
    )


def _changed(s: DrillState, v: e.PatientChanged, at: dt.datetime) -> DrillState:
    return replace(s, stage=v.stage, said=v.said, signs=v.signs, vitals=v.vitals)


def _treated(s: DrillState, v: e.PatientTreated, at: dt.datetime) -> DrillState:
    return replace(s, treatments=(*s.treatments, Treatment(drug=v.drug, route=v.route)))


def _debriefed(s: DrillState, v: e.DrillDebriefed, at: dt.datetime) -> DrillState:
    return replace(s, notes=v.notes, participants=v.participants, points=v.points)


_CHANGES: dict[type[Event], Callable[[DrillState, Any, dt.datetime], DrillState]] = {
    e.DrillPlanned: _planned,
    e.DrillStarted: lambda s, v, at: replace(s, started_at=at),
    e.PatientChanged: _changed,
    e.PatientTreated: _treated,
    e.DrillEnded: lambda s, v, at: replace(s, ended_at=at),
    e.DrillCancelled: lambda s, v, at: replace(s, ended_at=at),
    e.DrillDebriefed: _debriefed,
}


def fold_one(state: DrillState, recorded: Recorded) -> DrillState:
    """Fold one recorded event."""
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded.event, recorded.at) if change else state
