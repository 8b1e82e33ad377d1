"""Every role against every RPC over the wire: who is not in the table is refused before anything else is looked at."""

from typing import Any

import grpc
import pytest

from attend.v1 import watch_pb2
from engine.access.roles import ROLES
from engine.access.table import TABLE
from tests.services.house import house

CODE = grpc.StatusCode


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_a_role_reaches_exactly_what_the_table_says(role: str) -> None:
    """An empty request is refused for its form to those who may call, and for permission to those who may not."""
    async with house() as home:
        metadata = home.as_(role)
        for rpc in home.pipeline.servicers.rpcs.values():
            code = await answered(home.channel, rpc, metadata)

            assert (code is CODE.PERMISSION_DENIED) == (role not in TABLE[rpc.name]), rpc.name


async def answered(channel: grpc.aio.Channel, rpc: Any, metadata: Any) -> grpc.StatusCode:
    """Return the code that an empty request gets; a watch is asked for an impossible session."""
    if rpc.streams:
        bad = watch_pb2.WatchRequest(session_id="x" * 200).SerializeToString()
        watch: Any = channel.unary_stream(rpc.name)
        call = watch(bad, metadata=metadata)
        return grpc.StatusCode(await call.code())
    try:
        ask: Any = channel.unary_unary(rpc.name)
        await ask(b"", metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return CODE.OK
