"""The whole corridor on one file is killed at random moments; what was answered stands, timers fire, sends are sent."""

import asyncio
import os
import random  # noqa: TID251 - the moments of the kills, from a printed seed
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.kernel.clock import SystemClock
from engine.kernel.store import OutboxRow
from engine.runtime.executor import Executor
from engine.runtime.outbox import Outbox
from engine.runtime.timers import Timers
from engine.store.sqlite import SqliteStore
from tests.runtime.toy import Boiled, Fill, Heat, Heating, ReportSpill, ask, hall
from tests.runtime.worker import KEY

KILLS = 50 if os.environ.get("ATTEND_SOAK") else 6
KETTLES = 12
COMMANDS = {"Fill": Fill(owner="DEMO^PATIENT"), "Heat": Heat(seconds=0)}


@pytest.mark.hazard("H-17")
def test_a_killed_corridor_loses_nothing_it_answered(tmp_path: Path) -> None:
    """After each kill a new process answers every answered request as before, and finishes what was under way."""
    seed = int.from_bytes(os.urandom(4), "big")
    moments = random.Random(seed)
    path = tmp_path / "attend.db"
    for kill in range(KILLS):
        command = [sys.executable, "-m", "tests.runtime.worker", str(path), f"w{kill}", str(KETTLES)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            lines = [worker.stdout.readline() for _ in range(moments.randrange(2, 300))]
            worker.kill()
            lines.extend(worker.stdout)
        assert lines[0] == "ready\n", f"seed {seed}"
        answered = [line.split() for line in lines[1:] if line.endswith("\n")]
        asyncio.run(check(path, answered))


async def check(path: Path, answered: list[list[str]]) -> None:
    """Open the file as the next process would and hold it to what was answered."""
    store = SqliteStore(path, KEY)
    executor = hall(store, SystemClock())
    await executor.open()
    for request_id, name, version in answered:
        turn, kind = request_id.split(":")[2:]
        command = COMMANDS.get(kind) or ReportSpill(millilitres=1 + int(turn) % 3)
        outcome = await executor.execute(ask(request_id, command, name))
        assert (outcome.repeated, outcome.version) == (True, int(version))
    timers = Timers(executor)
    while await timers.run_due(executor.clock.now()):
        pass
    assert timers.failed == 0
    assert await store.timers(None, 10) == []
    boiled = await boilings(executor)
    heard = await whistled(executor, path)
    assert boiled == heard
    await store.close()


async def boilings(executor: Executor) -> set[str]:
    """Return the keys of all boilings; each stream must verify and have boiled once for each heating."""
    keys: set[str] = set()
    listed: list[Any] = []
    while page := await executor.store.streams("kettle", listed[-1].id if listed else "", 100):
        listed.extend(page)
    for stream in listed:
        history = await executor.history(stream)
        heatings = sum(isinstance(one.event, Heating) for one in history)
        boils = [f"whistle:{one.id}" for one in history if isinstance(one.event, Boiled)]
        assert len(boils) == heatings
        keys.update(boils)
    return keys


async def whistled(executor: Executor, path: Path) -> set[str]:
    """Send what is still pending; return every key that was ever heard."""
    heard = set(written(path))

    async def whistle(row: OutboxRow) -> None:
        heard.add(row.key)

    outbox = Outbox(executor, {"whistle": whistle})
    while await outbox.drain_once(executor.clock.now()):
        pass
    write(path, heard)
    return heard


def written(path: Path) -> list[str]:
    """Return the whistles that killed processes heard; the last line may be cut."""
    file = path.with_name("whistles")
    return file.read_text().split("\n")[:-1] if file.exists() else []


def write(path: Path, heard: set[str]) -> None:
    """Keep what was heard for the next round."""
    path.with_name("whistles").write_text("".join(f"{key}\n" for key in sorted(heard)))
