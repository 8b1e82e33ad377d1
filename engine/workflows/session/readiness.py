"""Whether injecting is safe now: each READY fact is one function that says whether it holds and until when.

Source: DESIGN invariant 1; 42 CFR 410.32(b)(3)(ii) (real-time audio and video, throughout); ACR statement 2025-06-12
(responder besides the technologist). Rule: a fact nobody can show does not hold.
"""

import datetime as dt
from collections.abc import Callable

from engine.kernel.clock import end_of
from engine.workflows.session.state import CredentialEvidence, ReadyFact, SessionState

Holds = tuple[bool, dt.datetime | None]


def _credentialed(evidence: CredentialEvidence | None, now: dt.datetime) -> Holds:
    if evidence is None or evidence.problems or evidence.valid_until is None:
        return False, None
    return now < evidence.valid_until, evidence.valid_until


def credentialed(evidence: CredentialEvidence | None, now: dt.datetime) -> bool:
    """Return whether credentials were found without a problem and are still valid at `now`."""
    return _credentialed(evidence, now)[0]


def _kit(state: SessionState, now: dt.datetime) -> Holds:
    kit = state.kit
    if kit is None or kit.used or not kit.epinephrine_present or not kit.oxygen_and_aed_checked:
        return False, None
    until = end_of(kit.expires_on)
    return now < until, until


def _verdict(state: SessionState, now: dt.datetime) -> Holds:
    verdict = state.verdict
    if verdict is None or now >= verdict.valid_until:
        return False, None
    if verdict.result == "allow":
        return True, verdict.valid_until
    return verdict.result == "needs_attestation" and attested_by_two(state), verdict.valid_until


def attested_by_two(state: SessionState) -> bool:
    """Return whether two different people have attested the present verdict."""
    return len({attestation.person_id for attestation in state.attestations}) >= 2


_FACTS: dict[str, Callable[[SessionState, dt.datetime], Holds]] = {
    "contrast_cleared": lambda s, now: (s.cleared, None),
    "line_verified": lambda s, now: (s.in_phase("verified"), None),
    "identity_confirmed": lambda s, now: (s.identity_confirmed, None),
    "screening_reviewed": lambda s, now: (s.screening_reviewed, None),
    "physician_present": lambda s, now: (s.physician_present, None),
    "physician_credentialed": lambda s, now: _credentialed(s.physician, now),
    "responder_present": lambda s, now: (s.responder_present, None),
    "responder_credentialed": lambda s, now: _credentialed(s.responder, now),
    "view_confirmed": lambda s, now: (s.view_confirmed, None),
    "kit_in_date": _kit,
    "verdict_allows": _verdict,
    "no_reaction_open": lambda s, now: (not s.open_reactions, None),
}

NAMES = tuple(_FACTS)


def holds(name: str, state: SessionState, now: dt.datetime) -> bool:
    """Return whether one READY fact holds at `now`."""
    return _FACTS[name](state, now)[0]


def missing(state: SessionState, now: dt.datetime) -> tuple[str, ...]:
    """Return the names of the READY facts that do not hold at `now`, in the order a room would work through them."""
    return tuple(name for name in _FACTS if not holds(name, state, now))


def present(state: SessionState, now: dt.datetime) -> tuple[ReadyFact, ...]:
    """Return every READY fact with its own expiry; call it only when none is missing."""
    return tuple(ReadyFact(name=name, until=fact(state, now)[1]) for name, fact in _FACTS.items())
