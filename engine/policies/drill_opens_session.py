"""A drill that starts opens its own session for the script's patient, marked as a drill."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.drill.events import DrillStarted
from engine.workflows.session.commands import ScheduleSession
from engine.workflows.session.state import Order, PatientIdentity


@on(DrillStarted)
def drill_opens_session(recorded: Recorded, view: View) -> Iterator[Request]:
    """A drill that starts opens its own session for the script's patient, marked as a drill."""
    event = recorded.event
    if not isinstance(event, DrillStarted):
        return
    patient, exam, name = event.patient, event.exam, f"DRILL-{recorded.stream.id}"
    schedule = ScheduleSession(
        organization_id=event.organization_id,
        site_id=event.site_id,
        room_id=event.room_id,
        planned_at=recorded.at,
        order=Order(
            accession_number=name,
            procedure_code=exam.procedure_code,
            procedure_system="DRILL",
            procedure_text=exam.procedure_text,
            modality=exam.modality,
            contrast_class=exam.contrast_class,
        ),
        identity=PatientIdentity(
            mrn=name,
            authority="DRILL",
            family=patient.family,
            given=patient.given,
            birth_date=dt.date(recorded.at.year - patient.age_years, 1, 1),
            sex=patient.sex,
        ),
        weight_kg=patient.weight_kg,
        drill_id=recorded.stream.id,
    )
    yield ask("drill_opens_session", "session", event.session_id, schedule, event.session_id)
