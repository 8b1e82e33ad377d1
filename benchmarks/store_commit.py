"""Durable commands per second in process, and what a command costs on a small and on a large store.

Run `python -m benchmarks.store_commit [--sessions N]`. Each figure is a median of interleaved rounds on SQLite with
synchronous=FULL. The peer of the same run is bare SQLite: one caller that writes one row of a command's size a
transaction, which no store on this disk can beat at one caller.
"""

import argparse
import asyncio
import datetime as dt
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.kernel.clock import SystemClock
from engine.kernel.commands import Actor, Command, Request
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.runtime.ids import RandomIds
from engine.runtime.limits import Limits
from engine.store.sqlite import SqliteStore
from engine.workflows import session
from engine.workflows.session.commands import RecordVitals, ScheduleSession
from engine.workflows.session.state import Order, PatientIdentity

CALLERS = (1, 16, 64)
ROUNDS = 7
COMMANDS = 1500
FEW = 10
PAIRS, PAIR_COMMANDS = 100, 500
TECHNOLOGIST = Actor(person_id="bench", role="technologist", organization_id="org")
KEY = bytes(32)


def schedule(now: dt.datetime) -> Command:
    """Return the command that makes a session."""
    return ScheduleSession(
        organization_id="org",
        site_id="site",
        room_id="room",
        planned_at=now,
        order=Order(
            accession_number="A1",
            procedure_code="CT",
            procedure_system="L",
            modality="CT",
            contrast_class="iodinated",
        ),
        identity=PatientIdentity(
            mrn="1", authority="a", family="DEMO", given="P", birth_date=dt.date(1970, 1, 1), sex="F"
        ),
        site_state="CA",
        setting="office",
    )


@dataclass(slots=True)
class Bench:
    """One store with its executor and a counter for request ids."""

    store: SqliteStore
    executor: Executor
    asked: int = 0
    latencies_s: list[float] = field(default_factory=list)

    async def do(self, name: str, command: Command) -> None:
        """Run one command and keep how long its caller waited."""
        self.asked += 1
        began = time.perf_counter()
        await self.executor.execute(
            Request(
                request_id=f"r{self.asked}-{name}",
                stream=Stream("session", name),
                command=command,
                actor=TECHNOLOGIST,
            )
        )
        self.latencies_s.append(time.perf_counter() - began)


async def opened(folder: Path, sessions: int, cached: int = 4096) -> Bench:
    """Return a bench over a new store that holds so many sessions."""
    store = SqliteStore(folder / "attend.db", KEY)
    executor = Executor(
        [session.machine()],
        store,
        SystemClock(),
        RandomIds(),
        fingerprint_key=KEY,
        limits=Limits(cached_streams=cached),
    )
    await executor.open()
    bench = Bench(store, executor)
    first = schedule(executor.clock.now())
    for start in range(0, sessions, 256):
        await asyncio.gather(*(bench.do(f"s{n}", first) for n in range(start, min(start + 256, sessions))))
    return bench


async def commands_per_s(bench: Bench, callers: int, names: list[str], commands: int = COMMANDS) -> float:
    """Let callers, each on its own session at a time, run so many facts; return durable commands per second."""
    bench.latencies_s.clear()
    share = commands // callers
    vitals = RecordVitals(heart_rate_bpm=80)

    async def caller(number: int) -> None:
        for turn in range(share):
            await bench.do(names[(number + turn * callers) % len(names)], vitals)

    began = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return share * callers / (time.perf_counter() - began)


def bare_rows_per_s(folder: Path) -> float:
    """Return how many one-row transactions bare SQLite makes durable per second, from one caller."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        db = sqlite3.connect(Path(own) / "bare.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
        body = "x" * 700
        began = time.perf_counter()
        for _ in range(COMMANDS):
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO rows (body) VALUES (?)", (body,))
            db.execute("COMMIT")
        took = time.perf_counter() - began
        db.close()
    return COMMANDS / took


async def throughput(folder: Path) -> None:
    """Print commands per second, p50 and p99 at 1, 16 and 64 callers beside bare SQLite."""
    bench = await opened(folder, 64)
    names = [f"s{n}" for n in range(64)]
    rates: dict[int, list[float]] = {callers: [] for callers in CALLERS}
    waits: dict[int, list[float]] = {callers: [] for callers in CALLERS}
    bare = []
    for _ in range(ROUNDS):
        bare.append(bare_rows_per_s(folder))
        for callers in CALLERS:
            rates[callers].append(await commands_per_s(bench, callers, names))
            waits[callers].extend(bench.latencies_s)
    peer = statistics.median(bare)
    say(f"bare SQLite, one row a transaction, 1 caller: {peer:,.0f}/s")
    for callers in CALLERS:
        rate = statistics.median(rates[callers])
        cuts = statistics.quantiles(waits[callers], n=100)
        say(
            f"{callers:>3} callers: {rate:,.0f} commands/s = {rate / peer:.2f} of the peer; "
            f"p50 {cuts[49] * 1000:.2f} ms, p99 {cuts[98] * 1000:.2f} ms"
        )
    await bench.store.close()


async def by_size(folder: Path, sessions: int, cached: int, label: str) -> None:
    """Print what a command costs on a store of many sessions, as a ratio of the cost on one of few."""
    (folder / "few").mkdir()
    (folder / "many").mkdir()
    few = await opened(folder / "few", FEW, cached)
    many = await opened(folder / "many", sessions, cached)
    spread = [f"s{n * sessions // FEW}" for n in range(FEW)]
    commands = PAIR_COMMANDS if cached > FEW else PAIR_COMMANDS // 5  # read anew, each costs its whole stream
    waited, worked = [], []
    for number in range(PAIRS):
        pair: list[tuple[Bench, list[str]]] = [(few, [f"s{n}" for n in range(FEW)]), (many, spread)]
        cost: dict[int, tuple[float, float]] = {}
        for bench, names in pair if number % 2 == 0 else pair[::-1]:
            cpu_s = time.process_time()
            rate = await commands_per_s(bench, FEW, names, commands)
            cost[id(bench)] = (1 / rate, time.process_time() - cpu_s)
        waited.append(cost[id(many)][0] / cost[id(few)][0])
        worked.append(cost[id(many)][1] / cost[id(few)][1])
    for what, ratios in (("time", waited), ("CPU ", worked)):
        say(f"{label}, {what}: cost with {sessions:,} sessions / with {FEW}: {_median_of(ratios)}")
    await few.store.close()
    await many.store.close()


def _median_of(ratios: list[float]) -> str:
    """Say the median and the order statistics that hold the true median between them 19 times of 20."""
    ordered, reach = sorted(ratios), round(0.98 * len(ratios) ** 0.5)
    low, high = ordered[len(ordered) // 2 - reach], ordered[(len(ordered) - 1) // 2 + reach]
    return f"median {statistics.median(ratios):.3f} (95 % interval {low:.3f} to {high:.3f})"


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run everything in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000, help="sessions in the large store")
    chosen = parser.parse_args()
    parts: list[Callable[[Path], Awaitable[None]]] = [
        throughput,
        lambda folder: by_size(folder, chosen.sessions, 4096, "streams in memory"),
        lambda folder: by_size(folder, chosen.sessions, 1, "streams read anew  "),
    ]
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_run(part, Path(folder)))


async def _run(part: Callable[[Path], Awaitable[None]], folder: Path) -> None:
    await part(folder)


if __name__ == "__main__":
    main()
