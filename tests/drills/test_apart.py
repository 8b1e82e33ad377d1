"""A drill is practice: marked everywhere, sent nowhere, and it takes nobody from a patient."""

import datetime as dt
import json
from decimal import Decimal

import pytest

from engine.bootstrap import load_packs
from engine.kernel.errors import Invalid
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.kernel.machine import Context
from engine.policies import sealed_to_delivery
from engine.reactions import commands as r
from engine.reactions.decide import Objectives
from engine.reactions.events import ReactionOpened
from engine.reactions.machine import machine
from engine.records import pdf
from engine.records.reader import RecordReader
from engine.records.sheet import sheet
from engine.runtime.limits import Limits
from engine.services.status import StatusBoard
from engine.workflows.drill import commands as c
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session import commands as s
from engine.workflows.session.events import RecordSealed
from engine.workflows.session.state import Screening
from tests.drills.stage import DIRECTOR, DOC, DRILL, NURSE, ORG, OTHER, REACTION, SESSION, TECH, Stage, stage
from tests.workflows.play import START, SYSTEM
from tests.workflows.session import stories

TO_ONSET_S = 60


async def live(room: Stage, session_id: str = "ses-1") -> None:
    """A patient's session in the other room, with the physician there."""
    plan = stories.schedule(organization_id=ORG, room_id="ct-2", weight_kg=Decimal(70))
    await room.do("session", session_id, plan)
    await room.do("session", session_id, s.StartPreparation(), TECH)
    await room.do("session", session_id, s.RecordScreening(screening=Screening()), TECH)
    await room.do("session", session_id, s.CheckInResponder(responder_id="rn-1"), TECH)
    await room.do("session", session_id, s.RequestSupervision(), TECH)
    await room.do("ring", f"{session_id}-1", AnswerRing(), DOC)


async def practising(room: Stage) -> None:
    """A drill in which the physician treats."""
    await room.start()
    await room.wait(TO_ONSET_S)
    await room.report()
    await room.answer()
    await room.grade()


@pytest.mark.hazard("H-43")
async def test_a_drill_is_marked_on_every_stream_and_page() -> None:
    """Session, reaction, ring, page and every event that opens one say drill; the patient is looked up nowhere."""
    async with stage() as room:
        await practising(room)
        sent = await room.executor.store.outbox(100)
        states = [
            await room.state(*name)
            for name in (("session", SESSION), ("reaction", REACTION), ("ring", f"{SESSION}-1"))
        ]

    assert [state.drill for state in states] == [True, True, True]
    assert states[0].drill_id == DRILL
    assert {row.body.get("urgency") for row in sent if row.kind == "page"} == {"drill"}
    assert [row.kind for row in sent if row.kind.startswith("lookup")] == []


@pytest.mark.hazard("H-43")
async def test_the_record_and_its_page_say_drill() -> None:
    """The record has the drill's id, and the printed page its watermark."""
    async with stage() as room:
        await practising(room)
        reader = RecordReader(room.executor.store)
        file = await reader.unsealed(SESSION)

    unmarked = json.loads(file)
    unmarked["record"]["engine"]["drill"]["value"] = None
    assert sheet(json.loads(file))["drill"] is True
    assert pdf.render_pdf(file) != pdf.render_pdf(json.dumps(unmarked).encode())


@pytest.mark.hazard("H-43")
async def test_nothing_of_a_drill_is_delivered() -> None:
    """A sealed drill would go nowhere; a patient's record goes to the RIS."""
    sealed = RecordSealed(
        revision=1,
        record_hash="h",
        key_id="k",
        public_key="p",
        signature="s",
        sealed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        through=1,
    )
    async with stage() as room:
        await room.start()
        await live(room)
        for session_id, wanted in ((SESSION, 0), ("ses-1", 1)):
            async with room.policies._view_of(_said(session_id, sealed)) as view:
                assert len(list(sealed_to_delivery(_said(session_id, sealed), view))) == wanted


def _said(session_id: str, event: RecordSealed) -> Recorded:
    return Recorded(
        position=1,
        stream=Stream("session", session_id),
        version=1,
        at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        actor=TECH,
        correlation=session_id,
        causation="",
        phases=(),
        flags=(),
        event=event,
        hash="",
        prev_hash="",
    )


@pytest.mark.hazard("H-43", "H-03")
async def test_a_drill_takes_no_physician_from_a_patient() -> None:
    """Treating in a drill, the physician keeps window and patient; a patient's ring may be answered meanwhile."""
    async with stage() as room:
        await room.covered(cap=2)
        await live(room)
        await practising(room)
        window = await room.state("coverage", "cov-1")
        patient = await room.state("session", "ses-1")

        assert window.phases == ("engaged",)
        assert window.sessions == ("ses-1",)
        assert patient.physician_present
        await live(room, "ses-2")
        assert (await room.state("session", "ses-2")).physician_present


@pytest.mark.hazard("H-43", "H-03")
async def test_an_alarm_on_a_drills_live_line_takes_nobody_from_a_patient() -> None:
    """The physician is on the drill's line when REACTION is pressed, and hands the drill to one with a window."""
    async with stage() as room:
        await room.covered(cap=2)
        await live(room)
        await room.start()
        await room.do("session", SESSION, s.RecordScreening(screening=Screening()), TECH)
        await room.do("session", SESSION, s.StartPreparation(), TECH)
        await room.do("session", SESSION, s.CheckInResponder(responder_id="rn-1"), TECH)
        await room.do("session", SESSION, s.RequestSupervision(), TECH)
        await room.answer()
        await room.do("session", SESSION, s.ReportLineVerified(evidence=stories.FRAMES), SYSTEM)
        await room.report()
        await room.covered(who=OTHER, coverage_id="cov-2")
        await room.do("session", SESSION, s.OfferHandOff(to_physician_id="md-2"), DOC)
        await room.do("session", SESSION, s.AcceptHandOff(), OTHER)

        assert (await room.state("session", SESSION)).reactions
        window = await room.state("coverage", "cov-1")
        assert (window.phases, window.sessions) == (("engaged",), ("ses-1",))
        assert (await room.state("coverage", "cov-2")).phases == ("held",)
        assert (await room.state("session", "ses-1")).physician_present


@pytest.mark.hazard("H-43", "H-03")
async def test_a_drill_is_left_for_a_patient() -> None:
    """REACTION in a patient's session: the physician leaves the drill, which is rung for again."""
    async with stage() as room:
        await live(room)
        await practising(room)
        await room.do("session", "ses-1", s.ReportReaction(), TECH)
        await room.do("ring", "ses-1-2", AnswerRing(), DOC)
        await room.do("session", SESSION, s.RecordVitals(), TECH)

        assert (await room.state("session", "ses-1")).physician_present
        assert not (await room.state("session", SESSION)).physician_present


@pytest.mark.hazard("H-43")
async def test_drills_are_not_counted_among_sessions() -> None:
    """The status page counts patients' sessions and rings only."""
    async with stage() as room:
        await live(room)
        await practising(room)
        board = StatusBoard(room.executor.store, Limits(), product={}, demo=False, grpc_address="")
        status = await board.read()

    assert sum(status.regions["care"].values()) == 1
    assert status.rings == {}


@pytest.mark.parametrize("command", [c.EndDrill(), c.CancelDrill(reason="a patient needs the room")], ids=str)
async def test_the_end_stops_every_ring_and_closes_the_session(command: c.EndDrill | c.CancelDrill) -> None:
    """Nobody is rung for a drill that is over, whatever time passes; its session is closed."""
    async with stage() as room:
        await room.start()
        await room.wait(TO_ONSET_S)
        await room.report()
        await room.do("drill", DRILL, command, TECH)
        paged = len(await room.executor.store.outbox(1000))
        await room.wait(600)
        session = await room.state("session", SESSION)

        assert (await room.state("ring", f"{SESSION}-1")).phases == ("withdrawn",)
        assert "cancelled" in session.phases
        assert not session.open_reactions
        assert len(await room.executor.store.outbox(1000)) == paged


async def test_a_dose_in_a_drill_reaches_the_script_and_nothing_after_its_end() -> None:
    """The scripted patient is treated by the dose reported; one reported after the end changes nothing."""
    async with stage() as room:
        await practising(room)
        dose = r.RecordMedicationGiven(drug="epinephrine", route="IM", dose_mg=Decimal("0.3"))
        await room.react(dose, NURSE)
        assert (await room.state("drill", DRILL)).stage == "improving"
        await room.end()
        before = await room.state("drill", DRILL)
        await room.react(dose, NURSE)

        assert await room.state("drill", DRILL) == before


async def test_an_unannounced_drill_starts_by_itself() -> None:
    """At its time, not before: the session opens, marked; nobody had to press anything."""
    async with stage() as room:
        await room.plan(announced=False, due_in_s=120)
        await room.wait(119)
        assert (await room.state("session", SESSION)).version == 0
        await room.wait(1)

        assert (await room.state("drill", DRILL)).phases == ("running",)
        session = await room.state("session", SESSION)
        assert session.drill and session.age_years == 45
        assert session.site_state == "TX"


async def test_an_announced_drill_waits_for_a_hand() -> None:
    """Its due time is a plan and starts nothing."""
    async with stage() as room:
        await room.plan(due_in_s=5)
        await room.wait(60)

        assert (await room.state("drill", DRILL)).phases == ("planned",)


async def test_a_drill_is_planned_in_a_room_that_exists() -> None:
    """Another site or room is a mistake of form."""
    async with stage() as room:
        plan = c.PlanDrill(
            organization_id=ORG,
            site_id="site-1",
            room_id="ct-9",
            scenario_id="hives-adult",
            announced=True,
        )
        with pytest.raises(Invalid):
            await room.do("drill", DRILL, plan, DIRECTOR)


async def test_a_debriefed_drill_refreshes_everybody_who_took_part() -> None:
    """Six months until it is due again, twelve until it is over; points and people are the engine's."""
    async with stage() as room:
        await practising(room)
        await room.end()
        told = c.DebriefDrill(notes="drew up early", participants=("nobody",), points=100)
        drill = await room.do("drill", DRILL, told, DIRECTOR)
        directory = await room.state("directory", ORG)
        today = room.clock.now().date()

    held = {one.person_id: one for one in directory.credentials.values() if one.kind == "refresher"}
    assert set(held) == {"md-1", "tech-1"} == set(drill.participants)
    assert drill.points is not None and drill.points < 100
    assert held["md-1"].issued_on == today
    assert held["md-1"].due_on == dt.date(today.year, today.month + 6, today.day)
    assert held["md-1"].expires_on == dt.date(today.year + 1, today.month, today.day)
    assert held["md-1"].source == f"drill/{DRILL}"


@pytest.mark.hazard("H-43", "H-10")
def test_an_unsigned_pack_runs_in_a_drill_only() -> None:
    """A drill starts with the drill pack and nobody's signature, a patient with the signed one; each keeps its own."""
    packs = load_packs()
    signed, unsigned = packs["acr-2026"], packs["acr-aaaai-2025"]
    objectives = Objectives(pack=signed, signed_by="dir-1", drill_pack=unsigned)
    made = machine(objectives)
    opened = {
        drill: made.decide(
            made.initial("r-1"), opening(drill=drill), Context(now=START, actor=SYSTEM)
        ).events[0]
        for drill in (False, True)
    }

    assert isinstance(opened[False], ReactionOpened) and isinstance(opened[True], ReactionOpened)
    assert (opened[False].pack_hash, opened[False].pack_signed_by) == (signed.hash, "dir-1")
    assert (opened[True].pack_hash, opened[True].pack_signed_by) == (unsigned.hash, "")


def opening(*, drill: bool) -> r.OpenReaction:
    return r.OpenReaction(
        session_id="ses-1",
        organization_id=ORG,
        site_id="site-1",
        onset_at=START,
        age_years=45,
        weight_kg=None,
        setting="office",
        modality="CT",
        agent="",
        demo=False,
        drill=drill,
        alerted="",
    )
