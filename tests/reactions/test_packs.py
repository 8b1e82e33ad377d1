"""Packs load whole or not at all: the schema names file, row and field; inheritance and the hash are exact."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.errors import Invalid, Missing
from engine.reactions.lint import lint
from engine.reactions.pack import content_hash
from engine.reactions.reading import parse_packs
from engine.reactions.resolve import Situation, resolve_protocol
from engine.reactions.shown import shown
from engine.reactions.state import Severity
from tests.reactions.packs import (
    ACR,
    CONSENSUS,
    changed,
    changed_texts,
    pack,
    texts,
    with_row_changed,
)

DRUGS = f"{ACR}/drugs-adult.toml"
HEAD = f"{ACR}/pack.toml"

BROKEN = [
    ("dose_mg = 0.3\n", "dose_mg = true\n", f"{DRUGS} A-EPI-IM dose_mg"),
    ("dose_mg = 0.3\n", 'dose_mg = "much"\n', f"{DRUGS} A-EPI-IM dose_mg"),
    ("dose_mg = 0.3\n", 'dose_mg = "0.3"\n', f"{DRUGS} A-EPI-IM dose_mg"),
    ('route = "IM"\n', 'route = "IMM"\n', f"{DRUGS} A-EPI-IM route"),
    ("dose_mg = 0.3\n", "dose_mg = -0.3\n", f"{DRUGS} A-EPI-IM"),
    ("dose_mg = 0.3\n", "dose_mg = nan\n", f"{DRUGS} A-EPI-IM"),
    ("max_single_mg = 0.3\n", "max_singel_mg = 0.3\n", f"{DRUGS} A-EPI-IM max_singel_mg"),
    ('evidence = "D2"\n', 'evidence = "D3"\n', f"{DRUGS} A-EPI-IM evidence"),
    ('route = "IM"\n', "", f"{DRUGS} A-EPI-IM route"),
    ('id = "A-EPI-IM"', 'id = "A EPI IM"', f"{DRUGS} A EPI IM id"),
    ('id = "A-EPI-IM"', 'id = "A-EPI-AI"', f"{DRUGS} A-EPI-AI id"),
    ("dose_mg = 0.3\n", "dose_mg = 0.3\ndose_mg_per_kg = 0.01\n", f"{DRUGS} A-EPI-IM dose_mg_per_kg"),
    ('{ site = "V" }', '{ sight = "V" }', f"{DRUGS} A-EPI-IM evidence_of.sight"),
    ('{ site = "V" }', '{ site = "W" }', f"{DRUGS} A-EPI-IM evidence_of[...]"),
    ("[[drug]]", "[[drugs]]", f"{DRUGS} drugs"),
    ("[[drug]]", "[drug]", f"{DRUGS}"),
]


@pytest.mark.parametrize(("old", "new", "place"), BROKEN)
def test_a_broken_row_does_not_load_and_says_where(old: str, new: str, place: str) -> None:
    """The error's field reads file, row, field."""
    with pytest.raises(Invalid) as refused:
        changed(DRUGS, old, new)

    assert refused.value.field == place


@pytest.mark.parametrize(
    ("file", "old", "new", "place"),
    [
        (HEAD, 'version = "2026.1"\n', "", f"{HEAD} pack version"),
        (HEAD, 'id = "acr-2026"', 'id = "acr"', f"{HEAD} pack id"),
        (HEAD, 'title = "Acute', 'owner = "x"\ntitle = "Acute', f"{HEAD} pack owner"),
        (HEAD, "[pack]", "[packet]", f"{HEAD} packet"),
        (f"{ACR}/thresholds.toml", 'unit = "mmHg"', 'unit = "kPa"', f"{ACR}/thresholds.toml VS-1 unit"),
        (f"{ACR}/thresholds.toml", 'unit = "mmHg"', 'unit = "1/min"', f"{ACR}/thresholds.toml VS-1 unit"),
        (HEAD, "step_ml = 0.1\n", "step_ml = 0.1\nup_to_ml = 5\n", f"{HEAD} syringe_mark"),
        (HEAD, 'name = "adult_from_years"', 'name = "vitals_recheck_s"', f"{HEAD} value"),
        (HEAD, '{ row = "A-O2" }', '{ row = "A-O3" }', f"{HEAD} BASE BASE.2 choices"),
        (HEAD, '{ row = "A-O2" }', '{ rows = "A-O2" }', f"{HEAD} BASE BASE.2 choices rows"),
        (
            f"{ACR}/treatment-adult.toml",
            '{ row = "A-DPH.PO" }',
            '{ row = "C-DPH.PO" }',
            f"{ACR}/treatment-adult.toml T-A-HIV-1 T-A-HIV-1.2 choices",
        ),
        (
            f"{ACR}/treatment-adult.toml",
            'sets = ["STOP"]',
            'sets = ["STOPP"]',
            f"{ACR}/treatment-adult.toml T-A-HIV-1 sets",
        ),
        (
            f"{ACR}/treatment-adult.toml",
            'id = "T-A-HIV-1.2"',
            'id = "T-A-HIV-1.1"',
            f"{ACR}/treatment-adult.toml T-A-HIV-1 T-A-HIV-1.1",
        ),
        (
            f"{CONSENSUS}/pack.toml",
            'replaces = "A-EPI-IM"',
            'replaces = "A-EPI-XX"',
            f"{CONSENSUS}/pack.toml A-EPI-IM-CONS replaces",
        ),
        (
            f"{CONSENSUS}/pack.toml",
            'replaces = "A-EPI-IM"',
            'replaces = "S-A1-1"',
            f"{CONSENSUS}/pack.toml A-EPI-IM-CONS replaces",
        ),
        (
            f"{CONSENSUS}/pack.toml",
            'inherits = "acr-2026"',
            'inherits = "acr-1999"',
            f"{CONSENSUS}/pack.toml inherits",
        ),
        (
            f"{CONSENSUS}/pack.toml",
            'inherits = "acr-2026"',
            'inherits = "acr-aaaai-2025"',
            f"{CONSENSUS}/pack.toml inherits",
        ),
    ],
)
def test_a_broken_pack_does_not_load_and_says_where(file: str, old: str, new: str, place: str) -> None:
    """Headers, references and inheritance are part of the schema."""
    with pytest.raises(Invalid) as refused:
        parse_packs(changed_texts(file, old, new))

    assert refused.value.field == place


def test_text_that_is_not_toml_names_the_file() -> None:
    """The reader's message says the line."""
    with pytest.raises(Invalid) as refused:
        parse_packs({**texts(), DRUGS: "[[drug]\n"})

    assert refused.value.field == DRUGS


def test_a_pack_without_a_header_and_a_file_without_a_folder_are_refused() -> None:
    """A folder is a pack and its header is in one of its files."""
    with pytest.raises(Invalid, match="header"):
        parse_packs({"lonely/drugs.toml": texts()[DRUGS]})
    with pytest.raises(Invalid, match="pack id"):
        parse_packs({"drugs.toml": texts()[DRUGS]})


def test_a_number_is_kept_exactly_as_written() -> None:
    """0.3 is three tenths, not the nearest binary fraction."""
    assert pack().drug("A-EPI-IM").dose_mg == Decimal("0.3")


def test_the_consensus_pack_changes_only_what_it_states() -> None:
    """Decision (a): IM epinephrine for adults, S-C6 and the matrix 6D; the rest of its own are signs."""
    own, inherited = pack(CONSENSUS), pack(ACR)
    theirs = {row.id: row for row in inherited.rows()}
    mine = {row.id: row for row in own.rows()}

    assert {row_id for row_id in theirs if row_id not in mine} == {"A-EPI-IM"}
    changed_rows = {row_id for row_id in theirs if row_id in mine and mine[row_id] != theirs[row_id]}
    assert changed_rows == {"S-C6", *(f"6D-{number}" for number in range(1, 8))}
    assert {row_id for row_id in mine if row_id not in theirs and not row_id.startswith("S-C")} == {
        "A-EPI-IM-CONS",
        "A-EPI-IM-FIXED",
    }
    theirs_fixed, fixed = inherited.drug("A-EPI-IM"), own.drug("A-EPI-IM-FIXED")
    same = ("dose_mg", "volume_ml", "max_single_mg", "max_cumulative_mg", "repeat_min_s", "repeat_max_s")
    assert [getattr(fixed, name) for name in same] == [getattr(theirs_fixed, name) for name in same]
    assert own.drug("A-EPI-IM").id == "A-EPI-IM-CONS"
    assert own.drug("C-EPI-IM") == inherited.drug("C-EPI-IM")


def test_the_hash_covers_every_row_and_not_the_file_layout() -> None:
    """Moving rows to another file keeps the hash, changing one number changes it."""
    merged = {name: text for name, text in texts().items() if name != f"{ACR}/after.toml"}
    merged[HEAD] = f"{merged[HEAD]}\n{texts()[f'{ACR}/after.toml']}"
    other = with_row_changed(DRUGS, "A-EPI-IM", "repeat_min_s = 300", "repeat_min_s = 301")

    assert parse_packs(merged)[ACR].hash == pack().hash
    assert other.hash != pack().hash
    assert content_hash(replace(pack(), hash="")) == pack().hash
    assert re.fullmatch(r"[0-9a-f]{64}", pack().hash)


def test_a_change_of_the_parent_changes_the_child_too() -> None:
    """A pack is signed as resolved."""
    other = with_row_changed(DRUGS, "A-ATR", "max_cumulative_mg = 3", "max_cumulative_mg = 2", name=CONSENSUS)

    assert other.hash != pack(CONSENSUS).hash


def test_every_row_has_its_source_and_an_empty_reviewer() -> None:
    """Citation and tag are there; nobody has signed anything yet."""
    for name in (ACR, CONSENSUS):
        for row in pack(name).rows():
            assert row.citation
            assert row.evidence
            assert row.reviewer == ""


def test_a_row_that_is_not_there_is_missing() -> None:
    """Lookups never return a neighbour."""
    for look in (pack().drug, pack().sign, pack().step_set, pack().value):
        with pytest.raises(Missing):
            look("NOT-THERE")


FILES = sorted(texts())
WRITTEN = st.sampled_from(
    [
        "true",
        '"x"',
        '""',
        '""" """',
        "-1",
        "0",
        "nan",
        "1e400",
        "[]",
        "[1]",
        "{}",
        "[{}]",
        '[["a"]]',
        "1979-05-27",
    ]
)


@settings(max_examples=80, deadline=None)
@given(file=st.sampled_from(FILES), place=st.integers(0, 10_000), written=st.none() | WRITTEN)
def test_a_damaged_file_is_refused_with_its_place_or_read_and_linted(
    file: str, place: int, written: str | None
) -> None:
    """A line lost or a value of another kind never ends in anything but a pack or a named refusal."""
    lines = texts()[file].split("\n")
    at = place % len(lines)
    if written is None or " = " not in lines[at]:
        del lines[at]
    else:
        lines[at] = f"{lines[at].partition(' = ')[0]} = {written}"
    try:
        damaged = parse_packs({**texts(), file: "\n".join(lines)})
    except Invalid as refused:
        assert refused.field
        return

    for one in damaged.values():
        assert all(finding.row_id and finding.sentence for finding in lint(one))
        for presentation in one.presentations:
            child = Situation(
                presentation=presentation, severity=Severity.SEVERE, age_years=6, weight_kg=Decimal(20)
            )
            assert shown(one, child, resolve_protocol(one, child))["steps"]
