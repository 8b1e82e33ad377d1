"""What happened in an organization's directory. Released types are never edited; a new shape is a new `schema`."""

from dataclasses import dataclass

from engine.kernel.events import Event, declared
from engine.workflows.directory.state import Credential, Person, Room, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationRegistered(Event):
    """The directory is open."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRegistered(Event):
    """A site as it is from now on."""

    site: Site


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRegistered(Event):
    """A room as it is from now on."""

    room: Room


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRegistered(Event):
    """A person as they are from now on."""

    person: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRecorded(Event):
    """A credential as found."""

    credential: Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRevoked(Event):
    """A credential no longer counts."""

    person_id: str
    kind: str
    licence_type: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageManagerAppointed(Event):
    """The human who is rung when nobody answers."""

    site_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterSet(Event):
    """Who is on a rung."""

    site_id: str
    rung: str
    people: tuple[str, ...]


ALL = declared(vars())
