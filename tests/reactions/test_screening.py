"""Screening before contrast: a case for each row of clinical reference 6D, 6E and 7, and what unknown may never do."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reactions.care_rows import Question
from engine.reactions.premedication import Offer, lines
from engine.reactions.questionnaire import PriorReaction, Questionnaire
from engine.reactions.screening import STRICTNESS, Screened, ScreeningFinding, screen
from tests.reactions.packs import ACR, CONSENSUS, pack

TODAY = dt.date(2026, 11, 23)
QUESTIONS: tuple[Question, ...] = get_args(Question)
NONE: Any = dict.fromkeys(QUESTIONS, "no")
WELL = Questionnaire(
    **NONE,
    age_years=40,
    weight_kg=Decimal(70),
    contrast_class="iodinated",
    agent="iohexol",
    setting="idtf",
    access="20 G, left forearm",
)
KIDNEYS = {"egfr_ml_min_173m2": Decimal(88), "egfr_on": TODAY}
GADOLINIUM = {"contrast_class": "gadolinium", "agent": "gadobutrol"}


def asked(pack_id: str = ACR, **change: Any) -> Screened:
    return screen(pack(pack_id), replace(WELL, **change), TODAY)


def prior(**change: Any) -> dict[str, Any]:
    """One earlier reaction, allergic-like, immediate and severe unless a test says otherwise."""
    usual = {
        "contrast_class": "iodinated",
        "agent": "iohexol",
        "kind": "allergic_like",
        "severity": "severe",
        "delayed": "no",
    }
    return {"prior_reaction": "yes", "prior_reactions": (PriorReaction(**{**usual, **change}),)}


def of(screened: Screened, row_id: str) -> ScreeningFinding:
    return next(finding for finding in screened.findings if finding.row_id == row_id)


def rank(screened: Screened) -> int:
    return STRICTNESS.index(screened.outcome)


def test_a_healthy_patient_proceeds() -> None:
    """Everything answered no: no laboratory is needed, and the rows that fired are all mild."""
    screened = asked()

    assert screened.outcome == "proceed"
    assert {finding.row_id for finding in screened.findings} == {"7B-1", "R-12"}
    assert not any(finding.unknown for finding in screened.findings)
    assert screened.premedication == ()


CASES: list[tuple[str, str, str, dict[str, Any]]] = [
    # 6D as the consensus has it, at a free-standing site and at a hospital.
    (CONSENSUS, "6D-1", "proceed", prior(kind="physiologic", severity="severe")),
    (CONSENSUS, "6D-2", "physician_review", prior(severity="mild")),
    (CONSENSUS, "6D-3", "physician_review", prior(severity="moderate")),
    (CONSENSUS, "6D-4", "hold", prior()),
    (CONSENSUS, "6D-4", "hold", {**prior(), "setting": "office"}),
    (CONSENSUS, "6D-4", "alternative_study", {**prior(), "setting": "hopd"}),
    (CONSENSUS, "6D-4", "hold", {**prior(), "setting": ""}),
    (CONSENSUS, "6D-5", "proceed", {"iodine_or_shellfish": "yes"}),
    (CONSENSUS, "6D-6", "proceed", {"asthma": "yes"}),
    (CONSENSUS, "6D-7", "proceed", {"atopy": "yes"}),
    (CONSENSUS, "6D-7", "proceed", {"ace_inhibitor": "yes"}),
    (CONSENSUS, "6D-8", "physician_review", prior(delayed="yes")),
    # The same rows of the ACR pack, whose text was not confirmed.
    (ACR, "6D-1", "proceed", prior(kind="physiologic")),
    (ACR, "6D-2", "physician_review", prior(severity="mild")),
    (ACR, "6D-3", "physician_review", prior(severity="moderate")),
    (ACR, "6D-4", "hold", prior()),
    (ACR, "6D-4", "physician_review", {**prior(), "setting": "hopd"}),
    (ACR, "6D-5", "proceed", {"iodine_or_shellfish": "yes"}),
    (ACR, "6D-6", "proceed", {"asthma": "yes"}),
    (ACR, "6D-7", "proceed", {"beta_blocker": "yes"}),
    (ACR, "6D-8", "physician_review", prior(delayed="yes")),
    (
        ACR,
        "6D-GBCA",
        "physician_review",
        {**GADOLINIUM, **prior(contrast_class="gadolinium", severity="mild")},
    ),
    (
        ACR,
        "6D-GBCA-MODERATE",
        "physician_review",
        {**GADOLINIUM, **prior(contrast_class="gadolinium", severity="moderate")},
    ),
    (ACR, "6D-GBCA-SEVERE", "physician_review", {**GADOLINIUM, **prior(contrast_class="gadolinium")}),
    # 7A
    (ACR, "R-1", "physician_review", {"prior_reaction": "yes"}),
    (ACR, "R-1", "physician_review", prior(severity="unknown")),
    (ACR, "R-1-AGENT", "physician_review", {"contrast_class": ""}),
    (ACR, "R-1-AGENT", "physician_review", {"agent": "Gadavist"}),
    (ACR, "R-2", "proceed", prior(contrast_class="gadolinium")),
    (ACR, "R-3", "proceed", {"atopy": "yes"}),
    (ACR, "R-4", "proceed", {"asthma": "yes"}),
    (ACR, "R-4-ACTIVE", "physician_review", {"asthma": "yes", "asthma_active": "yes"}),
    (ACR, "R-5", "physician_review", {"acute_kidney_injury": "unknown"}),
    (ACR, "R-6", "physician_review", {"metformin": "yes", "acute_kidney_injury": "unknown", **KIDNEYS}),
    (ACR, "R-7", "physician_review", {"pregnancy": "unknown"}),
    (ACR, "R-8", "physician_review", {"thyroid": "yes"}),
    (ACR, "R-9", "proceed", {"beta_blocker": "yes"}),
    (ACR, "R-10", "proceed", {"other_conditions": "yes"}),
    (ACR, "R-11", "physician_review", {"age_years": 3}),
    (ACR, "R-12", "proceed", {"access": ""}),
    (ACR, "R-13", "proceed", {"age_years": 61}),
    # 7B
    (ACR, "7B-1", "proceed", {}),
    (ACR, "7B-1", "physician_review", {"renal_risk": "yes"}),
    (ACR, "7B-1", "physician_review", {"metformin": "unknown"}),
    (ACR, "7B-2", "proceed", {**KIDNEYS, "egfr_ml_min_173m2": Decimal(45)}),
    (ACR, "7B-3", "proceed", {**KIDNEYS, "egfr_ml_min_173m2": Decimal("44.9")}),
    (ACR, "7B-3", "proceed", {**KIDNEYS, "egfr_ml_min_173m2": Decimal(30)}),
    (ACR, "7B-4", "physician_review", {**KIDNEYS, "egfr_ml_min_173m2": Decimal("29.9")}),
    (ACR, "7B-4-AKI", "physician_review", {**KIDNEYS, "acute_kidney_injury": "yes"}),
    (ACR, "7B-5", "proceed", {"dialysis": "yes", "residual_function": "no"}),
    (ACR, "7B-6", "physician_review", {"dialysis": "yes", "residual_function": "yes"}),
    (ACR, "7B-6", "physician_review", {"dialysis": "yes", "residual_function": "unknown"}),
    (ACR, "7B-7", "physician_review", KIDNEYS),
    # 7C
    (
        ACR,
        "7C-I",
        "hold",
        {**GADOLINIUM, "agent": "Omniscan", **KIDNEYS, "egfr_ml_min_173m2": Decimal("29.9")},
    ),
    (ACR, "7C-I", "hold", {**GADOLINIUM, "agent": "gadodiamide", **KIDNEYS, "dialysis": "yes"}),
    (ACR, "7C-I", "hold", {**GADOLINIUM, "agent": "gadodiamide", **KIDNEYS, "acute_kidney_injury": "yes"}),
    (ACR, "7C-I", "hold", {**GADOLINIUM, "agent": "gadodiamide"}),
    (ACR, "7C-I", "proceed", {**GADOLINIUM, "agent": "gadodiamide", **KIDNEYS}),
    (ACR, "7C-II", "proceed", {**GADOLINIUM, **KIDNEYS, "egfr_ml_min_173m2": Decimal(12)}),
    (ACR, "7C-II", "proceed", GADOLINIUM),
    (ACR, "R-1-AGENT", "physician_review", {**GADOLINIUM, "agent": "gadoquatrane"}),
    # 7D
    (ACR, "7D-I", "proceed", {"metformin": "yes", **KIDNEYS, "egfr_ml_min_173m2": Decimal(30)}),
    (ACR, "7D-II", "physician_review", {"metformin": "yes", **KIDNEYS, "egfr_ml_min_173m2": Decimal("29.9")}),
    (ACR, "7D-II", "physician_review", {"metformin": "yes", **KIDNEYS, "acute_kidney_injury": "yes"}),
    (
        ACR,
        "7D-II",
        "physician_review",
        {"metformin": "yes", **KIDNEYS, "renal_artery_emboli_possible": "yes"},
    ),
    (ACR, "7D-GBCA", "proceed", {**GADOLINIUM, "metformin": "yes"}),
    # 7E
    (ACR, "7E-1", "physician_review", {"pregnancy": "yes"}),
    (ACR, "7E-2", "physician_review", {**GADOLINIUM, "pregnancy": "yes"}),
    (ACR, "7E-3", "proceed", {"breast_feeding": "yes"}),
    (ACR, "7E-3", "proceed", {**GADOLINIUM, "breast_feeding": "yes"}),
    (ACR, "7E-4", "proceed", {"pregnancy": "yes"}),
]
#: An empty group, for an agent that would be put in it; nothing can fire it.
NO_CASE = {"7C-III"}


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize(
    ("pack_id", "row_id", "outcome", "change"), CASES, ids=[f"{n}-{c[1]}" for n, c in enumerate(CASES)]
)
def test_a_row_fires(pack_id: str, row_id: str, outcome: str, change: dict[str, Any]) -> None:
    """The row, its outcome, its source: what a director lays beside the reference."""
    screened = asked(pack_id, **change)
    found = of(screened, row_id)
    row = next(row for row in pack(pack_id).rows() if row.id == row_id)

    assert found.outcome == outcome
    assert (found.citation, found.evidence) == (row.citation, row.tags)
    assert rank(screened) >= STRICTNESS.index(found.outcome)
    assert [STRICTNESS.index(one.outcome) for one in screened.findings] == sorted(
        (STRICTNESS.index(one.outcome) for one in screened.findings), reverse=True
    )


def test_every_row_has_a_case() -> None:
    """6D and 7A to 7E whole: a row that nothing fires would be a rule that nobody applies."""
    shipped = pack()
    tables = (
        shipped.reexposure,
        shipped.risk_factors,
        shipped.kidney_rules,
        shipped.gadolinium_groups,
        shipped.metformin_rules,
        shipped.pregnancy_rules,
    )
    rows = {row.id for table in tables for row in table}

    assert {case[1] for case in CASES} == rows - NO_CASE


@pytest.mark.parametrize(
    ("row_id", "change"),
    [
        ("R-11", {"age_years": 4}),
        ("R-13", {"age_years": 60}),
        ("R-11", {"age_years": 2, **GADOLINIUM}),
        ("7D-II", {"metformin": "no", **KIDNEYS, "egfr_ml_min_173m2": Decimal(20)}),
        ("R-4-ACTIVE", {"asthma": "no", "asthma_active": "unknown"}),
        ("7B-7", {**GADOLINIUM, **KIDNEYS}),
        ("R-1", {"prior_reaction": "no"}),
        ("7B-2", {**KIDNEYS, "acute_kidney_injury": "yes"}),
    ],
)
def test_a_row_that_does_not_apply_is_silent(row_id: str, change: dict[str, Any]) -> None:
    """One step past each limit."""
    assert row_id not in {finding.row_id for finding in asked(**change).findings}


@pytest.mark.parametrize(
    ("taken", "age_days", "words"),
    [
        (TODAY, 0, "of today"),
        (TODAY - dt.timedelta(days=1), 1, "1 days old"),
        (dt.date(2025, 11, 23), 365, "365 days old"),
        (TODAY + dt.timedelta(days=1), None, "in the future"),
        (None, None, "of unknown age"),
    ],
)
def test_the_age_of_a_result_is_shown(taken: dt.date | None, age_days: int | None, words: str) -> None:
    """How old an eGFR may be is the physician's to judge, so the age stands beside it; no date is an unknown."""
    screened = asked(**{**KIDNEYS, "egfr_on": taken})

    for row_id in ("7B-2", "7B-7"):
        assert of(screened, row_id).lab_age_days == age_days
        assert words in of(screened, row_id).sentence
    assert of(screened, "7B-7").unknown == (() if age_days is not None else ("egfr_on",))
    assert screened.outcome == "physician_review"


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity"])
def test_what_cannot_be_an_egfr_counts_as_none(value: str) -> None:
    """A fact is never refused, so nonsense has to weigh as an unknown result."""
    found = of(asked(egfr_ml_min_173m2=Decimal(value), egfr_on=TODAY, renal_risk="yes"), "7B-1")

    assert (found.outcome, found.unknown) == ("physician_review", ("egfr_ml_min_173m2",))


@pytest.mark.hazard("H-09")
def test_a_blank_questionnaire_names_all_that_is_unknown() -> None:
    """Nobody answered anything: every question is named, and a physician has to look."""
    screened = screen(pack(), Questionnaire(), TODAY)
    named = {name for finding in screened.findings for name in finding.unknown}

    assert screened.outcome != "proceed"
    assert set(QUESTIONS) - named == {
        "residual_function",
        "renal_artery_emboli_possible",
    }  # hang on another answer
    assert {"age_years", "access", "contrast_class", "agent"} <= named
    assert all(finding.sentence.startswith("Not known: ") for finding in screened.findings if finding.unknown)


ANSWERS = st.sampled_from(["yes", "no", "unknown"])
PRIORS = st.builds(
    PriorReaction,
    contrast_class=st.sampled_from(["iodinated", "gadolinium", "unknown"]),
    agent=st.sampled_from(["", "iohexol", "Omniscan", "dye"]),
    kind=st.sampled_from(["allergic_like", "physiologic", "unknown"]),
    severity=st.sampled_from(["mild", "moderate", "severe", "unknown"]),
    delayed=ANSWERS,
)
ANYBODY = st.builds(
    Questionnaire,
    **dict.fromkeys(QUESTIONS, ANSWERS),
    prior_reactions=st.lists(PRIORS, max_size=2).map(tuple),
    egfr_ml_min_173m2=st.none() | st.decimals(0, 120, places=1),
    egfr_on=st.none() | st.dates(TODAY - dt.timedelta(days=500), TODAY + dt.timedelta(days=2)),
    age_years=st.none() | st.integers(0, 100),
    weight_kg=st.none() | st.decimals(1, 200, places=1),
    contrast_class=st.sampled_from(["", "iodinated", "gadolinium", "other"]),
    agent=st.sampled_from(["", "iohexol", "gadobutrol", "gadodiamide", "gadoquatrane", "barium"]),
    access=st.sampled_from(["", "20 G"]),
    setting=st.sampled_from(["office", "idtf", "hopd", ""]),
)


@pytest.mark.hazard("H-09")
@settings(max_examples=400, deadline=None)
@given(
    q=ANYBODY,
    questions=st.sets(st.sampled_from(QUESTIONS), min_size=1),
    name=st.sampled_from([ACR, CONSENSUS]),
)
def test_unknown_is_never_milder_than_no(q: Questionnaire, questions: set[Question], name: str) -> None:
    """Whatever else is answered, and for any set of questions at once; and what is unknown is named."""
    no: Any = dict.fromkeys(questions, "no")
    unknown: Any = dict.fromkeys(questions, "unknown")
    answered = screen(pack(name), replace(q, **no), TODAY)
    left_open = screen(pack(name), replace(q, **unknown), TODAY)

    assert rank(left_open) >= rank(answered)


@settings(max_examples=300, deadline=None)
@given(q=ANYBODY, without=st.sampled_from(["egfr_ml_min_173m2", "egfr_on", "age_years", "weight_kg"]))
def test_anything_can_be_screened(q: Questionnaire, without: str) -> None:
    """No questionnaire fails, every finding has a sentence, and a row stands behind it."""
    left_out: Any = {without: None}
    screened = screen(pack(), replace(q, **left_out), TODAY)
    rows = {row.id for row in pack().rows()}

    assert all(finding.sentence and finding.row_id in rows for finding in screened.findings)


def test_a_severe_reaction_is_a_hold_without_a_team() -> None:
    """Clinical 6D: the strictest finding leads, also when the class of the earlier reaction is not known."""
    for setting in ("office", "idtf"):
        for contrast_class in ("iodinated", "unknown"):
            screened = asked(CONSENSUS, **{**prior(contrast_class=contrast_class), "setting": setting})

            assert (screened.outcome, screened.findings[0].row_id) == ("hold", "6D-4")


def test_another_agent_is_named_by_its_group() -> None:
    """6F is shown with its row; the agent that was reacted to is called out."""
    same = of(asked(CONSENSUS, **prior(severity="mild")), "6D-2").sentence
    other = of(asked(CONSENSUS, **prior(severity="mild", agent="Isovue")), "6D-2").sentence
    nobody_knows = of(asked(CONSENSUS, **prior(severity="mild", agent="CT dye")), "6D-2")

    assert "The planned agent is the one reacted to" in same
    assert "6F-ICM-A [L]" in same and "iobitridol, iopamidol" in same
    assert "one reacted to" not in other and "6F-ICM-B" in other
    assert "6F-ICM-UNKNOWN" in nobody_knows.sentence and "agent" in nobody_knows.unknown


def regimens(**change: Any) -> dict[str, Offer]:
    return {offer.row_id: offer for offer in asked(CONSENSUS, **change).premedication}


def test_regimens_are_offered_where_the_row_leaves_room() -> None:
    """Yes, consider and the physician's own decision offer them; no does not; an unknown age offers nothing."""
    adult = {"PM-1", "PM-2", "PM-3", "PM-4", "PM-5", "PM-6"}

    assert set(regimens(**prior())) == adult
    assert {offer.because for offer in regimens(**prior()).values()} == {"6D-4"}
    assert set(regimens(**prior(severity="moderate"))) == adult
    assert {offer.premedicate for offer in asked(**prior()).premedication} == {"physician_decides"}
    assert regimens(**prior(severity="mild")) == {}
    assert regimens(**prior(kind="physiologic")) == {}
    assert regimens(**prior(contrast_class="gadolinium")) == {}
    assert regimens(**{**prior(), "age_years": None}) == {}
    assert set(regimens(**{**prior(), "age_years": 17})) == {"PM-7", "PM-8"}
    assert set(regimens(**{**prior(), "age_years": 18})) == adult


@pytest.mark.parametrize(
    ("weight", "prednisone", "diphenhydramine", "hydrocortisone"),
    [
        ("12", ("6.0", "8.4"), "15.00", "24"),
        ("39.9", ("19.95", "27.93"), "49.875", "79.8"),
        ("72", ("36.0", "50"), "50", "144"),
        ("101", ("50", None), "50", "200"),
    ],
)
def test_a_childs_doses_go_by_weight_and_stop_at_the_cap(
    weight: str, prednisone: tuple[str, str | None], diphenhydramine: str, hydrocortisone: str
) -> None:
    """Exact decimals, each end of a range capped."""
    found = regimens(**prior(), age_years=12, weight_kg=Decimal(weight))
    steroid, antihistamine = found["PM-7"].doses

    low, high = prednisone
    assert (steroid.dose_mg, steroid.dose_max_mg) == (Decimal(low), Decimal(high) if high else None)
    assert antihistamine.dose_mg == Decimal(diphenhydramine)
    assert found["PM-8"].doses[0].dose_mg == Decimal(hydrocortisone)


def test_doses_without_a_weight_stay_a_rule() -> None:
    """No weight, one that cannot be, or decision support switched off: the formula, never a number."""
    for weight in (None, Decimal(0), Decimal("NaN"), Decimal(5000)):
        found = regimens(**prior(), age_years=6, weight_kg=weight)

        assert all(dose.dose_mg is None for offer in found.values() for dose in offer.doses)
        assert "0.5-0.7 mg/kg, at most 50 mg, weight needed" in found["PM-7"].doses[0].text
    plain = screen(pack(), replace(WELL, age_years=6, **prior()), TODAY, resolve_doses=False).premedication
    assert all(dose.dose_mg is None for offer in plain for dose in offer.doses)


def test_a_regimen_reads_as_it_is_written() -> None:
    """Alternatives are joined by or; what the row does not state is the physician's."""
    found = regimens(**prior())

    assert list(lines(found["PM-1"])) == [
        "prednisone 50 mg PO, 13 h, 7 h, 1 h before",
        "diphenhydramine 50 mg PO or IM or IV, 1 h before",
    ]
    assert next(lines(found["PM-4"])) == (
        "methylprednisolone 40 mg IV, now and every 4 h until contrast or "
        "hydrocortisone 200 mg IV, now and every 4 h until contrast"
    )
    assert list(lines(found["PM-2"]))[1] == (
        "diphenhydramine 50 mg route: the physician decides, time: the physician decides (optional)"
    )
    assert list(lines(found["PM-5"]))[1].startswith("diphenhydramine dose: the physician decides")
    assert found["PM-6"].doses == ()


def test_two_earlier_reactions_both_count() -> None:
    """A mild one does not hide a severe one."""
    both = (*prior(severity="mild")["prior_reactions"], *prior(agent="Isovue")["prior_reactions"])
    screened = asked(CONSENSUS, prior_reaction="yes", prior_reactions=both)

    assert screened.outcome == "hold"
    assert {"6D-2", "6D-4"} <= {finding.row_id for finding in screened.findings}


def test_told_by_another_system_says_so() -> None:
    """An allergy list that names an agent counts although the patient said no."""
    screened = asked(
        CONSENSUS,
        prior_reaction="no",
        prior_reactions=(PriorReaction(contrast_class="iodinated", agent="iohexol", source="EHR"),),
    )

    assert screened.outcome == "physician_review"
    assert of(screened, "R-1").sentence.count("EHR: ") == 1
