"""What a policy may look up: values already folded, by name. A policy holds nothing itself."""

import datetime as dt
from typing import Any, Protocol


class View(Protocol):
    """Read-only lookups, answered from what the corridor has folded so far."""

    def session(self, session_id: str) -> Any:
        """Return a session's state (version 0 when there is none)."""
        ...

    def rings_of(
        self, session_id: str, *, by: dt.datetime | None = None, urgent: bool = False
    ) -> tuple[str, ...]:
        """Return the ids of a session's rings that still ring.

        With `by`, of those that had started by then; with `urgent`, of those that ring for a reaction.
        """
        ...

    def coverage_of(self, physician_id: str) -> str:
        """Return the id of the physician's live coverage window; empty when there is none."""
        ...

    def sessions_of(self, physician_id: str) -> tuple[Any, ...]:
        """Return the states of the sessions that the physician is there for now, as SessionState."""
        ...

    def destinations(self, site_id: str) -> tuple[tuple[str, str], ...]:
        """Return (kind, destination) of every write-back that the site is configured for."""
        ...
