"""Names the event that a broken line belongs to, when the line itself may no longer say it truly.

Rule: a neighbour's word counts more than the broken line's own: the chain says which event comes between two others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_HASH = re.compile(rb'"hash":"([0-9a-f]{64})"')
_PREVIOUS = re.compile(rb'"prev_hash":"([0-9a-f]{64})"')
_STREAM = re.compile(rb'"stream":"([a-z_]+/[A-Za-z0-9._:-]+)"')
_VERSION = re.compile(rb'"version":([0-9]+)\}')
_TYPE = re.compile(rb'"type":"([A-Za-z]+)"')
_MENTIONED = re.compile(rb'"([a-z_]+/[A-Za-z0-9._:-]+)@([0-9]+)"')
_BEGIN = b'{"actor":{'

Identity = tuple[str, int]


def _last(pattern: re.Pattern[bytes], line: bytes) -> str:
    found = pattern.findall(line)
    return found[-1].decode() if found else ""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a line says of itself: its hash, the hash before it, and which event it is; empty where unreadable."""

    hash: str
    previous: str
    claim: Identity | None


@lru_cache(maxsize=4096)
def _said(line: bytes) -> _Said:
    own = _HASH.search(line)
    stream, version = _last(_STREAM, line), _last(_VERSION, line)
    return _Said(
        hash=own[1].decode() if own else "",
        previous=_last(_PREVIOUS, line),
        claim=(stream, int(version)) if stream and version else None,
    )


def event_named(lines: Sequence[bytes], start: int, at: int) -> str:
    """Return `event stream@version Type` for the event line at `at`; `events` when it holds none.

    `start` is the index of the first event line.
    """
    line = _one_event(lines, at)
    if not line and at > start:
        return event_named(lines, start, at - 1)
    if not any(pattern.search(line) for pattern in (_HASH, _PREVIOUS, _STREAM)):
        return "events"
    identity = _by_chain(lines, start, at) or _by_absence(lines, start, at) or _said(line).claim
    if identity is None:
        return f"event number {at - start + 1} of the file"
    return f"event {identity[0]}@{identity[1]} {_last(_TYPE, line)}".rstrip()


def _one_event(lines: Sequence[bytes], at: int) -> bytes:
    """Return the first event of a line that swallowed the next one, or both halves of one that was split."""
    line = lines[at]
    if at + 1 < len(lines) and lines[at + 1] != b"]," and not lines[at + 1].startswith(_BEGIN):
        line += b"\n" + lines[at + 1]
    second = line.find(_BEGIN, 1)
    return line if second < 0 else line[:second]


def _others(lines: Sequence[bytes], start: int, at: int) -> list[_Said]:
    said = (_said(line) for n, line in enumerate(lines[start:], start) if n != at)
    return [one for one in said if one.claim is not None]


def _by_chain(lines: Sequence[bytes], start: int, at: int) -> Identity | None:
    """Find the event by the one it follows, or by the one that follows it."""
    mine = _said(_one_event(lines, at))
    for other in _others(lines, start, at):
        assert other.claim is not None
        stream, version = other.claim
        if mine.previous and other.hash == mine.previous:
            return stream, version + 1
        if mine.hash and other.previous == mine.hash:
            return stream, version - 1
    return None


def _by_absence(lines: Sequence[bytes], start: int, at: int) -> Identity | None:
    """Find the event as the only one the record names as a source that no other line holds."""
    there = {other.claim for other in _others(lines, start, at)}
    named = {
        (stream.decode(), int(version))
        for line in lines[:start]
        for stream, version in _MENTIONED.findall(line)
    }
    absent = sorted(named - there)
    return absent[0] if len(absent) == 1 else None
