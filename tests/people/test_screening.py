"""What the engine asks the protocols about a real session: its site, its day, its allergy list, its agent."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from engine.kernel.errors import Rejected
from engine.kernel.ids import Stream
from engine.reactions.questionnaire import Questionnaire
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session import commands as c
from engine.workflows.session.state import Allergy, PriorReaction, Screening, ScreeningFinding
from tests.people.town import DOC, TECH, Town, town
from tests.workflows.play import START
from tests.workflows.session import stories as s

SEVERE = PriorReaction(
    contrast_class="iodinated", agent="iohexol", kind="allergic_like", severity="severe", delayed="no"
)


@pytest.fixture
async def room() -> AsyncIterator[Town]:
    """A session that is being prepared."""
    async with town() as made:
        await made.schedule()
        await made.do("session", "ses-1", c.StartPreparation())
        yield made


async def screened(room: Town, **answers: Any) -> dict[str, ScreeningFinding]:
    state = await room.do("session", "ses-1", c.RecordScreening(screening=Screening(**answers)))
    return {finding.row_id: finding for finding in state.screened.findings}


async def reviewing(room: Town) -> Any:
    """Take the session to the physician, who has the patient in view."""
    await room.do("session", "ses-1", c.RequestSupervision())
    await room.do("ring", "ses-1-1", AnswerRing(), DOC)
    for command, who in (
        (c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA),
        (s.IDENTIFY, TECH),
        (s.SEE, DOC),
        (c.ReviewScreening(), DOC),
    ):
        await room.do("session", "ses-1", command, who)
    return await room.executor.state(Stream("session", "ses-1"))


@pytest.mark.hazard("H-09")
async def test_an_old_client_leaves_everything_else_unknown(room: Town) -> None:
    """Six answers as before: accepted, and every question that it does not know of is named as unknown."""
    found = await screened(
        room, prior_reaction="none", asthma="no", metformin="no", pregnancy="not_applicable"
    )
    unknown = {name for finding in found.values() for name in finding.unknown}

    assert {"dialysis", "acute_kidney_injury", "thyroid", "ace_inhibitor", "breast_feeding"} <= unknown
    assert not {"prior_reaction", "asthma", "asthma_active", "metformin", "pregnancy"} & unknown
    state = await reviewing(room)
    await room.do("session", "ses-1", c.ClearForContrast(agent="iohexol"), DOC)
    assert state.screening_reviewed


@pytest.mark.hazard("H-47")
async def test_a_severe_reaction_at_an_office_is_a_hold_until_the_physician_says_why(room: Town) -> None:
    """Clinical 6D on a whole session: the site's own setting decides, the reason is kept with the row."""
    found = await screened(room, prior_reaction="yes", prior_reactions=(SEVERE,))
    assert found["6D-4"].outcome == "hold"

    state = await reviewing(room)
    assert state.screened.findings[0].row_id == "6D-4"
    assert {one.because for one in state.screened.premedication} == {"6D-4"}
    with pytest.raises(Rejected, match="hold or another study"):
        await room.do("session", "ses-1", c.ClearForContrast(agent="iohexol"), DOC)
    why = c.ClearForContrast(agent="iohexol", reason="life at stake, no other study")
    assert (await room.do("session", "ses-1", why, DOC)).cleared


@pytest.mark.hazard("H-09", "H-47")
async def test_an_allergy_list_counts_whatever_was_answered(room: Town) -> None:
    """The list names the agent and a severity: the row fires although the screening says no."""
    listed = Allergy(substance="Omnipaque 350", severity="severe")
    await room.do("session", "ses-1", c.RecordAllergies(allergies=(listed,), source="EHR"))
    found = await screened(room, prior_reaction="no")

    assert found["6D-4"].outcome == "hold"
    assert found["6D-4"].sentence.count("Allergy list of EHR: ") == 1
    assert "kind" in found["6D-4"].unknown


async def test_an_allergy_list_that_comes_later_is_in_the_review(room: Town) -> None:
    """Recorded without it, reviewed with it; the event of the review keeps what it said."""
    assert "6D-4" not in await screened(room, prior_reaction="no")
    listed = Allergy(substance="iohexol", severity="severe")
    await room.do("session", "ses-1", c.RecordAllergies(allergies=(listed,), source="EHR"))
    state = await reviewing(room)

    assert state.screened.findings[0].row_id == "6D-4"


async def test_what_was_told_is_not_told_twice(room: Town) -> None:
    """An entry for an agent that the screening describes adds nothing; a worse one does."""
    entry = Allergy(substance="iohexol")
    await room.do("session", "ses-1", c.RecordAllergies(allergies=(entry,), source="EHR"))
    mild = PriorReaction(contrast_class="iodinated", agent="iohexol", kind="allergic_like", severity="mild")

    assert "R-1" not in await screened(room, prior_reaction="yes", prior_reactions=(mild,))
    worse = Allergy(substance="iohexol", severity="severe")
    await room.do("session", "ses-1", c.RecordAllergies(allergies=(worse,), source="EHR"))
    found = await screened(room, prior_reaction="yes", prior_reactions=(mild,))
    assert {"6D-2", "6D-4"} <= set(found)


async def test_the_day_is_the_sites_own(room: Town) -> None:
    """03:00 UTC is still the day before in Chicago: a result of that day is of today, not of yesterday."""
    room.wait(13 * 3600)
    local = START.date()
    found = await screened(room, egfr_ml_min_173m2=Decimal(88), egfr_on=local)
    assert found["7B-7"].lab_age_days == 0

    room.wait(3 * 3600)
    found = await screened(room, egfr_ml_min_173m2=Decimal(88), egfr_on=local)
    assert found["7B-7"].lab_age_days == 1
    assert found["7B-7"].lab_age_days == (local + dt.timedelta(days=1) - local).days


@pytest.mark.hazard("H-47")
async def test_the_cleared_agent_is_asked_about(room: Town) -> None:
    """Screened for one class, cleared for an agent of the other: both classes' rows count, and group I holds."""
    await screened(room, renal_risk="no")
    await reviewing(room)

    with pytest.raises(Rejected, match="hold or another study"):
        await room.do("session", "ses-1", c.ClearForContrast(agent="gadodiamide"), DOC)


async def test_words_that_mean_nothing_are_unknown_and_never_refused(room: Town) -> None:
    """A fact is taken as it comes; what cannot be read weighs as unknown."""
    odd = PriorReaction(contrast_class="CT", agent="dye", kind="bad", severity="9/10", delayed="perhaps")
    found = await screened(
        room, prior_reaction="ask his wife", prior_reactions=(odd,), egfr_ml_min_173m2=Decimal("NaN")
    )

    assert {"contrast_class", "kind", "severity", "delayed", "agent"} <= set(found["R-1"].unknown)
    assert found["7B-1"].outcome == "physician_review"


def test_every_question_has_its_answer_in_the_screening() -> None:
    """The contract asks what the rows ask, and what only the papers need: no row goes by it."""
    asked = set(Questionnaire.__dataclass_fields__)
    elsewhere = {"age_years", "weight_kg", "contrast_class", "setting"}

    for_papers = {"earlier_contrast", "premedication_given", "no_premedication"}

    assert asked - elsewhere == set(Screening.__dataclass_fields__) - for_papers
