"""A paper is printed whatever letters a name has: what the fonts lack stands as its code point, never as a box."""

import datetime as dt
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reactions import commands as rc
from engine.records import letters
from engine.records.papers.render import MAKERS, paper
from tests.records import stories
from tests.records.papers import cases
from tests.records.papers.cases import REACTION, case
from tests.records.papers.test_pages import read

PRINTED = [
    chr(code)
    for code in range(0x20, 0x3000)
    if letters.spelled(chr(code)) == chr(code) and unicodedata.category(chr(code)) != "Cn"
]
TEMPLATE = '#set text(font: "Libertinus Serif")\n#json(bytes(sys.inputs.document)).words'


def printed(folder: Path, words: str) -> bytes:
    """Return a page with some words as the papers print theirs."""
    (folder / "page.typ").write_text(TEMPLATE)
    inputs = {"document": json.dumps({"words": words}, ensure_ascii=False)}
    return letters.printed(folder / "page.typ", inputs, root=str(folder), pdf_standards="a-2a", timestamp=0)


def test_every_letter_that_stands_as_it_is_can_be_printed(tmp_path: Path) -> None:
    """Latin, Greek, Cyrillic, Hebrew, Arabic and the signs of the papers: more than a thousand of them."""
    assert len(PRINTED) > 1000
    text = read(printed(tmp_path, " ".join(PRINTED)))[1]

    assert "U+" not in text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=40))
def test_whatever_is_told_is_printed(tmp_path_factory: pytest.TempPathFactory, words: str) -> None:
    """Any characters that the contract lets through, alone or together: there is a page."""
    assert printed(tmp_path_factory.mktemp("page"), words).startswith(b"%PDF")


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_patient_with_a_chinese_name_has_every_document(kind: str) -> None:
    """The reaction's papers were not to be had at all: the fonts hold no such letter."""
    driver = cases.severe()
    driver.send(REACTION, stories.TECHNOLOGIST, rc.RecordMedicationGiven(drug="王 \U0001f600", route="PO"))
    made = paper(kind, case(driver))

    assert made.pdf.startswith(b"%PDF")
    if kind == "incident_report":
        assert "王" in made.json.decode()
        assert "[U+738B]" in read(made.pdf)[1]


@pytest.mark.parametrize("year", [1, 9999])
def test_a_time_at_the_end_of_the_calendar_costs_no_paper(year: int) -> None:
    """A dose told for the first or the last day there is: kept, flagged, and printed as told."""
    at = dt.datetime(year, 1 if year == 1 else 12, 1 if year == 1 else 31, tzinfo=dt.UTC)
    driver = cases.severe()
    driver.send(
        REACTION, stories.TECHNOLOGIST, rc.RecordMedicationGiven(drug="oxygen", route="mask", given_at=at)
    )

    assert f"{year:04}" in paper("incident_report", case(driver)).json.decode()
