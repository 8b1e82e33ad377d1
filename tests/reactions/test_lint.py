"""The shipped packs pass the pharmacist's lint, and each of its rules has a pack that breaks it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.reactions import lint as lint_module
from engine.reactions import lint_care
from engine.reactions.lint import CHECKS, lint
from tests.reactions.packs import ACR, CONSENSUS, pack, with_row_changed

ADULT, CHILD = f"{ACR}/drugs-adult.toml", f"{ACR}/drugs-child.toml"
TREAT_ADULT, TREAT_CHILD = f"{ACR}/treatment-adult.toml", f"{ACR}/treatment-child.toml"
MORE_ADULT = f"{ACR}/treatment-adult-more.toml"
AGAIN, SCREEN, KIT = f"{ACR}/reexposure.toml", f"{ACR}/screening.toml", f"{ACR}/kit.toml"
CONS = f"{CONSENSUS}/pack.toml"
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
    ("slips", ADULT, "A-EPI-IM", "repeat_min_s = 300", "repeat_min_s = 5"),
    (
        "slips",
        CHILD,
        "C-EPI-IM",
        "dose_mg_per_kg = 0.01\nvolume_ml_per_kg = 0.01",
        "dose_mg_per_kg = 0.1\nvolume_ml_per_kg = 0.1",
    ),
    ("slips", CHILD, "C-DPH.PO", "dose_mg_per_kg = 1\n", "dose_mg_per_kg = 0.1\n"),
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
    ("ratio_label", ADULT, "A-EPI-IV", 'citation = "ACR', 'citation = "1:10,000; ACR'),
    (
        "first_drug",
        TREAT_ADULT,
        "T-A-ANA",
        '{ row = "A-EPI-IM" },\n',
        '{ row = "A-DPH.IM" },\n    { row = "A-EPI-IM" },\n',
    ),
    ("first_drug", TREAT_CHILD, "T-C-HYP-B", '{ row = "C-ATR" }', '{ row = "C-EPI-IM" }'),
    ("first_drug", MORE_ADULT, "T-A-ERY-H", 'kind = "drug"', 'kind = "action"'),
    ("call", TREAT_ADULT, "T-A-BRO-1", 'level = "consider"', 'level = "none"'),
    ("call", MORE_ADULT, "T-A-GLY", 'evidence_of = { calls = "UNSURE" }\n', ""),
    (
        "child_above_adult",
        CHILD,
        "C-EPI-ARREST",
        "max_single_mg = 1\nmax_single_ml = 10",
        "max_single_mg = 2",
    ),
    ("step", TREAT_ADULT, "T-A-HYP-T", 'kind = "call"', 'kind = "drug"'),
    ("child_band", LIMITS, "5B-4", "from_years = 3", "from_years = 4"),
    ("child_band", LIMITS, "5B-1", "max_age_days = 28\n", ""),
    ("volume_gate", f"{ACR}/extravasation.toml", "E-5", "whatever the volume", "above 100 mL"),
    ("volume_gate", f"{ACR}/extravasation.toml", "E-5-2", "a tense", "50 mL, or a tense"),
    ("child_cap", AGAIN, "PM-8", "max_single_mg = 200\n", ""),
    ("caps", AGAIN, "PM-7", "dose_max_mg_per_kg = 0.7", "dose_max_mg_per_kg = 0.3"),
    ("interval", AGAIN, "PM-5", "now = true\n", ""),
    ("agent", AGAIN, "6F-ICM-C", 'switch_to = ["B"]', 'switch_to = ["C"]'),
    ("agent", SCREEN, "7F-GADOBUTROL", 'nsf_group = "II"', 'nsf_group = "I"'),
    ("volume", SCREEN, "7F-GADOTERATE", "dose_ml_per_kg = 0.2", "dose_ml_per_kg = 0.1"),
    ("egfr_band", SCREEN, "7B-3", "egfr_from = 30", "egfr_from = 31"),
    ("egfr_band", SCREEN, "7B-4", "egfr_below = 30", "egfr_from = 0\negfr_below = 30"),
    ("egfr_band", SCREEN, "7B-2", "egfr_from = 45", "egfr_from = 45\negfr_below = 90"),
    ("egfr_band", SCREEN, "7D-I", "egfr_from = 30", "egfr_from = 45"),
    ("metformin", SCREEN, "7D-II", "recheck_kidneys = true\n", ""),
    ("screening", SCREEN, "R-8", 'asks = ["thyroid"]\n', ""),
    ("screening", SCREEN, "R-12", 'topic = "access"\n', ""),
    ("screening", SCREEN, "R-7", 'decided_in = "pregnancy"\n', ""),
    ("screening", SCREEN, "7B-6", 'state = "dialysis_residual"', 'state = "dialysis_anuric"'),
    ("screening", SCREEN, "7D-GBCA", 'contrast_class = "gadolinium"', 'contrast_class = "iodinated"'),
    (
        "screening",
        SCREEN,
        "7E-3",
        'contrast_classes = ["iodinated", "gadolinium"]',
        'contrast_classes = ["iodinated"]',
    ),
    ("screening", AGAIN, "6D-GBCA-SEVERE", 'history = "severe"', 'history = "moderate"'),
    ("kit", KIT, "K-5", 'drugs = ["albuterol"]', 'drugs = ["salbutamol"]'),
    ("kit", KIT, "K-13", "checked = true\n", ""),
    ("kit", KIT, "K-6", "expires = true\n", ""),
    ("without_weight", CONS, "A-EPI-IM-CONS", 'without_weight = "A-EPI-IM-FIXED"\n', ""),
    ("without_weight", CONS, "A-EPI-IM-CONS", '"A-EPI-IM-FIXED"', '"A-EPI-IV"'),
    ("without_weight", CONS, "A-EPI-IM-CONS", "max_single_mg = 0.5", "max_single_mg = 0.2"),
]
# Where a finding names a step, or the neighbour of the row that was broken.
NAMED = {
    ("step", "T-A-HYP-T"): "T-A-HYP-T.2",
    ("child_band", "5B-4"): "5B-3",
    ("child_band", "5B-1"): "child_band",
    ("volume_gate", "E-5"): "E-5.1",
    ("egfr_band", "7B-3"): "7B-3",
    ("screening", "R-8"): "risk_factor",
    ("screening", "R-12"): "risk_factor",
    ("screening", "R-7"): "risk_factor",
    ("screening", "7B-6"): "kidney_rule",
    ("screening", "7D-GBCA"): "metformin_rule",
    ("screening", "7E-3"): "pregnancy_rule",
    ("screening", "6D-GBCA-SEVERE"): "reexposure",
    ("look_alike", "X-11"): "A-EPI-IM",
    ("look_alike", "A-MP"): "A-HC",
}


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
    """One change, and the rule that a pharmacist would name, with the row."""
    findings = lint(with_row_changed(file, row_id, old, new, name=file.partition("/")[0]))

    assert (rule, NAMED.get((rule, row_id), row_id)) in {
        (finding.rule, finding.row_id) for finding in findings
    }


def test_a_kit_without_epinephrine_that_counts_is_found() -> None:
    """Epinephrine takes READY away when it is missing."""
    items = tuple(replace(item, blocks_ready=False) for item in pack().kit_items)

    assert "kit" in {finding.rule for finding in lint(replace(pack(), kit_items=items))}


def test_a_standing_order_for_anything_else_is_found() -> None:
    """Decision (i): only IM epinephrine for anaphylaxis."""
    broken = with_row_changed(
        TREAT_ADULT,
        "T-A-HYP-B",
        'condition = "if still symptomatic after position and fluid"',
        'condition = "if still symptomatic after position and fluid"\nstanding_order = true',
    )

    assert [finding.rule for finding in lint(broken)] == ["standing_order"]


def test_every_rule_has_a_pack_that_breaks_it() -> None:
    """A rule without a planted breach could be asleep."""
    source = "".join(Path(module.__file__ or "").read_text("utf-8") for module in (lint_module, lint_care))

    assert set(re.findall(r'rule="(\w+)"', source)) == {case[0] for case in BROKEN} | {"standing_order"}


def test_every_check_has_a_sentence() -> None:
    """The lint reads as the list a pharmacist would write."""
    assert all(check.__doc__ for check in CHECKS)
