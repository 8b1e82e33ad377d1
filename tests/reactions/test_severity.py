"""Signs and vital signs to a suggested grade: the worst sign wins, rules only lift it, nothing falls through."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reactions.pack import Sign
from engine.reactions.severity import child_band as band_of
from engine.reactions.severity import classify, hypotension_limit_mmhg, suggest
from engine.reactions.state import Severity, Vitals
from tests.reactions.packs import ACR, CONSENSUS, pack

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
SIGNS = [sign.id for sign in pack(CONSENSUS).signs]


def vitals(
    sbp: int | None = None, hr: int | None = None, spo2: int | None = None, dbp: int | None = None
) -> Vitals:
    return Vitals(at=NOON, systolic_mmhg=sbp, heart_rate_bpm=hr, spo2_percent=spo2, diastolic_mmhg=dbp)


@pytest.mark.parametrize("sign", pack(CONSENSUS).signs, ids=lambda sign: sign.id)
def test_every_sign_alone_gives_at_least_its_own_grade(sign: Sign) -> None:
    """The table's grade; only a sign that meets two letters of rule 1C by itself is lifted, to severe."""
    suggestion = suggest(pack(CONSENSUS), [sign.id])

    assert suggestion.severity == (Severity.SEVERE if len(sign.criterion) > 1 else Severity(sign.severity))
    assert sign.id in suggestion.rules
    assert any(sign.text in reason for reason in suggestion.reasons)


@pytest.mark.parametrize("name", [ACR, CONSENSUS])
def test_two_moderate_signs_in_different_systems_are_severe(name: str) -> None:
    """S-C6, in both packs by decision (c), even with normal vital signs."""
    suggestion = suggest(pack(name), ["S-A2-1", "S-A2-5"], vitals(124, 80, 98), age_years=40)

    assert suggestion.severity is Severity.SEVERE
    assert "S-C6" in suggestion.rules


def test_two_moderate_signs_in_one_system_stay_moderate() -> None:
    """Widespread hives and a swollen face are both skin."""
    assert suggest(pack(), ["S-A2-1", "S-A2-3"]).severity is Severity.MODERATE


def test_throat_tightness_counts_as_upper_airway() -> None:
    """Decision (c): with wheeze it is two systems."""
    assert "S-C6" in suggest(pack(), ["S-A2-4", "S-A2-5"]).rules


def test_a_physiologic_sign_does_not_make_a_second_system() -> None:
    """S-C6 counts hypersensitivity signs only."""
    assert "S-C6" not in suggest(pack(), ["S-A2-1", "S-P2-3"]).rules


@pytest.mark.parametrize(
    ("signs", "measured"),
    [
        (["S-A1-1", "S-A2-5"], None),
        (["S-A1-1", "S-P2-1"], None),
        (["S-A1-1"], vitals(84, 90, 98)),
        (["S-A2-5", "S-P2-1"], None),
        (["S-A3-2"], None),
    ],
)
def test_any_two_of_the_anaphylaxis_rule(signs: list[str], measured: Vitals | None) -> None:
    """1C: skin, breathing, pressure, gut; any two make it anaphylaxis, severe."""
    suggestion = suggest(pack(), signs, measured, age_years=40)

    assert suggestion.severity is Severity.SEVERE
    assert "1C" in suggestion.rules
    assert suggestion.presentations[0] == "anaphylaxis"


def test_one_letter_is_not_anaphylaxis() -> None:
    """Skin alone, even twice, and limited nausea do not fire the rule."""
    assert "1C" not in suggest(pack(), ["S-A1-1", "S-A2-2", "S-P1-1"]).rules


@pytest.mark.parametrize("hr", [45, 60, 80, 100, None])
def test_hypotension_with_an_allergic_sign_is_anaphylaxis_whatever_the_pulse(hr: int | None) -> None:
    """VS-4 and 1D: a slow, normal or unmeasured pulse does not rule it out."""
    suggestion = suggest(pack(), ["S-A1-5"], vitals(84, hr), age_years=40)

    assert suggestion.severity is Severity.SEVERE
    assert "VS-4" in suggestion.rules
    assert "anaphylaxis" in suggestion.presentations


def test_hypotension_with_a_fast_pulse_is_severe_without_any_sign() -> None:
    """The vital signs of anaphylactic shock speak for themselves."""
    suggestion = suggest(pack(), [], vitals(78, 128), age_years=40)

    assert suggestion.severity is Severity.SEVERE
    assert suggestion.rules == ("S-A3-5-VITALS",)
    assert set(suggestion.presentations) == {"anaphylaxis", "hypotension_tachycardia"}


@pytest.mark.parametrize(
    ("hr", "presentation", "word"),
    [
        (45, "hypotension_bradycardia", "vasovagal"),
        (59, "hypotension_bradycardia", "vasovagal"),
        (60, "hypotension", "physician"),
        (100, "hypotension", "physician"),
        (None, "hypotension", "physician"),
    ],
)
def test_hypotension_without_a_sign_never_falls_through(hr: int | None, presentation: str, word: str) -> None:
    """Decision (d): no grade is made up; the row to use and the question to the physician are there."""
    suggestion = suggest(pack(), [], vitals(84, hr), age_years=40)

    assert suggestion.severity is None
    assert suggestion.presentations == (presentation,)
    assert word in suggestion.physician_decides


@pytest.mark.parametrize(
    ("spo2", "severity"), [(91, Severity.SEVERE), (92, Severity.MODERATE), (93, Severity.MODERATE)]
)
def test_wheeze_with_low_oxygen(spo2: int, severity: Severity) -> None:
    """VS-6: below 94 % is flagged, below 92 % severe (proposed limits)."""
    suggestion = suggest(pack(), ["S-A2-5"], vitals(128, 96, spo2), age_years=40)

    assert suggestion.severity is severity
    assert any("VS-6" in reason for reason in suggestion.reasons)


@pytest.mark.parametrize("measured", [vitals(201, 80), vitals(150, 80, None, 121)])
def test_hypertensive_values_alert_on_any_one(measured: Vitals) -> None:
    """VS-5: systolic above 200 or diastolic above 120."""
    suggestion = suggest(pack(), [], measured, age_years=40)

    assert suggestion.presentations == ("hypertensive_crisis",)
    assert suggestion.physician_decides


@pytest.mark.parametrize(
    ("sbp", "hr", "low", "slow", "fast"),
    [
        (90, 60, False, False, False),
        (89, 59, True, True, False),
        (90, 100, False, False, False),
        (89, 101, True, False, True),
    ],
)
def test_adult_limits_are_strict(sbp: int, hr: int, low: bool, slow: bool, fast: bool) -> None:
    """VS-1 to VS-3 at the limit and one past it."""
    found = classify(pack(), vitals(sbp, hr), age_years=18)

    assert (found.hypotension, found.bradycardia, found.tachycardia) == (low, slow, fast)


@pytest.mark.parametrize(
    ("age", "days", "limit", "low", "high"),
    [
        (0, 28, 60, 100, 205),
        (0, 29, 70, 100, 180),
        (0, None, 70, 100, 180),
        (1, None, 72, 98, 140),
        (2, None, 74, 98, 140),
        (3, None, 76, 80, 120),
        (5, None, 80, 80, 120),
        (6, None, 82, 75, 118),
        (9, None, 88, 75, 118),
        (10, None, 90, 75, 118),
        (11, None, 90, 75, 118),
        (12, None, 90, 60, 100),
        (17, None, 90, 60, 100),
    ],
)
def test_child_bands(age: int, days: int | None, limit: int, low: int, high: int) -> None:
    """5B: every band at its limits and one past them."""
    band = band_of(pack(), age, days)
    assert band is not None
    at = classify(pack(), vitals(limit, low), age_years=age, age_days=days)
    below = classify(pack(), vitals(limit - 1, low - 1), age_years=age, age_days=days)
    above = classify(pack(), vitals(limit, high + 1), age_years=age, age_days=days)

    assert hypotension_limit_mmhg(band, age) == limit
    assert (at.hypotension, at.bradycardia, at.tachycardia) == (False, False, False)
    assert (below.hypotension, below.bradycardia) == (True, True)
    assert (above.tachycardia, above.bradycardia) == (True, False)


@pytest.mark.parametrize(
    ("days", "band"), [(None, "5B-2"), (0, "5B-1"), (10, "5B-1"), (11, "5B-2"), (28, "5B-2")]
)
def test_where_the_newborn_band_ends_is_the_packs(days: int | None, band: str) -> None:
    """Row 5B-1 says to which day it holds; the code has no day of its own."""
    bands = tuple(replace(row, max_age_days=row.max_age_days and 10) for row in pack().child_bands)
    found = band_of(replace(pack(), child_bands=tuple(reversed(bands))), 0, days)

    assert found is not None
    assert found.id == band


def test_what_was_not_measured_is_unknown_and_not_normal() -> None:
    """None is not False."""
    found = classify(pack(), vitals(), age_years=40)

    assert (found.hypotension, found.tachycardia, found.hypoxia_severe) == (None, None, None)


def test_an_unknown_age_uses_only_limits_that_hold_at_any_age() -> None:
    """No adult limit is applied to what may be an infant."""
    found = classify(pack(), vitals(85, 120, 90), age_years=None)

    assert (found.hypotension, found.tachycardia, found.hypoxia_severe) == (None, None, True)


def test_a_sign_that_the_pack_does_not_know_is_named() -> None:
    """It is not dropped in silence."""
    suggestion = suggest(pack(), ["S-NEW"])

    assert suggestion.severity is None
    assert "S-NEW" in suggestion.reasons[0]
    assert suggestion.physician_decides


def test_nothing_seen_suggests_nothing() -> None:
    """No sign and normal vital signs."""
    suggestion = suggest(pack(), [], vitals(120, 80, 98), age_years=40)

    assert (suggestion.severity, suggestion.rules, suggestion.physician_decides) == (None, (), "")


@given(signs=st.lists(st.sampled_from(SIGNS), max_size=8), more=st.sampled_from(SIGNS))
def test_another_sign_never_lowers_the_suggestion(signs: list[str], more: str) -> None:
    """The grade is monotone in the signs, and their order does not matter."""
    before = suggest(pack(CONSENSUS), signs)
    after = suggest(pack(CONSENSUS), [more, *signs])

    assert after.severity is not None
    assert before.severity is None or after.severity.rank >= before.severity.rank
    assert suggest(pack(CONSENSUS), reversed(signs)).severity == before.severity
