"""Messages ↔ values, by field name and type: one table, compiled once per pair of message and dataclass.

Rule: no rule of the clinic here. A field that a caller left out takes the dataclass's own default.
"""

import dataclasses
import datetime as dt
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from itertools import compress, repeat
from operator import attrgetter, is_not, methodcaller
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from engine.kernel.errors import Invalid

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TIMESTAMP = "google.protobuf.Timestamp"
DATE = "attend.v1.Date"

Read = Callable[[Any], Any]
Write = Callable[[Any], Any]
_Field = tuple[str, Write, bool]


def enum_prefix(name: str) -> str:
    """Return the prefix that an enum's values carry: CancelReason → CANCEL_REASON_."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).upper().lstrip("_") + "_"


def read(message: Message, kind: Any) -> Any:
    """Return the dataclass `kind` that a message spells.

    Raises Invalid naming the field (`order.egfr_on`), never its value.
    """
    given = {}
    for name, present, optional, reader in _reader(kind, message.DESCRIPTOR):
        if present is not None and not present(message):
            if optional:
                continue
            raise Invalid(name, "this field is required")
        try:
            held = getattr(message, name)
            given[name] = held if reader is None else reader(held)
        except Invalid as error:
            raise Invalid(f"{name}.{error.field}" if error.field else name, error.why) from None
    return kind(**given)


def write(value: Any, descriptor: Descriptor, skip: frozenset[str] = frozenset()) -> Message:
    """Return the message that spells a dataclass; fields named in `skip` stay empty."""
    kind: Any = type(value)
    make, held_by, fields = _writer(kind, descriptor, skip)
    return make(**_spelled(zip(fields, held_by(value), strict=True)))


class Spelling:
    """A message beside the values it was written from, so that the next value's is written only where it differs.

    Values are immutable: a field that holds the same object as before is spelled as before.
    """

    def __init__(self, kind: Any, descriptor: Descriptor, skip: frozenset[str] = frozenset()) -> None:
        self._make, self._held_by, self._fields = _writer(kind, descriptor, skip)
        self._message = self._make()
        self._held: Iterable[Any] = repeat(None)

    def of(self, value: Any) -> Message:
        """Return the message that `write` gives for a value. The next call changes it: copy it before."""
        held = self._held_by(value)
        changed = list(compress(self._fields, map(is_not, held, self._held)))
        more = self._make(**_spelled((field, getattr(value, field[0])) for field in changed))
        for name, _, _ in changed:
            self._message.ClearField(name)
        self._message.MergeFrom(more)
        self._held = held
        return self._message


def _spelled(fields: Iterable[tuple[_Field, Any]]) -> dict[str, Any]:
    return {
        name: writer(held)
        for (name, writer, sparse), held in fields
        if held is not None and not (sparse and not held)
    }


def timestamp(moment: dt.datetime) -> Timestamp:
    """Return a moment as a Timestamp, exact to the microsecond."""
    since = moment - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def moment(stamp: Timestamp) -> dt.datetime:
    """Return a Timestamp as UTC, to the microsecond. Raises Invalid outside the calendar."""
    try:
        return EPOCH + dt.timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError:
        raise Invalid("", "give a moment within the calendar") from None


@lru_cache(maxsize=1024)
def _reader(
    kind: Any, descriptor: Descriptor
) -> tuple[tuple[str, Callable[[Any], Any] | None, bool, Read | None], ...]:
    hints = typing.get_type_hints(kind)
    plan = []
    for field in dataclasses.fields(kind):
        found = descriptor.fields_by_name.get(field.name)
        if found is None:
            continue
        has_default = (
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        )
        plan.append(
            (field.name, _presence(found, has_default), has_default, _read_field(found, hints[field.name]))
        )
    return tuple(plan)


def _presence(field: FieldDescriptor, has_default: bool) -> Callable[[Any], Any] | None:
    """Return how to ask whether a caller gave a field; None when whatever is there is taken as given."""
    name = field.name
    if field.has_presence:
        return methodcaller("HasField", name)
    if has_default or (field.enum_type is not None and not field.is_repeated):
        return attrgetter(name)
    return None


def _plain(hint: Any) -> Any:
    """Return a type without its None."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def _read_field(field: FieldDescriptor, hint: Any) -> Read | None:
    kind = _plain(hint)
    origin = typing.get_origin(kind)
    if origin in {tuple, frozenset}:
        one = _read_one(field, typing.get_args(kind)[0])
        return origin if one is None else lambda values: origin(one(value) for value in values)
    return _read_one(field, kind)


def _read_one(field: FieldDescriptor, kind: Any) -> Read | None:
    """Return how a value is read; None for one that is taken as it is."""
    if kind is Decimal:
        return _decimal
    if kind is dt.datetime:
        return moment
    if kind is dt.date:
        return _date
    if isinstance(kind, type) and issubclass(kind, Enum) and field.enum_type is not None:
        names = {
            v.number: v.name.removeprefix(enum_prefix(kind.__name__)).lower() for v in field.enum_type.values
        }
        return lambda number: kind(names[number])
    if dataclasses.is_dataclass(kind):
        return lambda message: read(message, kind)
    return None


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Invalid("", "write it as a plain decimal number") from None
    if not value.is_finite():
        raise Invalid("", "write it as a plain decimal number")
    return value


def _date(message: Any) -> dt.date:
    try:
        return dt.date(message.year, message.month, message.day)
    except ValueError:
        raise Invalid("", "there is no such day") from None


@lru_cache(maxsize=1024)
def _writer(
    kind: Any, descriptor: Descriptor, skip: frozenset[str]
) -> tuple[type[Message], Callable[[Any], tuple[Any, ...]], tuple[_Field, ...]]:
    hints = typing.get_type_hints(kind)
    fields = []
    for field in descriptor.fields:
        if field.name in skip:
            continue
        hint = hints.get(field.name)
        sparse = not field.has_presence
        fields.append((field.name, _write_field(field, _plain(hint)), sparse))
    return GetMessageClass(descriptor), _all(name for name, _, _ in fields), tuple(fields)


def _all(names: Iterable[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what takes all attributes of these names at once; no name at all and a single one give a tuple too."""
    wanted = tuple(names)
    if len(wanted) > 1:
        return attrgetter(*wanted)
    return lambda value: tuple(getattr(value, name) for name in wanted)


def _write_field(field: FieldDescriptor, kind: Any) -> Write:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = _write_one(field.message_type.fields_by_name["value"])
        return lambda held: {key: inner(value) for key, value in held.items()}
    one = _write_one(field)
    if not field.is_repeated:
        return one
    if typing.get_origin(kind) is frozenset:
        return lambda values: [one(value) for value in sorted(values)]
    return lambda values: [one(value) for value in _listed(values)]


def _listed(values: Any) -> Any:
    return values.values() if isinstance(values, Mapping) else values


def _write_one(field: FieldDescriptor) -> Write:
    if field.message_type is not None:
        target = field.message_type
        if target.full_name == TIMESTAMP:
            return timestamp
        if target.full_name == DATE:
            make = GetMessageClass(target)
            return lambda day: make(year=day.year, month=day.month, day=day.day)
        return lambda value: write(value, target)
    if field.enum_type is not None:
        prefix = enum_prefix(field.enum_type.name)
        numbers = {v.name.removeprefix(prefix).lower(): v.number for v in field.enum_type.values}
        return lambda value: numbers[value]
    if field.type == FieldDescriptor.TYPE_STRING:
        return lambda value: format(value, "f") if isinstance(value, Decimal) else value
    return lambda value: value
