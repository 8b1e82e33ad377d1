"""The quick look at a request's form beside the library: it lets nothing pass that the library complains of."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from protovalidate import Validator

from attend.v1 import demo_pb2, reactions_pb2, sessions_pb2
from engine.services.contract import rpcs
from engine.services.sure import sure
from tests.services.house import header, schedule

LIBRARY = Validator()
#: What the quick look leaves to the library: weights a person can have, a span of time, entries of offline logs.
DOUBTED_FIELDS = {"weight_kg", "by"}
DOUBTED_TYPES = {"attend.v1.OfflineEntry", "google.protobuf.Duration"}
ORDINARY = (
    "a A-1._:z -a a/b 12345678 1234567 req:01/x 0 0.0 72.5 72. .5 999999 1000000 1.2345 1.23456 a=b a.b"
)
DIGITS = ("1.0123456789", "1.01234567891", "٣", "７", "f" * 64, "F" * 64, "f" * 63, "f" * 65)
BLANK = (
    "",
    " ",
    " \t\n",
    " a",
    "a b",
    "\xa0",
    "\u2003",
    "\u3000",
    "a\n",
    "12345678\n",
    "72.5\n",
    "a\nb",
    "a\tb",
)
HIDDEN = ("\x00", "a\x0bb", "\x1f", "\x7f", "\x85", "\x9f", "a\rb", "\u2028", "\u202e", "\u2066", "\u2069")
SHOWN = ("\u2027", "\u202f", "\u2065", "\u206a", "é", "李", "😀", "\\", "|", "$", "^")
TEXTS = (*ORDINARY.split(), *DIGITS, *BLANK, *HIDDEN, *SHOWN)
NUMBERS = (-(2**31), -2, -1, 0, 1, 2, 3, 5, 10, 14, 15, 2**31 - 1)
REQUESTS: tuple[Any, ...] = tuple({rpc.request.DESCRIPTOR: None for rpc in rpcs(demo=True)})


def reachable(message: Descriptor, seen: dict[Descriptor, None]) -> dict[Descriptor, None]:
    """Return a message type with every type that can be inside of it."""
    if message not in seen:
        seen[message] = None
        for field in message.fields:
            if field.message_type is not None:
                reachable(field.message_type, seen)
    return seen


TYPES = tuple({kind: None for request in REQUESTS for kind in reachable(request, {})})


def complaints(message: Any) -> list[Any]:
    """Return what the library says against a message."""
    return LIBRARY.collect_violations(message)


def limits(field: FieldDescriptor) -> Iterator[int]:
    """Yield every number that a field's rules mention."""

    def numbers(rules: Any) -> Iterator[int]:
        for one, value in rules.ListFields():
            if isinstance(value, int) and not one.is_repeated:
                yield int(value)
            elif one.message_type is not None and not one.is_repeated:
                yield from numbers(value)

    yield from numbers(field.GetOptions())


@lru_cache(maxsize=4096)
def values(field: FieldDescriptor) -> tuple[Any, ...]:
    """Return values of one field at and beside its limits; of a list, its elements."""
    near = [near for limit in limits(field) for near in (limit - 1, limit, limit + 1)]
    if field.message_type is not None:
        return (GetMessageClass(field.message_type)(), whole(field.message_type))
    if field.type == FieldDescriptor.TYPE_STRING:
        return (*TEXTS, *("x" * n for n in near if 0 < n <= 70_000), *("é" * n for n in near if 0 < n <= 500))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return (False, True)
    if field.enum_type is not None:
        return (*(value.number for value in field.enum_type.values), 77, -1)
    low = 0 if field.type == FieldDescriptor.TYPE_UINT64 else -(2**31)
    return tuple(n for n in (*NUMBERS, *near) if low <= n < 2**31)


def put(message: Any, field: FieldDescriptor, value: Any) -> None:
    """Give a field one value; None leaves it out, and a list of values fills a list."""
    message.ClearField(field.name)
    if value is None:
        return
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


@lru_cache(maxsize=4096)
def good(field: FieldDescriptor) -> tuple[Any, ...]:
    """Return the values that the library takes for one field."""
    found = []
    for value in values(field):
        message = GetMessageClass(field.containing_type)()
        put(message, field, [value] if field.is_repeated else value)
        about = [one.proto.field.elements[0].field_name for one in complaints(message) if one.proto.field]
        if field.name not in about:
            found.append(value)
    return tuple(found)


@lru_cache(maxsize=1024)
def whole(kind: Descriptor) -> Any:
    """Return a message with every field filled, and every field well by itself."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        one = good(field)[-1]
        put(message, field, [one] if field.is_repeated else one)
    return message


def doubted(message: Any) -> bool:
    """Return whether a message has something that the quick look leaves to the library."""
    return message.DESCRIPTOR.full_name in DOUBTED_TYPES or any(
        field.name in DOUBTED_FIELDS
        or (field.message_type is not None and any(map(doubted, value if field.is_repeated else (value,))))
        for field, value in message.ListFields()
    )


def agree(message: Any) -> None:
    """Hold the quick look and the library together over one message."""
    quick, slow = sure(message.DESCRIPTOR)(message), not complaints(message)

    assert quick <= slow, message
    assert quick or not slow or doubted(message), f"teach engine/services/sure.py this rule: {message}"


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_each_field_alone_is_judged_as_by_the_library(kind: Any) -> None:
    """Every field of every type of a request: left out, at each limit and beside it, in a message that is well."""
    agree(GetMessageClass(kind)())
    agree(whole(kind))
    for field in kind.fields:
        least = next(iter(good(field)))
        lists = [
            [],
            *([least] * n for n in limits(field) if n < 1000),
            *([least] * (n + 1) for n in limits(field)),
        ]
        tried = [*lists, *([one] for one in values(field))] if field.is_repeated else [None, *values(field)]
        for value in tried:
            message: Any = GetMessageClass(kind)()
            message.CopyFrom(whole(kind))
            put(message, field, value)
            agree(message)


@st.composite
def messages(draw: Any, kind: Descriptor) -> Any:
    """Draw a message of a type: most fields well, some left out, a few odd."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        turn = draw(st.integers(0, 30))
        if turn < 8 and not field.has_presence:
            continue
        pool = values(field) if turn == 30 else good(field)
        one = messages(field.message_type) if field.message_type is not None else st.sampled_from(pool)
        if field.is_repeated:
            put(message, field, draw(st.lists(one, max_size=3)))
        elif turn or not field.has_presence:
            put(message, field, draw(one))
    return message


@given(st.data())
def test_whole_requests_are_judged_as_by_the_library(data: Any) -> None:
    """Requests of every type with anything in them."""
    agree(data.draw(st.sampled_from(REQUESTS).flatmap(messages)))


def test_an_ordinary_request_needs_no_library() -> None:
    """What callers send all day is known to be well at once; what is odd or doubted goes to the library."""
    vitals = sessions_pb2.SessionServiceRecordVitalsRequest(
        header=header("vitals"), session_id="ses-1", heart_rate_bpm=0
    )
    weight = reactions_pb2.RecordPatientWeightRequest(
        header=header("weight"), reaction_id="rea-1", weight_kg="72.5", method="scale"
    )
    jump = demo_pb2.AdvanceClockRequest()

    assert sure(vitals.DESCRIPTOR)(vitals)
    assert sure(schedule().DESCRIPTOR)(schedule())
    assert not complaints(weight)
    assert not sure(weight.DESCRIPTOR)(weight)
    assert not sure(jump.DESCRIPTOR)(jump)
