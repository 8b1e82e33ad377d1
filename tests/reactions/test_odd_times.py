"""Doses told for a time that cannot be: kept as told, and never a way past the interval."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.kernel.clock import LAST
from engine.reactions import commands as c
from engine.reactions import events as e
from tests.reactions.test_machine import PHYSICIAN, RESPONDER, graded, order
from tests.workflows.play import START


@pytest.mark.hazard("H-16")
def test_a_dose_told_for_the_future_still_holds_back_the_next() -> None:
    """It went in by now at the latest: neither the next order nor the next dose slips past the interval by it."""
    play = graded()
    ahead = START.replace(year=2099)
    dose = c.RecordMedicationGiven(
        step_id=order(play).step_id, drug="epinephrine", route="IM", dose_mg=Decimal("0.3"), given_at=ahead
    )
    play.do(dose, RESPONDER)

    assert play.state.given[0].given_at == ahead
    assert play.refused(order(play), PHYSICIAN) == "REPEAT_TOO_SOON"
    play.do(replace(dose, given_at=None), RESPONDER)
    assert "REPEAT_TOO_SOON" in play.of(e.MedicationGiven)[1].beyond


def test_a_dose_told_for_the_future_holds_back_no_longer_than_one_told_now() -> None:
    """Its interval begins when it was told: a device with a wrong clock does not make every later order an override."""
    play = graded()
    told = order(play)
    ahead = START.replace(year=2099)
    play.do(
        c.RecordMedicationGiven(
            step_id=told.step_id, drug="epinephrine", route="IM", dose_mg=Decimal("0.3"), given_at=ahead
        ),
        RESPONDER,
    )
    due_at = play.timers[f"repeat:{play.state.given[0].row_id}"]
    play.now = due_at - dt.timedelta(seconds=1)
    assert play.refused(told, PHYSICIAN) == "REPEAT_TOO_SOON"
    play.now = due_at
    play.do(told, PHYSICIAN)

    assert due_at < START + dt.timedelta(hours=1)


@pytest.mark.parametrize("told", [dt.datetime(1, 1, 1, tzinfo=dt.UTC), LAST])
def test_a_dose_or_an_onset_at_an_end_of_the_calendar_is_kept(told: dt.datetime) -> None:
    """Whatever follows by time (repeat, measuring, watching) finds a moment; the reaction goes on to its end."""
    play = graded(onset_at=told)
    wanted = order(play)
    dose = c.RecordMedicationGiven(
        step_id=wanted.step_id, drug="epinephrine", route="IM", dose_mg=Decimal("0.3"), given_at=told
    )
    play.do(dose, RESPONDER)
    play.do(c.RecordMedicationGiven(drug="diphenhydramine", route="PO", given_at=told), RESPONDER)
    play.do(c.ReportResolved(), PHYSICIAN)

    assert [one.given_at for one in play.state.given] == [told, told]
    assert all(due_at >= play.now for due_at in play.timers.values())
