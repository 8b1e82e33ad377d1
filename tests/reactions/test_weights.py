"""A weight that an earlier one speaks against: taken, flagged, and said to the room with both readings (H-13)."""

import datetime as dt
from decimal import Decimal

import pytest

from engine.kernel.ids import Stream
from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions.state import Offline, Severity
from engine.workflows.session.commands import RecordWeight, ReportReaction
from tests.people.town import town
from tests.reactions.packs import CONSENSUS
from tests.reactions.test_machine import PHYSICIAN, RESPONDER, graded, offer, opened

POUNDS = (
    "44 kg is 2.2 times the 20 kg known before: was it read in pounds? 44 kg is 97 lb; 44 lb would be 20 kg."
)


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize(
    ("known", "told", "doubt"),
    [
        ("20", "44", POUNDS),
        ("44", "20", "20 kg is less than half of the 44 kg known before"),
        ("20", "23", ""),
        ("20", "60", ""),
        ("20", "20000", ""),
    ],
)
def test_a_weight_like_the_known_one_in_pounds_is_asked_about(known: str, told: str, doubt: str) -> None:
    """It is a fact and in use, and the guide says what it may be; another weight says nothing."""
    play = graded(age_years=6, weight_kg=Decimal(known))
    play.do(c.RecordPatientWeight(weight_kg=Decimal(told), method="stated"), RESPONDER)

    kept = play.of(e.PatientWeightRecorded)[-1]
    assert (kept.weight_kg, doubt in kept.doubt, bool(kept.doubt)) == (Decimal(told), True, bool(doubt))
    assert play.state.weight_doubt == kept.doubt
    recorded = next(one for one in reversed(play.log) if isinstance(one.event, e.PatientWeightRecorded))
    assert ("weight_doubtful" in recorded.flags) == bool(doubt)
    if doubt:
        play.do(c.RecordPatientWeight(weight_kg=Decimal(told) + 1, method="measured"), RESPONDER)
        assert play.state.weight_doubt == ""


@pytest.mark.hazard("H-13")
async def test_the_room_is_asked_before_any_reaction() -> None:
    """The session's own weight is judged by the same rows, in the session's answer."""
    async with town() as room:
        await room.schedule(weight_kg=Decimal(20))
        state = await room.do("session", "ses-1", RecordWeight(weight_kg=Decimal(44), method="stated"))
        assert (state.weight_kg, state.weight_doubt) == (Decimal(44), POUNDS)
        [*_, recorded] = await room.executor.history(Stream("session", "ses-1"))
        assert recorded.flags == ("weight_doubtful",)
        await room.do("session", "ses-1", ReportReaction())
        opened_with = await room.executor.state(Stream("reaction", "ses-1-r1"))
        assert (opened_with.weight_kg, opened_with.weight_doubt) == (Decimal(44), POUNDS)
        state = await room.do("session", "ses-1", RecordWeight(weight_kg=Decimal(43), method="measured"))
        assert state.weight_doubt == ""


@pytest.mark.hazard("H-13")
def test_the_fixed_dose_stands_under_the_standing_order_while_the_weight_is_unknown() -> None:
    """Nobody on the line, an adult nobody has weighed, the consensus pack: 0.3 mg is given and marked so."""
    play = opened(weight_kg=None, pack_id=CONSENSUS)
    play.do(c.RecordSigns(signs=("S-A3-5",)), RESPONDER)
    step_id, fixed = offer(play, "epinephrine", "IM")
    dose = c.RecordMedicationGiven(
        step_id=step_id, drug="epinephrine", route="IM", dose_mg=Decimal("0.3"), physician_connected=False
    )
    play.do(dose, RESPONDER)

    given = play.of(e.MedicationGiven)[-1]
    assert (fixed.row_id, given.authority, given.beyond) == ("A-EPI-IM-FIXED", "standing_order", ())
    assert "unordered" not in play.log[-1].flags


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(
    ("minutes", "flag"), [(30, "given_in_future"), (-600, "given_before_onset"), (0, "")]
)
def test_a_dose_in_an_offline_log_for_a_time_that_cannot_be_is_marked(minutes: int, flag: str) -> None:
    """As one told live: the log is taken whole, and says what is odd about it."""
    play = graded(Severity.SEVERE, "anaphylaxis")
    at = play.now + dt.timedelta(minutes=minutes)
    dose = c.RecordMedicationGiven(
        drug="epinephrine",
        route="IM",
        dose_mg=Decimal("0.3"),
        given_at=at,
        offline=Offline(entry_id="e1", at=at, by="tech-1"),
    )
    play.do(c.ReportOfflineEntries(facts=(dose,)), PHYSICIAN)

    assert len(play.state.given) == 1
    assert {"given_in_future", "given_before_onset"} & set(play.log[-1].flags) == ({flag} if flag else set())
