"""The gRPC porch: grpc.aio with health, reflection, keepalive, TLS by configuration and a graceful end.

Rule: plaintext is served on loopback only.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine.services.contract import PACKAGE, Rpc
from engine.services.doors import PortTaken, Tls, check_bind, unusable
from engine.services.errors import DETAILS_KEY, Refusal
from engine.services.interceptors import Pipeline

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # The default of 1,000 refuses watchers that all come back at once after a restart.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class GrpcServer:
    """One listening grpc.aio server over a pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._server = grpc.aio.server(options=list(_OPTIONS))
        self._health = health.aio.HealthServicer()
        self.port = 0

    async def start(self, *, bind: str, port: int, tls: Tls | None = None) -> int:
        """Listen, and return the port (0 chooses one). Raises PlaintextRefused or PortTaken."""
        check_bind(bind, tls)
        rpcs = self._pipeline.servicers.rpcs.values()
        names = sorted({f"{PACKAGE}.{rpc.service}" for rpc in rpcs})
        for name in names:
            handlers = _handlers(self._pipeline, name)
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
            # A registered method is accepted beside the others, so a press of REACTION does not queue behind a burst;
            # each one registered makes every accept dearer, so nothing else is.
            ahead = {rpc.method for rpc in rpcs if rpc.name in self._pipeline.servicers.emergencies}
            self._server.add_registered_method_handlers(
                name, {method: handler for method, handler in handlers.items() if method in ahead}
            )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        shown = (*names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(shown, self._server)
        address = f"{bind}:{port}" if ":" not in bind else f"[{bind.strip('[]')}]:{port}"
        try:
            self.port = (
                self._server.add_insecure_port(address)
                if tls is None
                else self._server.add_secure_port(address, _credentials(tls))
            )
        except RuntimeError:
            raise PortTaken(unusable(bind, port, "--grpc-port")) from None
        await self._server.start()
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self.port

    async def stop(self, grace_s: float = 10.0) -> None:
        """Say "not serving", cut watches, let running calls end within `grace_s`, then close."""
        await self._health.enter_graceful_shutdown()
        self._pipeline.drain()
        await self._server.stop(grace_s)

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait_for_termination()


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    return grpc.ssl_server_credentials([pair])


def _handlers(pipeline: Pipeline, service: str) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
    return {
        rpc.method: _unary(pipeline, rpc) if not rpc.streams else _stream(pipeline, rpc)
        for rpc in pipeline.servicers.rpcs.values()
        if f"{PACKAGE}.{rpc.service}" == service
    }


def _unary(pipeline: Pipeline, rpc: Rpc) -> "grpc.RpcMethodHandler[Any, Any]":
    async def handle(message: Message, context: Any) -> Message:
        try:
            return await pipeline.unary(rpc, message, _authorization(context), context.time_remaining())
        except Refusal as refusal:
            await _abort(context, refusal)
            raise

    return grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=rpc.request.FromString,
        response_serializer=rpc.response.SerializeToString,
    )


def _stream(pipeline: Pipeline, rpc: Rpc) -> "grpc.RpcMethodHandler[Any, Any]":
    async def handle(message: Any, context: Any) -> None:
        written = message.after_position
        try:
            async with aclosing(pipeline.stream(rpc, message, _authorization(context))) as news:
                async for one in news:
                    await asyncio.wait_for(context.write(one), pipeline.limits.slow_write_s)
                    written = position_of(one)
        except TimeoutError:
            await _abort(context, pipeline.too_slow(rpc, written))
        except Refusal as refusal:
            await _abort(context, refusal)

    return grpc.unary_stream_rpc_method_handler(
        handle,
        request_deserializer=rpc.request.FromString,
        response_serializer=rpc.response.SerializeToString,
    )


def position_of(news: Any) -> int:
    """Return the position to resume a watch from after a message of it."""
    return int(news.event.position if news.HasField("event") else news.heartbeat.position)


def _authorization(context: Any) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return str(value)
    return None


async def _abort(context: Any, refusal: Refusal) -> None:
    details = ((DETAILS_KEY, refusal.status.SerializeToString()),)
    await context.abort(refusal.code, refusal.status.message, trailing_metadata=details)
