"""What a legal command of a directory leads to: events out."""

from collections.abc import Callable, Iterable, Iterator

from engine.kernel.commands import Command
from engine.kernel.events import Event
from engine.kernel.machine import Context
from engine.workflows.directory import commands as c
from engine.workflows.directory import events as e
from engine.workflows.directory.state import Credential, DirectoryState, Person, Room, Site


def _site(s: DirectoryState, m: c.RegisterSite, x: Context) -> Iterator[Event]:
    before = s.sites.get(m.site_id)
    yield e.SiteRegistered(
        site=Site(
            site_id=m.site_id,
            name=m.name,
            state=m.state,
            setting=m.setting,
            address=m.address,
            ems_address=m.ems_address,
            ems_phone=m.ems_phone,
            time_zone=m.time_zone,
            coverage_manager_id=before.coverage_manager_id if before else "",
        )
    )


def _room(s: DirectoryState, m: c.RegisterRoom, x: Context) -> Iterator[Event]:
    yield e.RoomRegistered(room=Room(site_id=m.site_id, room_id=m.room_id, name=m.name, modality=m.modality))


def _person(s: DirectoryState, m: c.RegisterPerson, x: Context) -> Iterator[Event]:
    yield e.PersonRegistered(
        person=Person(
            person_id=m.person_id, name=m.name, role=m.role, sites=m.sites, npi=m.npi, phone=m.phone
        )
    )


def _credential(s: DirectoryState, m: c.RecordCredential, x: Context) -> Iterator[Event]:
    yield e.CredentialRecorded(
        credential=Credential(
            person_id=m.person_id,
            kind=m.kind,
            licence_type=m.licence_type,
            state=m.state,
            number=m.number,
            issued_on=m.issued_on,
            due_on=m.due_on,
            expires_on=m.expires_on,
            source=m.source,
            verified_by=m.verified_by,
            board_action=m.board_action,
        )
    )


def _revoked(s: DirectoryState, m: c.RecordCredentialRevoked, x: Context) -> Iterator[Event]:
    yield e.CredentialRevoked(person_id=m.person_id, kind=m.kind, licence_type=m.licence_type, state=m.state)


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.RegisterOrganization: lambda s, m, x: [e.OrganizationRegistered(name=m.name)],
    c.RegisterSite: _site,
    c.RegisterRoom: _room,
    c.RegisterPerson: _person,
    c.RecordCredential: _credential,
    c.RecordCredentialRevoked: _revoked,
    c.AppointCoverageManager: lambda s, m, x: [
        e.CoverageManagerAppointed(site_id=m.site_id, person_id=m.person_id)
    ],
    c.SetRoster: lambda s, m, x: [e.RosterSet(site_id=m.site_id, rung=m.rung, people=m.people)],
}
