"""A directory keeps its references whole: no room without its site, no roster of strangers."""

import datetime as dt
from typing import Any

import pytest

from engine.kernel.commands import Actor, Command
from engine.kernel.errors import Missing
from engine.workflows import directory, disclosure
from engine.workflows.directory import commands as c
from engine.workflows.disclosure import commands as d
from tests.workflows.machines import facts
from tests.workflows.play import Play

MACHINE = directory.machine()
MANAGER = Actor(person_id="cm-1", role="coverage_manager")
LICENCE = c.RecordCredential(
    person_id="md-1", kind="licence", licence_type="MD", state="TX", expires_on=dt.date(2027, 1, 1)
)
REVOKED = c.RecordCredentialRevoked(person_id="md-1", kind="licence", licence_type="MD", state="TX")


def site(**change: Any) -> c.RegisterSite:
    given: dict[str, Any] = {
        "site_id": "site-1",
        "name": "North",
        "state": "TX",
        "setting": "office",
        "address": "1 Example Way",
        "ems_address": "1 Example Way, back door",
        "ems_phone": "911",
        "time_zone": "America/Chicago",
    }
    return c.RegisterSite(**(given | change))


def person(sites: tuple[str, ...] = ("site-1",)) -> c.RegisterPerson:
    return c.RegisterPerson(person_id="md-1", name="A. Physician", role="physician", sites=sites)


def registered() -> Play:
    play = Play(MACHINE, "org-1")
    for command in (c.RegisterOrganization(name="Org"), site(), person()):
        play.do(command, MANAGER)
    return play


REFUSALS: tuple[tuple[str, Command], ...] = (
    ("SETTING_UNKNOWN", site(setting="garage")),
    ("SITE_UNKNOWN", c.RegisterRoom(site_id="site-9", room_id="ct-1", name="CT", modality="CT")),
    ("SITE_UNKNOWN", person(("site-1", "site-9"))),
    ("SITE_UNKNOWN", c.AppointCoverageManager(site_id="site-9", person_id="md-1")),
    ("PERSON_UNKNOWN", c.AppointCoverageManager(site_id="site-1", person_id="nobody")),
    ("SITE_UNKNOWN", c.SetRoster(site_id="site-9", rung="primary", people=("md-1",))),
    ("PERSON_UNKNOWN", c.SetRoster(site_id="site-1", rung="primary", people=("md-1", "nobody"))),
    ("RUNG_UNKNOWN", c.SetRoster(site_id="site-1", rung="loft", people=("md-1",))),
    ("WRONG_PHASE", c.RegisterOrganization(name="again")),
)


@pytest.mark.parametrize(("reason", "command"), REFUSALS)
def test_a_dangling_reference_is_refused(reason: str, command: Command) -> None:
    """Nothing is registered for something that is not there."""
    assert registered().refused(command, MANAGER) == reason


@pytest.mark.hazard("H-08")
def test_what_is_registered_is_found() -> None:
    """Site with its EMS address, room, person, manager, roster; a corrected site keeps its manager."""
    play = registered()
    for command in (
        c.RegisterRoom(site_id="site-1", room_id="ct-1", name="CT 1", modality="CT"),
        c.AppointCoverageManager(site_id="site-1", person_id="md-1"),
        c.SetRoster(site_id="site-1", rung="primary", people=("md-1",)),
        site(ems_address="2 Example Way"),
    ):
        play.do(command, MANAGER)

    found = play.state.sites["site-1"]
    assert (found.ems_address, found.coverage_manager_id) == ("2 Example Way", "md-1")
    assert play.state.rooms["site-1", "ct-1"].modality == "CT"
    assert play.state.rosters["site-1"]["primary"] == ("md-1",)
    play.do(c.SetRoster(site_id="site-1", rung="primary", people=()), MANAGER)
    assert play.state.rosters["site-1"]["primary"] == ()


@pytest.mark.hazard("H-19")
def test_credentials_are_facts_and_a_revoked_one_is_marked() -> None:
    """A report replaces the one before of the same kind; revoking marks it; a new report counts again."""
    assert {type(LICENCE), type(REVOKED)} == set(facts("directory"))
    play = registered()
    key = ("md-1", "licence", "MD", "TX")
    play.do(REVOKED)
    assert key not in play.state.credentials
    play.do(LICENCE)
    play.do(REVOKED)
    assert play.state.credentials[key].revoked
    play.do(LICENCE)
    assert not play.state.credentials[key].revoked


def test_a_person_of_the_whole_organization_needs_no_site() -> None:
    """An auditor or integrator may belong to no site."""
    play = registered()
    play.do(person(()), MANAGER)

    assert play.state.people["md-1"].sites == ()


def test_nothing_is_registered_before_the_organization() -> None:
    """Neither wish nor fact opens a directory by the way."""
    for command in (site(), LICENCE):
        with pytest.raises(Missing):
            Play(MACHINE, "org-1").do(command, MANAGER)


def test_every_read_of_patient_data_is_counted_from_the_first() -> None:
    """A disclosure log needs no opening: the first read is its first event."""
    play = Play(disclosure.machine(), "ses-1")
    read = d.RecordPatientDataRead(
        organization_id="org-1", site_id="site-1", what="record", purpose="treatment"
    )
    assert read.fact and read.creates
    for n in range(1, 4):
        play.do(read, MANAGER)
        assert play.state.reads == n
    assert play.log[-1].actor == MANAGER
    assert play.state.organization_id == "org-1"
