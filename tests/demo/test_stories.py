"""The six stories, played for real: engine, media node, two client processes, a FHIR server, an HL7 receiver."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.demo.caller import methods
from engine.demo.script import Do
from engine.demo.scripts.stories import STORIES

ROOT = Path(__file__).resolve().parents[2]


def attend(*arguments: str, timeout_s: float = 200) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(STORIES))
@pytest.mark.hazard("H-08", "H-28")
def test_a_story_goes_as_it_says(name: str, tmp_path: Path) -> None:
    """The story exits 0, leaves its papers, and its record verifies offline; a flipped byte does not."""
    played = attend("demo", "--script", name, "--headless", "--exit", "--out", str(tmp_path))

    assert played.returncode == 0, played.stdout + played.stderr
    if not STORIES[name].sealed:
        assert not (tmp_path / "record.json").exists()
        return
    record = tmp_path / "record.json"
    assert attend("verify", str(record)).returncode == 0
    content = bytearray(record.read_bytes())
    content[len(content) // 3] ^= 1
    record.write_bytes(content)
    broken = attend("verify", "--json", str(record))
    assert broken.returncode == 1
    assert json.loads(broken.stdout)[0]["problems"][0]["where"]


def test_every_call_of_every_story_is_in_the_contract() -> None:
    """A story names only RPCs that exist."""
    called = {
        step.rpc
        for story in STORIES.values()
        for step in (*story.technologist, *story.physician)
        if isinstance(step, Do)
    }

    assert called <= set(methods())


@pytest.mark.parametrize("name", sorted(STORIES))
def test_drugs_are_given_by_the_responder(name: str) -> None:
    """Who repeats an order and gives the drug is the one on site who may treat, never the technologist."""
    giving = ("ReactionService.ReadBackStep", "ReactionService.RecordMedicationGiven")
    acts = [step for step in STORIES[name].technologist if isinstance(step, Do) and step.rpc in giving]

    assert {step.by for step in acts} <= {"responder"}
    assert bool(acts) == (name in ("mild", "moderate", "severe"))


def test_a_used_port_is_reported_with_the_fix(tmp_path: Path) -> None:
    """The interactive form does not start on a taken port and says what to do."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", 2575))
        except OSError:
            pass  # somebody else holds it, which is as good
        else:
            holder.listen()
        refused = attend("demo", "--exit", "--out", str(tmp_path))

    assert refused.returncode == 2
    assert "2575" in refused.stderr
    assert "--headless" in refused.stderr


def test_an_unknown_story_names_the_known_ones(tmp_path: Path) -> None:
    """A wrong name is wrong use, with the choices."""
    refused = attend("demo", "--script", "nothing", "--out", str(tmp_path))

    assert refused.returncode == 2
    assert "uneventful" in refused.stderr
