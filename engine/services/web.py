"""The HTTP porch: the same servicers as Connect services for browsers, a one-page status and a health answer.

Rule: the page counts things and names none.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import uvicorn
from connectrpc.code import Code
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message
from protobuf.wkt import Any as AnyMessage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from engine.services.contract import PACKAGE, Rpc
from engine.services.doors import Tls, check_bind, listening
from engine.services.errors import Refusal
from engine.services.interceptors import Pipeline
from engine.services.server import MAX_MESSAGE_BYTES
from engine.services.status import StatusBoard, page


class StrictJson(Codec[Any, Any]):
    """JSON in which a field or word that the contract does not have is an error: a mistyped fact is never taken empty.

    The answer names the request, never what was sent.
    """

    def __init__(self) -> None:
        self._json: Codec[Any, Any] = google_protobuf_json_codec(ignore_unknown_fields=False)

    def name(self) -> str:
        """Return the name in the content type."""
        return "json"

    def encode(self, message: Any) -> bytes:
        """Write an answer."""
        return self._json.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """Read a request. Raises ConnectError INVALID_ARGUMENT when the body does not fit it."""
        try:
            return self._json.decode(data, message_class)
        except ParseError:
            words = f"the JSON does not fit {message_class.DESCRIPTOR.name}: check its field names, types and words"
            raise ConnectError(Code.INVALID_ARGUMENT, words) from None


class _Service(ConnectASGIApplication[Pipeline]):
    """One service of the contract as a Connect application."""

    def __init__(self, pipeline: Pipeline, name: str, rpcs: list[Rpc]) -> None:
        self._path = f"/{name}"
        super().__init__(
            service=pipeline,
            endpoints=lambda service: {rpc.name: _endpoint(service, rpc) for rpc in rpcs},
            read_max_bytes=MAX_MESSAGE_BYTES,
            codecs=[google_protobuf_binary_codec(), StrictJson()],
        )

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return self._path


def application(pipeline: Pipeline, board: StatusBoard) -> Starlette:
    """Return the whole HTTP application. A console may be mounted beside it later."""

    async def status(request: Request) -> Response:
        shown = page(await board.read())
        return HTMLResponse(shown.html, headers=dict(shown.headers))

    async def healthz(request: Request) -> Response:
        well = not pipeline.draining
        return JSONResponse({"status": "ok" if well else "draining"}, status_code=200 if well else 503)

    by_service: dict[str, list[Rpc]] = {}
    for rpc in pipeline.servicers.rpcs.values():
        by_service.setdefault(f"{PACKAGE}.{rpc.service}", []).append(rpc)
    routes: list[BaseRoute] = [Route("/", status), Route("/healthz", healthz)]
    for name, rpcs in by_service.items():
        service = _Service(pipeline, name, rpcs)
        routes.append(Mount(service.path, app=service))
    return Starlette(routes=routes)


def _endpoint(pipeline: Pipeline, rpc: Rpc) -> Any:
    method: MethodInfo[Any, Any] = MethodInfo(
        name=rpc.method,
        service_name=f"{PACKAGE}.{rpc.service}",
        input=rpc.request,
        output=rpc.response,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.SERVER_STREAM if rpc.streams else StreamType.UNARY,
    )

    async def unary(message: Message, context: RequestContext[Any, Any]) -> Message:
        left = context.timeout_ms
        try:
            return await pipeline.unary(
                rpc, message, _authorization(context), None if left is None else left / 1000
            )
        except Refusal as refusal:
            raise _connect_error(refusal) from None

    async def stream(message: Message, context: RequestContext[Any, Any]) -> AsyncIterator[Message]:
        try:
            async with aclosing(pipeline.stream(rpc, message, _authorization(context))) as news:
                async for one in news:
                    with _write_limit(pipeline.limits.slow_write_s):
                        yield one
        except Refusal as refusal:
            raise _connect_error(refusal) from None

    if rpc.streams:
        return Endpoint.server_stream(method=method, function=stream)
    return Endpoint.unary(method=method, function=unary)


@contextlib.contextmanager
def _write_limit(seconds: float) -> Iterator[None]:
    """Cancel the caller's task when it does not take a message in time; the browser watches again by itself."""
    task = asyncio.current_task()
    assert task is not None
    alarm = asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        yield
    finally:
        alarm.cancel()


def _authorization(context: RequestContext[Any, Any]) -> str | None:
    return context.request_headers.get("authorization")


def _connect_error(refusal: Refusal) -> ConnectError:
    details = [AnyMessage(type_url=one.type_url, value=one.value) for one in refusal.status.details]
    return ConnectError(Code[refusal.code.name], refusal.status.message, details)


class _Uvicorn(uvicorn.Server):
    """Uvicorn that leaves signals to the engine and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.listening.set()


class WebServer:
    """One listening uvicorn server in the engine's own loop."""

    def __init__(self, pipeline: Pipeline, board: StatusBoard) -> None:
        self._pipeline = pipeline
        self._application = application(pipeline, board)
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self, *, bind: str, port: int, tls: Tls | None = None) -> int:
        """Listen, and return the port (0 chooses one). Raises PlaintextRefused or PortTaken."""
        check_bind(bind, tls)
        door = listening(bind, port, "--http-port")
        self.port = door.getsockname()[1]
        config = uvicorn.Config(
            self._application,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=10,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[door]))
        ready = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            self._task.result()
        return self.port

    async def stop(self) -> None:
        """Cut watches, let running calls end, then close."""
        self._pipeline.drain()
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
