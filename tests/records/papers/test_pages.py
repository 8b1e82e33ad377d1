"""The four documents as PDF/A: they open, the words can be read out, the handover is one page whatever happened."""

import json
import re
from functools import cache

import pypdfium2
import pytest

from engine.kernel.canonical import digest
from engine.kernel.ids import Stream
from engine.reactions.commands import RecordMedicationGiven, RecordSigns, RecordVitals
from engine.records.papers.render import MAKERS, Paper, paper
from tests.reactions.packs import pack
from tests.records import stories
from tests.records.papers.cases import CALL_BACKS, CASES, REACTION, case

PAGES = {"incident_report": 3, "discharge_summary": 1, "allergy_update": 1, "ems_handover": 1}
SAYS = {
    ("severe", "incident_report"): (
        "REACTION pressed",
        "Epinephrine, dose 2",
        "FDA MedWatch",
        "0.6 mg in 2 doses",
    ),
    ("severe", "discharge_summary"): ("iohexol", "trouble breathing", "72 hours", "visit to an allergist"),
    ("severe", "allergy_update"): ("Store: iohexol, allergic-like reaction, severe.", "anaphylactic shock"),
    ("severe", "ems_handover"): (
        "Müller, Žofia",
        "72.5 kg",
        "epinephrine · 0.3 mg · 1 mg/mL · 0.3 mL · IM",
        "Second wave possible",
        "Ines Okafor, MD",
        CALL_BACKS["phys-1"],
        "door C, ground floor",
        "DEMO: not a patient record",
    ),
    ("child", "ems_handover"): ("6 years", "20 kg", "albuterol"),
    ("physiologic", "allergy_update"): ("Store no allergy.", "A physiologic reaction is no allergy"),
    ("open", "ems_handover"): ("still open", "as of 2026-11-23 09:", "911"),
    ("open", "discharge_summary"): ("DRAFT",),
    ("erased", "ems_handover"): ("erased",),
    ("unknown", "ems_handover"): ("unknown", "No drug is recorded as given", "names no agent"),
}


@cache
def made(name: str, kind: str) -> Paper:
    """Return a case's document; rendered once."""
    return paper(kind, case(CASES[name]()))


def read(pdf: bytes) -> tuple[int, str]:
    """Return a PDF's number of pages and its text on one line."""
    opened = pypdfium2.PdfDocument(pdf)
    text = " ".join(page.get_textpage().get_text_range() for page in opened)
    return len(opened), " ".join(text.split())


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", CASES)
def test_every_document_of_every_case_prints(name: str, kind: str) -> None:
    """It is PDF/A-2a, opens, has few pages, and carries the hash of the JSON it was printed from."""
    one = made(name, kind)
    pages, text = read(one.pdf)

    assert 1 <= pages <= PAGES[kind]
    assert not re.search(r"\dT\d\d:\d\d", text), "a time is written for people"
    assert b"<pdfaid:part>2</pdfaid:part>" in one.pdf
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in one.pdf
    assert one.content_hash == digest(one.json)
    assert one.content_hash in text.replace(" ", "")


@pytest.mark.parametrize(("name", "kind"), SAYS)
def test_the_page_says_it(name: str, kind: str) -> None:
    """What a reader looks for can be read out of the page as text."""
    text = read(made(name, kind).pdf)[1]

    assert [words for words in SAYS[name, kind] if words not in text] == []


def test_a_physiologic_page_has_no_second_wave() -> None:
    """No warning where nothing comes back."""
    assert "Second wave" not in read(made("physiologic", "ems_handover").pdf)[1]


def test_no_page_names_an_erased_patient() -> None:
    """Neither the words nor the file's own data hold the identity."""
    for kind in MAKERS:
        one = made("erased", kind)

        assert "Müller" not in read(one.pdf)[1]
        assert b"MRN-4471" not in one.pdf


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_case_is_the_same_bytes(kind: str) -> None:
    """Made twice from the same position, it is the same file, and it says which position."""
    driver = CASES["open"]()
    one, two = paper(kind, case(driver)), paper(kind, case(driver))

    assert (one.json, one.pdf) == (two.json, two.pdf)
    assert (one.position, one.reaction_version) == (len(driver.rows), driver.state_of(REACTION).version)


def test_the_fullest_handover_is_one_page() -> None:
    """Every sign of the pack, twenty doses, forty sets of vital signs and long names stay on one page."""
    driver = CASES["open"]()
    stream = Stream("reaction", "ses-1-r1")
    driver.send(
        stream,
        stories.TECHNOLOGIST,
        RecordSigns(signs=tuple(row.id for row in pack().signs if row.id[0] == "S")),
    )
    for number in range(40):
        driver.wait(15)
        driver.send(stream, stories.TECHNOLOGIST, RecordVitals(systolic_mmhg=80 + number, heart_rate_bpm=120))
        if number % 2:
            strange = RecordMedicationGiven(drug=f"drug with a rather long name {number}", route="IV")
            driver.send(stream, stories.TECHNOLOGIST, strange)
    long = "An address of unusual length, 12345 Example Boulevard, Building Seven, " * 2
    full = case(driver)
    full = case(driver, place=type(full.place)(name=long, address=long, ems_address=long))

    assert read(paper("ems_handover", full).pdf)[0] == 1


def test_what_people_typed_is_printed_as_typed() -> None:
    """A name that looks like markup is printed, never run."""
    odd = '#panic("x") $ _a_ *b* \\ ] <label> @ref "quoted" // no'
    one = case(CASES["open"](), names={"resp-1": odd})
    one.document["record"]["responder"]["name"]["value"] = odd

    for kind in MAKERS:
        content = json.loads(paper(kind, one).json)

        assert content["people"]["responder"] == odd
    assert "#panic(" in read(paper("ems_handover", one).pdf)[1]
