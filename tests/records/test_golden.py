"""A recorded file stays what it is: the same history gives the same bytes, and the old file verifies for ever."""

import json
from pathlib import Path

import pytest
import typst

from engine.records import pdf
from engine.records.sheet import sheet
from engine.records.verify import verify_file
from tests.records import stories
from tests.records.driver import KEY
from tests.records.papers.test_pages import read

GOLDEN = Path(__file__).parent / "golden"


def test_the_golden_file_verifies() -> None:
    """A file exported by an earlier version is sound today."""
    assert verify_file((GOLDEN / "severe.json").read_bytes(), [KEY.key_id]).problems == ()


def test_the_same_history_gives_the_same_file() -> None:
    """Today's file of that history is the golden one, byte for byte."""
    assert stories.severe().file() == (GOLDEN / "severe.json").read_bytes()


def test_the_printed_record_shows_what_it_showed() -> None:
    """Every text on the printed record is the golden one."""
    shown = sheet(json.loads((GOLDEN / "severe.json").read_bytes()))

    assert json.loads(json.dumps(shown)) == json.loads((GOLDEN / "severe.sheet.json").read_text("utf-8"))


@pytest.mark.parametrize("story", [stories.severe, stories.uneventful])
def test_the_pdf_is_the_same_bytes_every_time(story: object) -> None:
    """Rendering a file twice gives one PDF, of at most three pages."""
    data = story().file()  # type: ignore[operator]
    made = pdf.render_pdf(data)
    shown = {"record": json.dumps(sheet(json.loads(data)))}
    pages = typst.compile(str(pdf._TEMPLATE), format="svg", sys_inputs=shown, ignore_system_fonts=True)

    assert made == pdf.render_pdf(data)
    assert made.startswith(b"%PDF")
    assert 1 <= (len(pages) if isinstance(pages, list) else 1) <= 3


@pytest.mark.parametrize("story", ["scheduled", "bypass", "erased", "unsealed", "cancelled", "late"], ids=str)
def test_every_kind_of_record_prints(story: str) -> None:
    """A record with little in it, an exception, an erased identity, no seal or a late entry prints all the same."""
    assert pdf.render_pdf(_odd(story)).startswith(b"%PDF")


def _odd(story: str) -> bytes:
    from engine.records.document import codec, folded, render
    from engine.workflows.session import commands as c
    from engine.workflows.session.state import CancelReason
    from tests.records.driver import Driver

    driver = stories.uneventful() if story in ("erased", "late") else Driver()
    if story == "erased":
        driver.protected.clear()
    elif story == "late":
        driver.do(stories.TECHNOLOGIST, c.RecordVitals(heart_rate_bpm=70))
    else:
        stories.scheduled(driver)
        if story == "bypass":
            driver.do(stories.TECHNOLOGIST, c.StartPreparation(), stories.contrast(driver))
        elif story == "cancelled":
            driver.do(stories.TECHNOLOGIST, c.CancelSession(reason=CancelReason.EQUIPMENT))
        elif story == "unsealed":
            stories.prepared(driver)
            stories.answered(driver)
    return render(driver.history, folded(driver.history, codec()))


def test_the_pdf_text_can_be_read_out() -> None:
    """Text, not pictures: names, doses, the gap, the hash and the check's command can be copied from the PDF."""
    data = (GOLDEN / "severe.json").read_bytes()
    text = read(pdf.render_pdf(data))[1]

    for expected in (
        "Müller, Žofia",
        "Ines Okafor, MD",
        "epinephrine · 0.5 mg · 1 mg/mL · 0.5 mL · IM",
        "no packets from physician",
        "DEMO: not a patient record",
        "attend verify record.json",
        json.loads(data)["seal"]["hash"],
    ):
        assert expected in text
