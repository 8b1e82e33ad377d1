"""The tables of what is legal are the ones that were reviewed."""

import pytest

from tests.workflows.machines import NAMES
from tests.workflows.tables import GOLDEN, table


@pytest.mark.parametrize("name", NAMES)
def test_what_is_legal_is_what_was_reviewed(name: str) -> None:
    """A change of a chart shows here line by line; write the tables anew with `python -m tests.workflows.golden`."""
    assert (GOLDEN / f"{name}.txt").read_text() == table(name)
