"""Every limit of the porches, at it and one past it."""

import asyncio
import json
import socket
import struct
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict

from attend.v1 import sessions_pb2, watch_pb2
from engine.runtime.limits import Limits
from engine.services.interceptors import CallLimits
from engine.services.server import MAX_MESSAGE_BYTES
from engine.workflows.session import commands as c
from tests.services.house import House, header, house, info_of, schedule

CODE = grpc.StatusCode


async def test_one_call_past_the_limit_is_overloaded() -> None:
    """With one place taken by a watch, the next call is told the limit's name; when it is free, it is served."""
    async with house(calls=CallLimits(calls_in_flight=1), limits=Limits(heartbeat_s=0.05)) as home:
        watch = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_("physician"))
        await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        watch.cancel()
        await home.pipeline.idle()
        answer = await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))

        assert caught.value.code() is CODE.RESOURCE_EXHAUSTED
        assert info_of(caught.value).metadata["limit"] == "calls_in_flight"
        assert answer.version == 1


async def test_a_caller_without_a_deadline_gets_ours() -> None:
    """A call that names no deadline is not kept waiting for ever."""
    release = asyncio.Event()

    async def slow(state: Any, command: Any, request: Any) -> Any:
        await release.wait()
        return command

    async with house(enrichers={c.ScheduleSession: slow}, calls=CallLimits(deadline_s=0.1)) as home:
        async with httpx.AsyncClient(base_url=home.http) as client:
            answer = await client.post(
                "/attend.v1.SessionService/ScheduleSession",
                json=MessageToDict(schedule()),
                headers={"authorization": f"Bearer {home.token('technologist')}"},
            )
        release.set()
        await home.executor.settle()

        assert answer.json()["code"] == "deadline_exceeded"
        assert "same request id" in answer.json()["message"]
        assert await home.executor.store.head() == 1


async def test_no_caller_waits_longer_than_the_longest_deadline() -> None:
    """A deadline of a minute is cut to the longest we allow."""
    release = asyncio.Event()

    async def slow(state: Any, command: Any, request: Any) -> Any:
        await release.wait()
        return command

    async with house(enrichers={c.ScheduleSession: slow}, calls=CallLimits(longest_deadline_s=0.1)) as home:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"), timeout=60)
        release.set()
        await home.executor.settle()

        assert info_of(caught.value).reason == "DEADLINE_EXCEEDED"


async def test_a_message_past_the_size_is_refused_over_both(home: House) -> None:
    """Four megabytes and a byte are too much for either porch, and nothing is stored."""
    big = schedule(room_id="x" * (MAX_MESSAGE_BYTES + 1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await home.sessions.ScheduleSession(big, metadata=home.as_("technologist"))
    async with httpx.AsyncClient(base_url=home.http) as client:
        answer = await client.post(
            "/attend.v1.SessionService/ScheduleSession",
            json=MessageToDict(big),
            headers={"authorization": f"Bearer {home.token('technologist')}"},
        )

    assert caught.value.code() is CODE.RESOURCE_EXHAUSTED
    assert answer.json()["code"] == "resource_exhausted"
    assert await home.executor.store.head() == 0


async def test_a_browser_that_stops_reading_is_cut() -> None:
    """A browser's watch that takes nothing for too long loses its connection and holds nothing any more."""
    async with house(calls=CallLimits(slow_write_s=0.3)) as home:
        await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(stuck, ("127.0.0.1", home.web.port))
        body = json.dumps({}).encode()
        framed = struct.pack(">BI", 0, len(body)) + body
        head = (
            "POST /attend.v1.WatchService/Watch HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {home.token('physician')}\r\n"
            "content-type: application/connect+json\r\nconnect-protocol-version: 1\r\n"
            f"content-length: {len(framed)}\r\n\r\n"
        )
        await loop.sock_sendall(stuck, head.encode() + framed)
        answered = await loop.sock_recv(stuck, 15)
        for n in range(80):
            await home.sessions.RecordAllergies(
                sessions_pb2.RecordAllergiesRequest(
                    header=header(f"allergies-{n}"),
                    session_id="ses-1",
                    allergies=[sessions_pb2.Allergy(substance="latex", reaction="x" * 900)] * 100,
                    source="fhir",
                ),
                metadata=home.as_("technologist"),
            )
        await asyncio.wait_for(home.pipeline.idle(), 10)
        stuck.close()

        assert answered.startswith(b"HTTP/1.1 200")
        assert home.executor.tail.head == 82  # the session, that it was read, and what was recorded
