"""What each event changes in what the engine believes of a coverage window."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.workflows.coverage import events as e
from engine.workflows.coverage.state import CoverageState


def _offered(s: CoverageState, v: e.CoverageOffered) -> CoverageState:
    return replace(
        s,
        organization_id=v.organization_id,
        physician_id=v.physician_id,
        rooms=v.rooms,
        starts_at=v.starts_at,
        ends_at=v.ends_at,
        cap=v.cap,
    )


def _without(s: CoverageState, session_id: str) -> tuple[str, ...]:
    return tuple(session for session in s.sessions if session != session_id)


_CHANGES: dict[type[Event], Callable[[CoverageState, Any], CoverageState]] = {
    e.CoverageOffered: _offered,
    e.CoverageHeld: lambda s, v: replace(s, leased_until=v.leased_until),
    e.LeaseRenewed: lambda s, v: replace(s, leased_until=v.leased_until),
    e.CoverageLapsed: lambda s, v: replace(s, sessions=(), reaction_session="", leased_until=None),
    e.CoverageEngaged: lambda s, v: replace(s, sessions=(*s.sessions, v.session_id)),
    e.CoverageDisengaged: lambda s, v: replace(
        s,
        sessions=_without(s, v.session_id),
        reaction_session="" if s.reaction_session == v.session_id else s.reaction_session,
    ),
    e.ReactionEntered: lambda s, v: replace(s, sessions=(v.session_id,), reaction_session=v.session_id),
    e.ReactionLeft: lambda s, v: replace(s, reaction_session=""),
    e.CoverageEnded: lambda s, v: replace(s, leased_until=None),
}


def fold_one(state: CoverageState, recorded: Recorded) -> CoverageState:
    """Fold one recorded event."""
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded.event) if change else state
