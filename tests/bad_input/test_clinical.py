"""Bad clinical input against a real server: the reason, nothing changed, nothing acknowledged lost.

Where each line of the list of bad input is held, besides the tests of the part that refuses it:

| line | end to end | close up |
|---|---|---|
| unknown session, wrong phase | here | services/test_grpc, services/test_connect |
| stale version | here | services/test_grpc, runtime/test_executor |
| duplicate request id, reused with another body | here | services/test_grpc, runtime/test_executor |
| missing weight | here | reactions/test_dose, reactions/test_resolve |
| a dose over its cap | here | reactions/test_guards |
| a physician without a licence | here | |
| a rule that denies | here | |
| a truncated MLLP frame | test_wire | hl7_fhir/test_framing, hl7_fhir/test_listener |
| a message with no PID | test_wire | hl7_fhir/test_inbound |
| a 10 MB message | test_wire | hl7_fhir/test_listener |
| an unknown code | test_wire | hl7_fhir/test_inbound |
| a slow watcher | services/test_watch | runtime/test_watchers |
| a vanished watcher | test_wire | services/test_limits |
| a full disk | test_wire | store/test_sqlite |
"""

from typing import Any

import pytest

from engine.demo.scripts.parts import SCREENING
from media.peer import SyntheticPeer
from tests.bad_input.room import Room

pytestmark = pytest.mark.asyncio(loop_scope="package")
VITALS = "SessionService.RecordVitals"


async def test_an_unknown_session(room: Room) -> None:
    """A command and a read of a session that was never made are NOT_FOUND and make nothing."""
    for rpc, fields in ((VITALS, {"systolic_mmhg": 120}), ("SessionService.StartPreparation", {})):
        assert (await room.refused("tech-1", rpc, fields)).reason == "NOT_FOUND"
    assert await room.events() == []


async def test_a_wrong_phase(room: Room) -> None:
    """Injecting in a session that is only scheduled is refused by the phase."""
    await room.scheduled()
    refused = await room.refused("tech-1", "SessionService.StartInjection", {"ready_token": "none"})
    assert refused.reason == "WRONG_PHASE"


async def test_a_stale_version(room: Room) -> None:
    """A wish made for another version is refused; the same wish without one goes through."""
    await room.scheduled()
    header = {"request_id": f"{room.name}-stale", "expected_version": 7}
    refused = await room.refused("tech-1", "SessionService.StartPreparation", {"header": header})
    assert "version" in refused.reason.lower() or "changed" in refused.sentence
    await room.do("tech-1", "SessionService.StartPreparation")


async def test_a_request_id_twice(room: Room) -> None:
    """The same request answers as before; the same id with another body is refused by name."""
    await room.scheduled()
    header = {"header": {"request_id": f"{room.name}-twice"}}
    first = await room.do("tech-1", VITALS, {**header, "heart_rate_bpm": 80})
    async with room.unchanged():
        again = await room.do("tech-1", VITALS, {**header, "heart_rate_bpm": 80})
    assert (again.repeated_request, again.version) == (True, first.version)

    refused = await room.refused("tech-1", VITALS, {**header, "heart_rate_bpm": 81})
    assert "used for another request" in refused.sentence


async def _epinephrine(room: Room, reaction_id: str) -> dict[str, Any]:
    """Return step and row of the intramuscular epinephrine that the protocol offers."""
    found = await room.caller("tech-1").call("ReactionService.GetReaction", {"reaction_id": reaction_id})
    for step in sorted(found.reaction.steps.values(), key=lambda one: one.offer.number):
        for dose in step.offer.doses:
            if (dose.drug, dose.route) == ("epinephrine", "IM"):
                return {"reaction_id": reaction_id, "step_id": step.offer.step_id, "row_id": dose.row_id}
    raise AssertionError("the protocol offers no epinephrine")


@pytest.mark.hazard("H-11")
async def test_a_missing_weight(room: Room) -> None:
    """A child's dose by weight is refused without a weight, and resolved once there is one."""
    await room.scheduled()
    identity = {
        "mrn": "DEMO2002",
        "authority": "DEMO",
        "family": "DEMO",
        "given": "CHILD",
        "birth_date": {"year": 2020, "month": 6, "day": 1},
        "sex": "F",
    }
    await room.do("tech-1", "SessionService.AmendPatient", {"identity": identity})
    reaction_id = await room.reacting()
    order = await _epinephrine(room, reaction_id)

    refused = await room.refused("physician-3", "ReactionService.OrderStep", order)
    assert refused.reason == "WEIGHT_MISSING"
    assert "weight" in refused.sentence

    weight = {"reaction_id": reaction_id, "weight_kg": "20", "method": "scale"}
    await room.do("tech-1", "ReactionService.RecordPatientWeight", weight)
    answer = await room.do("physician-3", "ReactionService.OrderStep", order)
    assert answer.reaction.steps[order["step_id"]].order.dose_mg


@pytest.mark.hazard("H-12")
async def test_a_dose_over_its_cap(room: Room) -> None:
    """Ten times the dose is refused; a physician who insists says why, and both stay in the record."""
    await room.scheduled(weight_kg="70")
    reaction_id = await room.reacting()
    order = {**await _epinephrine(room, reaction_id), "dose_mg": "3"}

    refused = await room.refused("physician-3", "ReactionService.OrderStep", order)
    assert refused.reason == "DOSE_OVER_CAP"

    reason = {"override_reason": "demonstration of an override"}
    answer = await room.do("physician-3", "ReactionService.OrderStep", {**order, **reason})
    assert answer.reaction.steps[order["step_id"]].order.dose_mg == "3"
    assert "StepOrdered" in [kind for _, _, kind, _ in await room.events()]


@pytest.mark.hazard("H-19")
async def test_a_physician_without_a_licence(room: Room) -> None:
    """A physician of another state is never rung; when everybody may answer, their answer is refused by the licence."""
    await room.scheduled()
    ring_id = await room.ringing()
    answer = {"ring_id": ring_id}
    refused = await room.refused("physician-nv", "RingService.AnswerRing", answer)
    assert refused.reason == "NOT_ON_THIS_RING"

    for raised in ("RungRaised", "RungRaised", "RingEscalated"):
        await room.caller("operator-1").call("DemoService.AdvanceClock", {"by": "31s"})
        await room.news.stream(raised, room.session_id)
    await room.news.stream("RingEscalated", room.session_id)
    refused = await room.refused("physician-nv", "RingService.AnswerRing", answer)
    assert refused.reason == "PHYSICIAN_UNLICENSED"
    await room.do("physician-1", "RingService.AnswerRing", answer)


async def _new_jersey(room: Room) -> None:
    """Open a site in New Jersey with people who are licensed there."""
    organization = {"organization_id": "org-demo"}
    site = {
        **organization,
        "site_id": "nj-site",
        "name": "Demo Imaging NJ",
        "state": "NJ",
        "setting": "idtf",
        "address": "2 Demo Street, Demo Town, NJ",
        "ems_address": "2 Demo Street, entrance A",
        "ems_phone": "911",
        "time_zone": "America/New_York",
    }
    await room.do("operator-1", "DirectoryService.RegisterSite", site)
    scanner = {**organization, "site_id": "nj-site", "room_id": "nj-ct", "name": "CT", "modality": "CT"}
    await room.do("operator-1", "DirectoryService.RegisterRoom", scanner)
    for person, kind in (("physician-1", "MD"), ("responder-1", "RN")):
        licence = {
            **organization,
            "person_id": person,
            "kind": "licence",
            "licence_type": kind,
            "state": "NJ",
            "number": f"DEMO-NJ-{person}",
            "expires_on": {"year": 2099, "month": 12, "day": 31},
            "source": "demo board",
            "verified_by": "officer-1",
        }
        await room.do("officer-1", "DirectoryService.RecordCredential", licence)
    roster = {**organization, "site_id": "nj-site", "rung": "primary", "people": ["physician-1"]}
    await room.do("operator-1", "DirectoryService.SetRoster", roster)


@pytest.mark.hazard("H-20")
async def test_a_rule_that_denies(room: Room) -> None:
    """In a state that wants the physician in the building everything else may hold: READY is refused by the verdict."""
    await _new_jersey(room)
    await room.scheduled(site_id="nj-site", room_id="nj-ct")
    await room.do("physician-1", "RingService.AnswerRing", {"ring_id": await room.ringing()})
    await room.news.stream("PhysicianAssigned", room.session_id)
    peers = [await _joined(room, *who) for who in (("tech-1", "TECHNOLOGIST"), ("physician-1", "PHYSICIAN"))]
    await room.news.stream("LineVerified", room.session_id)
    read = {"family": "DEMO", "given": "PATIENT", "birth_date": {"year": 1971, "month": 4, "day": 12}}
    await room.do("tech-1", "SessionService.ConfirmIdentity", read)
    await room.do("tech-1", "SessionService.RecordScreening", SCREENING)
    await room.do("physician-1", "SessionService.ReviewScreening")
    seen = {"patient_visible": True, "injection_site_visible": True}
    await room.do("physician-1", "SessionService.ConfirmView", seen)
    await room.do("physician-1", "SessionService.ClearForContrast", {"agent": "iohexol"})

    refused = await room.refused("tech-1", "SessionService.GrantReady")
    assert refused.reason == "VERDICT_DENIES"
    evaluated = await room.do("tech-1", "SessionService.EvaluateRules")
    verdict = evaluated.session.verdict
    assert verdict.result == "deny"
    assert [one.rule_id for one in verdict.layers if one.result == "deny"] == ["NJ-13:35-6.20"]
    refused = await room.refused("tech-1", "SessionService.StartInjection", {"ready_token": "none"})
    assert refused.reason == "READY_ABSENT"
    for peer in peers:
        await peer.leave()


async def _joined(room: Room, person: str, place: str) -> SyntheticPeer:
    async def exchange(offer_sdp: str) -> str:
        fields = {
            "session_id": room.session_id,
            "participant": f"LINE_PARTICIPANT_{place}",
            "offer_sdp": offer_sdp,
        }
        answer = await room.caller(person).call("MediaService.JoinLine", fields)
        return str(answer.answer_sdp)

    peer = SyntheticPeer()
    await peer.join(exchange)
    return peer
