"""Times at both ends of the calendar, as a device without a clock or "for ever" has them, against a real server."""

from typing import Any

import pytest

from engine.demo.caller import Refused
from engine.demo.scripts.parts import KIT
from tests.bad_input.room import Room

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.hazard("H-16")]

ENDS = [
    pytest.param("0001-01-01T00:00:00Z", {"year": 1, "month": 1, "day": 1}, id="first"),
    pytest.param("9999-12-31T23:59:59.999999Z", {"year": 9999, "month": 12, "day": 31}, id="last"),
]
FOLLOW_UP = (
    "ems_arrived_at",
    "tryptase_drawn_at",
    "referrer_told_at",
    "family_told_at",
    "called_back_at",
    "kit_restocked_at",
    "debriefed_at",
)


@pytest.mark.parametrize(("at", "day"), ENDS)
async def test_every_fact_of_such_a_time_is_taken(room: Room, at: str, day: dict[str, int]) -> None:
    """Kit, contrast, onset, dose, call and follow-up: kept as told; reaction, papers and record are made."""
    await room.scheduled()
    await room.do("tech-1", "SessionService.StartPreparation")
    await room.do("tech-1", "SessionService.RecordKitChecked", {**KIT, "expires_on": day})
    contrast = {
        "agent": "iohexol",
        "contrast_class": "iodinated",
        "concentration": "350 mgI/mL",
        "volume_ml": "80",
    }
    contrast |= {"route": "IV", "given_at": at, "expires_on": day}
    await room.do("tech-1", "SessionService.RecordContrastGiven", contrast)
    await room.do("tech-1", "SessionService.ReportReaction", {"onset_at": at})
    reaction_id = await room.news.stream("ReactionOpened", room.session_id)
    mine = {"reaction_id": reaction_id}
    grade = {**mine, "severity": "SEVERITY_SEVERE", "presentation": "anaphylaxis"}
    await room.do("physician-3", "ReactionService.GradeReaction", grade)
    dose = {**mine, "drug": "epinephrine", "route": "IM", "dose_mg": "0.3", "given_at": at}
    await room.do("responder-1", "ReactionService.RecordMedicationGiven", dose)
    await room.do(
        "tech-1", "ReactionService.RecordEmergencyCalled", {**mine, "service": "911", "called_at": at}
    )
    await room.do(
        "tech-1", "ReactionService.RecordFollowUp", {**mine, "follow_up": dict.fromkeys(FOLLOW_UP, at)}
    )
    await room.do("physician-3", "ReactionService.ReportResolved", mine)

    caller = room.caller("physician-3")
    found = await caller.call("ReactionService.GetReaction", mine)
    assert [one.given_at.ToJsonString() for one in found.reaction.given] == [at]
    await caller.call(
        "SessionService.GetEmergencyPack", {"session_id": room.session_id, "purpose": "treatment"}
    )
    await caller.call(
        "RecordService.GetRecord",
        {"session_id": room.session_id, "purpose": "treatment", "include_pdf": True},
    )
    for kind in ("INCIDENT_REPORT", "DISCHARGE_SUMMARY", "ALLERGY_UPDATE", "EMS_HANDOVER"):
        asked = {**mine, "kind": f"REACTION_DOCUMENT_KIND_{kind}", "purpose": "treatment"}
        assert (await caller.call("ReactionService.GetReactionDocument", asked)).pdf


@pytest.mark.parametrize(("at", "day"), ENDS)
async def test_a_credential_may_last_for_ever(room: Room, at: str, day: dict[str, int]) -> None:
    """A licence to the last day holds, one to the first is over; checking somebody in with it goes on."""
    await room.scheduled()
    await room.do("tech-1", "SessionService.StartPreparation")
    for kind in ("competency", "bls", "licence"):
        told = {"organization_id": "org-demo", "person_id": "responder-1", "kind": kind, "state": "CA"}
        dates = {"licence_type": f"odd-{day['year']}", "issued_on": day, "due_on": day, "expires_on": day}
        await room.do("officer-1", "DirectoryService.RecordCredential", {**told, **dates})
    try:
        await room.do("tech-1", "SessionService.CheckInResponder", {"responder_id": "responder-1"})
    except Refused as refused:
        assert refused.reason == "RESPONDER_NOT_QUALIFIED"


@pytest.mark.parametrize(("at", "day"), ENDS)
async def test_a_wish_of_such_a_time_is_granted_or_refused_in_words(
    room: Room, at: str, day: dict[str, int]
) -> None:
    """A birth date and a coverage window: whatever is wrong with the time is said, not stumbled over."""
    born: dict[str, Any] = {
        "mrn": "DEMO2003",
        "authority": "DEMO",
        "family": "DEMO",
        "given": "ODD",
        "birth_date": day,
        "sex": "F",
    }
    window = {
        "coverage_id": f"cov-{room.name}",
        "organization_id": "org-demo",
        "physician_id": "physician-1",
        "rooms": [{"site_id": "demo-hospital", "room_id": "room-ct-1"}],
        "cap": 1,
    }
    await room.scheduled()
    for person, rpc, fields in (
        ("tech-1", "SessionService.AmendPatient", {"session_id": room.session_id, "identity": born}),
        ("manager-1", "CoverageService.OfferCoverage", {**window, "starts_at": at, "ends_at": at}),
        (
            "manager-1",
            "CoverageService.OfferCoverage",
            {**window, "starts_at": "2026-01-01T00:00:00Z", "ends_at": at},
        ),
    ):
        try:
            await room.do(person, rpc, fields)
        except Refused as refused:
            assert refused.reason and refused.reason != "INTERNAL", (rpc, refused)
