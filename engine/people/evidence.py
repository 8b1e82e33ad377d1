"""Evidence about people, as found in the directory at one moment: licences, competency, problems.

Rule: what is not on record is a problem with a name; nothing fails open.
"""

import datetime as dt

from engine.kernel.clock import end_of
from engine.people.refreshers import last_refresher
from engine.workflows.directory.state import Credential, DirectoryState
from engine.workflows.session.state import CredentialEvidence

PHYSICIAN_LICENCES = ("MD", "DO")
RESPONDER_LICENCES = ("RN", "NP", "PA", "CNS", "MD", "DO")


def physician_evidence(
    directory: DirectoryState, person_id: str, state: str, now: dt.datetime
) -> CredentialEvidence:
    """Return what is known of a physician for a site's state: the licence, until when, and every problem."""
    return _evidence(directory, person_id, "physician", state, now, PHYSICIAN_LICENCES)


def responder_evidence(
    directory: DirectoryState, person_id: str, state: str, now: dt.datetime
) -> CredentialEvidence:
    """Return what is known of an on-site responder: licence in the site's state and competency."""
    found = _evidence(directory, person_id, "responder", state, now, RESPONDER_LICENCES)
    competency = _best(directory, person_id, "competency", now.date())
    problems = list(found.problems)
    until = found.valid_until
    if competency is None:
        problems.append("COMPETENCY_MISSING")
    elif competency.expires_on is None or competency.expires_on < now.date():
        problems.append("COMPETENCY_EXPIRED")
    else:
        until = min(until or end_of(competency.expires_on), end_of(competency.expires_on))
    refresher = last_refresher(directory, person_id, now.date())
    if refresher is not None and refresher.expires_on is not None:
        until = min(until or end_of(refresher.expires_on), end_of(refresher.expires_on))
        if refresher.expires_on < now.date():
            problems.append("REFRESHER_OVER")
    return CredentialEvidence(
        person_id=person_id,
        role=found.role,
        name=found.name,
        npi=found.npi,
        licence_type=found.licence_type,
        licence_state=found.licence_state,
        licence_number=found.licence_number,
        competency_expires_on=competency.expires_on if competency else None,
        checked_at=now,
        valid_until=until,
        problems=tuple(problems),
    )


def _evidence(
    directory: DirectoryState, person_id: str, role: str, state: str, now: dt.datetime, types: tuple[str, ...]
) -> CredentialEvidence:
    person = directory.people.get(person_id)
    licence = _best(directory, person_id, "licence", now.date(), state=state, types=types)
    problems: list[str] = []
    if person is None:
        problems.append("PERSON_UNKNOWN")
    elif person.role != role:
        problems.append("ROLE_MISMATCH")
    if licence is None:
        problems.append("LICENCE_MISSING_IN_STATE")
    elif licence.board_action:
        problems.append("BOARD_ACTION")
    elif licence.expires_on is None or licence.expires_on < now.date():
        problems.append("LICENCE_EXPIRED")
    return CredentialEvidence(
        person_id=person_id,
        role=role,
        name=person.name if person else "",
        npi=person.npi if person else "",
        licence_type=licence.licence_type if licence else "",
        licence_state=licence.state if licence else "",
        licence_number=licence.number if licence else "",
        checked_at=now,
        valid_until=end_of(licence.expires_on) if licence and licence.expires_on else None,
        problems=tuple(problems),
    )


def _best(
    directory: DirectoryState,
    person_id: str,
    kind: str,
    on: dt.date,
    *,
    state: str | None = None,
    types: tuple[str, ...] = (),
) -> Credential | None:
    """Return the credential of that kind which lasts longest; revoked ones do not count."""
    found = [
        credential
        for credential in directory.credentials.values()
        if credential.person_id == person_id
        and credential.kind == kind
        and not credential.revoked
        and (state is None or credential.state == state)
        and (not types or credential.licence_type in types)
        and (credential.issued_on is None or credential.issued_on <= on)
    ]
    return max(found, key=lambda credential: credential.expires_on or dt.date.min, default=None)
