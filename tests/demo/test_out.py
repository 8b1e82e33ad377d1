"""Where a demonstration writes: it clears what it wrote itself, and nothing of anybody else."""

from pathlib import Path

import pytest

from engine.demo.run import MARK, Unplayable, _clear


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder with a `data` of its own keeps it, and the message says what to do."""
    kept = tmp_path / "data" / "work.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(Unplayable, match="choose another --out"):
        _clear(tmp_path)

    assert kept.read_text() == "mine"


def test_what_an_earlier_playing_left_is_cleared(tmp_path: Path) -> None:
    """A new folder is made and marked; the next playing clears it."""
    out = tmp_path / "demo-out"
    _clear(out)
    (out / "data").mkdir()
    _clear(out)

    assert [one.name for one in out.iterdir()] == [MARK]


def test_a_place_that_is_no_folder_is_named() -> None:
    """A sentence, no traceback."""
    with pytest.raises(Unplayable, match="/dev/null"):
        _clear(Path("/dev/null"))
