"""Checks an exported record offline, from its bytes alone: any changed byte is found and named.

Rule: what the file claims is computed again from its events: every hash with the `rfc8785` library (not with the one
that wrote it), the record by folding, the seal from both. Work on a line is remembered by the line's bytes, so that
many variants of one file are cheap to check; a Verifier is for one sitting, not for a service's life.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import rfc8785

from engine.kernel.errors import Corrupt, Invalid
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.kernel.store import EventRow
from engine.records.book import Record
from engine.records.completeness import missing
from engine.records.document import (
    SEAL_FIELDS,
    Line,
    codec,
    commitments,
    record_lines,
    seal_form,
    seal_hash,
    seal_lines,
)
from engine.records.fold import fold
from engine.records.locate import event_named
from engine.records.seal import Statement, holds, key_id
from engine.records.slots import SLOTS
from engine.store.chain import FIRST

MAX_BYTES = 64 * 1024 * 1024
_EVENT_KEYS = {
    "actor": dict,
    "at": str,
    "causation": str,
    "correlation": str,
    "flags": list,
    "hash": str,
    "payload": dict,
    "phases": list,
    "prev_hash": str,
    "schema": int,
    "stream": str,
    "type": str,
    "version": int,
}
_NO_VALUE: dict[str, dict[str, Any]] = {}
for _slot in SLOTS:
    _NO_VALUE.setdefault(_slot.group, {})[_slot.name] = None
_SKELETON = tuple((line, line.text.partition(b"null")[0]) for line in record_lines(_NO_VALUE))


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken thing: `where` names the event (`event session/ses-1@12 ContrastGiven`), field or section."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. The file is sound when there is no problem; warnings say what it could not show."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    session_id: str = ""
    revision: int = 0
    events: int = 0
    key_id: str = ""
    sealed_at: str = ""
    erased: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is broken."""
        return not self.problems


BROKEN_LINE = "the layout of this line is broken"
NO_RECORD = "this is no supervision record, or its first line is broken"


class _Broken(Exception):
    """The check cannot go on past these problems."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(str(problems[0]))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Parsed:
    """One sound event line: its row, what it decodes to, and its hash."""

    row: EventRow
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class _Folded:
    """What the events of a file lead to."""

    events: tuple[_Parsed, ...]
    record: Record
    commitments: Mapping[str, str]
    record_part: tuple[Line, ...]
    seal_part: tuple[Line, ...]
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class Verifier:
    """Checks files. `trusted` holds the ids of the keys whose seals are accepted; None accepts any and warns."""

    trusted: Collection[str] | None = None
    _heads: set[tuple[bytes, ...]] = field(default_factory=set)
    _fields: set[bytes] = field(default_factory=set)
    _events: dict[bytes, _Parsed] = field(default_factory=dict)
    _folds: dict[tuple[bytes, ...], _Folded] = field(default_factory=dict)

    def check(self, data: bytes) -> Report:
        """Return what is wrong with a file, the most telling thing first."""
        try:
            return self._check(data)
        except _Broken as broken:
            return Report(problems=broken.problems)

    def _check(self, data: bytes) -> Report:
        if len(data) > MAX_BYTES:
            raise _Broken(Problem("layout", f"the file is larger than {MAX_BYTES} bytes"))
        lines = data.split(b"\n")
        start = self._record_form(lines)
        end = self._events_end(lines, start)
        folded = self._folded(tuple(lines[start:end]))
        after, erased = _disclosed(lines, end + 1, folded)
        _same(lines, 0, folded.record_part)
        _same(lines, after, folded.seal_part)
        whole = after + len(folded.seal_part)
        if len(lines) == whole:
            raise _Broken(
                Problem("layout", "the line end after the last line is missing: a byte was cut off")
            )
        if len(lines) != whole + 1 or lines[-1]:
            raise _Broken(Problem("layout", "there is something after the end of the record"))
        return self._report(folded, erased)

    def _record_form(self, lines: Sequence[bytes]) -> int:
        """Check that every field of the format has its line; return where the events begin."""
        head = tuple(lines[: len(_SKELETON)])
        if head not in self._heads:
            for number, (line, (shape, prefix)) in enumerate(zip(head, _SKELETON, strict=False)):
                if line == shape.text:
                    continue
                if prefix == shape.text:
                    raise _Broken(Problem(shape.owner, BROKEN_LINE if number else NO_RECORD))
                if line not in self._fields or not line.startswith(prefix):
                    self._field_form(line, shape, prefix)
            self._heads = {head}
        start = len(_SKELETON)
        if len(lines) <= start or lines[start] != b'"events":[':
            raise _Broken(Problem("events", "the list of events does not begin where it must"))
        return start + 1

    def _field_form(self, line: bytes, shape: Line, prefix: bytes) -> None:
        tail = b"," if shape.text.endswith(b",") else b""
        if not line.startswith(prefix) or not line.endswith(tail):
            raise _Broken(Problem(shape.owner, "this line does not hold this field"))
        _canonical(line[len(prefix) : len(line) - len(tail)], shape.owner)
        self._fields.add(line)

    def _events_end(self, lines: Sequence[bytes], start: int) -> int:
        """Check every event by itself; return the index of the line that ends their list."""
        broken: list[Problem] = []
        end = start
        while end < len(lines) and lines[end] != b"],":
            if lines[end] not in self._events:
                why, readable = self._event(lines[end])
                if why:
                    broken.append(Problem(event_named(lines, start, end), why))
                if not readable:
                    raise _Broken(*broken)
            end += 1
        if broken:
            raise _Broken(*broken)
        if end == len(lines):
            raise _Broken(Problem("events", "the list of events does not end"))
        for at in range(start, end):
            if lines[at].endswith(b",") != (at + 1 < end):
                raise _Broken(Problem(event_named(lines, start, at), BROKEN_LINE))
        return end

    def _event(self, line: bytes) -> tuple[str, bool]:
        """Return why an event line is broken (empty when it is sound) and whether it could be read at all."""
        try:
            value = _canonical(line[:-1] if line.endswith(b"},") else line, "")
        except _Broken as broken:
            return broken.problems[0].why, False
        if not isinstance(value, dict) or set(value) != set(_EVENT_KEYS):
            return "it does not have exactly the parts of an event", True
        if any(type(value[name]) is not kind for name, kind in _EVENT_KEYS.items()):
            return "a part of it has the wrong form", True
        if not all(isinstance(word, str) for word in (*value["phases"], *value["flags"])):
            return "a part of it has the wrong form", True
        if value["hash"] != _event_hash(value):
            return "its content does not match its hash", True
        try:
            row = _row(value)
            self._events[line] = _Parsed(row, _CODEC.decode(row, {}))
        except (Corrupt, Invalid, ValueError) as error:
            return f"it cannot be understood: {error}", True
        return "", True

    def _folded(self, lines: tuple[bytes, ...]) -> _Folded:
        known = self._folds.get(lines)
        if known is None:
            events = tuple(self._events[line] for line in lines)
            _chains(events)
            known = self._folds[lines] = _refold(events)
        return known

    def _report(self, folded: _Folded, erased: tuple[str, ...]) -> Report:
        problems = list(folded.problems)
        warnings = [
            Problem(
                f"disclosed.{ref}", "the patient's identity is not in this file: it was erased or left out"
            )
            for ref in erased
        ]
        seal = seal_form([event.row for event in folded.events])
        if seal is None:
            problems.append(Problem("seal", "the record is not sealed"))
            seal = dict.fromkeys(SEAL_FIELDS, "")
        elif self.trusted is None:
            why = "made by an unknown key: the file is whole, but only a trusted key shows who sealed it"
            warnings.append(Problem("seal.key_id", why))
        elif seal["key_id"] not in self.trusted:
            problems.append(Problem("seal.key_id", "the seal was made by a key that is not trusted here"))
        return Report(
            problems=tuple(problems),
            warnings=tuple(warnings),
            session_id=folded.record.session_id,
            revision=folded.record.revision,
            events=len(folded.events),
            key_id=str(seal["key_id"]),
            sealed_at=str(seal["sealed_at"]),
            erased=erased,
        )


def verify_file(data: bytes, trusted_keys: Collection[str] | None = None) -> Report:
    """Check one exported record. `trusted_keys` are key ids (SHA-256 of the raw public key, hex)."""
    return Verifier(trusted=trusted_keys).check(data)


_CODEC = codec()


def _canonical(text: bytes, where: str) -> Any:
    """Parse one JSON value that must be spelt canonically."""
    try:
        value = json.loads(text.decode())
        same = rfc8785.dumps(value) == text
    except (ValueError, RecursionError):
        raise _Broken(Problem(where, "it is not readable as JSON")) from None
    if not same:
        raise _Broken(Problem(where, "it is not spelt canonically (RFC 8785)"))
    return value


def _event_hash(value: Mapping[str, Any]) -> str:
    """Compute an event's hash again: its columns without the hash, the actor as the text it is stored as."""
    form = {name: part for name, part in value.items() if name != "hash"}
    form["actor"] = rfc8785.dumps(value["actor"]).decode()
    return hashlib.sha256(rfc8785.dumps(form)).hexdigest()


def _moment(text: str) -> dt.datetime:
    """Parse a time of the log; it must be spelt the way the log spells it (UTC, Z)."""
    moment = dt.datetime.fromisoformat(text)
    if msgspec.to_builtins(moment) != text or not text.endswith("Z"):
        raise ValueError("its time is not spelt in UTC")
    return moment


def _row(value: Mapping[str, Any]) -> EventRow:
    return EventRow(
        position=0,
        stream=Stream.parse(value["stream"]),
        version=value["version"],
        type=value["type"],
        schema=value["schema"],
        at=_moment(value["at"]),
        actor=rfc8785.dumps(value["actor"]).decode(),
        correlation=value["correlation"],
        causation=value["causation"],
        phases=tuple(value["phases"]),
        flags=tuple(value["flags"]),
        payload=rfc8785.dumps(value["payload"]),
        hash=value["hash"],
        prev_hash=value["prev_hash"],
    )


def _named(row: EventRow) -> str:
    return f"event {row.stream}@{row.version} {row.type}"


def _chains(events: Sequence[_Parsed]) -> None:
    """Check that each stream is there from its first event on, none missing, each following the one before."""
    heads: dict[Stream, tuple[int, str]] = {}
    for event in events:
        row = event.row
        version, before = heads.get(row.stream, (0, FIRST))
        if row.version != version + 1:
            why = f"expected version {version + 1} of this stream: an event is missing, doubled or moved"
            raise _Broken(Problem(_named(row), why))
        if row.prev_hash != before:
            raise _Broken(Problem(_named(row), "it does not follow the event before it"))
        heads[row.stream] = (row.version, row.hash)
    if len([stream for stream in heads if stream.machine == "session"]) != 1:
        raise _Broken(Problem("events", "a record holds the events of exactly one session"))


def _refold(events: tuple[_Parsed, ...]) -> _Folded:
    """Fold, and turn what no engine could have written (sound hashes, senseless events) into a finding."""
    try:
        return _fold(events)
    except (LookupError, TypeError, ValueError, AssertionError, msgspec.MsgspecError) as error:
        why = f"together they make no record ({type(error).__name__})"
        raise _Broken(Problem("events", why)) from error


def _fold(events: tuple[_Parsed, ...]) -> _Folded:
    """Fold the record again and judge signatures, completeness and seal from it."""
    rows = [event.row for event in events]
    committed = commitments(rows)
    record = fold([event.recorded for event in events], committed)
    return _Folded(
        events=events,
        record=record,
        commitments=committed,
        record_part=tuple(record_lines(record.plain())),
        seal_part=tuple(seal_lines(seal_form(rows))),
        problems=(*_incomplete(record), *_seal(record, rows)),
    )


def _incomplete(record: Record) -> list[Problem]:
    return [Problem(f"record.{item.path}", item.why) for item in missing(record, signatures=True)]


def _seal(record: Record, rows: Sequence[EventRow]) -> list[Problem]:
    seal = seal_form(rows)
    if seal is None:
        return []
    if seal["hash"] != seal_hash(record, [row.hash for row in rows[:-1]]):
        return [Problem("seal.hash", "it does not cover this record and these events")]
    try:
        public_key = bytes.fromhex(seal["public_key"])
        sealed_at = msgspec.convert(seal["sealed_at"], dt.datetime)
    except ValueError:
        return [Problem("seal", "a part of it has the wrong form")]
    if key_id(public_key) != seal["key_id"]:
        return [Problem("seal.key_id", "it is not the id of the public key")]
    statement = Statement(
        session_id=record.session_id,
        revision=seal["revision"],
        record_hash=seal["hash"],
        key_id=seal["key_id"],
        sealed_at=sealed_at,
    )
    if not holds(statement, public_key, seal["signature"]):
        return [Problem("seal.signature", "the seal's signature does not hold")]
    return []


def _disclosed(lines: Sequence[bytes], start: int, folded: _Folded) -> tuple[int, tuple[str, ...]]:
    """Check the disclosed values against their commitments; return where the seal begins and what is not there."""
    if len(lines) <= start or lines[start] != b'"disclosed":{':
        raise _Broken(Problem("disclosed", "the disclosed values do not begin where they must"))
    left = list(folded.commitments)
    at = start + 1
    while at < len(lines) and lines[at] != b"},":
        ref = next((ref for ref in left if _discloses(lines[at], ref, folded.commitments[ref])), None)
        if ref is None:
            raise _Broken(_undisclosed(lines[at], left))
        left = left[left.index(ref) + 1 :] if left else left
        at += 1
    if at == len(lines):
        raise _Broken(Problem("disclosed", "the disclosed values do not end"))
    for line in range(start + 1, at):
        if lines[line].endswith(b",") != (line + 1 < at):
            raise _Broken(_undisclosed(lines[line], list(folded.commitments)))
    shown = {_ref(line) for line in lines[start + 1 : at]}
    return at + 1, tuple(ref for ref in folded.commitments if ref not in shown)


def _ref(line: bytes) -> str:
    return line[1 : line.index(b'":')].decode()


def _discloses(line: bytes, ref: str, committed: str) -> bool:
    """Return whether a line holds the value and salt that a commitment was made of."""
    prefix = f'"{ref}":{{"salt":"'.encode()
    text = line[:-1] if line.endswith(b"},") else line
    salt, quote, rest = text[len(prefix) :].partition(b'"')
    if not text.startswith(prefix) or not quote or not rest.startswith(b',"value":') or rest[-1:] != b"}":
        return False
    try:
        grain = bytes.fromhex(salt.decode())
    except ValueError:
        return False
    if grain.hex().encode() != salt:
        return False
    return hashlib.sha256(grain + rest[len(b',"value":') : -1]).hexdigest() == committed


def _undisclosed(line: bytes, refs: Sequence[str]) -> Problem:
    """Name a broken disclosed value: by the reference it still shows, else by the first one not yet seen."""
    shown = next((ref for ref in refs if f'"{ref}"'.encode() in line), refs[0] if refs else None)
    if shown is None or (line and not line.startswith(b'"') and b"salt" not in line):
        return Problem("disclosed", "the layout of this section is broken")
    return Problem(f"disclosed.{shown}", "value and salt do not match the commitment in its event")


def _same(lines: Sequence[bytes], start: int, expected: Sequence[Line]) -> None:
    """Compare a part of the file with what the events lead to, line by line."""
    for offset, line in enumerate(expected):
        if start + offset >= len(lines) or lines[start + offset] != line.text:
            raise _Broken(Problem(line.owner, "it differs from what the events say"))
