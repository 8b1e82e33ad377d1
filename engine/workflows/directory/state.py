"""What the engine believes of one organization: its sites, rooms, people, credentials and rosters."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place with a state, a setting and an EMS address."""

    site_id: str
    name: str
    state: str
    setting: str
    address: str = ""
    ems_address: str = ""
    ems_phone: str = ""
    time_zone: str = ""
    coverage_manager_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A scanner room."""

    site_id: str
    room_id: str
    name: str
    modality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who works for the organization; `phone` is where they are called back."""

    person_id: str
    name: str
    role: str
    sites: tuple[str, ...]
    npi: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A dated fact about a person. `kind`: licence, competency, board, bls, enrolment, refresher."""

    person_id: str
    kind: str
    licence_type: str = ""
    state: str = ""
    number: str = ""
    issued_on: dt.date | None = None
    due_on: dt.date | None = None
    expires_on: dt.date | None = None
    source: str = ""
    verified_by: str = ""
    board_action: bool = False
    revoked: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes two reports the same credential."""
        return (self.person_id, self.kind, self.licence_type, self.state)


@dataclass(frozen=True, kw_only=True)
class DirectoryState:
    """One organization. `version` 0 means it does not exist yet. `rosters` is by site, then rung name."""

    organization_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    name: str = ""
    sites: Mapping[str, Site] = field(default_factory=lambda: MappingProxyType({}))
    rooms: Mapping[tuple[str, str], Room] = field(default_factory=lambda: MappingProxyType({}))
    people: Mapping[str, Person] = field(default_factory=lambda: MappingProxyType({}))
    credentials: Mapping[tuple[str, str, str, str], Credential] = field(
        default_factory=lambda: MappingProxyType({})
    )
    rosters: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=lambda: MappingProxyType({}))


def initial(stream_id: str, phases: tuple[str, ...]) -> DirectoryState:
    """Return the state of an organization that does not exist yet."""
    return DirectoryState(organization_id=stream_id, phases=phases)
