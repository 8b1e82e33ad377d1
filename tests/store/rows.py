"""Rows for the store's tests: chained events that mean nothing."""

import datetime as dt
from typing import Any

from msgspec import structs

from engine.kernel.canonical import canonical_bytes
from engine.kernel.commands import Actor
from engine.kernel.ids import Stream
from engine.kernel.store import Commit, EventRow, RequestRow
from engine.store.chain import FIRST, event_hash

START = dt.datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=dt.UTC)


def chain_of(stream: Stream, count: int, correlation: str = "ses-1") -> list[EventRow]:
    """Return a stream's first events, chained from the start; the same for the same arguments."""
    rows: list[EventRow] = []
    before = FIRST
    for version in range(1, count + 1):
        row = EventRow(
            position=0,
            stream=stream,
            version=version,
            type="Happened",
            schema=1,
            at=START + dt.timedelta(milliseconds=version),
            actor=canonical_bytes(Actor.system("test")).decode(),
            correlation=correlation,
            causation=f"req-{version}",
            phases=("idle", "line_absent"),
            flags=("late",) if version % 2 else (),
            payload=canonical_bytes({"n": version, "text": "Grüße 注射"}),
            hash="",
            prev_hash=before,
        )
        rows.append(structs.replace(row, hash=event_hash(row)))
        before = rows[-1].hash
    return rows


def commit_of(
    stream: Stream,
    after: int,
    count: int,
    *,
    request_id: str = "",
    correlation: str = "ses-1",
    **more: Any,
) -> Commit:
    """Return a commit of the stream's next `count` events after version `after`, with rows as given in `more`."""
    request = RequestRow(
        request_id=request_id or f"{stream}:{after}+{count}",
        fingerprint="f",
        stream=stream,
        version=after + count,
    )
    events = tuple(chain_of(stream, after + count, correlation)[after:])
    return Commit(stream=stream, expected_version=after, events=events, request=request, **more)
