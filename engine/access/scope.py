"""Where a person may act: the organization and site of what is asked must be in the person's sign-in.

Rule: across organizations nothing tells whether a thing exists; another organization's session answers exactly as
one that was never made.
"""

from dataclasses import replace
from typing import Any

from engine.access.table import DRILLING, OVERSIGHT
from engine.access.tokens import EVERY_SITE, Principal
from engine.kernel.commands import Command
from engine.kernel.errors import Forbidden, Missing
from engine.kernel.machine import Machine
from engine.workflows.directory.commands import RecordCredential, RecordCredentialRevoked, RegisterPerson
from engine.workflows.directory.state import Person


def authorize(principal: Principal | None, machine: Machine, state: Any, command: Command) -> None:
    """Let a command through, or raise: the executor's hook, asked with the state before the decision.

    `principal` None is the engine itself (timers, policies, HL7 feeds), which acts as `system:<part>`. Raises Missing
    outside the organization, Forbidden inside it but outside the person's sites, and Forbidden for a verb that no
    caller outside the engine may send.
    """
    if principal is None:
        return
    if type(command).internal:
        raise Forbidden("this is for the engine itself")
    if state.version == 0 and not type(command).creates:
        raise Missing(f"there is no such {machine.name}")
    within(principal, machine.name, state if state.version else command, stream_id=_own_id(state))
    touched = sites_of(command) if _is_own(principal, state) else sites_of(command) | sites_of(state)
    if EVERY_SITE not in principal.sites and not touched <= principal.sites:
        raise Forbidden("your sign-in does not cover this site")
    if not _serves(principal, state, command):
        raise Forbidden("your sign-in does not cover the sites of this person")


def caller_request_id(organization_id: str, request_id: str) -> str:
    """Return the id a caller's request is kept under.

    The engine's own parts (timers, policies) and other organizations have names of their own, so nobody can take
    theirs.
    """
    return f"rpc:{organization_id}:{request_id}"


def within(principal: Principal, what: str, holder: Any, *, stream_id: str = "") -> None:
    """Check that what `holder` (a state, or the command that makes one) belongs to is in the person's sign-in.

    A holder without an organization of its own is the organization `stream_id` itself (the directory).
    """
    organization = getattr(holder, "organization_id", "") or stream_id
    if organization != principal.organization_id or is_hidden(principal, holder):
        raise Missing(f"there is no such {what}")
    sites = sites_of(holder)
    if sites and EVERY_SITE not in principal.sites and sites.isdisjoint(principal.sites):
        raise Forbidden(f"this {what} belongs to a site that your sign-in does not cover")


def is_hidden(principal: Principal, holder: Any) -> bool:
    """Return whether a thing is not to be known yet by this person: an unannounced drill, by those it will drill."""
    return bool(getattr(holder, "hidden", False)) and principal.role not in DRILLING


def sites_of(holder: Any) -> frozenset[str]:
    """Return the sites a state or command belongs to; empty when it belongs to the organization as a whole."""
    rooms, sites = getattr(holder, "rooms", ()), getattr(holder, "sites", ())
    if isinstance(rooms, tuple) and rooms:
        return frozenset(room.site_id for room in rooms)
    if isinstance(sites, tuple) and sites:
        return frozenset(sites)
    site = getattr(holder, "site_id", "")
    return frozenset({site}) if site else frozenset()


def sees(principal: Principal, holder: Any, *, stream_id: str = "") -> bool:
    """Return whether the person may see what `holder` describes."""
    try:
        within(principal, "thing", holder, stream_id=stream_id)
    except (Missing, Forbidden):
        return False
    return True


def shown(principal: Principal, machine: str, state: Any) -> Any:
    """Return a state as a person may see it: of a directory their sites, and the people who serve one of these."""
    if machine != "directory" or EVERY_SITE in principal.sites:
        return state
    people = {name: person for name, person in state.people.items() if _near(principal, person)}
    return replace(
        state,
        sites={name: site for name, site in state.sites.items() if principal.covers(name)},
        rooms={key: room for key, room in state.rooms.items() if principal.covers(room.site_id)},
        people=people,
        credentials={key: one for key, one in state.credentials.items() if one.person_id in people},
        rosters={site: rungs for site, rungs in state.rosters.items() if principal.covers(site)},
    )


def sees_event(principal: Principal, machine: str, state: Any, event: Any) -> bool:
    """Return whether a person may see an event of a stream that they may watch; of a directory as in `shown`."""
    if machine != "directory" or EVERY_SITE in principal.sites:
        return True
    held = (getattr(event, name, None) for name in ("site", "room", "person", "credential"))
    about = next((one for one in held if one is not None), event)
    if isinstance(about, Person):
        return _near(principal, about)
    site_id, person_id = getattr(about, "site_id", ""), getattr(about, "person_id", "")
    if site_id:
        return principal.covers(site_id)
    person = state.people.get(person_id)
    return not person_id or (person is not None and _near(principal, person))


def _near(principal: Principal, person: Person) -> bool:
    return not person.sites or any(map(principal.covers, person.sites))


def sees_stream(principal: Principal, machine: str, state: Any) -> bool:
    """Return whether the person may watch a stream: who read patient data is for oversight only."""
    if machine == "disclosure" and principal.role not in OVERSIGHT:
        return False
    return sees(principal, state)


_OF_PEOPLE = (RegisterPerson, RecordCredential, RecordCredentialRevoked)


def _is_own(principal: Principal, state: Any) -> bool:
    """Return whether a thing is the person's own: a physician's window may reach over sites they are not at today."""
    return bool(getattr(state, "physician_id", "") == principal.person_id)


def _serves(principal: Principal, state: Any, command: Command) -> bool:
    """Return whether a person of the directory may be changed by this sign-in.

    Somebody registered for no site serves all of them. Registering anew changes a person at each of their sites; a
    credential is told by whoever answers for one of them.
    """
    if not isinstance(command, _OF_PEOPLE):
        return True
    person = state.people.get(command.person_id)
    before = person.sites if person is not None else None
    if isinstance(command, RegisterPerson):
        each = [command.sites] if before is None else [command.sites, before]
        return all(all(map(principal.covers, sites or (EVERY_SITE,))) for sites in each)
    return any(map(principal.covers, before or (EVERY_SITE,)))


def _own_id(state: Any) -> str:
    return str(getattr(state, "organization_id", ""))


def may_take_place(principal: Principal, session: Any, place: str) -> None:
    """Check that a person may fill a place in a session's line. Raises Forbidden.

    A place belongs to the role it is named after; the physician's place belongs to the physician of the session, or
    to the one it is offered to.
    """
    if principal.role != place:
        raise Forbidden(f"the place of the {place} is for a {place}")
    if place != "physician":
        return
    assigned = session.physician.person_id if session.physician is not None else ""
    if principal.person_id not in {assigned, session.hand_off_to} - {""}:
        raise Forbidden("you are not the physician of this session")
