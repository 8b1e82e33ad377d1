"""Findings on the way to contrast: shown, reviewed by name, and a hold that is never passed without a word."""

from dataclasses import replace
from typing import Any

import pytest

from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session.state import Screening, ScreeningEvidence, ScreeningFinding, answer
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
