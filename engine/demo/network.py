"""The demonstration's organization: one hospital, its rooms and its clearly synthetic people, as commands.

Rule: everything goes through the executor like any other change; running it again changes nothing.
"""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.workflows.directory import commands as c

ORGANIZATION = "org-demo"
SITE = "demo-hospital"
ROOM = "room-ct-1"
ACTOR = Actor.system("demo")
FAR = dt.date(2099, 12, 31)
PEOPLE = {
    "tech-1": ("Demo Technologist One", "technologist"),
    "responder-1": ("Demo Responder One", "responder"),
    "physician-1": ("Demo Physician One", "physician"),
    "physician-2": ("Demo Physician Two", "physician"),
    "physician-3": ("Demo Physician Three", "physician"),
    "physician-nv": ("Demo Physician Elsewhere", "physician"),
    "manager-1": ("Demo Manager One", "coverage_manager"),
    "auditor-1": ("Demo Auditor One", "auditor"),
    "integrator-1": ("Demo Integrator One", "integrator"),
    "officer-1": ("Demo Officer One", "compliance_officer"),
    "director-1": ("Demo Director One", "medical_director"),
    "operator-1": ("Demo Operator One", "operator"),
}
LICENSED = {"physician-1": "CA", "physician-2": "CA", "physician-3": "CA", "physician-nv": "NV"}


def commands() -> Iterator[Command]:
    """Yield what makes the demonstration's organization."""
    yield c.RegisterOrganization(name="Demo Imaging")
    yield c.RegisterSite(
        site_id=SITE,
        name="Demo Hospital Imaging",
        state="CA",
        setting="office",
        address="1 Demo Street, Demo City, CA",
        ems_address="1 Demo Street, entrance B, ground floor",
        ems_phone="911",
        time_zone="America/Los_Angeles",
    )
    yield c.RegisterRoom(site_id=SITE, room_id=ROOM, name="CT 1", modality="CT")
    yield c.RegisterRoom(site_id=SITE, room_id="room-mr-1", name="MR 1", modality="MR")
    for number, (person_id, (name, role)) in enumerate(PEOPLE.items(), 1):
        npi = f"99999900{number:02d}" if role == "physician" else ""
        phone = f"+1 555 01{number:02d}" if role == "physician" else ""
        yield c.RegisterPerson(person_id=person_id, name=name, role=role, sites=(SITE,), npi=npi, phone=phone)
    for person_id, state in LICENSED.items():
        yield _licence(person_id, "MD", state)
        yield c.RecordCredential(
            person_id=person_id,
            kind="records_access",
            number=SITE,
            expires_on=FAR,
            source="demo PACS sign-in",
        )
    yield _licence("responder-1", "RN", "CA")
    yield c.RecordCredential(
        person_id="responder-1",
        kind="competency",
        expires_on=FAR,
        source="demo simulation",
        verified_by="director-1",
    )
    yield c.AppointCoverageManager(site_id=SITE, person_id="manager-1")
    for rung, person_id in (("primary", "physician-1"), ("backup", "physician-2"), ("bench", "physician-3")):
        yield c.SetRoster(site_id=SITE, rung=rung, people=(person_id,))


def _licence(person_id: str, kind: str, state: str) -> Command:
    return c.RecordCredential(
        person_id=person_id,
        kind="licence",
        licence_type=kind,
        state=state,
        number=f"DEMO-{state}-{person_id}",
        expires_on=FAR,
        source="demo board",
        verified_by="officer-1",
    )


async def seed(executor: Executor) -> None:
    """Make the organization, unless it was made before."""
    stream = Stream("directory", ORGANIZATION)
    for number, command in enumerate(commands()):
        request = Request(request_id=f"demo-seed-{number:03d}", stream=stream, command=command, actor=ACTOR)
        await executor.execute(request)
