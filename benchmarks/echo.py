"""The peer of the benchmark: the least that grpc.aio can do with one RPC. It takes a request and gives it back.

Run `python -m benchmarks.echo`; prints its port and serves until it is terminated.
"""

import asyncio
import sys
from typing import Any

import grpc
import uvloop

from attend.v1.sessions_pb2 import SessionServiceRecordVitalsRequest as Vitals


async def _echo(message: Vitals, context: Any) -> Vitals:
    return message


async def main() -> None:
    """Serve until the process ends."""
    handler = grpc.unary_unary_rpc_method_handler(
        _echo, request_deserializer=Vitals.FromString, response_serializer=Vitals.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
