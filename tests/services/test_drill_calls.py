"""Drills over the wire: who sees an unannounced one, what the drilled never read, and the score after the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from attend.v1 import common_pb2, directory_pb2, drills_pb2, watch_pb2
from attend.v1.drills_pb2_grpc import DrillServiceStub
from engine.kernel.canonical import digest
from tests.services.house import NOW, ORG, SITE, House, header, house

PLANNER, DRILLED = "coverage_manager", "technologist"


@pytest.fixture
async def home() -> AsyncIterator[House]:
    """A house on free ports."""
    async with house() as made:
        yield made


def drills(home: House) -> Any:
    return DrillServiceStub(home.channel)


async def plan(home: House, drill_id: str = "d-1", *, announced: bool = False, by: str = PLANNER) -> Any:
    """Plan a drill for in an hour."""
    due_at = Timestamp(seconds=int(NOW.timestamp()) + 3600)
    request = drills_pb2.PlanDrillRequest(
        header=header(f"plan-{drill_id}"),
        drill_id=drill_id,
        organization_id=ORG,
        site_id=SITE,
        room_id="room-1",
        scenario_id="anaphylaxis-adult",
        announced=announced,
        due_at=due_at,
    )
    return await drills(home).PlanDrill(request, metadata=home.as_(by))


async def call(home: House, verb: str, drill_id: str = "d-1", by: str = PLANNER, **fields: Any) -> Any:
    """Send a verb about a drill."""
    request = getattr(drills_pb2, f"{verb}Request")(
        header=header(f"{verb}-{drill_id}"), drill_id=drill_id, **fields
    )
    return await getattr(drills(home), verb)(request, metadata=home.as_(by))


async def code_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


@pytest.mark.parametrize("role", ["technologist", "responder", "physician", "auditor"])
async def test_an_unannounced_drill_is_unknown_to_everybody_it_may_drill(home: House, role: str) -> None:
    """Read, listed, called off or ended: as if it had never been planned; those who plan see it."""
    await plan(home)
    await plan(home, "d-2", announced=True)
    get = drills_pb2.GetDrillRequest(drill_id="d-1")
    listed = await drills(home).ListDrills(drills_pb2.ListDrillsRequest(), metadata=home.as_(role))
    all_of_them = await drills(home).ListDrills(drills_pb2.ListDrillsRequest(), metadata=home.as_(PLANNER))

    assert await code_of(drills(home).GetDrill(get, metadata=home.as_(role))) is grpc.StatusCode.NOT_FOUND
    assert [one.drill_id for one in listed.drills] == ["d-2"]
    assert [one.drill_id for one in all_of_them.drills] == ["d-1", "d-2"]
    if role != "auditor":
        cancelled = call(home, "CancelDrill", by=role, reason="why not")
        assert await code_of(cancelled) is grpc.StatusCode.NOT_FOUND


async def test_only_those_who_plan_may_plan_start_and_debrief(home: House) -> None:
    """A technologist may end or break off what runs, and nothing else."""
    assert await code_of(plan(home, by=DRILLED)) is grpc.StatusCode.PERMISSION_DENIED
    await plan(home)
    assert await code_of(call(home, "StartDrill", by=DRILLED)) is grpc.StatusCode.PERMISSION_DENIED
    await call(home, "StartDrill")
    ended = await call(home, "EndDrill", by=DRILLED)
    assert ended.drill.phases == [drills_pb2.DRILL_PHASE_ENDED]
    assert await code_of(call(home, "DebriefDrill", by=DRILLED)) is grpc.StatusCode.PERMISSION_DENIED


async def test_a_watch_shows_an_unannounced_drill_from_its_start_and_never_its_script(home: House) -> None:
    """A watch that was open before the start sees the patient change; no event tells the course that is to come."""
    await plan(home)
    watch = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_(DRILLED))
    waiting = asyncio.create_task(_until(watch, "PatientChanged"))
    await call(home, "StartDrill")
    seen = await asyncio.wait_for(waiting, 20)
    watch.cancel()

    assert "DrillStarted" in {one.type for one in seen}
    for one in seen:
        assert "scenario" not in json.loads(one.summary_json)
        assert "unconscious" not in one.summary_json


async def _until(watch: Any, kind: str) -> list[watch_pb2.WatchEvent]:
    found: list[watch_pb2.WatchEvent] = []
    while not found or found[-1].type != kind:
        one = await watch.read()
        if one.HasField("event"):
            found.append(one.event)
    return found


async def test_the_score_comes_after_the_end(home: House) -> None:
    """While it runs there is none; after it points, checks with what was missed, and the debriefing."""
    await plan(home, announced=True)
    await call(home, "StartDrill")
    get = drills_pb2.GetDrillRequest(drill_id="d-1")
    running = await drills(home).GetDrill(get, metadata=home.as_(DRILLED))
    await call(home, "EndDrill")
    over = await drills(home).GetDrill(get, metadata=home.as_(DRILLED))

    assert not running.HasField("score")
    assert running.debriefing == b""
    assert running.drill.vitals.systolic_mmhg == 128
    assert over.score.points < 100
    missed = {finding.reason for check in over.score.checks for finding in check.findings}
    assert "ONSET_NOT_REPORTED" in missed
    assert not over.score.HasField("onset_to_report_s")
    assert json.loads(over.debriefing)["points"] == over.score.points


async def test_the_debriefing_is_printed_when_it_is_asked_for(home: House) -> None:
    """After the end, JSON and PDF/A of one content hash; a plain look prints nothing, and a running drill has none."""
    await plan(home, announced=True)
    await call(home, "StartDrill")
    get = drills_pb2.GetDrillRequest(drill_id="d-1", include_pdf=True)
    running = await drills(home).GetDrill(get, metadata=home.as_(DRILLED))
    await call(home, "EndDrill")
    over = await drills(home).GetDrill(get, metadata=home.as_(DRILLED))
    plain = await drills(home).GetDrill(
        drills_pb2.GetDrillRequest(drill_id="d-1"), metadata=home.as_(DRILLED)
    )

    assert (running.debriefing_pdf, running.debriefing_hash, plain.debriefing_pdf) == (b"", "", b"")
    assert over.debriefing_pdf.startswith(b"%PDF")
    assert over.debriefing_hash == plain.debriefing_hash == digest(over.debriefing)


async def test_the_scripts_are_listed_for_those_who_plan(home: House) -> None:
    """By id, each saying that it is made up."""
    request = drills_pb2.ListDrillScenariosRequest()
    found = await drills(home).ListDrillScenarios(request, metadata=home.as_(PLANNER))

    assert [one.scenario_id for one in found.scenarios] == ["anaphylaxis-adult", "hives-adult"]
    assert all("no clinical rule" in one.notice for one in found.scenarios)
    refused = drills(home).ListDrillScenarios(request, metadata=home.as_(DRILLED))
    assert await code_of(refused) is grpc.StatusCode.PERMISSION_DENIED


async def test_refreshers_are_listed_with_the_most_pressing_first(home: House) -> None:
    """None on file, over, due, then what still holds; dates as the directory has them."""
    today = NOW.date()
    await _directory(home, "RegisterOrganization", "operator", name="Org")
    await _directory(
        home,
        "RegisterSite",
        "operator",
        site_id=SITE,
        name="Site",
        state="TX",
        setting="office",
        address="1 Way",
        ems_address="1 Way",
        ems_phone="911",
        time_zone="America/Chicago",
    )
    dates = {"a": None, "b": (-400, -200, -30), "c": (-200, -10, 160), "d": (-10, 170, 355)}
    for person, days in dates.items():
        await _directory(
            home,
            "RegisterPerson",
            "operator",
            person_id=person,
            name=person,
            role="responder",
            sites=[SITE],
        )
        if days is not None:
            issued, due, over = (_date(today, one) for one in days)
            await _directory(
                home,
                "RecordCredential",
                "operator",
                person_id=person,
                kind="refresher",
                issued_on=issued,
                due_on=due,
                expires_on=over,
            )
    found = await drills(home).ListRefreshers(
        drills_pb2.ListRefreshersRequest(), metadata=home.as_("physician")
    )

    assert [(one.person_id, drills_pb2.RefresherState.Name(one.state)) for one in found.refreshers] == [
        ("a", "REFRESHER_STATE_MISSING"),
        ("b", "REFRESHER_STATE_OVER"),
        ("c", "REFRESHER_STATE_DUE"),
        ("d", "REFRESHER_STATE_HOLDS"),
    ]
    assert found.refreshers[3].due_on == _date(today, 170)


def _date(today: Any, days: int) -> common_pb2.Date:
    day = today.fromordinal(today.toordinal() + days)
    return common_pb2.Date(year=day.year, month=day.month, day=day.day)


async def _directory(home: House, verb: str, by: str, **fields: Any) -> None:
    name = f"{verb}-{fields.get('person_id', '')}"
    request = getattr(directory_pb2, f"{verb}Request")(header=header(name), organization_id=ORG, **fields)
    await getattr(home.directory, verb)(request, metadata=home.as_(by))
