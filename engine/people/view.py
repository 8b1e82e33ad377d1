"""What policies see when they handle an event: states read just before, answered without waiting."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from engine.kernel.clock import Clock
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.people.registry import Registry
from engine.runtime.executor import Executor

Destinations = Callable[[str], tuple[tuple[str, str], ...]]

RINGING = frozenset({"ringing_primary", "ringing_backup", "ringing_bench", "escalated"})


class Seen:
    """A policy's view, gathered for one event."""

    def __init__(
        self,
        session_id: str,
        session: Any,
        rings: tuple[str, ...],
        windows: dict[str, str],
        destinations: Destinations,
    ) -> None:
        self._session_id = session_id
        self._session = session
        self._rings = rings
        self._windows = windows
        self._destinations = destinations

    def session(self, session_id: str) -> Any:
        """Return the event's session."""
        if session_id != self._session_id:
            raise LookupError("a policy looks only at the session of its event")
        return self._session

    def rings_of(self, session_id: str) -> tuple[str, ...]:
        """Return the session's rings that still ring."""
        return self._rings

    def coverage_of(self, physician_id: str) -> str:
        """Return the physician's live window."""
        return self._windows.get(physician_id, "")

    def destinations(self, site_id: str) -> tuple[tuple[str, str], ...]:
        """Return the site's write-backs."""
        return self._destinations(site_id)


class Views:
    """Gathers views."""

    def __init__(
        self, executor: Executor, registry: Registry, clock: Clock, destinations: Destinations
    ) -> None:
        self._executor = executor
        self._registry = registry
        self._clock = clock
        self._destinations = destinations

    async def of(self, recorded: Recorded) -> Seen:
        """Return what a policy may see for one event."""
        session_id = recorded.stream.id if recorded.stream.machine == "session" else recorded.correlation
        if not session_id:
            return Seen("", None, (), {}, self._destinations)
        session = await self._executor.state(Stream("session", session_id))
        rings = []
        for number in range(1, session.requests + 1):
            ring = await self._executor.state(Stream("ring", f"{session_id}-{number}"))
            if RINGING & set(ring.phases):
                rings.append(ring.ring_id)
        windows = await self._windows(recorded, session, self._clock.now())
        return Seen(session_id, session, tuple(rings), windows, self._destinations)

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
