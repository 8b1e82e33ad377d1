"""What a read leads to: one event."""

from collections.abc import Callable, Iterable

from engine.kernel.commands import Command
from engine.kernel.events import Event
from engine.workflows.disclosure import commands as c
from engine.workflows.disclosure import events as e

HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.RecordPatientDataRead: lambda s, m, x: [
        e.PatientDataRead(
            organization_id=m.organization_id, site_id=m.site_id, what=m.what, purpose=m.purpose
        )
    ],
}
