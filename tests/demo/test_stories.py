"""The six stories, played for real: engine, media node, two client processes, a FHIR server, an HL7 receiver."""

import json
import re
import socket
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.demo.caller import methods
from engine.demo.script import Advance, Await, Do
from engine.demo.scripts.stories import ABOVE_CAP_MG, FLUID, STORIES
from engine.demo.scripts.treating import REPEAT_S
from tests.reactions.packs import pack

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


def test_the_severe_story_repeats_a_dose_and_then_goes_past_a_cap_on_purpose() -> None:
    """Refused too soon, repeated as offered once it is due, then a larger dose: refused, and ordered with a reason."""
    story = STORIES["severe"]
    shown = SimpleNamespace(offer=lambda drug, route, **change: (drug, change))
    orders = [
        (step.refused, *step.fields(shown)) if isinstance(step, Do) else step.event
        for step in story.physician
        if (isinstance(step, Do) and step.rpc == "ReactionService.OrderStep")
        or (isinstance(step, Await) and step.event == "RepeatDue")
    ]
    above = {"dose_mg": ABOVE_CAP_MG}

    assert orders[:4] == [
        ("", "epinephrine", {}),
        ("REPEAT_TOO_SOON", "epinephrine", {}),
        ("", FLUID, {}),
        "RepeatDue",
    ]
    assert orders[4:7] == [("", "epinephrine", {}), "RepeatDue", ("DOSE_OVER_CAP", "epinephrine", above)]
    refused, drug, change = orders[7]
    assert (refused, drug, change["dose_mg"]) == ("", "epinephrine", ABOVE_CAP_MG)
    assert change["override_reason"]


def test_the_severe_story_keeps_within_the_pack() -> None:
    """It waits the row's whole interval, goes above its single cap, and lands on the total without going past it."""
    row = pack().drug("A-EPI-IM")
    waits = [step.seconds for step in STORIES["severe"].technologist if isinstance(step, Advance)]
    assert row.max_single_mg is not None

    assert row.repeat_min_s == REPEAT_S and waits.count(REPEAT_S) == 2
    assert row.max_single_mg < Decimal(ABOVE_CAP_MG)
    assert 2 * row.max_single_mg + Decimal(ABOVE_CAP_MG) == pack().value("cumulative_epinephrine_mg")


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
    assert re.search(r"port \d+ \(\w+\) is taken", refused.stderr)  # the first of those that are
    assert "--headless" in refused.stderr


def test_an_unknown_story_names_the_known_ones(tmp_path: Path) -> None:
    """A wrong name is wrong use, with the choices."""
    refused = attend("demo", "--script", "nothing", "--out", str(tmp_path))

    assert refused.returncode == 2
    assert "uneventful" in refused.stderr
