"""`attend verify` as a person meets it: exit codes, the first broken thing, JSON for machines."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from engine.records.verify_cli import BROKEN, SOUND, verify_command
from tests.records import stories
from tests.records.driver import KEY


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A sealed record on disk."""
    path = tmp_path / "record.json"
    path.write_bytes(stories.uneventful().file())
    return path


def said(path: Path, *, as_json: bool = False, trust: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run the command; return exit code and output."""
    out = io.StringIO()
    code = verify_command([path], as_json, trust, Console(file=out, width=200))
    return code, out.getvalue()


def test_a_sound_record_exits_0(record: Path) -> None:
    """It says sound, and notes that no trusted key was given."""
    code, text = said(record)

    assert code == SOUND
    assert "sound" in text and "unknown key" in text
    assert "unknown key" not in said(record, trust=(KEY.key_id,))[1]


def test_a_changed_record_exits_1_and_names_the_place(record: Path) -> None:
    """A changed volume names its field; a changed event names the event."""
    data = record.read_bytes()
    record.write_bytes(
        data.replace(
            b'"volume_ml":{"from":["session/ses-1@19"],"value":"80"}',
            b'"volume_ml":{"from":["session/ses-1@19"],"value":"81"}',
        )
    )
    code, text = said(record)

    assert code == BROKEN
    assert "record.contrast.volume_ml" in text

    record.write_bytes(data.replace(b'"volume_ml":"80"', b'"volume_ml":"81"'))
    code, text = said(record, as_json=True)

    assert code == BROKEN
    assert json.loads(text)[0]["problems"][0]["where"] == "event session/ses-1@19 ContrastGiven"


def test_a_file_that_cannot_be_read_exits_1(tmp_path: Path) -> None:
    """A missing file is said, with what to do."""
    code, text = said(tmp_path / "none.json")

    assert code == BROKEN
    assert "give the path" in text
