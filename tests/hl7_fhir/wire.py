"""Real connections for the tests of this folder: a listener with a handler of the test, and a plain socket client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from engine.kernel.clock import ManualClock
from integrations.hl7_fhir.ack import ACCEPTED, Acknowledgement
from integrations.hl7_fhir.framing import Frame, Framer, frame
from integrations.hl7_fhir.listener import Handler, Listener, ListenerLimits, Peer

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
WAIT_S = 20.0


def sample(name: str) -> bytes:
    """Read one of our own samples with the CR line ends of the standard."""
    return (SAMPLES / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r")


def adt(control_id: str = "1", version: str = "2.5.1", tail: bytes = b"") -> bytes:
    """Return a small valid ADT^A04."""
    head = f"MSH|^~\\&|DEMORIS|DEMO|ATTEND|DEMO|20261120100000||ADT^A04^ADT_A01|{control_id}|P|{version}\r"
    return head.encode() + b"PID|1||77^^^DEMO^MR||DEMO^PATIENT||19800101|F\r" + tail


class Seen:
    """A handler that keeps what it was given and accepts it."""

    def __init__(self, answer: Acknowledgement = ACCEPTED) -> None:
        self.raws: list[bytes] = []
        self.answer = answer

    async def __call__(self, raw: bytes, peer: Peer) -> Acknowledgement:
        self.raws.append(raw)
        return self.answer


@asynccontextmanager
async def listening(
    handler: Handler, limits: ListenerLimits | None = None
) -> AsyncIterator[tuple[Listener, int]]:
    """Run a listener on a free port of 127.0.0.1."""
    numbers = count(1)
    listener = Listener(
        handler, clock=ManualClock(NOW), control_ids=lambda: f"ACK{next(numbers)}", limits=limits
    )
    port = await listener.start("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.stop()


class Client:
    """A plain MLLP client that can misbehave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._framer = Framer(max_message_bytes=1 << 20, max_drained_bytes=1 << 20, max_junk_bytes=0)
        self._answers: list[bytes] = []

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def put(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes | None:
        """Return the next answer, or None when the listener closed the connection."""
        async with asyncio.timeout(WAIT_S):
            while not self._answers:
                try:
                    chunk = await self.reader.read(65536)
                except ConnectionError:
                    return None
                if not chunk:
                    return None
                self._answers += [item.raw for item in self._framer.feed(chunk) if isinstance(item, Frame)]
        return self._answers.pop(0)

    async def ask(self, raw: bytes) -> bytes | None:
        await self.put(frame(raw))
        return await self.answer()

    def close(self) -> None:
        self.writer.close()


class App:
    """A small HTTP server in this process: an ASGI application around a function from request to response."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        host = dict(scope["headers"])[b"host"].decode()
        url = f"{scope['scheme']}://{host}{scope['path']}?{scope['query_string'].decode()}"
        response = self._answer(httpx.Request(scope["method"], url, headers=scope["headers"], content=body))
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.headers.raw}
        )
        await send({"type": "http.response.body", "body": response.content})


def client_of(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    """Return a client whose every request goes to `answer`."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=App(answer)))
