"""Every page that a physician reviews is what the packs give today."""

import pytest

from tests.reactions.rendering import GOLDEN, pages


@pytest.mark.parametrize(("name", "text"), list(pages()), ids=[name for name, _ in pages()])
def test_the_page_is_the_one_reviewed(name: str, text: str) -> None:
    """A changed dose changes a page, and somebody has to look at it."""
    assert (GOLDEN / name).read_text("utf-8") == text


def test_no_page_is_left_over() -> None:
    """Every golden page belongs to a presentation of a pack."""
    assert {path.name for path in GOLDEN.glob("*.txt")} == {name for name, _ in pages()}
