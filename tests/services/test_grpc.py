"""The gRPC porch over a real server and a real client on loopback: answers, and every bad input."""

import asyncio
import datetime as dt
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp

from attend.v1 import coverage_pb2, media_pb2, records_pb2, rings_pb2, sessions_pb2
from attend.v1.common_pb2 import Date
from engine.kernel.ids import Stream
from engine.workflows.session import commands as c
from tests.services.house import (
    ORG,
    SECRET,
    House,
    fields_of,
    header,
    house,
    info_of,
    schedule,
    status_of,
)

CODE = grpc.StatusCode


async def refused(call: Any) -> grpc.aio.AioRpcError:
    """Return the error a call ends in; no answer ever carries the patient's secret."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert SECRET not in str(caught.value.details()) + str(status_of(caught.value))
    return caught.value


async def test_a_command_answers_with_the_state_after_it(home: House) -> None:
    """Scheduling answers with the session, its version and no identity."""
    answer = await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))

    assert answer.version == 1
    assert sessions_pb2.SESSION_PHASE_SCHEDULED in answer.session.phases
    assert answer.session.order.accession_number == "ACC1"
    assert answer.session.age_years == 56
    assert not answer.session.HasField("identity")
    assert not answer.repeated_request


async def test_an_unknown_session_is_not_found(home: House) -> None:
    """A session that was never made answers NOT_FOUND, to reads and to commands."""
    read = home.sessions.GetSession(
        sessions_pb2.GetSessionRequest(session_id="ses-0"), metadata=home.as_("physician")
    )
    command = home.sessions.StartPreparation(
        sessions_pb2.StartPreparationRequest(header=header("1"), session_id="ses-0"),
        metadata=home.as_("technologist"),
    )

    assert (await refused(read)).code() is CODE.NOT_FOUND
    assert (await refused(command)).code() is CODE.NOT_FOUND


async def test_a_wrong_phase_is_refused_with_reason_and_sentence(home: House) -> None:
    """Starting the injection of a scheduled session names WRONG_PHASE, the phase and the verb."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    error = await refused(
        home.sessions.StartInjection(
            sessions_pb2.StartInjectionRequest(header=header("1"), session_id="ses-1", ready_token="t"),
            metadata=home.as_("technologist"),
        )
    )

    assert error.code() is CODE.FAILED_PRECONDITION
    assert info_of(error).reason == "WRONG_PHASE"
    assert "scheduled" in info_of(error).metadata["phase"]
    assert error.details() == (
        "Start injection is not possible while the session is scheduled; it is possible while it is cleared."
    )
    assert info_of(error).metadata["possible_in"] == "cleared"


async def test_a_guard_refuses_with_its_own_word(home: House) -> None:
    """Asking for a physician without screening answers SCREENING_MISSING and what to do."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    await home.sessions.StartPreparation(
        sessions_pb2.StartPreparationRequest(header=header("1"), session_id="ses-1"),
        metadata=home.as_("technologist"),
    )
    error = await refused(
        home.sessions.RequestSupervision(
            sessions_pb2.RequestSupervisionRequest(header=header("2"), session_id="ses-1"),
            metadata=home.as_("technologist"),
        )
    )

    assert error.code() is CODE.FAILED_PRECONDITION
    assert info_of(error).reason == "SCREENING_MISSING"
    assert "record them first" in str(error.details())


async def test_a_stale_version_aborts_a_wish_and_flags_a_fact(home: House) -> None:
    """A wish that saw another version is ABORTED; a fact that did is kept."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    wish = home.sessions.StartPreparation(
        sessions_pb2.StartPreparationRequest(header=header("1", version=7), session_id="ses-1"),
        metadata=home.as_("technologist"),
    )
    error = await refused(wish)
    fact = await home.sessions.RecordWeight(
        sessions_pb2.RecordWeightRequest(
            header=header("2", version=7), session_id="ses-1", weight_kg="70.5", method="measured"
        ),
        metadata=home.as_("technologist"),
    )
    [*_, last] = await home.executor.history(Stream("session", "ses-1"))

    assert error.code() is CODE.ABORTED
    assert dict(info_of(error).metadata) == {"expected_version": "7", "actual_version": "1"}
    assert fact.session.weight_kg == "70.5"
    assert last.flags == ("stale_version",)


async def test_a_repeated_request_id_answers_again_and_does_nothing(home: House) -> None:
    """The same id with the same body is the first outcome again."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    again = await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))

    assert again.repeated_request
    assert again.version == 1
    assert await home.executor.store.head() == 1


async def test_a_reused_request_id_is_refused_by_name(home: House) -> None:
    """The same id with another body is INVALID_ARGUMENT naming request_id, and nothing changes."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    error = await refused(
        home.sessions.ScheduleSession(schedule(room_id="ct-2"), metadata=home.as_("technologist"))
    )

    assert error.code() is CODE.INVALID_ARGUMENT
    assert fields_of(error) == ["request_id"]
    assert await home.executor.store.head() == 1


@pytest.mark.hazard("H-32")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"session_id": SECRET + " with spaces"}, "session_id"),
        ({"header": None}, "header"),
        ({"weight_kg": SECRET}, "weight_kg"),
        ({"planned_at": None}, "planned_at"),
        ({"identity": None}, "identity"),
    ],
)
async def test_malformed_fields_are_named_never_quoted(home: House, change: Any, field: str) -> None:
    """A field of the wrong form is named; what was in it is nowhere in the answer."""
    error = await refused(
        home.sessions.ScheduleSession(schedule(**change), metadata=home.as_("technologist"))
    )

    assert error.code() is CODE.INVALID_ARGUMENT
    assert info_of(error).reason == "INVALID_FIELD"
    assert field in fields_of(error)
    assert await home.executor.store.head() == 0


async def test_an_impossible_day_is_named_by_its_path(home: House) -> None:
    """30 February passes the form and is refused as a day that does not exist."""
    bad = schedule()
    bad.identity.birth_date.CopyFrom(Date(year=1970, month=2, day=30))
    error = await refused(home.sessions.ScheduleSession(bad, metadata=home.as_("technologist")))

    assert error.code() is CODE.INVALID_ARGUMENT
    assert fields_of(error) == ["identity.birth_date"]


async def test_nobody_is_let_in_without_a_valid_token(home: House) -> None:
    """No token, nonsense, another key and an expired token are all UNAUTHENTICATED."""
    request = sessions_pb2.GetSessionRequest(session_id="ses-1")
    other = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
    short = home.as_("physician", lifetime=dt.timedelta(seconds=60))
    forged = home.as_("physician", key=other)
    assert (await refused(home.sessions.GetSession(request, metadata=short))).code() is CODE.NOT_FOUND

    home.clock.advance(dt.timedelta(seconds=60))

    for metadata in ((), (("authorization", "Bearer nonsense"),), forged, short):
        error = await refused(home.sessions.GetSession(request, metadata=metadata))
        assert error.code() is CODE.UNAUTHENTICATED
        assert info_of(error).reason == "NOT_SIGNED_IN"


@pytest.mark.hazard("H-31")
async def test_another_organization_learns_nothing(home: House) -> None:
    """What exists elsewhere answers exactly as what never existed."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    stranger = home.as_("technologist", organization="org-2")
    answers = []
    for session_id in ("ses-1", "ses-never"):
        error = await refused(
            home.sessions.GetSession(sessions_pb2.GetSessionRequest(session_id=session_id), metadata=stranger)
        )
        command = await refused(
            home.sessions.StartPreparation(
                sessions_pb2.StartPreparationRequest(header=header(session_id), session_id=session_id),
                metadata=stranger,
            )
        )
        answers.append((status_of(error), status_of(command)))
    listed = await home.sessions.ListSessions(sessions_pb2.ListSessionsRequest(), metadata=stranger)

    assert answers[0] == answers[1]
    assert len(listed.sessions) == 0


async def test_another_site_of_the_organization_is_forbidden(home: House) -> None:
    """Inside the organization but outside the person's sites the answer is PERMISSION_DENIED."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    error = await refused(
        home.sessions.GetSession(
            sessions_pb2.GetSessionRequest(session_id="ses-1"),
            metadata=home.as_("technologist", sites=("site-2",)),
        )
    )

    assert error.code() is CODE.PERMISSION_DENIED


async def test_nobody_makes_a_session_for_another_organization(home: House) -> None:
    """The organization in the body must be the one signed in for."""
    error = await refused(
        home.sessions.ScheduleSession(schedule(organization_id="org-2"), metadata=home.as_("technologist"))
    )

    assert error.code() is CODE.NOT_FOUND
    assert await home.executor.store.head() == 0


async def test_every_read_of_a_session_is_on_the_disclosure_log(home: House) -> None:
    """Without the identity too, alone or in a list, by whoever reads; a read that is refused is none."""
    for name in ("ses-1", "ses-2"):
        await home.sessions.ScheduleSession(schedule(name), metadata=home.as_("technologist"))
    await home.sessions.GetSession(
        sessions_pb2.GetSessionRequest(session_id="ses-1", purpose="audit"), metadata=home.as_("auditor")
    )
    await home.sessions.ListSessions(
        sessions_pb2.ListSessionsRequest(), metadata=home.as_("coverage_manager")
    )
    await refused(
        home.sessions.GetSession(
            sessions_pb2.GetSessionRequest(session_id="ses-2"),
            metadata=home.as_("technologist", sites=("site-2",)),
        )
    )
    reads = {
        name: [
            (read.actor.role, read.event.what, read.event.purpose)
            for read in await home.executor.history(Stream("disclosure", name))
        ]
        for name in ("ses-1", "ses-2")
    }

    assert reads == {
        "ses-1": [("auditor", "session", "audit"), ("coverage_manager", "list", "")],
        "ses-2": [("coverage_manager", "list", "")],
    }


async def test_identity_is_shown_only_when_asked_for_and_then_logged(home: House) -> None:
    """A read with identity is on the disclosure log, by whom and why; a coverage manager gets none."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    asked = sessions_pb2.GetSessionRequest(session_id="ses-1", include_identity=True, purpose="review")
    answer = await home.sessions.GetSession(asked, metadata=home.as_("physician"))
    [read] = await home.executor.history(Stream("disclosure", "ses-1"))
    unexplained = await refused(
        home.sessions.GetSession(
            sessions_pb2.GetSessionRequest(session_id="ses-1", include_identity=True),
            metadata=home.as_("physician"),
        )
    )
    denied = await refused(home.sessions.GetSession(asked, metadata=home.as_("coverage_manager")))

    assert answer.session.identity.family == SECRET
    assert read.actor.person_id == "physician-1"
    assert fields_of(unexplained) == ["purpose"]
    assert denied.code() is CODE.PERMISSION_DENIED
    assert len(await home.executor.history(Stream("disclosure", "ses-1"))) == 1


async def test_a_record_is_read_only_after_the_read_is_logged(home: House) -> None:
    """GetRecord leaves its own event before it answers."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    answer = await home.records.GetRecord(
        records_pb2.GetRecordRequest(session_id="ses-1", purpose="audit", include_pdf=True),
        metadata=home.as_("auditor"),
    )
    work = await home.records.ListWorklist(
        records_pb2.ListWorklistRequest(), metadata=home.as_("compliance_officer")
    )

    assert answer.document == b"{}\n"
    assert answer.pdf == b"%PDF"
    assert [item.who for item in answer.missing] == ["physician"]
    assert [entry.session_id for entry in work.entries] == ["ses-1"]
    reads = await home.executor.history(Stream("disclosure", "ses-1"))
    assert [read.event.what for read in reads] == ["record", "worklist"]


async def test_lists_come_in_pages(home: House) -> None:
    """Every session is on exactly one page, in order."""
    names = [f"ses-{n}" for n in range(5)]
    for name in names:
        await home.sessions.ScheduleSession(schedule(name), metadata=home.as_("technologist"))
    found: list[str] = []
    token = ""
    while True:
        page = await home.sessions.ListSessions(
            sessions_pb2.ListSessionsRequest(page_size=2, page_token=token), metadata=home.as_("auditor")
        )
        found.extend(one.session_id for one in page.sessions)
        token = page.next_page_token
        if not token:
            break
    none = await home.sessions.ListSessions(
        sessions_pb2.ListSessionsRequest(phase=sessions_pb2.SESSION_PHASE_SEALED),
        metadata=home.as_("auditor"),
    )

    assert found == names
    assert list(none.sessions) == []


async def test_readiness_says_in_words_what_is_missing(home: House) -> None:
    """Each fact that does not hold carries the sentence of the guard that would refuse."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    answer = await home.sessions.GetReadiness(
        sessions_pb2.GetReadinessRequest(session_id="ses-1"), metadata=home.as_("technologist")
    )

    assert not answer.all_hold
    assert len(answer.facts) == 12
    assert all(fact.sentence for fact in answer.facts if not fact.holds)
    assert next(f.sentence for f in answer.facts if f.name == "line_verified").startswith("Two-way audio")


@pytest.mark.hazard("H-31")
async def test_the_line_has_a_place_for_each_role(home: House) -> None:
    """A technologist joins the technologist's place; a physician not of this session joins none."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    offer = media_pb2.JoinLineRequest(
        session_id="ses-1", participant=media_pb2.LINE_PARTICIPANT_TECHNOLOGIST, offer_sdp="v=0"
    )
    joined = await home.media.JoinLine(offer, metadata=home.as_("technologist"))
    left = media_pb2.LeaveLineRequest(
        session_id="ses-1", participant=media_pb2.LINE_PARTICIPANT_TECHNOLOGIST, leg_id=joined.leg_id
    )
    legs = dict(home.lines.legs)
    await home.media.LeaveLine(left, metadata=home.as_("technologist"))
    wrong_place = await refused(home.media.JoinLine(offer, metadata=home.as_("physician")))
    offer.participant = media_pb2.LINE_PARTICIPANT_PHYSICIAN
    not_assigned = await refused(home.media.JoinLine(offer, metadata=home.as_("physician")))

    assert joined.answer_sdp == "answer to v=0"
    assert legs == {joined.leg_id: ("ses-1", "technologist")}
    assert home.lines.legs == {}
    assert wrong_place.code() is CODE.PERMISSION_DENIED
    assert not_assigned.code() is CODE.PERMISSION_DENIED


async def test_the_demo_clock_is_not_served_outside_a_demo(home: House) -> None:
    """DemoService does not exist on a real server."""
    call: Any = home.channel.unary_unary("/attend.v1.DemoService/AdvanceClock")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"", metadata=home.as_("operator"))

    assert caught.value.code() is CODE.UNIMPLEMENTED


async def test_a_callers_request_id_cannot_take_the_engines_own(home: House) -> None:
    """The engine keeps its own parts' ids apart from callers' ids."""
    request = schedule()
    request.header.request_id = "timer:session/ses-1:observation:2026"
    await home.sessions.ScheduleSession(request, metadata=home.as_("technologist"))

    assert await home.executor.store.request("timer:session/ses-1:observation:2026") is None
    assert await home.executor.store.request(f"rpc:{ORG}:timer:session/ses-1:observation:2026") is not None


async def test_other_machines_answer_the_same_way(home: House) -> None:
    """A coverage window is offered and listed; a ring that does not exist is not found."""
    offered = await home.coverage.OfferCoverage(
        coverage_pb2.OfferCoverageRequest(
            header=header("offer"),
            coverage_id="cov-1",
            organization_id=ORG,
            physician_id="physician-1",
            rooms=[coverage_pb2.RoomRef(site_id="site-1", room_id="ct-1")],
            starts_at=schedule().planned_at,
            ends_at=Timestamp(seconds=schedule().planned_at.seconds + 3600),
            cap=2,
        ),
        metadata=home.as_("coverage_manager"),
    )
    listed = await home.coverage.ListCoverage(
        coverage_pb2.ListCoverageRequest(), metadata=home.as_("physician")
    )
    error = await refused(
        home.rings.AnswerRing(
            rings_pb2.AnswerRingRequest(header=header("ring"), ring_id="ses-1-1"),
            metadata=home.as_("physician"),
        )
    )

    assert offered.coverage.cap == 2
    assert [one.coverage_id for one in listed.coverage] == ["cov-1"]
    assert error.code() is CODE.NOT_FOUND


async def test_a_deadline_ends_the_wait_and_not_the_work() -> None:
    """A caller that runs out of time gets DEADLINE_EXCEEDED; the command it sent still becomes durable."""
    entered, released = asyncio.Event(), asyncio.Event()

    async def slow(state: Any, command: Any, request: Any) -> Any:
        entered.set()
        await released.wait()
        return command

    async with house(enrichers={c.ScheduleSession: slow}) as home:
        call = home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"), timeout=0.5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        released.set()
        await home.executor.settle()

        assert entered.is_set()
        assert caught.value.code() is CODE.DEADLINE_EXCEEDED
        assert await home.executor.store.head() == 1
