"""From the REACTION press to every subscribed physician, beside an empty gRPC call, both while the engine is full.

Run `python -m benchmarks.alarm [--alarms N] [--watchers N]`. Sixty-four callers keep the engine busy with durable
commands on other sessions. In between, a session reports a reaction; measured from the call until the last of the
watching physicians, each signed in as one and on a connection of their own, holds the event. The peer of the same run
is an empty health check of the same server, under the same load, alternating with the alarms. Figures are medians and
the 95th of a hundred.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health_pb2

from attend.v1 import common_pb2, sessions_pb2, watch_pb2
from benchmarks import servers
from benchmarks.over_grpc import SESSIONS, Client, sign_in

REACTION = "/attend.v1.SessionService/ReportReaction"
WATCH = "/attend.v1.WatchService/Watch"
# A connection of its own: channels to one address share one otherwise.
OWN = (("grpc.use_local_subchannel_pool", 1),)
WAIT_S = 30.0
WARM_S = 2.0
LOAD_S = 600.0


class Physicians:
    """One watch of a session for each console (connection, sign-in); `last_s` waits until all of them saw its alarm."""

    def __init__(
        self, consoles: Sequence[tuple[grpc.aio.Channel, tuple[tuple[str, str], ...]]], session_id: str
    ) -> None:
        request = watch_pb2.WatchRequest(session_id=session_id)
        self._there = asyncio.Semaphore(0)
        self._watches = []
        for channel, metadata in consoles:
            stub: Any = channel.unary_stream(
                WATCH,
                request_serializer=watch_pb2.WatchRequest.SerializeToString,
                response_deserializer=watch_pb2.WatchResponse.FromString,
            )
            self._watches.append(asyncio.create_task(self._seen_at(stub(request, metadata=metadata))))

    async def ready(self) -> None:
        """Wait until every watch has read what the session already has."""
        for _ in self._watches:
            await self._there.acquire()

    async def _seen_at(self, news: Any) -> float:
        async for one in news:
            if one.event.type == "SessionScheduled":
                self._there.release()
            elif one.event.type == "ReactionReported":
                return time.perf_counter()
        raise LookupError("the watch ended without the alarm")

    async def last_s(self, pressed: float) -> float:
        """Return the seconds from the press until the slowest watch had it."""
        async with asyncio.timeout(WAIT_S):
            return max(await asyncio.gather(*self._watches)) - pressed


async def measure(engine: servers.Running, data_dir: Path, alarms: int, watchers: int) -> None:
    """Press REACTION under full load, and check the health in between; print both."""
    technologist = sign_in(data_dir)
    client = Client(engine, technologist)
    for number in range(SESSIONS + alarms):
        await client.schedule(number)
    consoles = [
        (
            grpc.aio.insecure_channel(f"127.0.0.1:{engine.port}", OWN),
            sign_in(data_dir, f"physician-{n}", "physician"),
        )
        for n in range(1, watchers + 1)
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{engine.port}") as channel:
        press: Any = channel.unary_unary(
            REACTION,
            request_serializer=sessions_pb2.ReportReactionRequest.SerializeToString,
            response_deserializer=sessions_pb2.ReportReactionResponse.FromString,
        )
        empty: Any = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        load = asyncio.create_task(client.round(SESSIONS, LOAD_S))
        await asyncio.sleep(WARM_S)
        alarm_ms, answer_ms, empty_ms = [], [], []
        for number in range(SESSIONS, SESSIONS + alarms):
            await asyncio.sleep(_pause_s(number))
            began = time.perf_counter()
            await empty(health_pb2.HealthCheckRequest())
            empty_ms.append((time.perf_counter() - began) * 1000)
            session_id = f"bench-{number}"
            physicians = Physicians(consoles, session_id)
            await physicians.ready()
            await asyncio.sleep(_pause_s(number + 1))
            header = common_pb2.CommandHeader(request_id=f"alarm-{number}")
            pressed = time.perf_counter()
            await press(
                sessions_pb2.ReportReactionRequest(header=header, session_id=session_id),
                metadata=technologist,
            )
            answer_ms.append((time.perf_counter() - pressed) * 1000)
            alarm_ms.append(await physicians.last_s(pressed) * 1000)
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load
    await client.close()
    for watched, _ in consoles:
        await watched.close()
    floor = statistics.median(empty_ms)
    for name, waits in (
        ("an empty call", empty_ms),
        ("REACTION durable and answered", answer_ms),
        (f"REACTION at the last of {watchers} physicians", alarm_ms),
    ):
        middle, late = statistics.median(waits), statistics.quantiles(waits, n=20)[18]
        sys.stdout.write(
            f"{name:42} median {middle:6.1f} ms = {middle / floor:4.1f} x the empty call; p95 {late:6.1f} ms\n"
        )


def _pause_s(number: int) -> float:
    """Return a pause that differs each time: the load comes in bursts, and nothing is measured in step with them."""
    return number * 37 % 100 / 1000


def main() -> None:
    """Start the server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alarms", type=int, default=60)
    parser.add_argument("--watchers", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with servers.engine(data_dir) as engine:
            uvloop.run(measure(engine, data_dir, chosen.alarms, chosen.watchers))


if __name__ == "__main__":
    main()
