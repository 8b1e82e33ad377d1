"""From a request or an alarm until its ring has started or its reaction is open, beside the answer to the same call.

Run `python -m benchmarks.following [--callers N …] [--seconds N]`. Each caller opens a session, prepares the patient,
asks for a physician and presses REACTION, as fast as it is answered, then begins anew. What follows is the work of the
policies, on the same core: its time is read from the log afterwards, between the two events. The peer of the same run
is what the caller waited for the answer to the request. Figures are medians and the longest.
"""

import argparse
import asyncio
import datetime as dt
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import uvloop

from attend.v1 import common_pb2, sessions_pb2
from benchmarks import servers
from benchmarks.over_grpc import Client, sign_in

SERVICE = "/attend.v1.SessionService/"
CALLERS = (1, 12, 50)
SECONDS = 15.0
SETTLE_S = 60.0
#: What begins, the field that names what follows from it, and what follows.
PAIRS = (
    ("SupervisionRequested", "ring_id", "RingStarted"),
    ("ReactionReported", "reaction_id", "ReactionOpened"),
)


class Room:
    """One caller's room: a session after the other."""

    def __init__(
        self, client: Client, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]], first: int
    ) -> None:
        self._client = client
        self._channel = channel
        self._metadata = metadata
        self._number = first
        self.waits_ms: list[float] = []

    async def session(self) -> None:
        """Run one session as far as its reaction."""
        self._number += 1
        await self._client.schedule(self._number)
        await self._ask("StartPreparation")
        await self._ask("RecordScreening", screening=sessions_pb2.Screening(prior_reaction="none"))
        asked = time.perf_counter()
        await self._ask("RequestSupervision")
        self.waits_ms.append((time.perf_counter() - asked) * 1000)
        await self._ask("ReportReaction")

    async def _ask(self, verb: str, **more: Any) -> None:
        form: Any = getattr(sessions_pb2, f"{verb}Request")
        answer: Any = getattr(sessions_pb2, f"{verb}Response")
        call: Any = self._channel.unary_unary(
            SERVICE + verb, request_serializer=form.SerializeToString, response_deserializer=answer.FromString
        )
        header = common_pb2.CommandHeader(request_id=f"follow-{verb}-{self._number}")
        request = form(header=header, session_id=f"bench-{self._number}", **more)
        await call(request, metadata=self._metadata)


async def play(
    engine: servers.Running, data_dir: Path, first: int, callers: int, seconds: float
) -> list[float]:
    """Let so many rooms work for so long; return what they waited for the answers to their requests."""
    metadata = sign_in(data_dir)
    client = Client(engine, metadata)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{engine.port}") as channel:
        rooms = [Room(client, channel, metadata, first + 100_000 * number) for number in range(callers)]
        ends = time.perf_counter() + seconds

        async def work(room: Room) -> None:
            while time.perf_counter() < ends:
                await room.session()

        await asyncio.gather(*(work(room) for room in rooms))
    await client.close()
    return [wait for room in rooms for wait in room.waits_ms]


def followed(data_dir: Path, after: int) -> tuple[dict[str, list[float]], int, int]:
    """Return the milliseconds of each pair in the log after a position, how many are not followed, and its head."""
    began: dict[str, dt.datetime] = {}
    waits: dict[str, list[float]] = {follows: [] for _, _, follows in PAIRS}
    head = after
    with sqlite3.connect(f"file:{data_dir / 'attend.sqlite3'}?mode=ro", uri=True) as log:
        rows = log.execute(
            "SELECT position, stream, type, at, payload FROM events WHERE position > ? ORDER BY position",
            (after,),
        )
        for position, stream, kind, at, payload in rows:
            head = position
            for begins, names, follows in PAIRS:
                if kind == begins and (named := json.loads(payload).get(names)):
                    began[named] = dt.datetime.fromisoformat(at)
                elif kind == follows:
                    passed = dt.datetime.fromisoformat(at) - began.pop(stream.partition("/")[2])
                    waits[follows].append(passed.total_seconds() * 1000)
    return waits, len(began), head


async def measure(engine: servers.Running, data_dir: Path, chosen: argparse.Namespace) -> None:
    """Run each number of callers and print what followed."""
    after = 0
    for turn, callers in enumerate(chosen.callers, start=1):
        answers = await play(engine, data_dir, turn * 10_000_000, callers, chosen.seconds)
        until = time.perf_counter() + SETTLE_S
        while True:
            waits, left, head = followed(data_dir, after)
            if not left or time.perf_counter() > until:
                break
            await asyncio.sleep(1)
        after = head
        peer = statistics.median(answers)
        sys.stdout.write(f"{callers} callers, {len(answers)} sessions; the answer: median {peer:.1f} ms\n")
        for name, found in waits.items():
            middle, ratio = statistics.median(found), statistics.median(found) / peer
            line = f"  {name:15} median {middle:8.1f} ms = {ratio:6.1f} x the answer; longest {max(found):8.1f} ms"
            sys.stdout.write(line + "\n")
        sys.stdout.write(f"  not followed after {SETTLE_S:.0f} s: {left}\n")


def main() -> None:
    """Start the server, measure, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with servers.engine(data_dir) as engine:
            uvloop.run(measure(engine, data_dir, chosen))


if __name__ == "__main__":
    main()
