"""Durable commands per second over gRPC at a real server process, beside a bare gRPC echo in the same run.

Run `python -m benchmarks.over_grpc [--rounds N] [--callers N …] [--profile FILE]`. The command is
SessionService.RecordVitals, a fact, each caller on a session of its own. Servers are pinned to one core and the client
to the other; rounds of both are interleaved; figures are medians. `--profile` writes where the server's time goes at 64
callers (py-spy, collapsed stacks).
"""

import argparse
import asyncio
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvloop
from google.protobuf.timestamp_pb2 import Timestamp

from attend.v1 import common_pb2, sessions_pb2
from benchmarks import servers
from engine.access.tokens import TokenIssuer
from engine.kernel.clock import SystemClock
from engine.keys import TOKEN_KEY_ID, load_keys

CALLERS = (1, 16, 64)
SESSIONS = 64
ROUND_S = 2.0
ROUNDS = 7
VITALS = "/attend.v1.SessionService/RecordVitals"
PROFILE_S = 8

Call = Callable[[int], Awaitable[Any]]


@dataclass(slots=True)
class Measured:
    """What one server did with so many callers: a rate and a cost a round, every caller's waits."""

    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)


class Client:
    """Calls one server over one channel."""

    def __init__(self, server: servers.Running, metadata: tuple[tuple[str, str], ...] = ()) -> None:
        self.server = server
        self._metadata = metadata
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        self._numbers = itertools.count(1)
        rpc = VITALS if server.name == "engine" else "/bench.Echo/Echo"
        answer: Any = (
            sessions_pb2.SessionServiceRecordVitalsResponse
            if server.name == "engine"
            else sessions_pb2.SessionServiceRecordVitalsRequest
        )
        self._vitals: Any = self._channel.unary_unary(
            rpc,
            request_serializer=sessions_pb2.SessionServiceRecordVitalsRequest.SerializeToString,
            response_deserializer=answer.FromString,
        )

    async def schedule(self, number: int) -> None:
        """Make the session of one caller."""
        stub: Any = self._channel.unary_unary(
            "/attend.v1.SessionService/ScheduleSession",
            request_serializer=sessions_pb2.ScheduleSessionRequest.SerializeToString,
            response_deserializer=sessions_pb2.ScheduleSessionResponse.FromString,
        )
        request = sessions_pb2.ScheduleSessionRequest(
            header=common_pb2.CommandHeader(request_id=f"bench-schedule-{number}"),
            session_id=f"bench-{number}",
            organization_id="org-demo",
            site_id="demo-hospital",
            room_id="room-ct-1",
            planned_at=Timestamp(seconds=int(time.time())),  # noqa: TID251 - a client's own clock
            order=sessions_pb2.Order(
                accession_number=f"BENCH{number}",
                procedure_code="CTABDWC",
                procedure_system="DEMOPROC",
                modality="CT",
                contrast_class="iodinated",
            ),
            identity=common_pb2.PatientIdentity(
                mrn="DEMO1001",
                authority="DEMO",
                family="DEMO",
                given="PATIENT",
                birth_date=common_pb2.Date(year=1971, month=4, day=12),
                sex="F",
            ),
        )
        await stub(request, metadata=self._metadata)

    async def vitals(self, caller: int) -> None:
        """Report vital signs of one caller's session."""
        request = sessions_pb2.SessionServiceRecordVitalsRequest(
            header=common_pb2.CommandHeader(request_id=f"bench-vitals-{next(self._numbers)}"),
            session_id=f"bench-{caller}",
            systolic_mmhg=120,
            diastolic_mmhg=80,
            heart_rate_bpm=70,
            spo2_percent=98,
        )
        await self._vitals(request, metadata=self._metadata)

    async def round(self, callers: int, seconds: float, into: Measured | None = None) -> None:
        """Let so many callers call as fast as they are answered, for so long."""
        waits: list[float] = []
        cpu_s, began = self.server.cpu_s(), time.perf_counter()
        ends = began + seconds

        async def caller(number: int) -> None:
            asked = time.perf_counter()
            while asked < ends:
                await self.vitals(number)
                answered = time.perf_counter()
                waits.append((answered - asked) * 1000)
                asked = answered

        await asyncio.gather(*(caller(number) for number in range(callers)))
        took = time.perf_counter() - began
        if into is not None:
            into.rates.append(len(waits) / took)
            into.cpu_us.append((self.server.cpu_s() - cpu_s) / len(waits) * 1e6)
            into.waits_ms.extend(waits)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def sign_in(
    data_dir: Path, person_id: str = "tech-1", role: str = "technologist"
) -> tuple[tuple[str, str], ...]:
    """Return the metadata that signs somebody of the demo in."""
    token = TokenIssuer(load_keys(data_dir).token, TOKEN_KEY_ID, SystemClock()).issue(
        person_id=person_id,
        role=role,
        organization_id="org-demo",
        sites=("demo-hospital",),
        token_id="bench",
    )
    return (("authorization", f"Bearer {token}"),)


async def measure(
    engine: servers.Running, echo: servers.Running, data_dir: Path, chosen: argparse.Namespace
) -> None:
    """Run interleaved rounds and print the figures."""
    clients = {"echo": Client(echo), "engine": Client(engine, sign_in(data_dir))}
    for number in range(SESSIONS):
        await clients["engine"].schedule(number)
    for client in clients.values():
        await client.round(SESSIONS, ROUND_S)
    found = {(name, callers): Measured() for name in clients for callers in chosen.callers}
    for number in range(chosen.rounds):
        for callers in chosen.callers:
            order = list(clients) if number % 2 == 0 else list(clients)[::-1]
            for name in order:
                await clients[name].round(callers, ROUND_S, found[(name, callers)])
    report(found)
    if chosen.profile is not None:
        await _profiled(clients["engine"], chosen.profile)
    for client in clients.values():
        await client.close()


def report(found: dict[tuple[str, int], Measured]) -> None:
    """Print one line for each number of callers and server."""
    for callers in dict.fromkeys(callers for _, callers in found):
        floor = statistics.median(found[("echo", callers)].rates)
        for name in ("echo", "engine"):
            one = found[(name, callers)]
            rate, cuts = statistics.median(one.rates), statistics.quantiles(one.waits_ms, n=100)
            sys.stdout.write(
                f"{callers:>3} callers  {name:6}  {rate:7,.0f}/s = {rate / floor:4.0%} of the echo; "
                f"p50 {cuts[49]:6.2f} ms, p99 {cuts[98]:6.2f} ms; "
                f"server CPU {statistics.median(one.cpu_us):5.0f} us each\n"
            )
    sys.stdout.flush()


async def _profiled(client: Client, profile: Path) -> None:
    """Let py-spy watch the server under 64 callers; print the leaves that took the most time."""
    command = [
        "py-spy",
        "record",
        "--pid",
        str(client.server.pid),
        "--duration",
        str(PROFILE_S),
        "--rate",
        "200",
    ]
    command += ["--gil", "--format", "raw", "--output", str(profile)]
    spy = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / command[0]), *command[1:], stdout=subprocess.DEVNULL
    )
    await client.round(SESSIONS, PROFILE_S + 2)
    await spy.wait()
    await asyncio.to_thread(_show, profile)


def _show(profile: Path) -> None:
    """Print where the time of collapsed stacks went, by function."""
    own: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for line in profile.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        own[frames[-1]] += int(samples)
        for frame in set(frames):
            inside[frame] += int(samples)
    total = sum(own.values())
    for title, counted, shown in (("own time", own, 12), ("with what it calls", inside, 60)):
        sys.stdout.write(f"profile, {title} ({total} samples that held the interpreter)\n")
        for name, samples_of in counted.most_common(shown):
            if samples_of < 0.95 * total:  # the frames above everything say nothing
                sys.stdout.write(f"  {samples_of / total:5.1%}  {name}\n")


def main() -> None:
    """Start both servers, measure, end them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--profile", type=Path, help="write collapsed stacks of the server here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with servers.echo() as echo, servers.engine(data_dir) as engine:
            uvloop.run(measure(engine, echo, data_dir, chosen))


if __name__ == "__main__":
    main()
