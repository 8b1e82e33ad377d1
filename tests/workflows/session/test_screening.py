"""Findings on the way to contrast: shown, reviewed by name, and a hold that is never passed without a word."""

from dataclasses import replace
from typing import Any

import pytest

from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session.state import (
    Premedication,
    Screening,
    ScreeningEvidence,
    ScreeningFinding,
    answer,
)
from tests.workflows.play import Play
from tests.workflows.session import stories as s

HOLD = ScreeningFinding(outcome="hold", row_id="6D-4", sentence="Not at a site without a team.")
OTHER_STUDY = replace(HOLD, outcome="alternative_study")
REVIEW = ScreeningFinding(
    outcome="physician_review", row_id="R-8", sentence="Not known: thyroid.", unknown=("thyroid",)
)


def said(*findings: ScreeningFinding) -> ScreeningEvidence:
    return ScreeningEvidence(findings=findings, premedication=(), pack_id="acr-2026", pack_hash="h")


def reviewing(*findings: ScreeningFinding) -> Play:
    """The physician is on the line and sees the patient; the screening was recorded with these findings."""
    play = s.at("reviewing")
    play.do(c.RecordScreening(screening=Screening(asthma="no"), evidence=said(*findings)), s.TECH)
    play.do(s.SEE, s.DOC)
    return play


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("yes", "yes"),
        (" YES ", "yes"),
        ("no", "no"),
        ("none", "no"),
        ("not_applicable", "no"),
        ("unknown", "unknown"),
        ("", "unknown"),
        ("not asked", "unknown"),
        ("not known", "unknown"),
        ("n", "unknown"),
        ("mild hives", "unknown"),
    ],
)
@pytest.mark.hazard("H-09")
def test_a_word_nobody_agreed_on_is_unknown(word: str, meant: str) -> None:
    """Only what is said plainly counts; anything else is not taken for none."""
    assert answer(word) == meant


@pytest.mark.hazard("H-09", "H-47")
def test_the_record_shows_what_was_known() -> None:
    """Recorded with the answers, named at the review, with what nobody had answered."""
    play = reviewing(HOLD, REVIEW)
    play.do(c.ReviewScreening(), s.DOC)
    (first, recorded), (reviewed,) = play.of(e.ScreeningRecorded), play.of(e.ScreeningReviewed)

    assert first.evidence is None
    assert recorded.evidence == said(HOLD, REVIEW) == play.state.screened
    assert reviewed.findings == ("6D-4", "R-8")
    assert "thyroid" in reviewed.unknown and "asthma" not in reviewed.unknown
    assert reviewed.evidence is None or reviewed.evidence == said(HOLD, REVIEW)


def test_what_changed_since_is_kept_with_the_review() -> None:
    """A result a day older, an allergy list that came in: the review shows its own findings."""
    play = reviewing(REVIEW)
    play.do(c.ReviewScreening(evidence=said(HOLD)), s.DOC)
    (reviewed,) = play.of(e.ScreeningReviewed)

    assert (reviewed.findings, reviewed.evidence) == (("6D-4",), said(HOLD))
    assert play.state.screened == said(HOLD)

    play = reviewing(REVIEW)
    play.do(c.ReviewScreening(evidence=said(REVIEW)), s.DOC)
    assert play.of(e.ScreeningReviewed)[0].evidence is None


@pytest.mark.hazard("H-47")
def test_a_finding_that_was_not_on_the_screen_is_not_reviewed() -> None:
    """A client that says what it showed is held to it; one that says nothing is not."""
    play = reviewing(REVIEW)
    asked: dict[str, Any] = {"evidence": said(HOLD, REVIEW)}

    assert play.refused(c.ReviewScreening(seen=("R-8",), **asked), s.DOC) == "FINDINGS_UNSEEN"
    assert play.refused(c.ReviewScreening(seen=("R-1",)), s.DOC) == "FINDINGS_UNSEEN"
    play.do(c.ReviewScreening(seen=("R-8", "6D-4", "R-99"), **asked), s.DOC)
    assert play.state.screening_reviewed


@pytest.mark.hazard("H-47")
@pytest.mark.parametrize("finding", [HOLD, OTHER_STUDY])
def test_a_hold_is_passed_only_with_a_reason(finding: ScreeningFinding) -> None:
    """Refused without one, kept with it; a deferral needs nothing more than its own."""
    play = reviewing(finding, REVIEW)
    play.do(c.ReviewScreening(), s.DOC)

    assert play.refused(c.ClearForContrast(agent="iohexol"), s.DOC) == "HOLD_UNEXPLAINED"
    assert play.refused(c.ClearForContrast(agent="iohexol", reason="  "), s.DOC) == "HOLD_UNEXPLAINED"
    play.do(c.ClearForContrast(agent="iohexol", reason="no other study answers this"), s.DOC)
    (cleared,) = play.of(e.ContrastCleared)
    assert (cleared.reason, cleared.against) == ("no other study answers this", (finding,))

    play = reviewing(finding)
    play.do(c.DeferContrast(reason="to a hospital"), s.DOC)
    assert "deferred" in play.state.phases


@pytest.mark.hazard("H-47")
def test_the_agent_that_is_cleared_is_the_one_that_counts() -> None:
    """What the rows say of another agent than the one screened for is asked at the clearance."""
    play = reviewing(REVIEW)
    play.do(c.ReviewScreening(), s.DOC)
    gadodiamide = c.ClearForContrast(agent="gadodiamide", evidence=said(HOLD))

    assert play.refused(gadodiamide, s.DOC) == "HOLD_UNEXPLAINED"
    play.do(c.ClearForContrast(agent="gadobutrol", evidence=said(REVIEW)), s.DOC)
    assert play.of(e.ContrastCleared)[0].against == ()


def test_a_review_asks_for_no_reason() -> None:
    """The physician's review is the answer to physician review."""
    play = reviewing(REVIEW)
    play.do(c.ReviewScreening(), s.DOC)
    play.do(c.ClearForContrast(agent="iohexol"), s.DOC)

    assert play.state.cleared


@pytest.mark.hazard("H-47")
def test_new_answers_replace_what_was_said_of_the_old() -> None:
    """Answers that nobody asked the protocols about leave no findings of earlier ones behind."""
    play = reviewing(HOLD)
    play.do(c.ReviewScreening(), s.DOC)
    play.do(c.RecordScreening(screening=Screening()), s.TECH)

    assert (play.state.screened, play.state.screening_reviewed) == (None, False)
    assert play.refused(c.ClearForContrast(agent="iohexol"), s.DOC) == "SCREENING_UNREVIEWED"


PREDNISONE = Premedication(
    row_id="PM-1",
    because="6D-3",
    premedicate="physician_decides",
    situation="elective",
    text="By mouth over half a day.",
    doses=(),
    citation="ACR Manual 2026",
    evidence="D2",
)


def offered(agent: str = "iohexol") -> Play:
    """A patient for whom the protocols leave premedication to the physician."""
    play = s.at("reviewing")
    evidence = replace(said(REVIEW), premedication=(PREDNISONE,))
    play.do(c.RecordScreening(screening=Screening(agent=agent), evidence=evidence), s.TECH)
    play.do(s.SEE, s.DOC)
    return play


def test_the_physician_orders_premedication_or_declines_it() -> None:
    """A row that is offered, or a reason against it; a review that says nothing leaves what was decided."""
    play = offered()
    play.do(c.ReviewScreening(), s.DOC)
    assert play.state.premedication is None
    play.do(c.ReviewScreening(premedication_row_id="PM-1"), s.DOC)
    first = play.state.premedication
    play.do(c.ReviewScreening(), s.DOC)
    kept = play.state.premedication
    play.do(c.ReviewScreening(premedication_reason="cannot wait"), s.DOC)
    last = play.state.premedication

    assert (first.row_id, first.agent, first.contrast_class) == ("PM-1", "iohexol", "iodinated")
    assert (first.physician_id, first.chosen_at, first.outdated) == (s.DOC.person_id, play.now, False)
    assert kept == first
    assert (last.row_id, last.reason) == ("", "cannot wait")
    assert [one.premedication for one in play.of(e.ScreeningReviewed)] == [None, first, None, last]


@pytest.mark.parametrize(
    "command",
    [
        c.ReviewScreening(premedication_row_id="PM-9"),
        c.ReviewScreening(premedication_row_id="PM-1", evidence=said(REVIEW)),
        c.ReviewScreening(premedication_reason="not wanted", evidence=said(REVIEW)),
    ],
)
def test_only_what_is_offered_now_is_ordered_or_declined(command: c.ReviewScreening) -> None:
    """Another row, or one that no longer stands after what the protocols say now."""
    assert offered().refused(command, s.DOC) == "PREMEDICATION_NOT_OFFERED"
    assert offered().refused(c.ReviewScreening(premedication_row_id="PM-1"), s.TECH) == "NOT_THE_PHYSICIAN"


@pytest.mark.parametrize(
    ("planned", "cleared", "outdated"),
    [("iohexol", "Iohexol ", False), ("iohexol", "iodixanol", True), ("", "iodixanol", False)],
)
def test_another_agent_leaves_the_choice_in_doubt(planned: str, cleared: str, outdated: bool) -> None:
    """It stays as chosen and says so, on the clearance itself too; a new decision settles it."""
    play = offered(planned)
    play.do(c.ReviewScreening(premedication_row_id="PM-1"), s.DOC)
    play.do(c.ClearForContrast(agent=cleared), s.DOC)

    assert play.state.premedication.row_id == "PM-1"
    assert play.state.premedication.outdated is outdated
    assert ("premedication_outdated" in play.log[-1].flags) is outdated


def test_new_answers_with_another_agent_leave_the_choice_in_doubt() -> None:
    """Also before anybody clears; the way back to the first agent does not take the doubt away, a new word does."""
    play = offered()
    play.do(c.ReviewScreening(premedication_row_id="PM-1"), s.DOC)
    evidence = replace(said(REVIEW), premedication=(PREDNISONE,))
    for agent in ("iodixanol", "iohexol"):
        play.do(c.RecordScreening(screening=Screening(agent=agent), evidence=evidence), s.TECH)
        assert play.state.premedication.outdated
    play.do(c.ReviewScreening(premedication_row_id="PM-1"), s.DOC)
    assert not play.state.premedication.outdated


def test_another_class_is_another_question() -> None:
    """Whatever the agent is called."""
    play = offered()
    play.do(c.ReviewScreening(premedication_reason="not needed"), s.DOC)
    choice = play.state.premedication

    assert choice.at("", "gadolinium").outdated and choice.at("iohexol", "").outdated
    assert not choice.at("", "iodinated").outdated
