"""Reaction training comes due again: dates over month ends, and what an expired one means for a responder."""

import calendar
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.people.evidence import responder_evidence
from engine.policies.debrief_refreshes import months_after
from engine.workflows.directory.commands import RecordCredential
from tests.drills.stage import DIRECTOR, ORG, stage


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (dt.date(2026, 8, 31), 6, dt.date(2027, 2, 28)),
        (dt.date(2027, 8, 31), 6, dt.date(2028, 2, 29)),
        (dt.date(2028, 2, 29), 12, dt.date(2029, 2, 28)),
        (dt.date(2026, 6, 30), 6, dt.date(2026, 12, 30)),
        (dt.date(2026, 12, 1), 1, dt.date(2027, 1, 1)),
    ],
)
def test_months_end_where_the_month_does(day: dt.date, months: int, then: dt.date) -> None:
    """The same day, or the month's last one."""
    assert months_after(day, months) == then


@given(st.dates(dt.date(2020, 1, 1), dt.date(2090, 1, 1)), st.integers(0, 120))
def test_every_day_has_one_some_months_later(day: dt.date, months: int) -> None:
    """The right month, never past the day, and never before it unless that month is shorter."""
    then = months_after(day, months)
    last = calendar.monthrange(then.year, then.month)[1]

    assert (then.year - day.year) * 12 + then.month - day.month == months
    assert then.day == min(day.day, last)


@pytest.mark.hazard("H-22")
@pytest.mark.parametrize(("over_in_days", "problem"), [(-1, True), (0, False), (30, False)])
async def test_a_responder_whose_refresher_is_over_does_not_count(over_in_days: int, problem: bool) -> None:
    """The last day counts; from the next on the responder is not qualified; while it holds it bounds READY."""
    async with stage() as room:
        now = room.clock.now()
        over = now.date() + dt.timedelta(days=over_in_days)
        refreshed = RecordCredential(person_id="rn-1", kind="refresher", expires_on=over)
        before = responder_evidence(await room.state("directory", ORG), "rn-1", "TX", now)
        await room.do("directory", ORG, refreshed, DIRECTOR)
        found = responder_evidence(await room.state("directory", ORG), "rn-1", "TX", now)

    assert before.problems == ()
    assert found.problems == (("REFRESHER_OVER",) if problem else ())
    assert found.valid_until is not None and found.valid_until.date() == over + dt.timedelta(days=1)
