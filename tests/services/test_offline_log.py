"""A console's log over the wire: judged by the sign-in it was begun under, refused whole for its form, taken once."""

import datetime as dt
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attend.v1 import reactions_pb2, sessions_pb2
from engine.access.offline import OfflineEnrichers
from engine.access.tokens import TokenVerifier
from engine.kernel.ids import Stream
from engine.services.convert import timestamp
from engine.workflows.session.events import OfflineLogReported
from tests.services.house import KEY, NOW, PACK, House, fields_of, header, schedule
from tests.services.test_reaction_documents import REACTION, reacting

CODE = grpc.StatusCode
SESSION = Stream("session", "ses-1")
DAY = dt.timedelta(days=1)


@pytest.fixture
async def offline(home: House) -> House:
    """A house that knows whose log it is, with one session."""
    verifier = TokenVerifier({"k1": KEY.public_key()}, home.clock)
    home.executor.enrichers.update(OfflineEnrichers(home.executor, verifier).all())
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    return home


def note(name: str, at: dt.datetime = NOW, **change: Any) -> sessions_pb2.OfflineEntry:
    fields = {
        "entry_id": f"entry-note-{name}",
        "kind": sessions_pb2.OFFLINE_KIND_NOTE,
        "at": timestamp(at),
        "by": "responder-1",
        "text": "no network",
        **change,
    }
    return sessions_pb2.OfflineEntry(**fields)


def request(token: str, *entries: Any, name: str = "log-1", **change: Any) -> Any:
    fields = {
        "header": header(name),
        "session_id": "ses-1",
        "log_id": "log-device-1",
        "pack_hash": PACK.hash,
        "token": token,
        "began_at": timestamp(NOW),
        "device_at": timestamp(NOW),
        "entries": entries or (note("1"),),
        **change,
    }
    return sessions_pb2.ReportOfflineLogRequest(**fields)


async def refused(home: House, asked: Any) -> grpc.aio.AioRpcError:
    """Send a log that is refused; nothing has changed."""
    before = (await home.executor.state(SESSION)).version
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await home.sessions.ReportOfflineLog(asked, metadata=home.as_("technologist"))

    assert (await home.executor.state(SESSION)).version == before
    return caught.value


@pytest.mark.hazard("H-33")
async def test_a_sign_in_that_ran_out_since_vouches_for_what_was_begun_under_it(offline: House) -> None:
    """A day later the token is no sign-in any more, but the log that was begun under it is taken, the writer named."""
    token = offline.token("responder")
    offline.clock.advance(DAY)
    answer = await offline.sessions.ReportOfflineLog(request(token), metadata=offline.as_("technologist"))
    [log] = answer.session.offline_logs
    events = [one.event for one in await offline.executor.history(SESSION)]
    reported = next(one for one in events if type(one).__name__ == "OfflineLogReported")

    assert (log.log_id, log.reaction_id) == ("log-device-1", REACTION)
    assert (reported.written_by, reported.pack_hash) == ("responder-1", PACK.hash)
    with pytest.raises(grpc.aio.AioRpcError) as out:
        await offline.sessions.GetSession(
            sessions_pb2.GetSessionRequest(session_id="ses-1"),
            metadata=[("authorization", f"Bearer {token}")],
        )
    assert out.value.code() == CODE.UNAUTHENTICATED


async def test_two_entries_under_one_id_are_two_and_one_told_twice_is_one(offline: House) -> None:
    """Another text under the same id is another fact, in one log or in its next part; the same one is told again."""
    token = offline.token("responder")
    first, other, third = note("1"), note("1", text="ambulance called"), note("1", text="ambulance here")
    for name, entries in (("log-1", (first, other, first)), ("log-2", (third, other)), ("log-3", (first,))):
        await offline.sessions.ReportOfflineLog(
            request(token, *entries, name=name), metadata=offline.as_("technologist")
        )
    events = [one.event for one in await offline.executor.history(SESSION)]
    told = [entry.text for one in events if isinstance(one, OfflineLogReported) for entry in one.entries]

    assert sorted(told) == ["ambulance called", "ambulance here", "no network"]


async def test_a_request_of_another_session_is_not_this_ones_entry(offline: House) -> None:
    """Its id was used there; here the fact is new."""
    elsewhere = schedule("ses-9", "noted")
    await offline.sessions.ScheduleSession(elsewhere, metadata=offline.as_("technologist"))
    await offline.sessions.ReportOfflineLog(
        request(offline.token("responder"), note("1", entry_id="request-noted")),
        metadata=offline.as_("technologist"),
    )
    events = [one.event for one in await offline.executor.history(SESSION)]

    assert [len(one.entries) for one in events if isinstance(one, OfflineLogReported)] == [1]


@pytest.mark.hazard("H-33")
@pytest.mark.parametrize("wrong", [dt.timedelta(hours=1), dt.timedelta(hours=-1), dt.timedelta(days=-20_000)])
async def test_a_device_whose_clock_is_wrong_is_not_turned_away(offline: House, wrong: dt.timedelta) -> None:
    """It says how long ago the log was begun, and by that its sign-in held; one that did not is refused as ever."""
    token = offline.token("responder")
    offline.clock.advance(DAY)
    began = NOW + wrong + dt.timedelta(minutes=1)
    asked = request(
        token, note("1", began), began_at=timestamp(began), device_at=timestamp(NOW + wrong + DAY)
    )
    answer = await offline.sessions.ReportOfflineLog(asked, metadata=offline.as_("technologist"))
    late = request(
        token, note("2", began), began_at=timestamp(began), device_at=timestamp(began), name="log-2"
    )

    assert [one.log_id for one in answer.session.offline_logs] == ["log-device-1"]
    assert (await refused(offline, late)).code() == CODE.UNAUTHENTICATED


async def test_the_token_is_kept_nowhere(offline: House) -> None:
    """It vouches and is forgotten: no event, no stored request holds it."""
    token = offline.token("responder")
    await offline.sessions.ReportOfflineLog(request(token), metadata=offline.as_("technologist"))
    rows = await offline.executor.store.load(SESSION)

    assert all(token.encode() not in row.payload for row in rows)


@pytest.mark.hazard("H-31")
async def test_a_log_that_nobody_was_signed_in_for_is_refused_whole(offline: House) -> None:
    """Forged, begun before the sign-in, begun after it, another organization's, another site's, another role's."""
    stranger = Ed25519PrivateKey.generate()
    tokens = {
        CODE.UNAUTHENTICATED: [offline.token("responder", key=stranger), "no.token.here"],
        CODE.NOT_FOUND: [offline.token("responder", organization="org-2")],
        CODE.PERMISSION_DENIED: [
            offline.token("responder", sites=("site-2",)),
            offline.token("coverage_manager"),
        ],
    }
    for code, every in tokens.items():
        for token in every:
            assert (await refused(offline, request(token))).code() == code
    mine = offline.token("responder")
    for moment in (NOW - DAY, NOW + DAY):
        asked = request(mine, note("1", moment), began_at=timestamp(moment))
        assert (await refused(offline, asked)).code() == CODE.UNAUTHENTICATED


async def test_a_mistake_of_form_refuses_the_whole_and_names_the_entry(offline: House) -> None:
    """Nothing is taken; without the entry the rest is."""
    token = offline.token("responder")
    medication = note("2", kind=sessions_pb2.OFFLINE_KIND_MEDICATION, text="", drug="epinephrine")
    wrong = {
        "entries[1].by": note("2", by=""),
        "entries[1].at": sessions_pb2.OfflineEntry(entry_id="entry-2222", kind=1, by="responder-1"),
        "entries[1].kind": note("2", kind=0),
        "entries[1].dose_mg": note("2", dose_mg="a lot"),
        "entries[1]": medication,
    }
    for field, entry in wrong.items():
        error = await refused(offline, request(token, note("1"), entry))
        assert (error.code(), field in fields_of(error)) == (CODE.INVALID_ARGUMENT, True), field
    await offline.sessions.ReportOfflineLog(request(token, note("1")), metadata=offline.as_("technologist"))


async def test_again_changes_nothing(offline: House) -> None:
    """The same call, the same entries under another request id, a part of them: one event."""
    token, who = offline.token("responder"), offline.as_("technologist")
    first = request(token, note("1"), note("2"))
    await offline.sessions.ReportOfflineLog(first, metadata=who)
    version = (await offline.executor.state(SESSION)).version
    for asked in (
        first,
        request(token, note("2"), note("1"), name="log-2"),
        request(token, note("2"), name="log-3"),
    ):
        answer = await offline.sessions.ReportOfflineLog(asked, metadata=who)
        assert answer.version == version


@pytest.mark.hazard("H-12")
async def test_a_dose_that_came_in_after_all_counts_once(offline: House) -> None:
    """Its answer was lost, so the console wrote the dose down; the request id tells that it is here."""
    token, who = offline.token("responder"), offline.as_("responder")
    await reacting(offline)
    sent = reactions_pb2.RecordMedicationGivenRequest(
        header=header("dose-1"), reaction_id=REACTION, drug="epinephrine", route="IM", dose_mg="0.3"
    )
    await offline.reactions.RecordMedicationGiven(sent, metadata=who)
    dose = {
        "kind": sessions_pb2.OFFLINE_KIND_MEDICATION,
        "drug": "epinephrine",
        "route": "IM",
        "dose_mg": "0.3",
    }
    entries = (note("", entry_id="request-dose-1", **dose), note("2", **dose))
    await offline.sessions.ReportOfflineLog(request(token, *entries), metadata=who)
    events = [one.event for one in await offline.executor.history(SESSION)]
    reported = next(one for one in events if type(one).__name__ == "OfflineLogReported")

    assert [one.entry_id for one in reported.entries] == ["entry-note-2"]


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize("weight_kg", ["0", "75000"])
async def test_an_impossible_weight_refuses_no_log(offline: House, weight_kg: str) -> None:
    """It comes in beside the other entries; what it is used for is the reaction's to say: nothing."""
    weight = note(
        "2", kind=sessions_pb2.OFFLINE_KIND_WEIGHT, text="", weight_kg=weight_kg, weight_method="scale"
    )
    asked = request(offline.token("responder"), note("1"), weight)
    await offline.sessions.ReportOfflineLog(asked, metadata=offline.as_("technologist"))
    events = [one.event for one in await offline.executor.history(SESSION)]
    reported = next(one for one in events if type(one).__name__ == "OfflineLogReported")

    assert [one.entry_id for one in reported.entries] == ["entry-note-1", "entry-note-2"]
