"""What each event changes in what the engine believes of an organization."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from engine.kernel.events import Event, Recorded
from engine.workflows.directory import events as e
from engine.workflows.directory.state import DirectoryState

K = TypeVar("K")
V = TypeVar("V")


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return MappingProxyType({**mapping, key: value})


def _manager(s: DirectoryState, v: e.CoverageManagerAppointed) -> DirectoryState:
    site = replace(s.sites[v.site_id], coverage_manager_id=v.person_id)
    return replace(s, sites=_with(s.sites, v.site_id, site))


def _revoked(s: DirectoryState, v: e.CredentialRevoked) -> DirectoryState:
    key = (v.person_id, v.kind, v.licence_type, v.state)
    if key not in s.credentials:
        return s
    return replace(s, credentials=_with(s.credentials, key, replace(s.credentials[key], revoked=True)))


def _roster(s: DirectoryState, v: e.RosterSet) -> DirectoryState:
    site = _with(s.rosters.get(v.site_id, {}), v.rung, v.people)
    return replace(s, rosters=_with(s.rosters, v.site_id, site))


_CHANGES: dict[type[Event], Callable[[DirectoryState, Any], DirectoryState]] = {
    e.OrganizationRegistered: lambda s, v: replace(s, name=v.name),
    e.SiteRegistered: lambda s, v: replace(s, sites=_with(s.sites, v.site.site_id, v.site)),
    e.RoomRegistered: lambda s, v: replace(s, rooms=_with(s.rooms, (v.room.site_id, v.room.room_id), v.room)),
    e.PersonRegistered: lambda s, v: replace(s, people=_with(s.people, v.person.person_id, v.person)),
    e.CredentialRecorded: lambda s, v: replace(
        s, credentials=_with(s.credentials, v.credential.key, v.credential)
    ),
    e.CredentialRevoked: _revoked,
    e.CoverageManagerAppointed: _manager,
    e.RosterSet: _roster,
}


def fold_one(state: DirectoryState, recorded: Recorded) -> DirectoryState:
    """Fold one recorded event."""
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded.event) if change else state
