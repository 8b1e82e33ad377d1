"""READY in words: each fact it rests on, whether it holds now, and the sentence of the guard that would refuse."""

import datetime as dt
from collections.abc import Mapping
from types import SimpleNamespace

from attend.v1 import sessions_pb2
from engine.kernel.commands import Actor
from engine.kernel.machine import Context, Facts
from engine.services.convert import timestamp
from engine.workflows.session import readiness
from engine.workflows.session.chart import GUARDS
from engine.workflows.session.state import SessionState

#: The guards of GrantReady that speak for each fact, first word first.
SPEAKERS: Mapping[str, tuple[str, ...]] = {
    "contrast_cleared": ("contrast_not_cleared",),
    "line_verified": ("line_unverified",),
    "identity_confirmed": ("identity_unconfirmed",),
    "screening_reviewed": ("screening_unreviewed",),
    "physician_present": ("physician_absent",),
    "physician_credentialed": ("physician_unlicensed",),
    "responder_present": ("responder_absent",),
    "responder_credentialed": ("responder_not_qualified",),
    "view_confirmed": ("view_unconfirmed",),
    "kit_in_date": ("kit_not_ready",),
    "verdict_allows": ("verdict_unattested", "verdict_denies"),
    "no_reaction_open": ("reaction_open",),
}


def readiness_of(state: SessionState, now: dt.datetime) -> sessions_pb2.GetReadinessResponse:
    """Return every READY fact of a session as it stands at `now`."""
    answer = sessions_pb2.GetReadinessResponse(version=state.version)
    for fact in readiness.present(state, now):
        holds = readiness.holds(fact.name, state, now)
        answer.facts.add(
            name=fact.name,
            holds=holds,
            until=timestamp(fact.until) if holds and fact.until is not None else None,
            sentence="" if holds else _sentence(fact.name, state, now),
        )
    answer.all_hold = all(fact.holds for fact in answer.facts)
    return answer


def _sentence(fact: str, state: SessionState, now: dt.datetime) -> str:
    """Return the sentence of the first guard that speaks for the fact and refuses with the evidence held now."""
    asked = Facts(
        state=state,
        command=SimpleNamespace(verdict=state.verdict),
        context=Context(now=now, actor=Actor.system("readiness")),
    )
    *others, last = (GUARDS[name] for name in SPEAKERS[fact])
    guard = next((guard for guard in others if state.verdict is not None and guard(asked)), last)
    return " ".join((guard.__doc__ or "").split())
