"""The media node's control service: MediaNodeService on loopback over a Relay of the same process.

Rule: translates and nothing else; whoever does not show the node's token is refused before any method runs.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc

from attend.v1 import media_node_pb2 as pb
from attend.v1.media_node_pb2_grpc import MediaNodeServiceServicer, add_MediaNodeServiceServicer_to_server
from engine.kernel.errors import AttendError, Overloaded
from media import wire
from media.backend import parse_call_id, parse_leg_id, parse_participant
from media.relay import Relay
from media.settings import MediaSettings

_Context = grpc.aio.ServicerContext[Any, Any]
_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


class MediaNodeServicer(MediaNodeServiceServicer):
    """Answers the engine's commands from a Relay."""

    def __init__(self, relay: Relay, settings: MediaSettings) -> None:
        self._relay = relay
        self._settings = settings

    async def OpenCall(self, request: pb.OpenCallRequest, context: _Context) -> pb.OpenCallResponse:  # noqa: N802
        """Open a call."""
        try:
            required = tuple(parse_participant(name) for name in request.required_participants)
            await self._relay.open_call(parse_call_id(request.call_id), required)
        except AttendError as error:
            await _refuse(context, error)
        return pb.OpenCallResponse()

    async def AddLeg(self, request: pb.AddLegRequest, context: _Context) -> pb.AddLegResponse:  # noqa: N802
        """Connect a participant."""
        try:
            answer = await self._relay.add_leg(
                parse_call_id(request.call_id),
                parse_leg_id(request.leg_id),
                parse_participant(request.participant),
                request.offer_sdp,
            )
        except AttendError as error:
            await _refuse(context, error)
        return pb.AddLegResponse(answer_sdp=answer)

    async def RemoveLeg(self, request: pb.RemoveLegRequest, context: _Context) -> pb.RemoveLegResponse:  # noqa: N802
        """Disconnect a leg."""
        try:
            await self._relay.remove_leg(parse_call_id(request.call_id), parse_leg_id(request.leg_id))
        except AttendError as error:
            await _refuse(context, error)
        return pb.RemoveLegResponse()

    async def CloseCall(self, request: pb.CloseCallRequest, context: _Context) -> pb.CloseCallResponse:  # noqa: N802
        """End a call."""
        try:
            await self._relay.close_call(parse_call_id(request.call_id))
        except AttendError as error:
            await _refuse(context, error)
        return pb.CloseCallResponse()

    async def Watch(  # noqa: N802
        self, request: pb.MediaNodeServiceWatchRequest, context: _Context
    ) -> AsyncIterator[pb.MediaNodeServiceWatchResponse]:
        """Stream observations; gRPC's flow control paces it, and the journal cuts who falls behind."""
        journal = self._relay.journal
        if request.node_id not in ("", journal.node_id):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this is another media node")
        try:
            async for event in journal.read(request.after_sequence, self._settings.heartbeat_s):
                if event is not None:
                    yield wire.to_wire(event)
                    continue
                calls, legs = self._relay.load
                yield pb.MediaNodeServiceWatchResponse(
                    node_id=journal.node_id,
                    sequence=journal.last_sequence,
                    heartbeat=pb.MediaHeartbeat(calls=calls, legs=legs),
                )
        except Overloaded as error:
            _, details, words = wire.status_of(error)
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, details, words)

    async def Drain(  # noqa: N802
        self, request: pb.MediaNodeServiceDrainRequest, context: _Context
    ) -> pb.MediaNodeServiceDrainResponse:
        """Take no more calls."""
        calls, legs = await self._relay.drain()
        return pb.MediaNodeServiceDrainResponse(calls=calls, legs=legs)


async def _refuse(context: _Context, error: AttendError) -> NoReturn:
    code, details, words = wire.status_of(error)
    await context.abort(code, details, words)
    raise AssertionError("abort always raises")


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses every call that does not carry the node's token; another user of this machine cannot join a call."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

        async def deny(request: Any, context: _Context) -> None:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, "the media node's token is missing or wrong"
            )

        self._deny: Any = grpc.unary_unary_rpc_method_handler(deny)

    async def intercept_service(self, continuation: _Continuation, details: grpc.HandlerCallDetails) -> Any:
        """Let the call through if it shows the token."""
        shown = b""
        for key, value in details.invocation_metadata or ():
            if key == wire.TOKEN_KEY:
                shown = value if isinstance(value, bytes) else value.encode()
        if hmac.compare_digest(shown, self._token):
            return await continuation(details)
        return self._deny


@asynccontextmanager
async def serving(relay: Relay, settings: MediaSettings, control_port: int, token: str) -> AsyncIterator[int]:
    """Serve `relay` on 127.0.0.1 and yield the port; `control_port` 0 takes a free one. Raises OSError if taken."""
    server = grpc.aio.server(
        interceptors=[TokenInterceptor(token)],
        options=[
            ("grpc.so_reuseport", 0),
            # The offer's own limit refuses first, with a reason; this only bounds what gRPC buffers.
            ("grpc.max_receive_message_length", 4 * settings.offer_bytes),
        ],
    )
    add_MediaNodeServiceServicer_to_server(MediaNodeServicer(relay, settings), server)
    try:
        port = server.add_insecure_port(f"127.0.0.1:{control_port}")
    except RuntimeError as error:
        raise OSError(f"port {control_port} of 127.0.0.1 cannot be used") from error
    await server.start()
    try:
        yield port
    finally:
        # Watches never end by themselves, so there is nothing to wait for.
        await asyncio.shield(server.stop(grace=0))
