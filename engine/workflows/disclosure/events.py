"""What was read. Released types are never edited; a new shape is a new `schema`."""

from dataclasses import dataclass

from engine.kernel.events import Event, declared


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDataRead(Event):
    """The actor of this event read patient data."""

    organization_id: str
    site_id: str
    what: str
    purpose: str


ALL = declared(vars())
