"""The node as a process: how it starts, who may command it, and how it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import grpc
import pytest

from attend.v1 import media_node_pb2 as pb
from attend.v1.media_node_pb2_grpc import MediaNodeServiceStub
from media import wire
from media.peer import SyntheticPeer

TOKEN = "a-token-for-a-test"


def started(*arguments: str, token: str | None = TOKEN) -> subprocess.Popen[str]:
    """Start a node process."""
    environment = {key: value for key, value in os.environ.items() if key != wire.TOKEN_VARIABLE}
    if token is not None:
        environment[wire.TOKEN_VARIABLE] = token
    return subprocess.Popen(
        [sys.executable, "-m", "media", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the node's one line."""
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def ended(process: subprocess.Popen[str]) -> tuple[int, float, str]:
    """Wait for the end; return exit code, seconds it took and what was written to stderr."""
    since = time.monotonic()
    code = process.wait(timeout=10)
    took = time.monotonic() - since
    assert process.stdin and process.stdout and process.stderr
    errors = process.stderr.read()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    return code, took, errors


def test_it_ends_cleanly_on_sigterm() -> None:
    """SIGTERM ends the node within 2 s with code 0 and without a word on stderr."""
    process = started()
    ready(process)
    process.send_signal(signal.SIGTERM)

    code, took, errors = ended(process)

    assert (0, "") == (code, errors)
    assert took < 2


async def test_it_ends_cleanly_in_the_middle_of_a_call() -> None:
    """SIGTERM while two peers send: decoder and encoder threads do not hold the end up."""
    process = started()
    line = ready(process)
    metadata = ((wire.TOKEN_KEY, TOKEN),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line['control_port']}") as channel:
        stub: Any = MediaNodeServiceStub(channel)
        await stub.OpenCall(
            pb.OpenCallRequest(call_id="c", required_participants=["a", "b"]), metadata=metadata, timeout=5
        )

        async def join(name: str) -> SyntheticPeer:
            async def exchange(offer_sdp: str) -> str:
                request = pb.AddLegRequest(call_id="c", leg_id=name, participant=name, offer_sdp=offer_sdp)
                response: pb.AddLegResponse = await stub.AddLeg(request, metadata=metadata, timeout=5)
                return response.answer_sdp

            peer = SyntheticPeer()
            await peer.join(exchange)
            return peer

        peers = [await join("a"), await join("b")]
        async with asyncio.timeout(10):
            await peers[0].picture_until(lambda luma: luma > 60)
        process.send_signal(signal.SIGTERM)
        code, took, errors = await asyncio.to_thread(ended, process)
        await asyncio.gather(*(peer.leave() for peer in peers))

    assert (0, "") == (code, errors)
    assert took < 2


def test_it_ends_when_its_parent_does() -> None:
    """The end of stdin ends the node within 2 s with code 0."""
    process = started()
    ready(process)
    assert process.stdin is not None
    process.stdin.close()

    code, took, errors = ended(process)

    assert (0, "") == (code, errors)
    assert took < 2


def test_a_taken_port_is_named_with_the_fix() -> None:
    """A port in use gives exit code 2 and a sentence that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, errors = ended(started("--control-port", str(port)))

    assert 2 == code
    assert f"port {port}" in errors and "--control-port" in errors


async def test_only_who_shows_the_token_may_command() -> None:
    """Without the token, or with a wrong one, every method is PERMISSION_DENIED; nothing of it is printed."""
    process = started()
    line = ready(process)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line['control_port']}") as channel:
        stub: Any = MediaNodeServiceStub(channel)
        request = pb.OpenCallRequest(call_id="c", required_participants=["a", "b"])
        for metadata in ((), ((wire.TOKEN_KEY, "wrong"),)):
            with pytest.raises(grpc.aio.AioRpcError) as unary:
                await stub.OpenCall(request, metadata=metadata, timeout=5)
            with pytest.raises(grpc.aio.AioRpcError) as streamed:
                async for _ in stub.Watch(pb.MediaNodeServiceWatchRequest(), metadata=metadata, timeout=5):
                    pass

            assert grpc.StatusCode.PERMISSION_DENIED is unary.value.code()
            assert grpc.StatusCode.PERMISSION_DENIED is streamed.value.code()
        await stub.OpenCall(request, metadata=((wire.TOKEN_KEY, TOKEN),), timeout=5)
    process.terminate()
    ended(process)

    assert "token" not in line


async def test_a_watch_resumes_by_sequence_and_knows_its_node() -> None:
    """A watcher that names what it has gets the rest; one that names another node is refused; quiet is a heartbeat."""
    process = started(token=None)
    line = ready(process)
    metadata = ((wire.TOKEN_KEY, line["token"]),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line['control_port']}") as channel:
        stub: Any = MediaNodeServiceStub(channel)
        for call in ("call-1", "call-2"):
            request = pb.OpenCallRequest(call_id=call, required_participants=["a", "b"])
            await stub.OpenCall(request, metadata=metadata, timeout=5)
        stream = stub.Watch(
            pb.MediaNodeServiceWatchRequest(node_id=line["node_id"], after_sequence=1),
            metadata=metadata,
            timeout=10,
        )
        first, second = await stream.read(), await stream.read()
        stream.cancel()

        assert (2, "call-2") == (first.sequence, first.line_changed.call_id)
        assert (2, "heartbeat", 2) == (
            second.sequence,
            second.WhichOneof("observation"),
            second.heartbeat.calls,
        )

        other = stub.Watch(
            pb.MediaNodeServiceWatchRequest(node_id="media-other", after_sequence=1),
            metadata=metadata,
            timeout=10,
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await other.read()
        assert grpc.StatusCode.FAILED_PRECONDITION is refused.value.code()
    process.terminate()
    ended(process)


async def test_a_huge_offer_is_refused_before_it_is_read() -> None:
    """A message beyond the limit never reaches a method."""
    process = started()
    line = ready(process)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line['control_port']}") as channel:
        stub: Any = MediaNodeServiceStub(channel)
        request = pb.AddLegRequest(call_id="c", leg_id="l", participant="a", offer_sdp="v=0\r\n" * 2_000_000)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.AddLeg(request, metadata=((wire.TOKEN_KEY, TOKEN),), timeout=10)
        assert grpc.StatusCode.RESOURCE_EXHAUSTED is refused.value.code()
    process.terminate()
    ended(process)
