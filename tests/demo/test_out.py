"""Where a demonstration writes: it clears what it wrote itself, and nothing of anybody else."""

import fcntl
import os
import signal
import subprocess
import sys
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


@pytest.mark.timeout(90)
def test_a_demonstration_that_is_ended_ends_what_it_started(tmp_path: Path) -> None:
    """SIGTERM while it plays: the server and the far side are gone with it, and the folder is free."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "engine", "demo", "--headless", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        for line in playing.stdout:  # until the server is up and the story runs
            if "REACTION" in line or (out / "ports.json").exists():
                break
        children = _descendants(playing.pid)
        playing.terminate()
        playing.stdout.read()

    assert playing.returncode == 128 + signal.SIGTERM
    assert children and not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    os.close(claim(out))


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    mine = [
        int(one)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for one in (task / "children").read_text().split()
    ]
    return mine + [one for child in mine for one in _descendants(child)]
