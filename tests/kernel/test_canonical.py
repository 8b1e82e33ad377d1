"""The fast canonical spelling is the standard's spelling."""

import datetime as dt
from decimal import Decimal

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.canonical import canonical_bytes, canonical_hash

KEYS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_it_equals_rfc_8785(value: object) -> None:
    """msgspec's sorted output is byte for byte what the rfc8785 library writes."""
    assert rfc8785.dumps(value) == canonical_bytes(value)  # type: ignore[arg-type]


def test_amounts_and_times_keep_their_spelling() -> None:
    """A Decimal keeps its digits as text and a moment is UTC with Z."""
    at = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)

    assert (
        canonical_bytes({"dose_mg": Decimal("0.30"), "at": at})
        == b'{"at":"2026-01-02T03:04:05Z","dose_mg":"0.30"}'
    )


def test_the_hash_does_not_depend_on_key_order() -> None:
    """Two spellings of one value have one hash."""
    assert canonical_hash({"a": 1, "b": 2}) == canonical_hash({"b": 2, "a": 1})
