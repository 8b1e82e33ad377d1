"""Doses told for a time that cannot be: kept as told, and never a way past the interval."""

from dataclasses import replace
from decimal import Decimal

import pytest

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
