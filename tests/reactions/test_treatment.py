"""Several presentations at once, steps before a physician is there, on whose word a dose went in, and what is timed."""

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kernel.commands import Command
from engine.kernel.errors import Rejected
from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions import protocol
from engine.reactions.decide import Objectives
from engine.reactions.guards import total_mg
from engine.reactions.machine import machine
from engine.reactions.pack import content_hash
from engine.reactions.state import Disposition, Offline, Severity
from tests.reactions.packs import pack
from tests.reactions.test_machine import (
    PHYSICIAN,
    RESPONDER,
    TECHNOLOGIST,
    give,
    graded,
    offer,
    opened,
    order,
)
from tests.workflows.play import START, Play, names

CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOME = c.DisposeReaction(disposition=Disposition.DISCHARGED_HOME)


def offered_rows(play: Play) -> list[str]:
    """Return every dose row offered by a step in force, as often as it is offered."""
    steps = [step for step in play.state.steps.values() if "superseded" not in step.phases]
    return [dose.row_id for step in steps for dose in step.offer.doses]


def test_two_presentations_are_merged_without_offering_a_drug_twice() -> None:
    """Severe bronchospasm with hives: the base set and the call once, the antihistamine beside the epinephrine."""
    alone = graded(presentation="bronchospasm")
    both = opened()
    both.do(
        c.GradeReaction(severity=Severity.SEVERE, presentation="bronchospasm", also=("hives",)),
        PHYSICIAN,
    )
    rows = offered_rows(both)

    assert both.state.also == ("hives",)
    assert len(rows) == len(set(rows))
    assert set(rows) > set(offered_rows(alone))
    calls = [step.offer.call_level for step in both.state.steps.values() if step.offer.kind == "call"]
    assert calls == ["call"]
    numbers = [step.offer.number for step in both.state.steps.values()]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    kinds = [s.offer.kind for s in sorted(both.state.steps.values(), key=lambda one: one.offer.number)]
    assert "observe" not in kinds[: kinds.index("observe")]
    assert set(kinds[kinds.index("observe") :]) == {"observe"}


def test_an_unknown_presentation_among_several_is_refused() -> None:
    """The leading one is known, another is not: nothing is graded."""
    wrong = c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis", also=("hiccups",))

    assert opened().refused(wrong, PHYSICIAN) == "PRESENTATION_UNKNOWN"


@CALM
@given(data=st.data())
def test_any_pair_of_presentations_merges_without_repeating_a_step(data: st.DataObject) -> None:
    """Whatever two are named in whatever order: no step and no drug row twice, and no more than one call."""
    pairs = list(itertools.permutations(sorted(pack().presentations), 2))
    first, second = data.draw(st.sampled_from(pairs))
    severity = data.draw(st.sampled_from(list(Severity)))
    play = opened(age_years=data.draw(st.sampled_from([3, 9, 54])), weight_kg=Decimal(20))
    play.do(c.GradeReaction(severity=severity, presentation=first, also=(second,)), PHYSICIAN)
    offers = [step.offer for step in play.state.steps.values()]
    said = [(offer.kind, offer.text) for offer in offers if not offer.doses]

    assert len(said) == len(set(said))
    assert len(offered_rows(play)) == len(set(offered_rows(play)))
    assert sum(offer.kind == "call" for offer in offers) <= 1


def test_before_a_physician_is_there_the_steps_can_be_read() -> None:
    """The signs suggest a grade: its steps are shown as reference, none can be ordered, and a grade replaces them."""
    play = opened()
    happened = play.do(c.RecordSigns(signs=("S-A3-5",)), TECHNOLOGIST)

    assert names(happened) == ["SignsRecorded", "SeveritySuggested", "ProtocolResolved"]
    assert play.state.reference
    step_id, dose = offer(play, "epinephrine", "IM")
    assert dose.dose_mg == Decimal("0.3")
    assert play.refused(c.OrderStep(step_id=step_id, row_id=dose.row_id), PHYSICIAN) == "WRONG_PHASE"
    play.do(c.GradeReaction(severity=Severity.MODERATE, presentation="bronchospasm"), PHYSICIAN)
    assert not play.state.reference
    assert "superseded" in play.state.steps[step_id].phases


def test_in_reference_mode_nothing_is_suggested_and_nothing_offered() -> None:
    """One setting turns suggestion and resolved doses into a plain display of the pack's rows."""
    play = Play(machine(Objectives(pack=pack(), decision_support=False)), "ses-1-r1")
    play.do(opening(play), TECHNOLOGIST)
    assert names(play.do(c.RecordSigns(signs=("S-A3-5",)), TECHNOLOGIST)) == ["SignsRecorded"]


def opening(play: Play) -> c.OpenReaction:
    """Return the command that opened a reaction like those of the other tests."""
    first = opened().of(e.ReactionOpened)[0]
    fields = {name: getattr(first, name) for name in first.__slots__ if not name.startswith("pack_")}
    return c.OpenReaction(alerted="physician-1", **fields)


@pytest.mark.parametrize(
    ("connected", "drug", "route", "expected"),
    [
        (False, "epinephrine", "IM", "standing_order"),
        (False, "epinephrine auto-injector", "IM", "standing_order"),
        (False, "epinephrine", "IV", "none"),
        (False, "diphenhydramine", "IV", "none"),
        (True, "epinephrine", "IM", "none"),
    ],
)
def test_without_a_physician_only_the_standing_order_stands(
    connected: bool, drug: str, route: str, expected: str
) -> None:
    """IM epinephrine for anaphylaxis while nobody is on the line; every other dose is kept and marked unordered."""
    play = opened()
    play.do(c.RecordSigns(signs=("S-A3-5",)), TECHNOLOGIST)
    step_id, _ = offer(play, "epinephrine", "IM")
    dose = c.RecordMedicationGiven(
        step_id=step_id, drug=drug, route=route, dose_mg=Decimal("0.3"), physician_connected=connected
    )
    play.do(dose, RESPONDER)

    assert play.of(e.MedicationGiven)[-1].authority == expected
    assert ("unordered" in play.log[-1].flags) == (expected == "none")


def test_a_dose_without_a_step_belongs_to_the_open_order_of_its_drug() -> None:
    """The order is fulfilled, so that it is not given again."""
    play = graded()
    play.do(order(play), PHYSICIAN)
    step_id, _ = offer(play, "epinephrine", "IM")
    play.do(c.RecordMedicationGiven(drug="epinephrine", route="IM", dose_mg=Decimal("0.3")), RESPONDER)

    assert play.of(e.MedicationGiven)[-1].authority == "order"
    assert play.state.given[-1].step_id == step_id
    assert "done" in play.state.steps[step_id].phases
    give(play)
    assert play.of(e.MedicationGiven)[-1].authority == "none"


def test_vital_signs_are_asked_for_again_after_the_packs_interval() -> None:
    """Five minutes after a severe grade, counted anew from each measurement; one reminder, not one for ever."""
    play = graded()
    assert names(play.wait(299)) == []
    play.do(c.RecordVitals(systolic_mmhg=110), RESPONDER)
    assert names(play.wait(299)) == []
    assert names(play.wait(1)) == ["VitalsDue"]
    assert names(play.wait(3600)) == []


def test_a_mild_reaction_is_watched_before_the_patient_goes_home() -> None:
    """Twenty minutes from the onset by the pack's row; earlier only with a reason."""
    play = graded(Severity.MILD, "hives")
    play.wait(600)
    play.do(c.ReportResolved(), TECHNOLOGIST)
    assert play.refused(HOME, PHYSICIAN) == "OBSERVATION_NOT_OVER"
    assert "ObservationReached" in names(play.wait(600))
    play.do(HOME, PHYSICIAN)
    assert play.timers == {}


def test_a_moderate_reaction_is_watched_from_its_resolution_on() -> None:
    """An hour without symptoms; a relapse starts it anew."""
    play = graded(Severity.MODERATE, "hives")
    play.wait(3600)
    assert play.refused(HOME, PHYSICIAN) == "OBSERVATION_NOT_OVER"
    play.do(c.ReportResolved(), TECHNOLOGIST)
    play.wait(1800)
    play.do(c.GradeReaction(severity=Severity.MODERATE, presentation="hives"), PHYSICIAN)
    play.do(c.ReportResolved(), TECHNOLOGIST)
    assert "ObservationReached" not in names(play.wait(3599))
    assert play.refused(HOME, PHYSICIAN) == "OBSERVATION_NOT_OVER"
    assert "ObservationReached" in names(play.wait(1))
    play.do(HOME, PHYSICIAN)


def test_home_before_the_time_needs_words() -> None:
    """The reason is kept with the disposition."""
    play = graded(Severity.MODERATE, "hives")
    play.do(c.ReportResolved(), TECHNOLOGIST)
    play.do(
        c.DisposeReaction(disposition=Disposition.DISCHARGED_HOME, reason="leaves against advice"), PHYSICIAN
    )

    assert play.of(e.ReactionDisposed)[0].reason == "leaves against advice"


def test_back_from_resolved_the_grade_goes_down_only_with_a_reason() -> None:
    """A severe reaction that resolved is not called mild without words."""
    play = graded()
    play.do(c.ReportResolved(), TECHNOLOGIST)
    mild = c.GradeReaction(severity=Severity.MILD, presentation="hives")

    assert play.refused(mild, PHYSICIAN) == "DE_ESCALATION_UNEXPLAINED"


DOSES = [("epinephrine", "IM"), ("epinephrine", "IV"), ("diphenhydramine", "IV"), ("albuterol", "inhaled")]


@CALM
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(DOSES),
            st.sampled_from(["0.1", "0.3", "0.5", "25", "50"]),
            st.integers(0, 1000),
        ),
        max_size=14,
    )
)
def test_no_sequence_of_orders_goes_past_a_cap_or_an_interval_unsaid(
    acts: list[tuple[tuple[str, str], str, int]],
) -> None:
    """Whatever is ordered and given when: against a limit it is refused; no epinephrine total is above 1 mg."""
    play = graded(presentation="anaphylaxis")
    rows = {
        (dose.drug, dose.route): (key, dose)
        for key, step in play.state.steps.items()
        for dose in step.offer.doses
    }
    for (drug, route), mg, pause in acts:
        play.wait(pause)
        if (drug, route) not in rows:
            continue
        step_id, dose = rows[(drug, route)]
        wish = c.OrderStep(step_id=step_id, row_id=dose.row_id, dose_mg=Decimal(mg))
        before = play.state
        try:
            play.do(wish, PHYSICIAN)
        except Rejected:
            continue
        ordered = play.of(e.StepOrdered)[-1].order
        assert ordered is not None
        assert protocol.problems(pack(), ordered, before, play.now) == ()
        play.do(
            c.RecordMedicationGiven(step_id=step_id, drug=drug, route=route, dose_mg=Decimal(mg)), RESPONDER
        )
    epinephrine = [one for one in play.state.given if one.counter == "epinephrine"]
    assert total_mg(pack(), epinephrine) <= 1
    assert all(one.beyond == () for one in play.of(e.MedicationGiven))


@CALM
@given(
    grades=st.lists(
        st.tuples(st.sampled_from(list(Severity)), st.sampled_from(["", "better"])), min_size=1, max_size=8
    )
)
def test_the_grade_never_goes_down_in_silence(grades: list[tuple[Severity, str]]) -> None:
    """Every step down carries its reason; the worst grade is never forgotten."""
    play = opened()
    for severity, reason in grades:
        try:
            play.do(c.GradeReaction(severity=severity, presentation="hives", reason=reason), PHYSICIAN)
        except Rejected as refusal:
            assert refusal.reason == "DE_ESCALATION_UNEXPLAINED"
    for was, now in itertools.pairwise(play.of(e.ReactionGraded)):
        assert now.severity.rank >= was.severity.rank or now.reason
    worst = max((graded.severity for graded in play.of(e.ReactionGraded)), key=lambda one: one.rank)
    assert play.state.worst is worst


@pytest.mark.hazard("H-10")
def test_a_reaction_keeps_the_version_it_started_with() -> None:
    """The product is updated in mid-reaction: the doses, the order and its limits are those of the first version."""
    play = graded()
    newer = replace(
        pack(), drugs=tuple(replace(row, dose_mg=row.dose_mg and row.dose_mg * 2) for row in pack().drugs)
    )
    newer = replace(newer, hash=content_hash(newer))
    play.machine = machine(Objectives(pack=newer, earlier={pack().hash: pack(), newer.hash: newer}))
    play.do(c.RecordPatientWeight(weight_kg=Decimal(80), method="scale"), TECHNOLOGIST)

    assert play.of(e.ProtocolResolved)[-1].pack_hash == pack().hash
    play.do(order(play), PHYSICIAN)
    ordered = play.of(e.StepOrdered)[-1].order
    assert ordered is not None and ordered.dose_mg == Decimal("0.3")


def watched(play: Play) -> set[str]:
    return {step.step_id for step in play.state.watching}


def test_the_first_epinephrine_brings_the_rows_on_watching_after_it() -> None:
    """Moderate bronchospasm: O-6 and the warning that it may come back stand from the dose on, and are added once."""
    play = graded(Severity.MODERATE, "bronchospasm")
    before = watched(play)
    first = names(give(play))  # type: ignore[arg-type]  # events
    play.wait(600)
    second = names(give(play))  # type: ignore[arg-type]  # events

    assert not {"O-6", "O-8"} & before
    assert watched(play) == before | {"O-6", "O-8"}
    assert (first.count("ProtocolResolved"), second.count("ProtocolResolved")) == (1, 0)
    assert play.of(e.StepDone) and "done" in play.state.steps[offer(play, "epinephrine", "IM")[0]].phases


def test_epinephrine_in_another_reaction_of_the_session_brings_them_too() -> None:
    """It is one patient."""
    elsewhere = graded(Severity.MODERATE, "bronchospasm")
    give(elsewhere)
    play = graded(Severity.MODERATE, "bronchospasm")
    play.do(c.ReportDosesElsewhere(given_elsewhere=elsewhere.state.given))

    assert {"O-6", "O-8"} <= watched(play)


def test_another_drug_brings_no_rows_of_epinephrine() -> None:
    """Albuterol alone leaves the steps as they are."""
    play = graded(Severity.MODERATE, "bronchospasm")
    happened = names(give(play, "albuterol", "inhaled", "0.18"))  # type: ignore[arg-type]  # events

    assert "ProtocolResolved" not in happened
    assert not {"O-6", "O-8"} & watched(play)


def test_a_later_dose_leaves_the_observation_counted_from_the_end_of_the_signs() -> None:
    """The reference counts from full resolution and restarts nothing at a dose."""
    play = graded(Severity.MODERATE, "bronchospasm")
    give(play)
    play.do(c.ReportResolved(), TECHNOLOGIST)
    until = play.timers["observation"]
    play.wait(600)
    give(play)

    assert play.timers["observation"] == until


@pytest.mark.hazard("H-48")
def test_a_graded_reaction_that_gets_worse_is_offered_other_steps() -> None:
    """Hives with a falling pressure: epinephrine and the call at once; they stay when one value is better."""
    play = graded(Severity.MILD, "hives")
    happened = play.do(c.RecordVitals(systolic_mmhg=70, heart_rate_bpm=140), RESPONDER)

    assert "ProtocolResolved" in names(happened)
    assert play.state.help_needed
    assert offer(play, "epinephrine", "IM")
    assert play.refused(HOME, PHYSICIAN) == "DISPOSITION_TOO_LIGHT"
    play.do(c.RecordVitals(systolic_mmhg=118), RESPONDER)
    play.do(c.RecordPatientWeight(weight_kg=Decimal(70), method="scale"), RESPONDER)
    assert play.state.help_needed
    play.do(c.ReportResolved(), RESPONDER)
    assert play.refused(HOME, PHYSICIAN) == "DISPOSITION_TOO_LIGHT"


def test_what_was_not_measured_again_hides_nothing() -> None:
    """Consciousness told alone does not hide a low pressure measured before."""
    play = opened()
    play.do(c.RecordSigns(signs=("S-A2-1",)), TECHNOLOGIST)
    play.do(c.RecordVitals(systolic_mmhg=70, heart_rate_bpm=130), TECHNOLOGIST)
    play.do(c.RecordVitals(conscious=True), TECHNOLOGIST)

    assert play.state.latest_vitals is not None
    assert (play.state.latest_vitals.systolic_mmhg, play.state.latest_vitals.conscious) == (70, True)
    assert play.state.suggested is Severity.SEVERE


@pytest.mark.hazard("H-13")
def test_another_weight_gives_another_dose_from_the_next_order_on() -> None:
    """30 kg was 10 kg: what is ordered next is 0.1 mg, whether the step was done before or not."""
    play = graded(age_years=6, weight_kg=Decimal(30))
    play.do(order(play), PHYSICIAN)
    give(play, mg="0.3")
    play.do(c.RecordPatientWeight(weight_kg=Decimal(10), method="scale"), RESPONDER)
    play.wait(360)
    play.do(order(play), PHYSICIAN)
    step_id, _ = offer(play, "epinephrine", "IM")
    again = play.state.steps[step_id].order

    assert again is not None
    assert again.dose_mg == Decimal("0.1")
    assert "10 kg" in again.formula


@pytest.mark.hazard("H-13")
def test_an_open_order_for_another_weight_is_ordered_again() -> None:
    """What was ordered for 30 kg is not read back at 10 kg; the new order needs no reason, and is given as it says."""
    play = graded(age_years=6, weight_kg=Decimal(30))
    play.do(order(play), PHYSICIAN)
    step_id, _ = offer(play, "epinephrine", "IM")
    heard = c.ReadBackStep(
        step_id=step_id, dose_mg=Decimal("0.3"), concentration_mg_per_ml=Decimal(1), route="IM"
    )
    play.do(c.RecordPatientWeight(weight_kg=Decimal(10), method="scale"), RESPONDER)

    assert play.state.steps[step_id].outdated
    assert play.refused(heard, RESPONDER) == "ORDER_OUTDATED"
    play.do(order(play), PHYSICIAN)
    assert not play.state.steps[step_id].outdated
    play.do(replace(heard, dose_mg=Decimal("0.1")), RESPONDER)


@pytest.mark.hazard("H-12")
def test_more_than_the_weight_gives_needs_a_reason_and_is_flagged() -> None:
    """A child of 10 kg gets 0.1 mg: 0.3 mg is refused without a reason, and flagged when it went in."""
    play = graded(age_years=6, weight_kg=Decimal(10))

    assert play.refused(order(play, dose_mg=Decimal("0.3")), PHYSICIAN) == "DOSE_OVER_CAP"
    play.do(order(play, dose_mg=Decimal("0.1")), PHYSICIAN)
    give(play, mg="0.3")
    assert "DOSE_OVER_CAP" in play.of(e.MedicationGiven)[-1].beyond


@pytest.mark.hazard("H-12")
def test_an_order_in_mg_without_a_weight_names_the_product() -> None:
    """A child whose weight nobody knows: the physician's own dose is still drawn from 1 mg/mL, and read back so."""
    play = graded(age_years=6, weight_kg=None)
    play.do(order(play, dose_mg=Decimal("0.15")), PHYSICIAN)
    step_id, _ = offer(play, "epinephrine", "IM")
    ordered = play.state.steps[step_id].order

    assert ordered is not None
    assert ordered.amount_text == "epinephrine 0.15 mg (1 mg/mL, 0.15 mL) IM into the anterolateral thigh"
    wrong = c.ReadBackStep(step_id=step_id, dose_mg=Decimal("0.15"), concentration_mg_per_ml=None, route="IM")
    assert play.refused(wrong, RESPONDER) == "READ_BACK_MISMATCH"


@pytest.mark.hazard("H-13")
def test_a_weight_that_cannot_be_one_stops_nothing() -> None:
    """Grams taken for kilograms: signs, vital signs and the grade are taken, and the doses ask for the weight."""
    play = opened(age_years=6, weight_kg=Decimal(20000))
    play.do(c.RecordSigns(signs=("S-A2-5",)), TECHNOLOGIST)
    play.do(c.RecordVitals(systolic_mmhg=70, heart_rate_bpm=140), TECHNOLOGIST)
    play.do(c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis"), PHYSICIAN)

    assert offer(play, "epinephrine", "IM")[1].waits_for == "weight"
    assert play.refused(order(play), PHYSICIAN) == "WEIGHT_MISSING"
    play.do(c.RecordPatientWeight(weight_kg=Decimal(20), method="scale"), RESPONDER)
    assert offer(play, "epinephrine", "IM")[1].dose_mg == Decimal("0.2")


@pytest.mark.hazard("H-13")
def test_an_impossible_weight_in_an_offline_log_loses_no_other_entry() -> None:
    """The dose and the call of the same log are taken, the weight before it stays in use, and the log says so."""
    play = graded(age_years=6, weight_kg=Decimal(20))
    told = [Offline(entry_id=f"e{n}", at=play.now, by="tech-1") for n in range(3)]
    log = c.ReportOfflineEntries(
        facts=(
            c.RecordPatientWeight(weight_kg=Decimal(20000), method="scale", offline=told[0]),
            c.RecordMedicationGiven(drug="epinephrine", route="IM", dose_mg=Decimal("0.2"), offline=told[1]),
            c.RecordEmergencyCalled(service="911", offline=told[2]),
        )
    )
    play.do(log)
    assert "weight_not_used" in play.log[-1].flags

    assert play.state.weight_kg == Decimal(20)
    assert [dose.dose_mg for dose in play.state.given] == [Decimal("0.2")]
    assert play.state.emergency_called_at is not None


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (
            c.RecordMedicationGiven(drug="oxygen", route="mask", given_at=START.replace(year=2099)),
            "given_in_future",
        ),
        (
            c.RecordMedicationGiven(drug="oxygen", route="mask", given_at=START.replace(year=1999)),
            "given_before_onset",
        ),
        (c.RecordEmergencyCalled(service="911", called_at=START.replace(year=2099)), "called_in_future"),
    ],
)
def test_a_time_that_cannot_be_is_marked(command: Command, flags: str) -> None:
    """The fact is kept as told, and its flag says what is odd about it."""
    play = graded()
    play.do(command, RESPONDER)

    assert flags in play.log[-1].flags
