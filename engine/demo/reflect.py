"""A generic gRPC client: what it can call and how comes from the server's reflection alone.

Rule: it imports no generated code, so that it shows what any client in any language can do.
"""

from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

CALL_S = 15.0


class Unknown(Exception):
    """The server does not answer, has no such method, or said no; the message says which."""


def list_methods(target: str) -> list[str]:
    """Return every method the server shows, as package.Service/Method."""
    with grpc.insecure_channel(target) as channel:
        database, pool = _reflected(channel)
        try:
            names = sorted(database.get_services())
        except grpc.RpcError as error:
            raise Unknown(_words(error)) from None
        return [f"{name}/{method.name}" for name in names for method in pool.FindServiceByName(name).methods]


def call_by_reflection(target: str, rpc: str, body: str, token: str) -> str:
    """Call `package.Service/Method` with a JSON body and return the JSON answer."""
    with grpc.insecure_channel(target) as channel:
        _, pool = _reflected(channel)
        method = _method(pool, rpc)
        try:
            request = json_format.Parse(body, message_factory.GetMessageClass(method.input_type)())
        except json_format.ParseError as error:
            raise Unknown(f"the body does not fit {method.input_type.name}: {error}") from None
        stub: Any = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            answer = stub(request, metadata=metadata, timeout=CALL_S)
        except grpc.RpcError as error:
            raise Unknown(_words(error)) from None
        return str(json_format.MessageToJson(answer, descriptor_pool=pool))


def _reflected(channel: grpc.Channel) -> tuple[Any, DescriptorPool]:
    database = ProtoReflectionDescriptorDatabase(channel)
    return database, DescriptorPool(database)


def _method(pool: DescriptorPool, rpc: str) -> MethodDescriptor:
    service, _, name = rpc.replace("/", ".").rpartition(".")
    try:
        found: MethodDescriptor = pool.FindServiceByName(service).FindMethodByName(name)
    except grpc.RpcError as error:
        raise Unknown(_words(error)) from None
    except KeyError:
        raise Unknown(f"there is no method {rpc}; see attend call --list") from None
    return found


def _words(error: Any) -> str:
    return f"{error.code().name}: {error.details()}"
