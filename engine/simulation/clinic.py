"""Synthetic organizations: sites in several states, rooms, people, licences that are missing or run out."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from engine.kernel.commands import Actor, Command
from engine.simulation.world import START
from engine.workflows.directory import commands as c

FAR = dt.date(2099, 12, 31)
#: State and setting of the sites, in turn: allowed, allowed in a hospital, denied, and one without a rule of its own.
PLACES = (("CA", "office"), ("CA", "hopd"), ("NJ", "office"), ("TX", "idtf"))
PHYSICIANS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A site with its room and its people."""

    organization_id: str
    site_id: str
    room_id: str
    state: str
    technologist_id: str
    responder_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """One organization: where it works, who supervises, and the commands that make it."""

    organization_id: str
    places: tuple[Place, ...]
    physicians: tuple[str, ...]
    commands: tuple[Command, ...]


def clinic(number: int, rng: Random) -> Clinic:
    """Draw an organization."""
    organization = f"org-{number}"
    places = tuple(
        Place(
            organization_id=organization,
            site_id=f"{organization}-site-{n}",
            room_id=f"{organization}-room-{n}",
            state=state,
            technologist_id=f"{organization}-tech-{n}",
            responder_id=f"{organization}-responder-{n}",
        )
        for n, (state, _) in enumerate(PLACES)
    )
    physicians = tuple(f"{organization}-physician-{n}" for n in range(PHYSICIANS))
    return Clinic(
        organization_id=organization,
        places=places,
        physicians=physicians,
        commands=tuple(_commands(organization, places, physicians, rng)),
    )


def _commands(
    organization: str, places: tuple[Place, ...], physicians: tuple[str, ...], rng: Random
) -> Iterator[Command]:
    yield c.RegisterOrganization(name=f"Synthetic {organization}")
    manager = f"{organization}-manager"
    sites = tuple(place.site_id for place in places)
    for place, (state, setting) in zip(places, PLACES, strict=True):
        yield from _site(place, state, setting)
    yield c.RegisterPerson(person_id=manager, name="Manager", role="coverage_manager", sites=sites)
    for site in sites:
        yield c.AppointCoverageManager(site_id=site, person_id=manager)
    for number, person in enumerate(physicians):
        yield c.RegisterPerson(
            person_id=person, name=person, role="physician", sites=sites, npi=f"99{number:08d}"
        )
        for site in sites:
            yield c.RecordCredential(
                person_id=person, kind="records_access", number=site, expires_on=FAR, source="synthetic"
            )
        if number == 0:  # licensed nowhere
            continue
        runs_out = START.date() if number == 1 else FAR
        for state in dict.fromkeys(state for state, _ in PLACES):
            yield _licence(person, "MD", state, runs_out)
    for place in places:
        people = list(physicians)
        rng.shuffle(people)
        for rung, who in (("primary", people[:2]), ("backup", people[2:4]), ("bench", people[4:6])):
            yield c.SetRoster(site_id=place.site_id, rung=rung, people=tuple(who))


def _site(place: Place, state: str, setting: str) -> Iterator[Command]:
    yield c.RegisterSite(
        site_id=place.site_id,
        name=place.site_id,
        state=state,
        setting=setting,
        address="1 Synthetic Street",
        ems_address="1 Synthetic Street, entrance B",
        ems_phone="911",
        time_zone="America/Los_Angeles",
    )
    yield c.RegisterRoom(site_id=place.site_id, room_id=place.room_id, name="CT 1", modality="CT")
    for person, role in ((place.technologist_id, "technologist"), (place.responder_id, "responder")):
        yield c.RegisterPerson(person_id=person, name=person, role=role, sites=(place.site_id,))
    yield _licence(place.responder_id, "RN", state, FAR)
    yield c.RecordCredential(
        person_id=place.responder_id,
        kind="competency",
        expires_on=FAR,
        source="synthetic",
        verified_by="officer",
    )


def _licence(person: str, kind: str, state: str, expires_on: dt.date) -> Command:
    return c.RecordCredential(
        person_id=person,
        kind="licence",
        licence_type=kind,
        state=state,
        number=f"SYN-{state}-{person}",
        expires_on=expires_on,
        source="synthetic board",
        verified_by="officer",
    )


def physician(clinic_id: str, person_id: str) -> Actor:
    """Return a physician as an actor."""
    return Actor(person_id=person_id, role="physician", organization_id=clinic_id)


def technologist(place: Place) -> Actor:
    """Return a place's technologist as an actor."""
    return Actor(person_id=place.technologist_id, role="technologist", organization_id=place.organization_id)
