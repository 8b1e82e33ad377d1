"""The shipped packs pass the pharmacist's lint, and each of its rules has a pack that breaks it."""

import pytest

from engine.reactions.lint import CHECKS, lint
from tests.reactions.packs import ACR, CONSENSUS, pack, with_row_changed

ADULT, CHILD = f"{ACR}/drugs-adult.toml", f"{ACR}/drugs-child.toml"
TREAT_ADULT, TREAT_CHILD = f"{ACR}/treatment-adult.toml", f"{ACR}/treatment-child.toml"
HEAD, LIMITS = f"{ACR}/pack.toml", f"{ACR}/thresholds.toml"

BROKEN = [
    (
        "citation",
        ADULT,
        "A-FEX",
        'citation = "ACR Manual on Contrast Media 2026, Table 3 (adults)"',
        'citation = " "',
    ),
    ("ratio_label", ADULT, "A-EPI-IM", 'note = "The', 'note = "Also sold as 1:1,000. The'),
    ("ratio_label", ADULT, "A-EPI-IV", 'rate = "slowly', 'rate = "1 : 10 000, slowly'),
    ("number_form", ADULT, "A-EPI-IM", 'note = "The', 'note = "Give 1.0 mg. The'),
    ("number_form", ADULT, "A-EPI-IM", 'note = "The', 'note = "Give .3 mg. The'),
    ("unit_form", ADULT, "A-ALB", "90 mcg", "90 µg"),
    ("placeholder", ADULT, "A-FEX", 'caution = "Less', 'caution = "{name}: less'),
    ("complete", ADULT, "A-EPI-IM", 'form = "injection"', 'form = " "'),
    ("complete", ADULT, "A-NS", "amount = 1000\n", ""),
    ("volume", ADULT, "A-EPI-IM", "volume_ml = 0.3", "volume_ml = 3"),
    ("volume", ADULT, "A-EPI-IV", "max_cumulative_ml = 10", "max_cumulative_ml = 1"),
    ("volume", CHILD, "C-EPI-IV", "volume_ml_per_kg = 0.1", "volume_ml_per_kg = 0.01"),
    ("volume", ADULT, "A-DPH.IV", "concentration_mg_per_ml = 50\n", ""),
    ("caps", ADULT, "A-EPI-IM", "dose_mg = 0.3\n", "dose_mg = 0.5\n"),
    ("caps", ADULT, "A-ATR", "max_cumulative_mg = 3", "max_cumulative_mg = 0.9"),
    ("caps", ADULT, "A-ALB", "max_cumulative_mg = 0.54", "max_cumulative_mg = 5.4"),
    ("caps", CHILD, "C-ATR", "min_single_mg = 0.1", "min_single_mg = 1"),
    ("caps", CHILD, "C-GLG.IM", "max_single_mg = 1", "max_single_mg = 0.6"),
    ("interval", ADULT, "A-EPI-IM", "repeat_max_s = 900", "repeat_max_s = 90"),
    ("interval", ADULT, "A-NTG", "repeat_min_s = 300\nrepeat_max_s = 600\n", ""),
    ("fresh_order", ADULT, "A-EPI-IV", "fresh_order = true\n", ""),
    ("fresh_order", ADULT, "A-EPI-IV", "fresh_order = true\n", "fresh_order = true\nrepeat_min_s = 180\n"),
    ("fresh_order", CHILD, "C-EPI-IV", 'read_back = "0.1 mg/mL"\n', ""),
    ("look_alike", HEAD, "X-11", 'drug = "epinephrine"', 'drug = "adrenaline"'),
    ("look_alike", ADULT, "A-MP", 'drug = "methylprednisolone"', 'drug = "hydrocortisome"'),
    ("child_cap", CHILD, "C-MP", "max_single_mg = 40\n", ""),
    ("child_cap", CHILD, "C-FLU", "max_single_amount = 1000\n", ""),
    ("child_above_adult", CHILD, "C-EPI-IM", "max_single_mg = 0.30", "max_single_mg = 0.5"),
    ("child_above_adult", CHILD, "C-FLU", "max_single_amount = 1000", "max_single_amount = 1500"),
    (
        "first_drug",
        TREAT_ADULT,
        "T-A-ANA",
        '{ row = "A-EPI-IM" },\n',
        '{ row = "A-DPH.IM" },\n    { row = "A-EPI-IM" },\n',
    ),
    ("first_drug", TREAT_CHILD, "T-C-HYP-B", '{ row = "C-ATR" }', '{ row = "C-EPI-IM" }'),
    ("call", TREAT_ADULT, "T-A-BRO-1", 'level = "consider"', 'level = "none"'),
    ("step", TREAT_ADULT, "T-A-HYP-T", 'kind = "call"', 'kind = "drug"'),
    ("child_band", LIMITS, "5B-4", "from_years = 3", "from_years = 4"),
    ("child_band", LIMITS, "5B-1", "max_age_days = 28\n", ""),
]


@pytest.mark.parametrize("name", [ACR, CONSENSUS])
def test_the_shipped_packs_have_no_finding(name: str) -> None:
    """What ships may be put up for signing."""
    assert lint(pack(name)) == ()


@pytest.mark.parametrize(
    ("rule", "file", "row_id", "old", "new"),
    BROKEN,
    ids=[f"{case[0]}-{case[2]}-{n}" for n, case in enumerate(BROKEN)],
)
def test_a_broken_row_is_found(rule: str, file: str, row_id: str, old: str, new: str) -> None:
    """One change, and the rule that a pharmacist would name."""
    findings = lint(with_row_changed(file, row_id, old, new))

    assert rule in {finding.rule for finding in findings}


def test_a_standing_order_for_anything_else_is_found() -> None:
    """Decision (i): only IM epinephrine for anaphylaxis."""
    broken = with_row_changed(
        TREAT_ADULT,
        "T-A-HYP-B",
        'condition = "if still symptomatic after position and fluid"',
        'condition = "if still symptomatic after position and fluid"\nstanding_order = true',
    )

    assert [finding.rule for finding in lint(broken)] == ["standing_order"]


def test_every_check_has_a_sentence() -> None:
    """The lint reads as the list a pharmacist would write."""
    assert all(check.__doc__ for check in CHECKS)
