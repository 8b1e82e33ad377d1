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
    return [line[8:].removeprefix("physician-1").strip() for line in out.getvalue().splitlines()]


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
