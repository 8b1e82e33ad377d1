"""The record shows what was known before contrast: findings with their rows, the reason against a hold, the offer."""

import json
from typing import Any

import pytest

from engine.records.document import render
from engine.records.pdf import render_pdf
from engine.records.sheet import sheet
from engine.records.timeline import timeline
from engine.workflows.session import commands as c
from engine.workflows.session.state import PriorReaction, Screening
from tests.records import stories
from tests.records.driver import Driver

SEVERE = PriorReaction(
    contrast_class="iodinated", agent="iohexol", kind="allergic_like", severity="severe", delayed="no"
)
WHY = "no other study answers this"


def held(review: c.ReviewScreening | None = None, agent: str = "iohexol") -> Driver:
    """A severe earlier reaction at a free-standing site, iohexol planned; the physician clears against the hold."""
    driver = Driver()
    stories.scheduled(driver)
    stories.prepared(
        driver, Screening(prior_reaction="yes", prior_reactions=(SEVERE,), asthma="no", agent="iohexol")
    )
    stories.answered(driver)
    driver.do(stories.TECHNOLOGIST, c.ConfirmIdentity(mrn="MRN-4471", family="Müller", given="Žofia"))
    driver.do(
        stories.PHYSICIAN,
        review or c.ReviewScreening(),
        c.ConfirmView(patient_visible=True, injection_site_visible=True),
        c.ClearForContrast(agent=agent, reason=WHY),
    )
    return driver


def document(driver: Driver) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(render(driver.history, driver.record))
    return value


@pytest.mark.hazard("H-09", "H-47")
def test_the_fields_hold_findings_review_and_reason() -> None:
    """Strictest first, by which pack, what was seen and unknown, and why contrast was cleared all the same."""
    record = held().record
    findings = record.value("screening.findings")
    reviewed, cleared = record.value("screening.reviewed"), record.value("contrast.cleared")

    assert (findings[0]["row_id"], findings[0]["outcome"]) == ("6D-4", "hold")
    assert {one["row_id"] for one in findings} == set(reviewed["findings"])
    assert "dialysis" in reviewed["unknown"]
    assert record.value("screening.pack")["pack_id"] == "acr-2026"
    assert {one["row_id"] for one in record.value("screening.premedication")} == {
        f"PM-{n}" for n in range(1, 7)
    }
    assert (cleared["reason"], cleared["against"][0]["row_id"]) == (WHY, "6D-4")


@pytest.mark.hazard("H-09", "H-47")
def test_the_page_shows_them() -> None:
    """A row each with its source, the offer as an offer, the hold among the exceptions; unknown stands in capitals."""
    shown = sheet(document(held()))
    exam = dict(shown["boxes"][1]["rows"])
    found = shown["screening"]

    assert found["head"] == "hold"
    assert found["rows"][0][0] == "hold" and found["rows"][0][2].startswith("6D-4 · ")
    assert any("prednisone 50 mg PO, 13 h, 7 h, 1 h before" in line for line in found["premedication"])
    assert "UNKNOWN: " in exam["Screening"] and "dialysis" in exam["Screening"].split("UNKNOWN: ")[1]
    assert "earlier reaction (iohexol, iodinated, allergic like, severe)" in exam["Screening"]
    assert any("against row 6D-4 (hold)" in line and WHY in line for line in shown["exceptions"])


def test_the_timeline_says_what_stood_in_the_way() -> None:
    """The hold and the clearance against it are exceptions; what lets one proceed has no line."""
    moments = timeline(document(held())["events"])
    lines = {moment.text: moment.kind for moment in moments}
    hold = next(text for text in lines if text.startswith("Hold, row 6D-4: "))
    cleared = next(text for text in lines if text.startswith("Contrast cleared"))

    assert lines[hold] == lines[cleared] == "exception"
    assert cleared == f"Contrast cleared: iohexol; AGAINST 6D-4 (hold), because: {WHY}"
    assert not any(text.startswith("Proceed") for text in lines)


def test_a_page_is_printed_with_and_without_findings() -> None:
    """An older history has none, and prints."""
    silent = Driver()
    stories.scheduled(silent)
    silent.do(stories.TECHNOLOGIST, c.StartPreparation(), c.RecordScreening(screening=Screening()))

    for driver in (held(), silent):
        assert render_pdf(render(driver.history, driver.record)).startswith(b"%PDF")
    assert sheet(document(silent))["screening"]["rows"] == []


def test_new_answers_without_findings_leave_none_behind() -> None:
    """What was said of other answers is not of these."""
    driver = held()
    driver.do(stories.TECHNOLOGIST, c.RecordScreening(screening=Screening(asthma="yes")))

    for name in ("findings", "premedication", "pack"):
        assert driver.record.value(f"screening.{name}") is None


def test_the_record_holds_what_was_decided_about_premedication() -> None:
    """Nothing decided, ordered, and outdated by the agent that was cleared: field, page and timeline."""
    driver = held()
    assert (driver.record.value("screening.premedication_choice"), chosen(driver)) == (None, "")

    driver = held(c.ReviewScreening(premedication_row_id="PM-1", premedication_reason="elective"))
    field = driver.record.value("screening.premedication_choice")
    assert (field["row_id"], field["agent"], field["outdated"]) == ("PM-1", "iohexol", False)
    assert chosen(driver) == "Premedication PM-1 ordered for iohexol, iodinated, because: elective."
    texts = [moment.text for moment in timeline(document(driver)["events"])]
    assert any(text.endswith("; premedication PM-1 ordered, because: elective") for text in texts)
    assert render_pdf(render(driver.history, driver.record)).startswith(b"%PDF")

    driver = held(c.ReviewScreening(premedication_reason="cannot wait"), agent="iodixanol")
    assert driver.record.value("screening.premedication_choice")["outdated"]
    assert chosen(driver).startswith(
        "Premedication declined for iohexol, iodinated, because: cannot wait; OUTDATED"
    )
    texts = [moment.text for moment in timeline(document(driver)["events"])]
    assert any("Contrast cleared: iodixanol" in text and "premedication outdated" in text for text in texts)


def chosen(driver: Driver) -> str:
    """Return the page's line on the decision."""
    line: str = sheet(document(driver))["screening"]["choice"]
    return line
