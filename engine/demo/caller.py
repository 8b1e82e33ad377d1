"""A client of the contract and nothing else: calls by RPC name with plain values, refusals as their reason."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from attend.v1 import (
    coverage_pb2,
    deliveries_pb2,
    demo_pb2,
    directory_pb2,
    media_pb2,
    reactions_pb2,
    records_pb2,
    rings_pb2,
    sessions_pb2,
    watch_pb2,
)

PACKAGE = "attend.v1"
MODULES = (
    coverage_pb2,
    deliveries_pb2,
    demo_pb2,
    directory_pb2,
    media_pb2,
    reactions_pb2,
    records_pb2,
    rings_pb2,
    sessions_pb2,
    watch_pb2,
)
CALL_S = 20.0


class Refused(Exception):
    """The engine said no: `reason` is its word, `sentence` what a person reads."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(f"{reason}: {sentence}")
        self.reason = reason
        self.sentence = sentence


def methods() -> dict[str, MethodDescriptor]:
    """Return every RPC of the contract as `Service.Method`."""
    return {
        f"{service.name}.{method.name}": method
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


class Caller:
    """Calls one server as one person."""

    def __init__(self, target: str, token: str) -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._methods = methods()

    async def call(self, rpc: str, fields: Mapping[str, Any]) -> Any:
        """Call an RPC and return its response. Raises Refused, or the transport's own error."""
        method = self._methods[rpc]
        request = _message(method.input_type, fields)
        stub = self._channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=_bytes,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        try:
            return await stub(request, metadata=self._metadata, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from None

    async def watch(self, session_id: str, after: int = 0) -> AsyncIterator[Any]:
        """Yield a session's events from a position on."""
        stub = self._channel.unary_stream(
            f"/{PACKAGE}.WatchService/Watch",
            request_serializer=_bytes,
            response_deserializer=watch_pb2.WatchResponse.FromString,
        )
        request = watch_pb2.WatchRequest(after_position=after, session_id=session_id)
        async for response in stub(request, metadata=self._metadata):
            if response.WhichOneof("news") == "event":
                yield response.event

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    def takes(self, rpc: str) -> frozenset[str]:
        """Return the names of an RPC's request fields."""
        return frozenset(self._methods[rpc].input_type.fields_by_name)


def _message(kind: Any, fields: Mapping[str, Any]) -> Message:
    return json_format.ParseDict(dict(fields), message_factory.GetMessageClass(kind)())


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


def _refusal(error: grpc.aio.AioRpcError) -> Exception:
    """Return the refusal in an error, or the error itself when it carries none."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info):
            return Refused(info.reason, error.details() or "")
    return error
