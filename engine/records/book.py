"""The page a fold writes on: one value and its sources per field, and the record that comes out of it.

Rule: every value names the events it came from; nothing is written without one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.kernel.canonical import canonical_bytes, canonical_hash
from engine.records.slots import BY_PATH, SIGNED_LATER, SLOTS


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the record: its value as plain JSON, the ids of the events it came from, and what fills it.

    `required` says whether it is required of this session as it stands.
    """

    name: str
    value: Any
    provenance: tuple[str, ...]
    capability: str
    required: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The supervision record of one session: `groups[group][name]` is a Field, in the table's order."""

    session_id: str
    revision: int
    groups: Mapping[str, Mapping[str, Field]]

    def field(self, path: str) -> Field:
        """Return the field at `group.name`. Raises KeyError for a path the format does not have."""
        group, name = path.split(".")
        return self.groups[group][name]

    def value(self, path: str) -> Any:
        """Return the value at `group.name`; None when nothing filled it."""
        return self.field(path).value

    def fields(self) -> Iterator[tuple[str, Field]]:
        """Yield (path, field) in the table's order."""
        for group, names in self.groups.items():
            for name, one in names.items():
                yield f"{group}.{name}", one

    def plain(self) -> dict[str, Any]:
        """Return the record as the file spells it: group → field → {from, value}."""
        return {
            group: {name: {"from": list(one.provenance), "value": one.value} for name, one in names.items()}
            for group, names in self.groups.items()
        }


def body_hash(record: Record) -> str:
    """Return what people sign: the canonical hash of the record without its signatures and log entries."""
    body = {group: names for group, names in record.plain().items() if group not in SIGNED_LATER}
    return canonical_hash({"record": body, "session_id": record.session_id})


def plain(value: Any) -> Any:
    """Return a value as the log spells it: amounts and times as text, dataclasses as objects, tuples as lists."""
    return msgspec.json.decode(canonical_bytes(value))


@dataclass(slots=True)
class Book:
    """Values and sources by path, and what the fold remembers between events."""

    session_id: str = ""
    revision: int = 1
    commitments: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)

    def put(self, path: str, value: Any, *ids: str) -> None:
        """Write a value over what was there; an empty text is no value."""
        assert path in BY_PATH, path
        if value == "" or value is None:
            self.values.pop(path, None)
            self.sources.pop(path, None)
            return
        self.values[path] = plain(value)
        self.sources[path] = list(ids)

    def first(self, path: str, value: Any, *ids: str) -> None:
        """Write a value unless one is there."""
        if path not in self.values:
            self.put(path, value, *ids)

    def add(self, path: str, item: Mapping[str, Any], event_id: str) -> dict[str, Any]:
        """Append an entry to a list and return it, so that later events may complete it."""
        assert path in BY_PATH, path
        entry: dict[str, Any] = plain(dict(item))
        self.values.setdefault(path, []).append(entry)
        self.source(path, event_id)
        return entry

    def under(self, path: str, key: str, value: Any, event_id: str) -> None:
        """Write one entry of a field that holds a value per key (a reaction's id)."""
        assert path in BY_PATH, path
        if value == "" or value is None:
            return
        self.values.setdefault(path, {})[key] = plain(value)
        self.source(path, event_id)

    def source(self, path: str, event_id: str) -> None:
        """Name one more event that a field came from."""
        known = self.sources.setdefault(path, [])
        if event_id not in known:
            known.append(event_id)

    def drop(self, path: str) -> None:
        """Empty a field."""
        self.values.pop(path, None)
        self.sources.pop(path, None)

    def record(self, needed: "frozenset[str]") -> Record:
        """Close the page; `needed` are the needs (see slots.NEEDS) that hold for this session."""
        groups: dict[str, dict[str, Field]] = {}
        for slot in SLOTS:
            groups.setdefault(slot.group, {})[slot.name] = Field(
                name=slot.name,
                value=self.values.get(slot.path),
                provenance=tuple(self.sources.get(slot.path, ())),
                capability=slot.capability,
                required=slot.need in needed,
            )
        return Record(session_id=self.session_id, revision=self.revision, groups=groups)
