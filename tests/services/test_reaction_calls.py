"""A reaction over the wire: graded, ordered, read back, given; amounts stay exact text with their unit."""

from decimal import Decimal
from typing import Any

import grpc
import pytest

from attend.v1 import reactions_pb2
from engine.kernel.commands import Actor, Request
from engine.kernel.ids import Stream
from engine.reactions.commands import OpenReaction
from engine.runtime.executor import Executor
from tests.services.house import NOW, ORG, SITE, House, header, house, info_of

CODE = grpc.StatusCode


async def opened(executor: Executor) -> bool:
    """Let the engine open a reaction, as its policy does; return that there was something to do."""
    command = OpenReaction(
        session_id="ses-1",
        organization_id=ORG,
        site_id=SITE,
        onset_at=NOW,
        age_years=56,
        weight_kg=Decimal("70"),
        setting="idtf",
        modality="CT",
        agent="iohexol",
        demo=False,
        alerted="",
    )
    outcome = await executor.execute(
        Request(
            request_id="open",
            stream=Stream("reaction", "rea-1"),
            command=command,
            actor=Actor.system("test"),
            correlation="ses-1",
        )
    )
    return not outcome.repeated


async def graded(home: House) -> Any:
    """Return the answer to a physician's grade of severe anaphylaxis."""
    await opened(home.executor)
    return await home.reactions.GradeReaction(
        reactions_pb2.GradeReactionRequest(
            header=header("grade"),
            reaction_id="rea-1",
            severity=reactions_pb2.SEVERITY_SEVERE,
            presentation="anaphylaxis",
            reason="two systems",
        ),
        metadata=home.as_("physician"),
    )


async def test_a_graded_reaction_shows_its_steps_with_exact_doses(home: House) -> None:
    """The protocol's steps come with doses as decimals in text, their formula and their citation."""
    answer = await graded(home)
    doses = [dose for step in answer.reaction.steps.values() for dose in step.offer.doses]

    assert reactions_pb2.REACTION_PHASE_SEVERE in answer.reaction.phases
    assert answer.reaction.severity == reactions_pb2.SEVERITY_SEVERE
    assert any(
        dose.HasField("dose_mg") and Decimal(dose.dose_mg) > 0 and dose.formula and dose.citation
        for dose in doses
    )
    assert all(step.phases == [reactions_pb2.STEP_PHASE_PROPOSED] for step in answer.reaction.steps.values())


async def test_a_reaction_that_is_about_to_open_is_waited_for() -> None:
    """The alarm's answer names the reaction: who speaks of it at once, or reads it, is not told that it is missing."""
    for call in ("signs", "read"):
        async with house(follow=opened) as home:
            if call == "signs":
                request = reactions_pb2.RecordSignsRequest(
                    header=header("signs"), reaction_id="rea-1", signs=["S-A3-5"]
                )
                answer: Any = await home.reactions.RecordSigns(request, metadata=home.as_("technologist"))
            else:
                answer = await home.reactions.GetReaction(
                    reactions_pb2.GetReactionRequest(reaction_id="rea-1"), metadata=home.as_("technologist")
                )
            assert answer.reaction.reaction_id == "rea-1"


async def test_who_reads_a_reaction_is_on_the_disclosure_log(home: House) -> None:
    """What it holds of the patient is patient data, whoever reads it."""
    await opened(home.executor)
    await home.reactions.GetReaction(
        reactions_pb2.GetReactionRequest(reaction_id="rea-1"), metadata=home.as_("coverage_manager")
    )
    [read] = await home.executor.history(Stream("disclosure", "ses-1"))

    assert (read.actor.role, read.event.what) == ("coverage_manager", "reaction")


async def test_a_reaction_that_nobody_told_of_is_not_there() -> None:
    """After everything on its way has arrived, what is not there is missing."""
    async with house(follow=opened) as home:
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await home.reactions.GetReaction(
                reactions_pb2.GetReactionRequest(reaction_id="rea-2"), metadata=home.as_("technologist")
            )
        assert missing.value.code() == CODE.NOT_FOUND


async def test_the_steps_come_with_their_order(home: House) -> None:
    """A map has no order, so the ids come in the order of the protocol beside it, each step once."""
    reaction = (await graded(home)).reaction
    numbers = [reaction.steps[step_id].offer.number for step_id in reaction.step_order]

    assert sorted(reaction.step_order) == sorted(reaction.steps)
    assert numbers == sorted(numbers)
    assert numbers[0] == 1


async def test_only_a_physician_grades(home: House) -> None:
    """A technologist's grade is refused before the machine hears of it."""
    await opened(home.executor)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await home.reactions.GradeReaction(
            reactions_pb2.GradeReactionRequest(
                header=header("grade"),
                reaction_id="rea-1",
                severity=reactions_pb2.SEVERITY_MILD,
                presentation="hives",
            ),
            metadata=home.as_("technologist"),
        )

    assert caught.value.code() is CODE.PERMISSION_DENIED


async def test_an_unspecified_grade_is_named(home: House) -> None:
    """A grade left out is a field of the wrong form, not a grade."""
    await opened(home.executor)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await home.reactions.GradeReaction(
            reactions_pb2.GradeReactionRequest(
                header=header("grade"), reaction_id="rea-1", presentation="hives"
            ),
            metadata=home.as_("physician"),
        )

    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert info_of(caught.value).metadata["field"] == "severity"


async def test_a_given_dose_is_kept_exactly(home: House) -> None:
    """What was reported reads back digit for digit, the zeros included."""
    await graded(home)
    answer = await home.reactions.RecordMedicationGiven(
        reactions_pb2.RecordMedicationGivenRequest(
            header=header("given"),
            reaction_id="rea-1",
            drug="epinephrine",
            route="IM",
            dose_mg="0.30",
            concentration_mg_per_ml="1.0",
            volume_ml="0.30",
        ),
        metadata=home.as_("responder"),
    )
    read = await home.reactions.GetReaction(
        reactions_pb2.GetReactionRequest(reaction_id="rea-1"), metadata=home.as_("auditor")
    )

    assert [dose.dose_mg for dose in answer.reaction.given] == ["0.30"]
    assert answer.reaction.given[0].given_by == "responder-1"
    assert read.reaction == answer.reaction


async def test_vitals_not_measured_are_absent(home: House) -> None:
    """Zero is a measurement; what was not measured is not zero."""
    await opened(home.executor)
    answer = await home.reactions.RecordVitals(
        reactions_pb2.ReactionServiceRecordVitalsRequest(
            header=header("vitals"), reaction_id="rea-1", systolic_mmhg=0, conscious=False
        ),
        metadata=home.as_("technologist"),
    )
    [vitals] = answer.reaction.vitals

    assert vitals.HasField("systolic_mmhg") and vitals.systolic_mmhg == 0
    assert vitals.HasField("conscious") and not vitals.conscious
    assert not vitals.HasField("diastolic_mmhg")


async def test_a_follow_up_is_told_bit_by_bit(home: House) -> None:
    """What was told before stays; a no is told as no; a responder who only adds the number changes nothing else."""
    await opened(home.executor)
    for name, told in (("tryptase", {"tryptase_drawn": False}), ("number", {"safety_event_number": "SE-7"})):
        answer = await home.reactions.RecordFollowUp(
            reactions_pb2.RecordFollowUpRequest(
                header=header(name), reaction_id="rea-1", follow_up=reactions_pb2.FollowUp(**told)
            ),
            metadata=home.as_("responder"),
        )
    stands = answer.reaction.follow_up

    assert (stands.HasField("tryptase_drawn"), stands.tryptase_drawn) == (True, False)
    assert stands.safety_event_number == "SE-7"
    assert not stands.HasField("ems_arrived_at")


async def test_oxygen_rhythm_glucose_and_the_place_of_a_dose_go_there_and_back(home: House) -> None:
    """Room air is 0 and not absent; the exact decimal comes back."""
    await opened(home.executor)
    await home.reactions.RecordVitals(
        reactions_pb2.ReactionServiceRecordVitalsRequest(
            header=header("vitals"),
            reaction_id="rea-1",
            spo2_percent=97,
            oxygen_l_per_min="0",
            rhythm="sinus",
            glucose_mg_per_dl=88,
            response="better",
        ),
        metadata=home.as_("technologist"),
    )
    answer = await home.reactions.RecordMedicationGiven(
        reactions_pb2.RecordMedicationGivenRequest(
            header=header("dose"),
            reaction_id="rea-1",
            drug="epinephrine",
            route="IM",
            site="left anterolateral thigh",
            lot="EPI-9",
        ),
        metadata=home.as_("responder"),
    )
    [vitals], [dose] = answer.reaction.vitals, answer.reaction.given

    assert (vitals.oxygen_l_per_min, vitals.rhythm, vitals.glucose_mg_per_dl, vitals.response) == (
        "0",
        "sinus",
        88,
        "better",
    )
    assert (dose.site, dose.lot) == ("left anterolateral thigh", "EPI-9")
