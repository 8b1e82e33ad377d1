"""What the demonstration says, line by line: words, no codes."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from engine.demo.narrate import Narrator


def told(*events: tuple[str, dict[str, Any]]) -> list[str]:
    """Return the lines of some events, without time and person."""
    out = io.StringIO()
    narrator = Narrator(Console(file=out, width=200))
    for kind, payload in events:
        narrator.tell(
            SimpleNamespace(
                at=Timestamp(seconds=1),
                type=kind,
                actor_id="physician-1",
                actor_role="physician",
                summary_json=json.dumps(payload),
            )
        )
    return [
        line[8:].removeprefix("physician-1").removeprefix("engine").strip()
        for line in out.getvalue().splitlines()
    ]


@pytest.mark.parametrize(
    ("kind", "payload", "line"),
    [
        ("DeliveryAcknowledged", {"detail": "18_RESOURCES"}, "delivered (18 resources)"),
        ("DeliveryAcknowledged", {"detail": "AA"}, "delivered (AA)"),
        ("VerdictRecorded", {"verdict": {"result": "needs_attestation"}}, "the rules say: needs attestation"),
        (
            "IdentityConfirmed",
            {"matched": ["birth_date", "name"]},
            "identity confirmed by birth date and name",
        ),
        ("ReactionDisposed", {"disposition": "transferred_by_ems"}, "disposition: transferred by EMS"),
        (
            "RingAnswered",
            {"physician_id": "physician-1", "answered_after_s": "0.012", "rung": "primary"},
            "physician-1 answers within a second on the primary rung",
        ),
        (
            "RingAnswered",
            {"physician_id": "physician-1", "answered_after_s": "62.4", "rung": "bench"},
            "physician-1 answers after 62 s on the bench rung",
        ),
    ],
)
def test_a_line_is_words(kind: str, payload: dict[str, Any], line: str) -> None:
    """Codes are read as words and times as people say them."""
    assert told((kind, payload)) == [line]


def test_what_says_nothing_new_is_said_once() -> None:
    """The same suggestion again is no line; another one is."""
    mild = {"severity": "mild", "rules": ["R-1"]}
    severe = {"severity": "severe", "rules": ["R-2"]}
    lines = told(*[("SeveritySuggested", one) for one in (mild, mild, severe, severe)])

    assert [("mild" in line, "severe" in line) for line in lines] == [(True, False), (False, True)]


def test_signs_vital_signs_and_steps_are_told_in_words() -> None:
    """What was seen and measured, and which step was done; a drug's step is told by its dose alone."""
    steps = [
        {"step_id": "BASE.2", "kind": "action", "text": "Give oxygen by mask.", "doses": [{}]},
        {"step_id": "T-1", "kind": "drug", "text": "Give epinephrine.", "doses": [{}]},
    ]
    lines = told(
        ("SignsRecorded", {"signs": ["S-A1-1"], "texts": ["a few hives"]}),
        ("VitalsRecorded", {"vitals": {"systolic_mmhg": 78, "diastolic_mmhg": 44, "spo2_percent": 91}}),
        ("ProtocolResolved", {"steps": steps, "pack_id": "acr-2026"}),
        ("StepDone", {"step_id": "BASE.2"}),
        ("StepDone", {"step_id": "T-1"}),
    )

    assert lines == [
        "seen: a few hives",
        "vital signs: BP 78/44 mmHg, SpO2 91 %",
        "2 steps from acr-2026",
        "done: Give oxygen by mask.",
    ]


def test_what_the_engine_works_out_is_told_as_the_engines() -> None:
    """The suggestion follows a tap of the technologist's, and is not the technologist's."""
    out = io.StringIO()
    summary = json.dumps({"severity": "mild", "rules": ["S-A1-1"]})
    Narrator(Console(file=out, width=200)).tell(
        SimpleNamespace(
            at=Timestamp(seconds=1),
            type="SeveritySuggested",
            actor_id="tech-1",
            actor_role="technologist",
            summary_json=summary,
        )
    )

    assert "engine" in out.getvalue() and "tech-1" not in out.getvalue()
