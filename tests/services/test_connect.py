"""The HTTP porch: Connect JSON on uvicorn answers as gRPC does; the page and the health answer stand beside it."""

import base64
import datetime as dt
import json
import struct
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2

from attend.v1 import sessions_pb2
from engine.kernel.clock import OffsetClock
from tests.services.house import ORG, SECRET, House, header, house, schedule, status_of

CONNECT_CODES = {
    grpc.StatusCode.NOT_FOUND: "not_found",
    grpc.StatusCode.FAILED_PRECONDITION: "failed_precondition",
    grpc.StatusCode.ABORTED: "aborted",
    grpc.StatusCode.INVALID_ARGUMENT: "invalid_argument",
    grpc.StatusCode.PERMISSION_DENIED: "permission_denied",
    grpc.StatusCode.UNAUTHENTICATED: "unauthenticated",
}


async def post(home: House, rpc: str, body: Any, role: str = "", **more: Any) -> httpx.Response:
    """Send one Connect call as a browser's fetch() would."""
    headers = {"authorization": f"Bearer {home.token(role, **more)}"} if role else {}
    async with httpx.AsyncClient(base_url=home.http) as client:
        return await client.post(f"/attend.v1.{rpc}", json=body, headers=headers)


async def test_a_browser_gets_the_answer_that_grpc_gets(home: House) -> None:
    """The same session read over both is the same message."""
    made = await post(home, "SessionService/ScheduleSession", MessageToDict(schedule()), "technologist")
    over_http = await post(home, "SessionService/GetSession", {"sessionId": "ses-1"}, "physician")
    over_grpc = await home.sessions.GetSession(
        sessions_pb2.GetSessionRequest(session_id="ses-1"), metadata=home.as_("physician")
    )

    assert made.status_code == 200
    assert made.json()["version"] == "1"
    assert SECRET not in made.text
    assert ParseDict(over_http.json(), sessions_pb2.GetSessionResponse()) == over_grpc


@pytest.mark.parametrize(
    ("rpc", "message", "role"),
    [
        ("GetSession", sessions_pb2.GetSessionRequest(session_id="ses-0"), "physician"),
        ("GetSession", sessions_pb2.GetSessionRequest(session_id="ses-1"), ""),
        (
            "StartPreparation",
            sessions_pb2.StartPreparationRequest(header=header("1"), session_id="ses-1"),
            "physician",
        ),
        (
            "StartPreparation",
            sessions_pb2.StartPreparationRequest(header=header("1", 9), session_id="ses-1"),
            "technologist",
        ),
        (
            "CompleteInjection",
            sessions_pb2.CompleteInjectionRequest(header=header("1"), session_id="ses-1"),
            "technologist",
        ),
        (
            "RecordWeight",
            sessions_pb2.RecordWeightRequest(header=header("1"), session_id="ses-1", weight_kg=SECRET),
            "technologist",
        ),
    ],
)
async def test_a_browser_gets_the_error_that_grpc_gets(
    home: House, rpc: str, message: Any, role: str
) -> None:
    """Code, sentence and details are the same; nothing of the patient is in them."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(home.sessions, rpc)(message, metadata=home.as_(role) if role else ())
    answer = await post(home, f"SessionService/{rpc}", MessageToDict(message), role)
    told = answer.json()

    assert told["code"] == CONNECT_CODES[caught.value.code()]
    assert told["message"] == caught.value.details()
    assert [d["type"] for d in told["details"]] == [
        one.type_url.removeprefix("type.googleapis.com/") for one in status_of(caught.value).details
    ]
    info = error_details_pb2.ErrorInfo.FromString(_unbase64(told["details"][0]["value"]))
    assert info == _info(caught.value)
    assert SECRET not in answer.text


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def _info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    status_of(error).details[0].Unpack(info)
    return info


async def test_a_repeat_over_the_other_protocol_is_still_a_repeat(home: House) -> None:
    """A request id belongs to the organization, not to a connection."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    again = await post(home, "SessionService/ScheduleSession", MessageToDict(schedule()), "technologist")

    assert again.json()["repeatedRequest"] is True


async def test_a_browser_watches_by_connect(home: House) -> None:
    """A Connect stream gives the same events, framed as JSON envelopes."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    body = json.dumps({}).encode()
    headers = {
        "authorization": f"Bearer {home.token('physician')}",
        "content-type": "application/connect+json",
        "connect-protocol-version": "1",
    }
    framed = struct.pack(">BI", 0, len(body)) + body
    async with (
        httpx.AsyncClient(base_url=home.http) as client,
        client.stream("POST", "/attend.v1.WatchService/Watch", content=framed, headers=headers) as stream,
    ):
        received = b""
        async for chunk in stream.aiter_raw():
            received += chunk
            if len(received) > 5 and len(received) >= 5 + struct.unpack(">BI", received[:5])[1]:
                break
    size = struct.unpack(">BI", received[:5])[1]
    event = json.loads(received[5 : 5 + size])["event"]

    assert event["type"] == "SessionScheduled"
    assert event["stream"] == "session/ses-1"


async def test_the_page_counts_and_names_nobody(home: House) -> None:
    """The status page needs no sign-in, shows counts and versions, and lets no script run."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    async with httpx.AsyncClient(base_url=home.http) as client:
        page = await client.get("/")
        health = await client.get("/healthz")
        home.pipeline.drain()
        draining = await client.get("/healthz")

    assert page.status_code == 200
    assert "scheduled" in page.text
    assert "0.1.0" in page.text
    for name in (SECRET, "ses-1", ORG, "technologist-1"):
        assert name not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert health.json() == {"status": "ok"}
    assert draining.status_code == 503


async def test_a_demo_may_advance_its_clock() -> None:
    """In a demonstration the operator moves the clock forward, and the page says that it is a demonstration."""

    class Wall:
        def now(self) -> Any:
            return schedule().planned_at.ToDatetime(tzinfo=dt.UTC)

    clock = OffsetClock(Wall())
    before = clock.now()
    async with house(demo_clock=clock) as home:
        moved = await post(home, "DemoService/AdvanceClock", {"by": "90s"}, "operator")
        back = await post(home, "DemoService/AdvanceClock", {"by": "-90s"}, "operator")
        denied = await post(home, "DemoService/AdvanceClock", {"by": "90s"}, "technologist")
        async with httpx.AsyncClient(base_url=home.http) as client:
            page = await client.get("/")

    assert moved.status_code == 200
    assert (clock.now() - before).total_seconds() == 90
    assert back.json()["code"] == "invalid_argument"
    assert denied.json()["code"] == "permission_denied"
    assert "DEMO" in page.text


@pytest.mark.parametrize(
    "body",
    [
        {"sessionId": "ses-1", "unknownField": SECRET},
        {"sessionId": "ses-1", "includeIdentity": SECRET},
    ],
    ids=["unknown field", "wrong type"],
)
async def test_a_mistyped_body_is_refused_and_not_repeated(home: House, body: dict[str, str]) -> None:
    """A field the contract does not have is an error and not an empty request; the answer repeats nothing."""
    answer = await post(home, "SessionService/GetSession", body, "physician")

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_argument"
    assert SECRET not in answer.text
