"""The hash chain of a stream: each event's hash covers everything of it but its position, and the hash before it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from engine.kernel.canonical import canonical_hash
from engine.kernel.errors import Corrupt
from engine.kernel.store import EventRow

FIRST = "0" * 64


def hashed_form(row: EventRow) -> dict[str, Any]:
    """Return the plain value whose canonical JSON is hashed; an auditor rebuilds it from the same columns."""
    return {
        "stream": str(row.stream),
        "version": row.version,
        "type": row.type,
        "schema": row.schema,
        "at": row.at,
        "actor": row.actor,
        "correlation": row.correlation,
        "causation": row.causation,
        "phases": row.phases,
        "flags": row.flags,
        "payload": msgspec.Raw(row.payload),
        "prev_hash": row.prev_hash,
    }


def event_hash(row: EventRow) -> str:
    """Return the hash an event must carry: SHA-256 of the canonical JSON of `hashed_form`, lower-case hex."""
    return canonical_hash(hashed_form(row))


def verify_chain(rows: Iterable[EventRow]) -> None:
    """Check one stream's events from version 1 on. Raises Corrupt naming the first broken event."""
    expected, before = 1, FIRST
    for row in rows:
        where = f"{row.stream}@{row.version} {row.type}"
        if row.version != expected:
            raise Corrupt(f"{where}: expected version {expected}, an event is missing or doubled")
        if row.prev_hash != before:
            raise Corrupt(f"{where}: it does not follow the event before it")
        if row.hash != event_hash(row):
            raise Corrupt(f"{where}: its content does not match its hash")
        expected, before = expected + 1, row.hash
