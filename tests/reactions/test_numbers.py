"""A mutation table over the packs' data: whatever number a hand slips in, something that is not the pack notices."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from engine.kernel.errors import Invalid
from engine.reactions.lint import lint
from engine.reactions.reading import read_packs
from tests.reactions.packs import shipped
from tests.reactions.slips import (
    LEFT_OUT,
    Place,
    as_the_reference_says,
    changed_documents,
    check_values,
    documents,
    places,
)


def test_every_number_is_the_references() -> None:
    """Each has a check value, transcribed from the reference in its own units, and is equal to it."""
    known, _ = places()

    assert [place.key for place in known if place.key not in check_values()] == []
    assert set(check_values()) - {place.key for place in known} == set(), "no pack says this any more"
    assert [
        (place.key, place.value) for place in known if not as_the_reference_says(place, place.value)
    ] == []


def test_every_slip_in_a_number_is_noticed() -> None:
    """Ten times, a tenth, one mark more: none is the reference's value."""
    known, _ = places()
    tried = [(place, slip) for place in known for slip in place.slips()]

    assert [(place.key, slip) for place, slip in tried if as_the_reference_says(place, slip)] == []
    assert len(tried) > 2 * len(known)


def test_what_is_left_out_is_words_and_has_its_reason() -> None:
    """No field that is a number is left out; every reason is about a field that the packs have."""
    _, left_out = places()

    assert {place.number is None for place in left_out} == {False}
    assert {part for place in left_out for part in place.path if part in LEFT_OUT} == set(LEFT_OUT)
    assert all(len(why.split()) > 3 for why in LEFT_OUT.values())


def test_what_is_mutated_is_what_is_shipped() -> None:
    """The files read once give the packs as they load."""
    assert {name: one.hash for name, one in read_packs(documents()).items()} == {
        name: one.hash for name, one in shipped().items()
    }


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_slip_is_put_before_the_loader_the_lint_and_the_reference() -> None:
    """The long form loads and lints the packs with each slip in them and counts who noticed."""
    known, left_out = places()
    who: Counter[str] = Counter()
    for place in known:
        for slip in place.slips():
            noticed = set(_noticed(place, slip))
            assert noticed, (place.key, place.value, slip)
            kind = "words" if place.number is not None else "numbers"
            who.update(f"{kind}: {name}" for name in noticed)
            who[f"{kind}: slips"] += 1
            who[f"{kind}: the reference alone"] += noticed == {"reference"}
    who["numbers"] = sum(place.number is None for place in known)
    who["numbers in words"] = len(known) - who["numbers"]
    who["left out"] = len(left_out)
    print(dict(who))  # noqa: T201 - the figures of docs/BENCHMARKS.md


def _noticed(place: Place, slip: Any) -> Iterator[str]:
    if not as_the_reference_says(place, slip):
        yield "reference"
    try:
        packs = read_packs(changed_documents(place, slip))
    except Invalid:
        yield "loader"
        return
    if any(lint(one) for one in packs.values()):
        yield "lint"
