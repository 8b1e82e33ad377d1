"""The codec splits protected fields off and puts them back; the chain finds whatever was changed."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Corrupt
from engine.kernel.events import Event
from engine.kernel.ids import Stream
from engine.kernel.store import EventRow
from engine.store.chain import FIRST, event_hash, hashed_form, verify_chain
from engine.store.codec import Codec, commitment
from tests.store.rows import START, chain_of

A = Stream("kettle", "a")
SALT = b"0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A protected value with fields of its own."""

    family: str
    born: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """An event with every kind of field."""

    protected: ClassVar[tuple[str, ...]] = ("person", "phone")
    person: Person | None
    phone: str | None
    dose_mg: Decimal
    at: dt.datetime
    words: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Event):
    """An event in its second shape: grams became kilograms."""

    schema: ClassVar[int] = 2
    weight_kg: Decimal


def in_kilograms(payload: dict[str, Any]) -> dict[str, Any]:
    """Upcast the first shape to the second."""
    return {"weight_kg": str(Decimal(payload["weight_g"]) / 1000)}


CODEC = Codec({"kettle": [Noted, Weighed]}, {("kettle", "Weighed", 1): in_kilograms})

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
moments = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
events = st.builds(
    Noted,
    person=st.none() | st.builds(Person, family=texts, born=st.dates()),
    phone=st.none() | texts,
    dose_mg=st.decimals(allow_nan=False, allow_infinity=False),
    at=moments,
    words=st.lists(texts, max_size=3).map(tuple),
    count=st.integers(1 - 2**53, 2**53 - 1),
)


def row_of(payload: bytes, kind: str = "Noted", schema: int = 1) -> EventRow:
    """Return a chained row with this payload."""
    row = structs.replace(chain_of(A, 1)[0], type=kind, schema=schema, payload=payload)
    return structs.replace(row, hash=event_hash(row))


@given(events)
def test_an_event_comes_back_equal_and_its_identifiers_are_not_in_the_log(event: Noted) -> None:
    """Encode and decode are inverse; the payload holds a commitment in place of each protected value."""
    payload, split = CODEC.encode(A, 1, event, lambda: SALT)

    kept = {value.ref: value for value in split}
    assert event == CODEC.decode(row_of(payload), kept).event
    shown = msgspec.json.decode(payload)
    for name in ("person", "phone"):
        if getattr(event, name) is None:
            assert shown[name] is None
        else:
            ref = f"kettle/a@1.{name}"
            assert {"$protected": {"ref": ref, "commitment": commitment(SALT, kept[ref].value)}} == shown[
                name
            ]


@given(events)
def test_a_payload_is_canonical_json(event: Noted) -> None:
    """An auditor's RFC 8785 library writes the same bytes, for the payload and for what is hashed."""
    payload, _ = CODEC.encode(A, 1, event, lambda: SALT)
    row = row_of(payload)

    assert rfc8785.dumps(msgspec.json.decode(payload)) == payload
    hashed = canonical_bytes(hashed_form(row))
    assert rfc8785.dumps(msgspec.json.decode(hashed)) == hashed


def test_an_erased_value_reads_as_none() -> None:
    """Without its row a protected field is None and the rest of the event stays."""
    event = Noted(person=None, phone="555", dose_mg=Decimal("0.3"), at=START, words=("a",), count=1)
    payload, split = CODEC.encode(A, 1, event, lambda: SALT)

    assert [value.ref for value in split] == CODEC.refs(row_of(payload))
    assert replace(event, phone=None) == CODEC.decode(row_of(payload), {}).event


def test_a_value_that_breaks_its_commitment_is_corrupt() -> None:
    """A protected value that somebody swapped is not believed."""
    event = Noted(person=None, phone="555", dose_mg=Decimal(1), at=START, words=(), count=1)
    payload, (kept,) = CODEC.encode(A, 1, event, lambda: SALT)

    with pytest.raises(Corrupt, match="commitment"):
        CODEC.decode(row_of(payload), {kept.ref: structs.replace(kept, value=b'"556"')})


def test_an_older_shape_is_read_through_its_upcaster() -> None:
    """A released payload replays for ever: each schema's function leads to the next."""
    recorded = CODEC.decode(row_of(b'{"weight_g":"72500"}', "Weighed", 1), {})

    assert Weighed(weight_kg=Decimal("72.5")) == recorded.event


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (row_of(b"{}", "Unheard"), "unknown type Unheard"),
        (row_of(b"{}"), "does not read as Noted"),
        (row_of(b"[]"), "does not read as Noted"),
        (row_of(b"{"), "does not read as Noted"),
        (row_of(b'{"person":{},"phone":null}'), "does not read as Noted"),
        (row_of(b'{"weight_kg":"1"}', "Weighed", 3), "newer Attend"),
        (row_of(b'{"weight_kg":"1"}', "Weighed", 0), "does not read as Weighed"),
        (structs.replace(row_of(b'{"weight_kg":"1"}', "Weighed", 2), actor="nobody"), "does not read"),
        (structs.replace(row_of(b"{}"), stream=Stream("lamp", "l")), "lamp/l@1 has an unknown type"),
    ],
    ids=["type", "empty", "list", "cut", "envelope", "newer", "no-upcaster", "actor", "machine"],
)
def test_what_does_not_read_is_corrupt_and_named(row: EventRow, said: str) -> None:
    """An unknown or broken row stops, loudly, and the error names stream and version but no content."""
    with pytest.raises(Corrupt, match=said):
        CODEC.refs(row)
        CODEC.decode(row, {})


def test_a_whole_chain_verifies() -> None:
    """A chain from version 1 verifies, and so does none at all."""
    verify_chain(chain_of(A, 5))
    verify_chain([])
    assert chain_of(A, 1)[0].prev_hash == FIRST


CHANGES: dict[str, Callable[[EventRow], Any]] = {
    "stream": lambda row: Stream("kettle", "b"),
    "version": lambda row: row.version + 1,
    "type": lambda row: "Happenee",
    "schema": lambda row: 2,
    "at": lambda row: row.at + dt.timedelta(microseconds=1),
    "actor": lambda row: row.actor.replace("test", "tesu"),
    "correlation": lambda row: "ses-2",
    "causation": lambda row: "req-x",
    "phases": lambda row: ("idle",),
    "flags": lambda row: (*row.flags, "bypass"),
    "payload": lambda row: row.payload.replace(b"Gr", b"gr"),
    "hash": lambda row: "1" * 64,
    "prev_hash": lambda row: "1" * 64,
}


def test_every_column_but_the_position_is_covered() -> None:
    """The list of changes below names every column, so a new one cannot be forgotten."""
    assert {field.name for field in structs.fields(EventRow)} == {*CHANGES, "position"}


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_changed_column_is_found_and_named(column: str, number: int) -> None:
    """Changing any column of any event breaks the chain at that event."""
    rows = chain_of(A, 5)
    rows[number] = structs.replace(rows[number], **{column: CHANGES[column](rows[number])})

    with pytest.raises(Corrupt, match=f"^{rows[number].stream}@{rows[number].version} "):
        verify_chain(rows)


@pytest.mark.parametrize("number", [0, 2])
def test_a_missing_or_doubled_event_is_found(number: int) -> None:
    """Taking an event out or repeating one breaks the chain at the next."""
    rows = chain_of(A, 5)

    with pytest.raises(Corrupt, match="missing or doubled"):
        verify_chain(rows[:number] + rows[number + 1 :])
    with pytest.raises(Corrupt, match="missing or doubled"):
        verify_chain([*rows[: number + 1], *rows[number:]])


def test_a_rewritten_event_with_a_new_hash_is_found_at_the_next() -> None:
    """Whoever rewrites an event and its hash must rewrite all that follow."""
    rows = chain_of(A, 5)
    forged = structs.replace(rows[1], payload=b"{}")
    rows[1] = structs.replace(forged, hash=event_hash(forged))

    with pytest.raises(Corrupt, match=r"kettle/a@3 .*does not follow"):
        verify_chain(rows)
