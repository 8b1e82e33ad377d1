"""The store in memory: for tests and the simulation. It passes the same contract suite as the durable ones."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from engine.kernel.ids import Stream
from engine.kernel.store import (
    Commit,
    Committed,
    EventRow,
    Lost,
    OutboxRow,
    ProtectedValue,
    RequestRow,
    TimerRow,
)


class MemoryStore:
    """Keeps everything in dictionaries. Reopening is handing the same object on."""

    def __init__(self) -> None:
        self._log: list[EventRow] = []
        self._streams: dict[Stream, list[EventRow]] = {}
        self._correlated: dict[str, list[EventRow]] = {}
        self._requests: dict[str, RequestRow] = {}
        self._timers: dict[tuple[Stream, str], TimerRow] = {}
        self._outbox: dict[str, OutboxRow] = {}
        self._sent: set[str] = set()
        self._protected: dict[str, ProtectedValue] = {}
        self._cursors: dict[str, int] = {}

    async def commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Make a batch visible, in order."""
        return [self._one(commit) for commit in batch]

    def _one(self, commit: Commit) -> Committed | Lost:
        history = self._streams.get(commit.stream, [])
        if len(history) != commit.expected_version or commit.request.request_id in self._requests:
            return Lost(expected=commit.expected_version, actual=len(history))
        rows = tuple(replace(row, position=len(self._log) + n) for n, row in enumerate(commit.events, 1))
        self._log.extend(rows)
        if rows:
            self._streams.setdefault(commit.stream, []).extend(rows)
        for row in rows:
            self._correlated.setdefault(row.correlation, []).append(row)
        self._requests[commit.request.request_id] = commit.request
        for name in commit.timers_cancelled:
            self._timers.pop((commit.stream, name), None)
        for timer in commit.timers_set:
            self._timers[(timer.stream, timer.name)] = timer
        for send in commit.outbox:
            if send.key not in self._sent:
                self._outbox.setdefault(send.key, send)
        for value in commit.protected:
            self._protected[value.ref] = value
        return Committed(position=rows[-1].position if rows else len(self._log), events=rows)

    async def load(self, stream: Stream) -> list[EventRow]:
        """Return a stream's events."""
        return list(self._streams.get(stream, []))

    async def read(
        self, after: int, limit: int, *, correlation: str | None = None, machine: str | None = None
    ) -> list[EventRow]:
        """Return events after a position."""
        if correlation is None:
            source = self._log
            start = after
        else:
            source = self._correlated.get(correlation, [])
            start = bisect_right(source, after, key=lambda row: row.position)
        found = []
        for n in range(start, len(source)):
            row = source[n]
            if machine is None or row.stream.machine == machine:
                found.append(row)
                if len(found) == limit:
                    break
        return found

    async def head(self) -> int:
        """Return the newest position."""
        return len(self._log)

    async def request(self, request_id: str) -> RequestRow | None:
        """Return the outcome kept for a request id."""
        return self._requests.get(request_id)

    async def protected(self, refs: Sequence[str]) -> dict[str, ProtectedValue]:
        """Return the protected values that exist."""
        return {ref: self._protected[ref] for ref in refs if ref in self._protected}

    async def erase(self, refs: Sequence[str]) -> int:
        """Erase protected values."""
        return sum(self._protected.pop(ref, None) is not None for ref in refs)

    async def timers(self, due: dt.datetime | None, limit: int) -> list[TimerRow]:
        """Return pending timers, earliest first."""
        pending = [t for t in self._timers.values() if due is None or t.due_at <= due]
        return sorted(pending, key=lambda t: (t.due_at, t.stream, t.name))[:limit]

    async def timer(self, stream: Stream, name: str) -> TimerRow | None:
        """Return the stream's pending timer of that name."""
        return self._timers.get((stream, name))

    async def outbox(self, limit: int, *, kind: str | None = None) -> list[OutboxRow]:
        """Return pending sends, oldest first."""
        return list(islice((r for r in self._outbox.values() if kind in (None, r.kind)), limit))

    async def outbox_attempted(self, key: str, *, done: bool) -> None:
        """Count a hand-over."""
        row = self._outbox.get(key)
        if row is None:
            return
        if done:
            self._sent.add(key)
            del self._outbox[key]
        else:
            self._outbox[key] = replace(row, attempts=row.attempts + 1)

    async def cursor(self, name: str) -> int:
        """Return a reader's position."""
        return self._cursors.get(name, 0)

    async def save_cursor(self, name: str, position: int) -> None:
        """Save a reader's position."""
        self._cursors[name] = position

    async def streams(self, machine: str, after: str, limit: int) -> list[Stream]:
        """Return the machine's streams after an id."""
        ids = sorted(s for s in self._streams if s.machine == machine and s.id > after)
        return ids[:limit]

    async def close(self) -> None:
        """Nothing to release."""
