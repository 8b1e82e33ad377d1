"""The exported record: one JSON file with one fixed layout, every field and every event on its own line.

Rule: the same history gives the same bytes. A byte is in exactly one line, and a line belongs to exactly one field,
event, disclosed value or part of the seal; that is how a changed byte is named.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.kernel.canonical import canonical_bytes, canonical_hash
from engine.kernel.errors import Corrupt
from engine.kernel.events import Event
from engine.kernel.store import EventRow, ProtectedValue
from engine.reactions import events as reaction_events
from engine.records.book import Record, body_hash
from engine.records.fold import fold
from engine.records.seal import ALGORITHM
from engine.records.slots import FORMAT, SLOTS
from engine.store.codec import PROTECTED, Codec
from engine.workflows.ring import events as ring_events
from engine.workflows.session import events as session_events

EVENT_TYPES: dict[str, tuple[type[Event], ...]] = {
    "session": session_events.ALL,
    "ring": ring_events.ALL,
    "reaction": reaction_events.ALL,
}
SEAL_FIELDS = ("algorithm", "hash", "key_id", "public_key", "revision", "sealed_at", "signature")


@dataclass(frozen=True, slots=True)
class History:
    """One session's rows (session, ring and reaction streams) in log order, and the protected values that exist."""

    rows: tuple[EventRow, ...]
    protected: Mapping[str, ProtectedValue] = field(default_factory=dict)

    def through(self, position: int) -> "History":
        """Return the history up to a log position."""
        kept = tuple(row for row in self.rows if row.position <= position)
        return History(kept, self.protected)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file: `owner` is the event, field or section it belongs to."""

    text: bytes
    owner: str


def codec() -> Codec:
    """Return the codec for the streams a record is folded from."""
    return Codec(EVENT_TYPES)


def commitments(rows: Iterable[EventRow]) -> dict[str, str]:
    """Return the commitment of every protected field of the rows, by `stream@version.field`."""
    found: dict[str, str] = {}
    for row in rows:
        if PROTECTED.encode() not in row.payload:
            continue
        for name, value in msgspec.json.decode(row.payload).items():
            if isinstance(value, dict) and set(value) == {PROTECTED}:
                found[f"{row.stream}@{row.version}.{name}"] = value[PROTECTED]["commitment"]
    return found


def folded(history: History, reader: Codec) -> Record:
    """Return the record of a history. Protected values are not needed: commitments stand for them."""
    recorded = [reader.decode(row, {}) for row in history.rows]
    return fold(recorded, commitments(history.rows))


def seal_hash(record: Record, event_hashes: Sequence[str]) -> str:
    """Return what the seal signs: what people signed, their signatures, and every event covered, in order."""
    return canonical_hash(
        {
            "body_hash": body_hash(record),
            "events": list(event_hashes),
            "format": FORMAT,
            "revision": record.revision,
            "session_id": record.session_id,
            "signatures": record.plain()["signatures"],
        }
    )


def event_form(row: EventRow) -> dict[str, Any]:
    """Return an event as the file spells it: its columns but the position, payload and actor as objects."""
    actor = msgspec.json.decode(row.actor)
    if canonical_bytes(actor).decode() != row.actor:
        raise Corrupt(f"{row.stream}@{row.version} does not name its actor in canonical form")
    return {
        "actor": actor,
        "at": row.at,
        "causation": row.causation,
        "correlation": row.correlation,
        "flags": row.flags,
        "hash": row.hash,
        "payload": msgspec.Raw(row.payload),
        "phases": row.phases,
        "prev_hash": row.prev_hash,
        "schema": row.schema,
        "stream": str(row.stream),
        "type": row.type,
        "version": row.version,
    }


def seal_form(rows: Sequence[EventRow]) -> dict[str, Any] | None:
    """Return the seal section from the event that sealed the record; None when the last event is not that."""
    if not rows or rows[-1].type != session_events.RecordSealed.__name__:
        return None
    sealed = msgspec.json.decode(rows[-1].payload)
    return {
        "algorithm": ALGORITHM,
        "hash": sealed["record_hash"],
        "key_id": sealed["key_id"],
        "public_key": sealed["public_key"],
        "revision": sealed["revision"],
        "sealed_at": sealed["sealed_at"],
        "signature": sealed["signature"],
    }


def render(history: History, record: Record) -> bytes:
    """Return the file: the record, all events it is folded from, the values disclosed, the seal."""
    rows = history.rows
    disclosed = {
        ref: {"salt": kept.salt.hex(), "value": msgspec.Raw(kept.value)}
        for ref in commitments(rows)
        if (kept := history.protected.get(ref)) is not None
    }
    lines = [
        *record_lines(record.plain()),
        Line(b'"events":[', "events"),
        *_listed(canonical_bytes(event_form(row)) for row in rows),
        Line(b"],", "events"),
        Line(b'"disclosed":{', "disclosed"),
        *_listed(canonical_bytes(ref) + b":" + canonical_bytes(value) for ref, value in disclosed.items()),
        Line(b"},", "disclosed"),
        *seal_lines(seal_form(rows)),
    ]
    return b"".join(line.text + b"\n" for line in lines)


def record_lines(record: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
    """Yield the file's head and the record, one field a line."""
    yield Line(b"{", "layout")
    yield Line(b'"format":"' + FORMAT.encode() + b'",', "format")
    yield Line(b'"record":{', "record")
    for group, names in record.items():
        last_group = group == SLOTS[-1].group
        yield Line(b'"' + group.encode() + b'":{', f"record.{group}")
        for number, (name, value) in enumerate(names.items(), 1):
            comma = b"" if number == len(names) else b","
            text = b'"' + name.encode() + b'":' + canonical_bytes(value) + comma
            yield Line(text, f"record.{group}.{name}")
        yield Line(b"}" if last_group else b"},", f"record.{group}")
    yield Line(b"},", "record")


def seal_lines(seal: Mapping[str, Any] | None) -> Iterator[Line]:
    """Yield the seal and the file's end; an unsealed record has an empty seal."""
    yield Line(b'"seal":{', "seal")
    for name in SEAL_FIELDS if seal is not None else ():
        comma = b"" if name == SEAL_FIELDS[-1] else b","
        assert seal is not None
        text = b'"' + name.encode() + b'":' + canonical_bytes(seal[name]) + comma
        yield Line(text, f"seal.{name}")
    yield Line(b"}", "seal")
    yield Line(b"}", "layout")


def _listed(items: Iterable[bytes]) -> list[Line]:
    texts = list(items)
    return [Line(text + (b"," if n < len(texts) else b""), "") for n, text in enumerate(texts, 1)]
