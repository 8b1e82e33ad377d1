"""The directory's verbs: who and what an organization consists of."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOrganization(Command):
    """Open an organization's directory."""

    creates: ClassVar[bool] = True
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSite(Command):
    """Add or replace a site. `setting` is office, idtf or hopd."""

    site_id: str
    name: str
    state: str
    setting: str
    address: str
    ems_address: str
    ems_phone: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRoom(Command):
    """Add or replace a scanner room of a site."""

    site_id: str
    room_id: str
    name: str
    modality: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPerson(Command):
    """Add or replace a person with the sites they work for."""

    person_id: str
    name: str
    role: str
    sites: tuple[str, ...]
    npi: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCredential(Command):
    """Report a credential as found at its source. From `due_on` it is to be renewed; after `expires_on` it is over."""

    fact: ClassVar[bool] = True
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCredentialRevoked(Command):
    """Report that a credential no longer counts."""

    fact: ClassVar[bool] = True
    person_id: str
    kind: str
    licence_type: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointCoverageManager(Command):
    """Name the human who is rung when nobody answers."""

    site_id: str
    person_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRoster(Command):
    """Say who is on a rung (primary, backup, bench) for a site."""

    site_id: str
    rung: str
    people: tuple[str, ...]
