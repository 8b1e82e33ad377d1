"""How people, times and suggestions stand on the printed record."""

from typing import Any

import pytest

from engine.records.people import People
from engine.records.timeline import after, timeline, words


def event(number: int, kind: str, by: tuple[str, str], **payload: Any) -> dict[str, Any]:
    """Return an event as an exported file holds it, of one reaction."""
    return {
        "stream": "reaction/ses-1-r1",
        "version": number,
        "type": kind,
        "at": f"2026-11-23T14:00:{number:02d}Z",
        "actor": {"person_id": by[0], "role": by[1]},
        "flags": [],
        "payload": payload,
    }


TECH, PHYSICIAN, ENGINE = ("t-1", "technologist"), ("p-1", "physician"), ("system:ring", "system")


def test_people_are_shown_by_name_or_role_with_their_id() -> None:
    """A looked-up name wins, a role is better than an id, an unknown person is an id, a part of the engine is that."""
    found = {"person_id": "p-1", "name": "Ines Okafor, MD"}
    people = People(
        [
            event(1, "PreparationStarted", TECH),
            event(2, "PhysicianAssigned", ENGINE, evidence=found),
            event(3, "VerdictAttested", ("m-1", "coverage_manager")),
            event(4, "CheckedWithout", PHYSICIAN, evidence={"person_id": "t-1", "name": ""}),
        ]
    )

    assert people.shown("p-1") == "Ines Okafor, MD (p-1)"
    assert people.shown("t-1") == "technologist (t-1)"
    assert people.shown("m-1") == "coverage manager (m-1)"
    assert people.shown("x-1") == "x-1"
    assert people.shown("system:ring") == "engine"


def suggestion(number: int, severity: str | None, *reasons: str, decides: str = "") -> dict[str, Any]:
    return event(
        number, "SeveritySuggested", TECH, severity=severity, reasons=reasons, physician_decides=decides
    )


def test_a_grade_that_was_suggested_before_is_not_printed_again() -> None:
    """Only a suggestion that says something else is a line of its own; the file keeps every one."""
    told = timeline(
        [
            suggestion(1, "mild", "hives"),
            suggestion(2, "severe", "pressure"),
            suggestion(3, "severe", "pressure", "saturation", decides="shock or not?"),
            suggestion(4, "severe", "saturation"),
            suggestion(5, None, decides="one system or two?"),
            suggestion(6, "severe", "pressure"),
        ]
    )

    assert [moment.event_id[-1] for moment in told] == ["1", "2", "5", "6"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [("0.013", "within a second"), ("0.49", "within a second"), ("1.2", "after 1 s"), ("38", "after 38 s")],
)
def test_short_times_are_said_as_people_say_them(seconds: str, expected: str) -> None:
    """Nobody reads milliseconds of a ring."""
    assert after(seconds) == expected


def test_codes_become_words() -> None:
    """Underscores go, abbreviations stay capitals."""
    assert words("transferred_by_ems") == "transferred by EMS"
    assert words("participant_left:technologist") == "participant left: technologist"
