"""A process that runs the corridor on a file until it is killed; it prints a request only after it was answered.

Run as `python -m tests.runtime.worker PATH ROUND KETTLES`. Each kettle is filled, heated, spilt and boiled by its
timer, again and again; whistles go to a handler that writes them to a file beside the database, by key.
"""

import asyncio
import os
import sys
from pathlib import Path

from engine.kernel.clock import SystemClock
from engine.kernel.store import Commit, Committed, OutboxRow
from engine.runtime.executor import Executor
from engine.runtime.outbox import Outbox
from engine.runtime.timers import Timers
from engine.store.sqlite import SqliteStore
from tests.runtime.toy import Boiled, Fill, Heat, ReportSpill, ask, hall

KEY = bytes(range(32))


async def kettle(executor: Executor, round_name: str, name: str) -> None:
    """Keep one kettle busy for ever."""
    turn, hot = 0, asyncio.Event()

    def listen(commit: Commit, done: Committed) -> None:
        if any(row.type == Boiled.__name__ and row.stream.id == name for row in done.events):
            hot.set()

    executor.listeners.append(listen)
    while True:
        for command in (Fill(owner="DEMO^PATIENT"), Heat(seconds=0), ReportSpill(millilitres=1 + turn % 3)):
            if turn and isinstance(command, Fill):
                continue
            request = ask(f"{round_name}:{name}:{turn}:{type(command).__name__}", command, name)
            outcome = await executor.execute(request)
            os.write(1, f"{request.request_id} {name} {outcome.version}\n".encode())
        await hot.wait()
        hot.clear()
        turn += 1


async def main(path: Path, round_name: str, kettles: int) -> None:
    """Run until killed."""
    executor = hall(SqliteStore(path, KEY), SystemClock())
    await executor.open()

    async def whistle(row: OutboxRow) -> None:
        with path.with_name("whistles").open("a") as heard:
            heard.write(f"{row.key}\n")

    outbox = Outbox(executor, {"whistle": whistle})
    os.write(1, b"ready\n")
    await asyncio.gather(
        Timers(executor).run(),
        outbox.run(),
        *(kettle(executor, round_name, f"{round_name}-{n}") for n in range(kettles)),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
