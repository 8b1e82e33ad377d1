"""A person's dated credentials, and what is wrong with them on a day.

Rule: what is not on file, has no end where it needs one, has not begun or has ended does not count.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

PHYSICIANS = ("MD", "DO")
PRACTITIONERS = ("NP", "PA", "CNS", "CRNA", "CNM")
LICENCE_TYPES = (*PHYSICIANS, *PRACTITIONERS, "RN", "RT")
WORDS = {
    "npi": "NPI",
    "board": "board certification",
    "bls": "basic life support certificate",
    "acls": "advanced life support certificate",
    "enrolment": "payer enrolment",
    "idtf_listing": "listing with the testing facility",
    "privileges": "privileges at the facility",
    "exclusion_check": "exclusion check",
    "venipuncture": "venipuncture certificate",
    "contrast": "contrast certificate",
    "refresher": "reaction refresher",
}
ENDLESS = ("npi",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence as found: type (MD, RN, …), state, number, and its first and last day."""

    type: str
    state: str
    expires_on: dt.date
    number: str = ""
    issued_on: dt.date | None = None

    def holds(self, on: dt.date) -> bool:
        """Return whether the licence is valid on a day; its last day counts."""
        return (self.issued_on is None or self.issued_on <= on) and on <= self.expires_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Anything dated that is not a licence: `kind` is a key of `WORDS`. Only an NPI may have no end."""

    kind: str
    number: str = ""
    issued_on: dt.date | None = None
    expires_on: dt.date | None = None
    source: str = ""
    verified_by: str = ""

    def holds(self, on: dt.date) -> bool:
        """Return whether the credential is valid on a day; its last day counts."""
        begun = self.issued_on is None or self.issued_on <= on
        return begun and (self.kind in ENDLESS if self.expires_on is None else on <= self.expires_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """The supervisor or the responder, without what was revoked or is under a board's action.

    `credentials` is None when the caller has no way to state them; an empty tuple says that there are none.
    """

    licences: tuple[Licence, ...]
    competency_expires_on: dt.date | None = None
    credentials: tuple[Credential, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What somebody (`who`: supervisor, responder) must hold. An empty `state` accepts a licence of any state."""

    who: str
    licence_types: tuple[str, ...] = ()
    state: str = ""
    competency: bool = False
    credentials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that does not hold: a word for machines and the sentence a technologist reads."""

    reason: str
    sentence: str


def problems(person: Party, on_date: dt.date, requirement: Requirement) -> tuple[Problem, ...]:
    """Return everything a person lacks on a day; credentials that nobody could state are not judged."""
    found = (
        _licence(person, on_date, requirement),
        _competency(person, on_date, requirement),
        *_credentials(person, on_date, requirement),
    )
    return tuple(problem for problem in found if problem is not None)


def assumed(person: Party, requirement: Requirement) -> tuple[str, ...]:
    """Return the required facts that nobody could state, in words."""
    if person.credentials is not None:
        return ()
    return tuple(f"{requirement.who}'s {_word(kind)} on file" for kind in requirement.credentials)


def lasts_until(person: Party, on_date: dt.date, requirement: Requirement) -> dt.date | None:
    """Return the last day on which what was used still holds: of two that serve, the longer one counts."""
    ends: list[dt.date] = []
    if requirement.licence_types:
        ends.extend(_longest(one.expires_on for one in _fitting(person, requirement) if one.holds(on_date)))
    competency = person.competency_expires_on
    if requirement.competency and competency is not None and on_date <= competency:
        ends.append(competency)
    for kind in requirement.credentials:
        held = [one for one in person.credentials or () if one.kind == kind and one.holds(on_date)]
        if all(one.expires_on is not None for one in held):
            ends.extend(_longest(one.expires_on for one in held if one.expires_on is not None))
    return min(ends, default=None)


def _longest(days: Iterator[dt.date]) -> tuple[dt.date, ...]:
    last = max(days, default=None)
    return () if last is None else (last,)


def _fitting(person: Party, requirement: Requirement) -> tuple[Licence, ...]:
    return tuple(
        licence
        for licence in person.licences
        if licence.type in requirement.licence_types and requirement.state in ("", licence.state)
    )


def _licence(person: Party, on: dt.date, requirement: Requirement) -> Problem | None:
    if not requirement.licence_types:
        return None
    fitting = _fitting(person, requirement)
    if any(licence.holds(on) for licence in fitting):
        return None
    place = f" in {requirement.state}" if requirement.state else ""
    if not fitting:
        wanted = either(requirement.licence_types)
        return Problem(
            reason="LICENCE_MISSING", sentence=f"The {requirement.who} holds no {wanted} licence{place}."
        )
    latest = max(fitting, key=lambda licence: licence.expires_on)
    what = f"The {requirement.who}'s {latest.type} licence in {latest.state}"
    if latest.expires_on < on:
        return Problem(reason="LICENCE_EXPIRED", sentence=f"{what} expired on {latest.expires_on}.")
    return Problem(reason="LICENCE_NOT_YET_VALID", sentence=f"{what} begins on {latest.issued_on}.")


def _competency(person: Party, on: dt.date, requirement: Requirement) -> Problem | None:
    until = person.competency_expires_on
    if not requirement.competency or (until is not None and on <= until):
        return None
    if until is None:
        return Problem(
            reason="COMPETENCY_MISSING", sentence=f"No competency of the {requirement.who} is on file."
        )
    return Problem(
        reason="COMPETENCY_EXPIRED", sentence=f"The {requirement.who}'s competency expired on {until}."
    )


def _credentials(person: Party, on: dt.date, requirement: Requirement) -> Iterator[Problem]:
    if person.credentials is None:
        return
    for kind in requirement.credentials:
        held = [one for one in person.credentials if one.kind == kind]
        what = f"The {requirement.who}'s {_word(kind)}"
        ends = [one.expires_on for one in held if one.expires_on is not None]
        if any(one.holds(on) for one in held):
            continue
        if not held:
            yield Problem(reason=f"{kind.upper()}_MISSING", sentence=f"{what} is not on file.")
        elif ends and max(ends) < on:
            yield Problem(reason=f"{kind.upper()}_EXPIRED", sentence=f"{what} expired on {max(ends)}.")
        else:
            yield Problem(reason=f"{kind.upper()}_UNDATED", sentence=f"{what} has no dates that cover {on}.")


def either(words: tuple[str, ...]) -> str:
    """Return words as a choice: "MD, DO or NP"."""
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _word(kind: str) -> str:
    return WORDS.get(kind, kind)
