"""Where a person may act: organizations are blind to each other, sites are named, the engine's verbs are its own."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from engine.access.scope import authorize, may_take_place, sees, sees_stream
from engine.access.tokens import Principal
from engine.kernel.errors import Forbidden, Missing
from engine.workflows.coverage import commands as coverage_commands
from engine.workflows.coverage import machine as coverage_machine
from engine.workflows.coverage.state import CoverageState, RoomRef
from engine.workflows.directory import commands as directory_commands
from engine.workflows.directory import machine as directory_machine
from engine.workflows.directory.state import Person
from engine.workflows.session import commands as c
from engine.workflows.session import machine
from engine.workflows.session.state import CredentialEvidence, SessionState
from tests.services.house import NOW

SESSION = machine()
HERE = SessionState(session_id="ses-1", version=3, organization_id="org-1", site_id="site-1")
TECH = Principal(
    person_id="tech-1",
    role="technologist",
    organization_id="org-1",
    sites=frozenset({"site-1"}),
    token_id="t",
    issued_at=NOW,
    expires_at=NOW,
)


def test_a_person_acts_in_their_organization_and_sites() -> None:
    """Inside both, the hook lets through."""
    authorize(TECH, SESSION, HERE, c.StartPreparation())


@pytest.mark.parametrize(
    ("state", "principal", "error"),
    [
        (replace(HERE, organization_id="org-2"), TECH, Missing),
        (SessionState(session_id="ses-1"), TECH, Missing),
        (replace(HERE, site_id="site-2"), TECH, Forbidden),
        (HERE, replace(TECH, sites=frozenset()), Forbidden),
    ],
)
def test_outside_them_nothing_is_let_through(
    state: Any, principal: Principal, error: type[Exception]
) -> None:
    """Another organization's is missing, another site's is forbidden."""
    with pytest.raises(error):
        authorize(principal, SESSION, state, c.StartPreparation())


def test_elsewhere_and_nowhere_sound_the_same() -> None:
    """The words for what exists in another organization are the words for what does not exist."""
    said = []
    for state in (replace(HERE, organization_id="org-2"), SessionState(session_id="ses-1")):
        with pytest.raises(Missing) as caught:
            authorize(TECH, SESSION, state, c.StartPreparation())
        said.append(str(caught.value))

    assert said[0] == said[1]


def test_a_verb_of_the_engine_is_no_callers() -> None:
    """An internal verb is refused even where its RPC table was wrong."""
    with pytest.raises(Forbidden):
        authorize(TECH, SESSION, HERE, c.SealRecord())


def test_the_engine_itself_passes() -> None:
    """Timers, policies and feeds act without a person."""
    authorize(None, SESSION, replace(HERE, organization_id="org-2"), c.SealRecord())


def test_a_window_is_offered_only_for_sites_one_covers() -> None:
    """One uncovered room refuses the offer; a window is seen by whoever covers one of its sites."""
    rooms = (RoomRef(site_id="site-1", room_id="a"), RoomRef(site_id="site-2", room_id="b"))
    offer = coverage_commands.OfferCoverage(
        organization_id="org-1", physician_id="dr-1", rooms=rooms, starts_at=NOW, ends_at=NOW, cap=1
    )
    window = CoverageState(coverage_id="cov-1", version=1, organization_id="org-1", rooms=rooms)

    with pytest.raises(Forbidden):
        authorize(TECH, SESSION, CoverageState(coverage_id="cov-1"), offer)
    authorize(replace(TECH, sites=frozenset({"*"})), SESSION, CoverageState(coverage_id="cov-1"), offer)
    assert sees(TECH, window)
    assert not sees(replace(TECH, sites=frozenset({"site-3"})), window)


def test_a_directory_is_its_organization() -> None:
    """Only the organization signed in for can be opened, and a site of it only by who covers it."""
    made = directory_machine()
    opening = directory_commands.RegisterOrganization(name="One")
    manager = directory_commands.AppointCoverageManager(site_id="site-2", person_id="p")

    authorize(TECH, made, made.initial("org-1"), opening)
    with pytest.raises(Missing):
        authorize(TECH, made, made.initial("org-2"), opening)
    with pytest.raises(Forbidden):
        authorize(TECH, made, replace(made.initial("org-1"), version=1), manager)


ON_FILE = replace(
    directory_machine().initial("org-1"),
    version=1,
    people={
        name: Person(person_id=name, name=name, role="physician", sites=sites)
        for name, sites in (
            ("dr-1", ("site-1",)),
            ("dr-2", ("site-2",)),
            ("dr-12", ("site-1", "site-2")),
            ("dr", ()),
        )
    },
)


def named(person_id: str, *sites: str) -> directory_commands.RegisterPerson:
    """Register a physician for sites."""
    return directory_commands.RegisterPerson(person_id=person_id, name="Dr", role="physician", sites=sites)


def licence(person_id: str) -> directory_commands.RecordCredential:
    """Report a licence."""
    return directory_commands.RecordCredential(person_id=person_id, kind="licence", state="CA")


def revoked(person_id: str) -> directory_commands.RecordCredentialRevoked:
    """Report that a licence is gone."""
    return directory_commands.RecordCredentialRevoked(person_id=person_id, kind="licence", state="CA")


@pytest.mark.hazard("H-31")
@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        (named("dr-1", "site-1"), True),
        (named("new", "site-1"), True),
        (named("new", "site-2"), False),
        (named("new", "site-1", "site-2"), False),
        (named("new"), False),
        (named("dr-1"), False),
        (named("dr-2", "site-1"), False),
        (named("dr-12", "site-1"), False),
        (named("dr", "site-1"), False),
        (licence("dr-1"), True),
        (licence("dr-12"), True),
        (licence("dr-2"), False),
        (licence("dr"), False),
        (licence("nobody"), False),
        (revoked("dr-1"), True),
        (revoked("dr-12"), True),
        (revoked("dr-2"), False),
        (revoked("nobody"), False),
        (directory_commands.SetRoster(site_id="site-1", rung="primary", people=("dr-2",)), True),
        (directory_commands.SetRoster(site_id="site-2", rung="primary", people=("dr-1",)), False),
    ],
)
def test_people_of_another_site_are_not_changed(command: Any, allowed: bool) -> None:
    """Who is signed in for one site changes nobody of another, and nobody who serves all; who covers all may."""
    officer = replace(TECH, role="compliance_officer")
    made = directory_machine()

    authorize(replace(officer, sites=frozenset({"*"})), made, ON_FILE, command)
    if allowed:
        authorize(officer, made, ON_FILE, command)
    else:
        with pytest.raises(Forbidden):
            authorize(officer, made, ON_FILE, command)


def test_a_window_over_two_sites_is_ended_by_its_physician_or_by_who_covers_both() -> None:
    """The manager of one site does not take the physician from the other."""
    rooms = (RoomRef(site_id="site-1", room_id="a"), RoomRef(site_id="site-2", room_id="b"))
    window = CoverageState(
        coverage_id="cov-1", version=1, organization_id="org-1", rooms=rooms, physician_id="dr-1"
    )
    made, end = coverage_machine(), coverage_commands.EndCoverage()

    authorize(replace(TECH, person_id="dr-1", role="physician"), made, window, end)
    authorize(replace(TECH, sites=frozenset({"site-1", "site-2"})), made, window, end)
    with pytest.raises(Forbidden):
        authorize(replace(TECH, role="coverage_manager"), made, window, end)


def test_places_in_the_line_belong_to_people() -> None:
    """The physician's place is for the session's physician and for the one it is offered to."""
    doctor = replace(TECH, role="physician", person_id="dr-1")
    evidence = CredentialEvidence(person_id="dr-1", role="physician", checked_at=NOW)

    may_take_place(TECH, HERE, "technologist")
    may_take_place(doctor, replace(HERE, physician=evidence), "physician")
    may_take_place(doctor, replace(HERE, hand_off_to="dr-1"), "physician")
    for principal, session, place in (
        (TECH, HERE, "physician"),
        (doctor, HERE, "physician"),
        (replace(doctor, person_id="dr-2"), replace(HERE, physician=evidence), "physician"),
        (replace(doctor, person_id=""), HERE, "physician"),
    ):
        with pytest.raises(Forbidden):
            may_take_place(principal, session, place)


@dataclass(frozen=True)
class Log:
    """A disclosure log's state."""

    organization_id: str = "org-1"
    site_id: str = "site-1"


def test_the_disclosure_log_is_for_oversight() -> None:
    """An auditor may watch who read what; a technologist may not."""
    assert sees_stream(replace(TECH, role="auditor"), "disclosure", Log())
    assert not sees_stream(TECH, "disclosure", Log())
