"""Where a demonstration writes: it clears what it wrote itself, and nothing of anybody else."""

import fcntl
import os
from pathlib import Path

import pytest

from engine.demo.folder import MARK, Unplayable, claim


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder with a `data` of its own keeps it, and the message says what to do."""
    kept = tmp_path / "data" / "work.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(Unplayable, match="choose another --out"):
        claim(tmp_path)

    assert kept.read_text() == "mine"


def test_what_an_earlier_playing_left_is_cleared(tmp_path: Path) -> None:
    """A new folder is made and marked; the next playing clears it."""
    out = tmp_path / "demo-out"
    os.close(claim(out))
    (out / "data").mkdir()
    (out / "data" / "attend.db.lock").touch()
    os.close(claim(out))

    assert [one.name for one in out.iterdir()] == [MARK]


def test_a_place_that_is_no_folder_is_named() -> None:
    """A sentence, no traceback."""
    with pytest.raises(Unplayable, match="/dev/null"):
        claim(Path("/dev/null"))


@pytest.mark.parametrize("held", [MARK, "data/attend.db.lock"])
def test_what_still_runs_is_left_alone(tmp_path: Path, held: str) -> None:
    """Neither a demonstration that serves nor a server that outlived it loses its data to the next one."""
    os.close(claim(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "attend.db").write_text("served")
    with (tmp_path / held).open("ab") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with pytest.raises(Unplayable, match="still serves"):
            claim(tmp_path)

    assert (tmp_path / "data" / "attend.db").read_text() == "served"
    os.close(claim(tmp_path))
    assert not (tmp_path / "data").exists()
