"""The disclosure log's verb."""

from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPatientDataRead(Command):
    """Report that the actor read patient data of a session: what, and through which call."""

    fact: ClassVar[bool] = True
    creates: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    organization_id: str
    site_id: str
    what: str
    purpose: str
