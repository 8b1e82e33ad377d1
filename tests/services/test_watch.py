"""The watch: what it shows and hides, that it resumes without gap or repeat, and that a slow one is cut."""

import asyncio
import datetime as dt
import json
from typing import Any

import grpc
import pytest

from attend.v1 import directory_pb2, sessions_pb2, watch_pb2
from attend.v1.watch_pb2_grpc import WatchServiceStub
from engine.kernel.ids import Stream
from engine.runtime.limits import Limits
from engine.services.interceptors import CallLimits
from tests.services.house import ORG, SECRET, SITE, House, header, house, info_of, schedule

CODE = grpc.StatusCode


async def organized(home: House) -> None:
    """Two sites, a person for each and one for both, each with a licence."""
    every = home.as_("medical_director", sites=("*",))
    calls: list[tuple[str, dict[str, Any]]] = [("RegisterOrganization", {"name": "Org"})]
    for site in (SITE, "site-2"):
        words = {
            "name": site,
            "state": "CA",
            "setting": "idtf",
            "address": "1 Way",
            "ems_address": "1 Way",
            "ems_phone": "911",
            "time_zone": "America/Los_Angeles",
        }
        calls += [("RegisterSite", {"site_id": site, **words})]
        calls += [
            ("RegisterRoom", {"site_id": site, "room_id": f"ct-{site}", "name": "CT", "modality": "CT"})
        ]
    for name, sites in (("here", (SITE,)), ("there", ("site-2",)), ("both", (SITE, "site-2")), ("all", ())):
        person = {
            "person_id": name,
            "name": name,
            "role": "physician",
            "sites": sites,
            "phone": f"555-{name}",
        }
        calls += [("RegisterPerson", person)]
        calls += [
            ("RecordCredential", {"person_id": name, "kind": "licence", "state": "CA", "source": "board"})
        ]
    calls += [("SetRoster", {"site_id": "site-2", "rung": "primary", "people": ["there"]})]
    for number, (verb, fields) in enumerate(calls):
        asked = getattr(directory_pb2, f"{verb}Request")(
            header=header(f"directory-{number}"), organization_id=ORG, **fields
        )
        by = home.as_("operator", sites=("*",)) if verb == "RegisterOrganization" else every
        await getattr(home.directory, verb)(asked, metadata=by)


@pytest.mark.hazard("H-31")
async def test_the_directory_shows_a_person_their_own_sites(home: House) -> None:
    """Read, answered to a command or watched: nobody and nothing of another site; who covers all sees all."""
    await organized(home)
    read = directory_pb2.GetDirectoryRequest(organization_id=ORG)
    mine = (await home.directory.GetDirectory(read, metadata=home.as_("technologist"))).directory
    whole = (await home.directory.GetDirectory(read, metadata=home.as_("auditor", sites=("*",)))).directory
    told = await home.directory.RecordCredential(
        directory_pb2.RecordCredentialRequest(
            header=header("bls"), organization_id=ORG, person_id="both", kind="bls", source="card"
        ),
        metadata=home.as_("compliance_officer"),
    )
    watch = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_("technologist"))
    seen = await events(watch, 1 + 2 + 6 + 1)

    assert "555-there" in str(whole) and "ct-site-2" in str(whole)
    for shown in (mine, told.directory):
        assert not [word for word in ("555-there", "ct-site-2") if word in str(shown)]
        assert all(word in str(shown) for word in ("555-here", "555-both", "555-all", f"ct-{SITE}"))
    assert [one.type for one in seen][-1] == "CredentialRecorded"
    assert "there" not in "".join(one.summary_json for one in seen)


async def weigh(home: House, count: int, first: int = 0, session_id: str = "ses-1") -> None:
    """Let `count` facts happen in a session."""
    for n in range(first, first + count):
        await home.sessions.RecordWeight(
            sessions_pb2.RecordWeightRequest(
                header=header(f"weight-{session_id}-{n}"),
                session_id=session_id,
                weight_kg=str(50 + n % 50),
                method="measured",
            ),
            metadata=home.as_("technologist"),
        )


async def events(call: Any, count: int) -> list[watch_pb2.WatchEvent]:
    """Return the next `count` events of a watch."""
    found: list[watch_pb2.WatchEvent] = []
    while len(found) < count:
        one = await call.read()
        if one.HasField("event"):
            found.append(one.event)
    return found


async def test_a_watch_gives_the_past_and_then_the_present(home: House) -> None:
    """Events before and after the call come in one order, without the patient's identity."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    call = home.watches.Watch(watch_pb2.WatchRequest(session_id="ses-1"), metadata=home.as_("physician"))
    [first] = await events(call, 1)
    await weigh(home, 2)
    later = await events(call, 2)
    call.cancel()

    assert first.type == "SessionScheduled"
    assert SECRET not in str(first)
    assert json.loads(first.summary_json)["site_id"] == "site-1"
    assert "identity" not in json.loads(first.summary_json)
    assert [one.position for one in (first, *later)] == [1, 3, 4]  # 2: that the physician reads it
    assert later[0].session_id == "ses-1"
    assert "scheduled" in later[0].phases
    assert later[0].actor_role == "technologist"


async def test_a_watch_resumes_from_a_position(home: House) -> None:
    """After the last position seen come exactly the events that follow it."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    await weigh(home, 4)
    call = home.watches.Watch(watch_pb2.WatchRequest(after_position=3), metadata=home.as_("physician"))
    found = await events(call, 2)
    call.cancel()

    assert [one.position for one in found] == [4, 5]


async def test_a_watch_shows_only_the_callers_organization_and_sites(home: House) -> None:
    """Another organization's watch sees nothing of ours; a session of ours is unknown to it."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    await home.sessions.ScheduleSession(
        schedule("ses-2", organization_id="org-2", site_id="site-9"),
        metadata=home.as_("technologist", organization="org-2", sites=("site-9",)),
    )
    stranger = home.as_("physician", organization="org-2", sites=("*",))
    call = home.watches.Watch(watch_pb2.WatchRequest(), metadata=stranger)
    [only] = await events(call, 1)
    call.cancel()
    unknown = home.watches.Watch(watch_pb2.WatchRequest(session_id="ses-1"), metadata=stranger)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unknown.read()

    assert only.stream == "session/ses-2"
    assert caught.value.code() is CODE.NOT_FOUND


async def test_a_watch_can_be_of_one_site(home: House) -> None:
    """The site filter leaves out what happens at other sites."""
    both = {"sites": ("site-1", "site-2")}
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist", **both))
    await home.sessions.ScheduleSession(
        schedule("ses-2", site_id="site-2"), metadata=home.as_("technologist", **both)
    )
    call = home.watches.Watch(
        watch_pb2.WatchRequest(site_id="site-2"), metadata=home.as_("physician", **both)
    )
    [only] = await events(call, 1)
    call.cancel()

    assert only.stream == "session/ses-2"


async def test_who_read_patient_data_is_watched_by_oversight_only(home: House) -> None:
    """The disclosure log is in an auditor's watch and not in a technologist's."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    await home.sessions.GetSession(
        sessions_pb2.GetSessionRequest(session_id="ses-1", include_identity=True, purpose="review"),
        metadata=home.as_("physician"),
    )
    await weigh(home, 1)
    seen = {}
    for role in ("auditor", "technologist"):
        call = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_(role))
        seen[role] = [one.stream for one in await events(call, 3 if role == "auditor" else 2)]
        call.cancel()

    assert "disclosure/ses-1" in seen["auditor"]
    assert "disclosure/ses-1" not in seen["technologist"]


async def test_what_a_watch_shows_of_a_patient_is_a_read_once_for_each_stream(home: House) -> None:
    """Kept before the first event of a session is shown, and for no session that is not."""
    both = {"sites": ("site-1", "site-2")}
    for number, site_id in ((1, "site-1"), (2, "site-2")):
        await home.sessions.ScheduleSession(
            schedule(f"ses-{number}", site_id=site_id), metadata=home.as_("technologist", **both)
        )
    await weigh(home, 3)
    call = home.watches.Watch(
        watch_pb2.WatchRequest(site_id="site-1"), metadata=home.as_("physician", **both)
    )
    await events(call, 4)
    call.cancel()
    [read] = await home.executor.history(Stream("disclosure", "ses-1"))

    assert (read.actor.person_id, read.event.what) == ("physician-1", "watch")
    assert await home.executor.history(Stream("disclosure", "ses-2")) == []


async def test_a_quiet_watch_has_a_heartbeat() -> None:
    """When nothing happens the watch says so, with the position to resume from."""
    async with house(limits=Limits(heartbeat_s=0.05)) as home:
        await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        call = home.watches.Watch(watch_pb2.WatchRequest(after_position=1), metadata=home.as_("physician"))
        one = await call.read()
        call.cancel()

        assert one.heartbeat.position == 1


async def test_a_slow_watcher_is_cut_and_resumes_without_a_gap() -> None:
    """A watcher that stops reading is cut with WATCHER_TOO_SLOW and the position to resume from."""
    async with house(limits=Limits(watcher_lag_events=8, watcher_page_events=4)) as home:
        await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        watching = home.pipeline.servicers.streams["/attend.v1.WatchService/Watch"]
        principal = home.pipeline._verifier.verify(home.token("physician"))
        news = watching(watch_pb2.WatchRequest(), principal)
        first: Any = await anext(news)
        waiting = asyncio.ensure_future(anext(news))
        await weigh(home, 1)
        second: Any = await waiting
        await weigh(home, 20, first=1)
        with pytest.raises(Exception, match="watcher_lag_events") as caught:
            while True:
                second = await anext(news)
        last = caught.value.position  # type: ignore[attr-defined]  # WatcherTooSlow
        call = home.watches.Watch(watch_pb2.WatchRequest(after_position=last), metadata=home.as_("physician"))
        rest = await events(call, 22 - last)
        call.cancel()

        assert first.event.position == 1
        assert second.event.position == last
        assert [one.position for one in rest] == list(range(last + 1, 23))


async def test_past_the_limit_no_more_watches_open() -> None:
    """One watch past the limit is RESOURCE_EXHAUSTED naming the limit; the others go on."""
    async with house(limits=Limits(watchers=1, heartbeat_s=0.05)) as home:
        one = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_("physician"))
        await one.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_("physician")).read()
        again = await one.read()
        one.cancel()

        assert caught.value.code() is CODE.RESOURCE_EXHAUSTED
        assert info_of(caught.value).metadata["limit"] == "watchers"
        assert again.HasField("heartbeat")


async def test_a_watcher_that_stops_reading_is_cut_on_the_wire() -> None:
    """A client that no longer takes what is sent loses its watch; what it resumes from leaves no gap."""
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]
    async with house(calls=CallLimits(slow_write_s=0.3)) as home:
        await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{home.grpc.port}", options=narrow) as channel:
            call = WatchServiceStub(channel).Watch(watch_pb2.WatchRequest(), metadata=home.as_("physician"))
            found = await events(call, 1)
            for n in range(20):
                await home.sessions.RecordAllergies(
                    sessions_pb2.RecordAllergiesRequest(
                        header=header(f"allergies-{n}"),
                        session_id="ses-1",
                        allergies=[sessions_pb2.Allergy(substance="latex", reaction="x" * 900)] * 100,
                        source="fhir",
                    ),
                    metadata=home.as_("technologist"),
                )
            await home.pipeline.idle()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                while True:
                    found.extend(await events(call, 1))

        assert caught.value.code() is CODE.RESOURCE_EXHAUSTED
        assert info_of(caught.value).reason == "WATCHER_TOO_SLOW"
        assert int(info_of(caught.value).metadata["last_position"]) <= found[-1].position < 21


async def test_a_watch_ends_with_the_sign_in(home: House) -> None:
    """Once the token has expired the next event is not shown; the watcher signs in again and resumes."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    call = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_("physician"))
    await events(call, 1)
    home.clock.advance(dt.timedelta(minutes=15))
    await weigh(home, 1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await events(call, 1)

    assert caught.value.code() is CODE.UNAUTHENTICATED
