"""Who is due for reaction training again, as the directory has it. Pure: a directory and a day in, a list out.

Rule: nobody without a refresher on file counts as trained.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from engine.workflows.directory.state import Credential, DirectoryState

KIND = "refresher"
TRAINED = ("technologist", "responder", "physician")


class RefresherState(StrEnum):
    """How a refresher stands, the most pressing first."""

    MISSING = "missing"
    OVER = "over"
    DUE = "due"
    HOLDS = "holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresher:
    """A person's reaction training: the last one, from when on it is due again, after when it no longer counts."""

    person_id: str
    role: str
    state: RefresherState
    refreshed_on: dt.date | None = None
    due_on: dt.date | None = None
    expires_on: dt.date | None = None


def refreshers(directory: DirectoryState, sites: Iterable[str], on: dt.date) -> tuple[Refresher, ...]:
    """Return the people of some sites who treat reactions: first those without a refresher, then by due date."""
    wanted = set(sites)
    found = [
        _of(directory, person.person_id, person.role, on)
        for person in directory.people.values()
        if person.role in TRAINED and wanted & set(person.sites)
    ]
    order = list(RefresherState)
    return tuple(
        sorted(found, key=lambda one: (order.index(one.state), one.due_on or dt.date.max, one.person_id))
    )


def last_refresher(directory: DirectoryState, person_id: str, on: dt.date) -> Credential | None:
    """Return a person's refresher that lasts longest; revoked ones and later ones do not count."""
    held = (
        credential
        for credential in directory.credentials.values()
        if (credential.person_id, credential.kind, credential.revoked) == (person_id, KIND, False)
        and (credential.issued_on is None or credential.issued_on <= on)
    )
    return max(held, key=lambda credential: credential.expires_on or dt.date.min, default=None)


def _of(directory: DirectoryState, person_id: str, role: str, on: dt.date) -> Refresher:
    held = last_refresher(directory, person_id, on)
    if held is None:
        return Refresher(person_id=person_id, role=role, state=RefresherState.MISSING)
    if held.expires_on is None or held.expires_on < on:
        state = RefresherState.OVER
    elif held.due_on is not None and held.due_on <= on:
        state = RefresherState.DUE
    else:
        state = RefresherState.HOLDS
    return Refresher(
        person_id=person_id,
        role=role,
        state=state,
        refreshed_on=held.issued_on,
        due_on=held.due_on,
        expires_on=held.expires_on,
    )
