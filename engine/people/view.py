"""What policies see when they handle an event: states read just before, answered without waiting."""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from weakref import WeakValueDictionary

from engine.kernel.clock import Clock
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.people.registry import Registry
from engine.reactions.events import ReactionGraded, StepOrdered
from engine.runtime.executor import Executor
from engine.workflows.ring.state import RingState
from engine.workflows.session.events import (
    HandOffAccepted,
    LineDegraded,
    LineVerified,
    PhysicianAssigned,
    ReactionReported,
)
from engine.workflows.session.state import SessionState

Destinations = Callable[[str], tuple[tuple[str, str], ...]]

RINGING = frozenset({"ringing_primary", "ringing_backup", "ringing_bench", "escalated"})


class Seen:
    """A policy's view, gathered for one event."""

    def __init__(
        self,
        session_id: str,
        session: Any,
        rings: tuple[RingState, ...],
        windows: dict[str, str],
        destinations: Destinations,
        theirs: tuple[SessionState, ...] = (),
    ) -> None:
        self._session_id = session_id
        self._session = session
        self._rings = rings
        self._windows = windows
        self._destinations = destinations
        self._theirs = theirs

    def session(self, session_id: str) -> Any:
        """Return the event's session."""
        if session_id != self._session_id:
            raise LookupError("a policy looks only at the session of its event")
        return self._session

    def rings_of(
        self, session_id: str, *, by: dt.datetime | None = None, urgent: bool = False
    ) -> tuple[str, ...]:
        """Return the session's rings that still ring; with `by`, those that had started by then.

        With `urgent`, one that is asked for and about to start counts too: in a reaction every new one is urgent.
        """
        if urgent:
            return tuple(ring.ring_id for ring in self._rings if ring.urgent or not ring.version)
        return tuple(
            ring.ring_id
            for ring in self._rings
            if ring.version and (by is None or ring.started_at is None or ring.started_at <= by)
        )

    def coverage_of(self, physician_id: str) -> str:
        """Return the physician's live window."""
        return self._windows.get(physician_id, "")

    def sessions_of(self, physician_id: str) -> tuple[SessionState, ...]:
        """Return the sessions that the event's physician is there for now."""
        return self._theirs if physician_id else ()

    def destinations(self, site_id: str) -> tuple[tuple[str, str], ...]:
        """Return the site's write-backs."""
        return self._destinations(site_id)


class Views:
    """Gathers views. Whoever looks at a physician's other sessions is alone with them until the view is put away."""

    def __init__(
        self, executor: Executor, registry: Registry, clock: Clock, destinations: Destinations
    ) -> None:
        self._executor = executor
        self._registry = registry
        self._clock = clock
        self._destinations = destinations
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, recorded: Recorded) -> AsyncGenerator[Seen]:
        """Give what a policy may see for one event.

        Two sessions of one physician with a reaction each are handled side by side: only one of the two may find that
        the physician has to leave the other.
        """
        session_id = recorded.stream.id if recorded.stream.machine == "session" else recorded.correlation
        if not session_id:
            yield Seen("", None, (), {}, self._destinations)
            return
        session = await self._executor.state(Stream("session", session_id))
        physician_id = _treating(recorded, session)
        alone = self._locks.setdefault(physician_id, asyncio.Lock()) if physician_id else nullcontext()
        async with alone:
            yield await self._seen(recorded, session_id, physician_id)

    async def _seen(self, recorded: Recorded, session_id: str, physician_id: str) -> Seen:
        session = await self._executor.state(Stream("session", session_id))
        asked = [
            await self._executor.state(Stream("ring", f"{session_id}-{number}"))
            for number in range(1, session.requests + 1)
        ]
        rings = tuple(ring for ring in asked if not ring.version or RINGING & set(ring.phases))
        windows = await self._windows(recorded, session, self._clock.now())
        theirs = tuple(await self._registry.sessions_of(physician_id))
        return Seen(session_id, session, rings, windows, self._destinations, theirs)

    async def _windows(self, recorded: Recorded, session: Any, now: dt.datetime) -> dict[str, str]:
        event = recorded.event
        evidence = getattr(event, "evidence", None)
        people = {
            getattr(evidence, "person_id", ""),
            getattr(event, "replaces", ""),
            getattr(event, "alerted", ""),
            session.physician.person_id if session.physician else "",
        }
        found = {}
        for person_id in people - {""}:
            window = await self._registry.live_window(person_id, now)
            if window is not None:
                found[person_id] = window.coverage_id
        return found


def _treating(recorded: Recorded, session: SessionState) -> str:
    """Return the physician of an event after which their other sessions matter; empty for every other event."""
    event = recorded.event
    if isinstance(event, ReactionReported):
        return event.alerted
    if isinstance(event, ReactionGraded | StepOrdered):
        return recorded.actor.person_id
    if isinstance(event, LineVerified | LineDegraded):
        return session.physician.person_id if session.physician is not None and session.open_reactions else ""
    return event.evidence.person_id if isinstance(event, PhysicianAssigned | HandOffAccepted) else ""
