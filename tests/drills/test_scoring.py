"""A perfect run is full marks; each of eight scripted errors costs its points and is named."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from engine.reactions.commands import RecordMedicationGiven
from engine.records.drill_score import Score, score
from engine.workflows.drill.scenario import FULL_MARKS
from tests.drills.stage import DRILL, NURSE, SESSION, Stage, stage

EPINEPHRINE, FLAT, OXYGEN, LATER = "T-A-ANA.1", "T-A-ANA.3", "T-A-ANA.4", "T-A-ANA.8"
TO_ONSET_S = 60


@pytest.fixture
async def room() -> AsyncIterator[Stage]:
    """A stage on which the drill has just shown the first sign."""
    async with stage() as made:
        await made.start()
        await made.wait(TO_ONSET_S)
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a team works the script; as it stands, without a lapse."""

    reports_after_s: int = 20
    severity: str = "severe"
    presentation: str = "anaphylaxis"
    ordered_route: str = "IM"
    reads_back: bool = True
    given: tuple[tuple[str, object], ...] = ()
    antihistamine_first: bool = False
    oxygen_first: bool = False
    antihistamine_last_by: str = ""
    treats: bool = True
    calls: bool = True
    lays_flat: bool = True


async def play(room: Stage, run: Run) -> Score:
    """Work the script with the real machines, and end the drill."""
    await room.wait(run.reports_after_s)
    await room.report()
    await room.wait(10)
    await room.answer()
    await room.grade(run.severity, run.presentation)
    if run.treats:
        await _treat(room, run)
    if run.calls:
        await room.call()
    await room.end()
    return (await room.debriefing()).score


async def _treat(room: Stage, run: Run) -> None:
    if run.antihistamine_first:
        await _give(room, LATER)
    if run.oxygen_first:
        await _give(room, OXYGEN)
    dose = await room.order(EPINEPHRINE, route=run.ordered_route)
    if run.reads_back:
        await room.read_back(EPINEPHRINE)
    await room.wait(15)
    await room.give(EPINEPHRINE, dose, **dict(run.given))
    if not run.oxygen_first:
        await _give(room, OXYGEN)
    if run.antihistamine_last_by:
        await _give(room, LATER, route=run.antihistamine_last_by)
    if run.lays_flat:
        await room.done(FLAT)


async def _give(room: Stage, step_id: str, **change: object) -> None:
    dose = await room.order(step_id)
    await room.read_back(step_id)
    await room.give(step_id, dose, **change)


async def test_a_perfect_run_is_full_marks(room: Stage) -> None:
    """Everything in time and by the protocol: 100 points, nothing found, the four times as they were."""
    found = await play(room, Run())

    assert found.findings == ()
    assert found.points == FULL_MARKS
    assert found.onset_to_report_s == 20
    assert found.report_to_grade_s == 10
    assert found.onset_to_epinephrine_im_s == 45
    assert found.onset_to_emergency_call_s == 45
    assert found.participants == ("md-1", "rn-1", "tech-1")


UNTREATED = {"EPINEPHRINE_IM_NOT_GIVEN", "EPINEPHRINE_NOT_GIVEN", "STEP_MISSED"}
ERRORS: dict[str, tuple[Run, set[str]]] = {
    "reported late": (replace(Run(), reports_after_s=61), {"ONSET_REPORTED_LATE"}),
    "wrong grade": (
        replace(Run(), severity="mild", presentation="hives", treats=False),
        {*UNTREATED, "GRADE_WRONG"},
    ),
    "IV instead of IM": (
        replace(Run(), ordered_route="IV"),
        {"ROUTE_WRONG", "EPINEPHRINE_IM_NOT_GIVEN"},
    ),
    "0.1 mg/mL into the muscle": (
        replace(
            Run(),
            given=(("concentration_mg_per_ml", Decimal("0.1")), ("volume_ml", Decimal(3))),
        ),
        {"CONCENTRATION_WRONG"},
    ),
    "tenfold dose": (
        replace(Run(), given=(("dose_mg", Decimal(3)), ("volume_ml", Decimal(3)))),
        {"DOSE_WRONG"},
    ),
    "no read-back": (replace(Run(), reads_back=False), {"READ_BACK_SKIPPED"}),
    "no emergency call": (replace(Run(), calls=False), {"EMERGENCY_NOT_CALLED"}),
    "antihistamine first": (replace(Run(), antihistamine_first=True), {"EPINEPHRINE_NOT_FIRST"}),
    "a step missed": (replace(Run(), lays_flat=False), {"STEP_MISSED"}),
    "in the last second": (replace(Run(), reports_after_s=60), set()),
    "oxygen first, which may be": (replace(Run(), oxygen_first=True), set()),
    "wrong presentation": (
        replace(Run(), presentation="bronchospasm", treats=False),
        {*UNTREATED, "GRADE_WRONG"},
    ),
    "wrong severity of the right presentation": (
        replace(Run(), severity="moderate", treats=False),
        {*UNTREATED, "GRADE_WRONG"},
    ),
    "antihistamine by another route than ordered": (
        replace(Run(), antihistamine_last_by="IV"),
        {"ROUTE_WRONG", "DOSE_NOT_ORDERED"},
    ),
    "IV although IM was ordered": (
        replace(Run(), given=(("route", "IV"),)),
        {"ROUTE_WRONG", "CONCENTRATION_WRONG", "DOSE_WRONG", "DOSE_NOT_ORDERED", "EPINEPHRINE_IM_NOT_GIVEN"},
    ),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_each_error_is_named_and_costs_its_points(room: Stage, name: str) -> None:
    """The lapse and what follows from it are found, nothing else; exactly their points are gone."""
    run, reasons = ERRORS[name]
    found = await play(room, run)

    assert {finding.reason for finding in found.findings} == reasons
    lost = [check for check in found.checks if not check.met]
    assert found.points == FULL_MARKS - sum(check.worth for check in lost)
    assert all(check.worth > 0 for check in lost)
    assert all(finding.sentence.endswith(".") for finding in found.findings)


async def test_what_comes_after_the_end_earns_and_costs_nothing(room: Stage) -> None:
    """A call and a dose after the drill was over change no point."""
    before = await play(room, replace(Run(), calls=False))
    await room.call()
    await room.react(RecordMedicationGiven(drug="epinephrine", route="IV", dose_mg=Decimal(1)), NURSE)

    assert (await room.debriefing()).score == before


async def test_nobody_does_anything(room: Stage) -> None:
    """The patient goes downhill by the script, the drill ends by itself, and everything that is owed is missing."""
    for stage_id, seconds in (("onset", 0), ("shock", 180), ("unconscious", 300)):
        await room.wait(seconds)
        assert (await room.state("drill", DRILL)).stage == stage_id
    await room.wait(1800)
    drill = await room.state("drill", DRILL)
    found = (await room.debriefing()).score

    assert drill.phases == ("ended",)
    assert {finding.reason for finding in found.findings} == {
        "ONSET_NOT_REPORTED",
        "NOT_GRADED",
        "GRADE_WRONG",
        "EPINEPHRINE_IM_NOT_GIVEN",
        "EPINEPHRINE_NOT_GIVEN",
        "EMERGENCY_NOT_CALLED",
        "STEP_MISSED",
    }
    assert found.points == 0
    assert found.onset_to_epinephrine_im_s is None
    assert found.participants == ()


async def test_epinephrine_turns_the_patient(room: Stage) -> None:
    """Treated, the scripted patient gets better and stays so."""
    await play(room, Run())

    assert (await room.state("drill", DRILL)).stage == "improving"


async def test_overtreating_is_a_lapse_too() -> None:
    """Epinephrine for a few hives is named."""
    async with stage() as room:
        await room.start("hives-adult")
        await room.wait(90)
        await room.report()
        await room.answer()
        await room.grade("severe", "anaphylaxis")
        await _give(room, EPINEPHRINE)
        await room.end()
        found = (await room.debriefing()).score

    assert {finding.reason for finding in found.findings} == {"GRADE_WRONG", "EPINEPHRINE_NOT_NEEDED"}


async def test_the_debriefing_tells_the_drill_in_order(room: Stage) -> None:
    """One document: marked, with points and a timeline in seconds since the first sign; the same bytes each time."""
    await play(room, Run())
    made = await room.debriefing()
    told = json.loads(made.document)

    assert made.document == (await room.debriefing()).document
    assert told["mark"].startswith("DRILL")
    assert told["points"] == FULL_MARKS
    assert "no patient" in told["scenario"]["notice"]
    seconds = [line["since_onset_s"] for line in told["timeline"]]
    assert seconds == sorted(seconds)
    texts = [line["text"] for line in told["timeline"]]
    wanted = (
        "Drill began",
        "Scripted patient",
        "REACTION reported",
        "Ordered: epinephrine",
        "Given",
        "Drill over",
    )
    places = [next(n for n, text in enumerate(texts) if text.startswith(start)) for start in wanted]
    assert places == sorted(places)
    assert SESSION == told["session_id"]


def test_a_history_without_its_plan_is_no_drill() -> None:
    """Nothing to judge by is an error, not zero points."""
    with pytest.raises(LookupError):
        score([])
