"""What a suggestion rests on: which rules fire and which do not, in what order paths are offered, what is left open."""

from dataclasses import replace

import pytest

from engine.reactions.severity import UNCONSCIOUS, classify, suggest
from engine.reactions.state import Severity
from tests.reactions.packs import ACR, CONSENSUS, pack
from tests.reactions.test_severity import vitals
from tests.reactions.test_steps import other

HIVES, WIDE_HIVES, THROAT, WHEEZE, BAD_WHEEZE = "S-A1-1", "S-A2-1", "S-A2-4", "S-A2-5", "S-A3-4"


@pytest.mark.parametrize("name", [ACR, CONSENSUS])
@pytest.mark.parametrize(
    ("signs", "fires"),
    [
        ([WIDE_HIVES, WHEEZE], True),
        ([WIDE_HIVES, WHEEZE, THROAT], True),
        ([HIVES, WHEEZE], False),
        ([WIDE_HIVES, BAD_WHEEZE], False),
        ([WIDE_HIVES], False),
    ],
)
def test_two_moderate_systems_or_more_are_severe_and_other_grades_do_not_count(
    name: str, signs: list[str], fires: bool
) -> None:
    """S-C6 counts moderate signs: three systems are enough, a mild or a severe one is no second."""
    assert ("S-C6" in suggest(pack(name), signs).rules) is fires


@pytest.mark.parametrize(
    ("signs", "sbp", "fires"),
    [
        ([WIDE_HIVES, WHEEZE], 120, True),
        ([WIDE_HIVES, WHEEZE], 80, True),
        ([WIDE_HIVES], 80, True),
        ([WIDE_HIVES], 120, False),
        ([], 80, False),
    ],
)
def test_two_letters_or_more_are_anaphylaxis(signs: list[str], sbp: int, fires: bool) -> None:
    """1C: any two of the four, and three as well."""
    found = suggest(pack(), signs, vitals(sbp, 80, 98), age_years=40)

    assert ("1C" in found.rules) is fires
    assert ("anaphylaxis" in found.presentations) is fires


@pytest.mark.parametrize("sign", ["S-P1-1", "S-X3-2"])
@pytest.mark.parametrize(("hr", "path"), [(80, "hypotension"), (50, "hypotension_bradycardia")])
def test_only_an_allergic_like_sign_makes_low_pressure_anaphylaxis(sign: str, hr: int, path: str) -> None:
    """VS-4 and decision (d): nausea does not, nor does a sign that may be either."""
    found = suggest(pack(), [sign], vitals(80, hr, 98), age_years=40)

    assert "VS-4" not in found.rules
    assert path in found.presentations and "anaphylaxis" not in found.presentations
    assert found.physician_decides


@pytest.mark.parametrize("signs", [[HIVES, BAD_WHEEZE], [BAD_WHEEZE, HIVES], [WIDE_HIVES, BAD_WHEEZE]])
def test_the_worst_sign_comes_first_and_is_the_one_named(signs: list[str]) -> None:
    """Whatever was tapped first; a milder sign is no reason for the grade."""
    found = suggest(pack(), signs)

    assert [name for name in found.presentations if name != "anaphylaxis"] == ["bronchospasm", "hives"]
    assert BAD_WHEEZE in found.rules and HIVES not in found.rules
    assert found.severity is Severity.SEVERE


@pytest.mark.parametrize(
    ("hr", "words"),
    [
        (60, "slow"),
        (79, "slow"),
        (80, ""),
        (81, ""),
        (100, ""),
        (119, ""),
        (120, ""),
        (121, "fast"),
        (180, "fast"),
    ],
)
def test_a_childs_pulse_is_slow_or_fast_beyond_its_band(hr: int, words: str) -> None:
    """5B-4: the band's ends are normal, and the words say which side."""
    found = classify(pack(), vitals(110, hr, 98), age_years=4)

    assert (found.bradycardia, found.tachycardia) == (words == "slow", words == "fast")
    assert [why.partition(" pulse")[0] for why in found.reasons] == ([words] if words else [])
    assert found.rows == (("5B-4",) if words else ())


@pytest.mark.parametrize("words", [str, other])
def test_low_oxygen_names_its_own_row_alone(words: object) -> None:
    """VS-6, not the flag above it and no other limit that was passed."""
    limits = tuple(replace(row, finding=words(row.finding)) for row in pack().thresholds)  # type: ignore[operator]
    found = suggest(replace(pack(), thresholds=limits), [], vitals(210, 120, 90, 130), age_years=40)

    assert found.rules == ("VS-6",)
    assert found.severity is Severity.SEVERE
    assert "oxygen a little low" not in found.physician_decides


@pytest.mark.parametrize(
    ("signs", "measured", "left"),
    [
        ([], (220, 80, 98, 80), "very high pressure: severe with end-organ symptoms, moderate without"),
        (
            ["S-P1-1"],
            (220, 80, 98, 80),
            "very high pressure: severe with end-organ symptoms, moderate without",
        ),
        ([BAD_WHEEZE], (220, 80, 98, 80), ""),
        ([], (120, 80, 93, 80), "oxygen a little low: watch it"),
        ([], (120, 80, 94, 80), ""),
        ([], (120, 80, 91, 80), ""),
        ([], (120, 130, 98, 80), "abnormal vital signs without a sign: the physician grades"),
        ([HIVES], (120, 130, 98, 80), ""),
        ([], (120, 80, 98, 80), ""),
    ],
)
def test_what_no_row_decides_is_said_and_nothing_else(
    signs: list[str], measured: tuple[int, int, int, int], left: str
) -> None:
    """Each open question where it is open, and not where a rule has answered it."""
    sbp, hr, spo2, dbp = measured

    assert suggest(pack(), signs, vitals(sbp, hr, spo2, dbp), age_years=40).physician_decides == left


@pytest.mark.parametrize(("conscious", "said"), [(None, False), (True, False), (False, True)])
def test_only_who_is_not_conscious_is_said_to_be(conscious: bool | None, said: bool) -> None:
    """T-A-ARR and T-C-ARR begin with it; not told is not gone."""
    found = suggest(pack(), [], replace(vitals(120, 80, 98), conscious=conscious), age_years=40)

    assert (UNCONSCIOUS in found.physician_decides) is said


def test_an_adult_is_judged_by_the_adults_limits_alone() -> None:
    """The last child band has no end, and is no adult's."""
    found = classify(pack(), vitals(80, 120, 98), age_years=40)

    assert found.rows == ("VS-1", "VS-3")
    assert (found.hypotension, found.tachycardia, len(found.reasons)) == (True, True, 2)
