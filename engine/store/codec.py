"""Events to canonical payloads and back; protected fields become salted commitments on the way.

Rule: the codec knows shapes, never meanings. An unknown type stops, loudly.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from engine.kernel.canonical import canonical_bytes
from engine.kernel.commands import Actor
from engine.kernel.errors import Corrupt
from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.kernel.store import EventRow, ProtectedValue

PROTECTED = "$protected"

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


def commitment(salt: bytes, value: bytes) -> str:
    """Return SHA-256(salt ‖ value) in lower-case hex."""
    return hashlib.sha256(salt + value).hexdigest()


class Codec:
    """Knows every event type of the machines handed in, by machine and type name.

    `upcasters` maps (machine, type, schema) to a function that turns that schema's payload into the next one's.
    """

    def __init__(
        self,
        machines: Mapping[str, Iterable[type[Event]]],
        upcasters: Mapping[tuple[str, str, int], Upcaster] | None = None,
    ) -> None:
        self._types = {(name, kind.__name__): kind for name, kinds in machines.items() for kind in kinds}
        self._upcasters = dict(upcasters or {})

    def encode(
        self, stream: Stream, version: int, event: Event, salt: Callable[[], bytes]
    ) -> tuple[bytes, list[ProtectedValue]]:
        """Return the canonical payload and the protected values split off from it."""
        kind = type(event)
        if not kind.protected:
            return canonical_bytes(event), []
        fields = msgspec.to_builtins(event)
        split: list[ProtectedValue] = []
        for name in kind.protected:
            if fields[name] is None:
                continue
            ref = f"{stream}@{version}.{name}"
            grain, value = salt(), canonical_bytes(fields[name])
            kept = ProtectedValue(
                ref=ref, stream=stream, commitment=commitment(grain, value), salt=grain, value=value
            )
            split.append(kept)
            fields[name] = {PROTECTED: {"commitment": kept.commitment, "ref": ref}}
        return canonical_bytes(fields), split

    def refs(self, row: EventRow) -> list[str]:
        """Return the references to protected values in a row, without asking whether they still exist."""
        kind = self._kind(row)
        if not kind.protected:
            return []
        try:
            fields = msgspec.json.decode(row.payload)
            return [
                fields[name][PROTECTED]["ref"]
                for name in kind.protected
                if isinstance(fields.get(name), dict)
            ]
        except (msgspec.MsgspecError, AttributeError, KeyError, TypeError) as error:
            raise _unreadable(row, error) from error

    def decode(self, row: EventRow, protected: Mapping[str, ProtectedValue]) -> Recorded:
        """Return the recorded event. An erased protected field reads as None.

        Raises Corrupt for an unknown type, a payload that does not fit it, or a value that breaks its commitment.
        """
        kind = self._kind(row)
        if row.schema > kind.schema:
            raise Corrupt(f"{row.stream}@{row.version} {row.type} was written by a newer Attend")
        try:
            fields = msgspec.json.decode(row.payload)
            for schema in range(row.schema, kind.schema):
                fields = self._upcasters[(row.stream.machine, row.type, schema)](fields)
            for name in kind.protected:
                fields[name] = self._opened(fields.get(name), protected)
            event = msgspec.convert(fields, kind)
            actor = msgspec.json.decode(row.actor.encode(), type=Actor)
        except (msgspec.MsgspecError, AttributeError, KeyError, TypeError) as error:
            raise _unreadable(row, error) from error
        return Recorded(
            position=row.position,
            stream=row.stream,
            version=row.version,
            at=row.at,
            actor=actor,
            correlation=row.correlation,
            causation=row.causation,
            phases=row.phases,
            flags=row.flags,
            event=event,
            hash=row.hash,
            prev_hash=row.prev_hash,
        )

    def _kind(self, row: EventRow) -> type[Event]:
        try:
            return self._types[(row.stream.machine, row.type)]
        except KeyError:
            raise Corrupt(f"{row.stream}@{row.version} has an unknown type {row.type}") from None

    @staticmethod
    def _opened(field: Any, protected: Mapping[str, ProtectedValue]) -> Any:
        if not isinstance(field, dict):
            return field
        sealed = field[PROTECTED]
        kept = protected.get(sealed["ref"])
        if kept is None:
            return None
        if commitment(kept.salt, kept.value) != sealed["commitment"]:
            raise Corrupt(f"the protected value {sealed['ref']} breaks its commitment")
        return msgspec.json.decode(kept.value)


def _unreadable(row: EventRow, error: Exception) -> Corrupt:
    return Corrupt(f"{row.stream}@{row.version} does not read as {row.type}: {type(error).__name__}")
