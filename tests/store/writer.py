"""A process that writes until it is killed: it prints each acknowledged commit only after the store answered.

Run as `python -m tests.store.writer PATH ROUND CALLERS [LIMIT_BYTES]`. With a limit the process may not make any file
larger than that: a full disk. It then prints `full`, lifts the limit and goes on.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

from engine.kernel.errors import Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import Committed, Lost
from engine.runtime.limits import Limits
from engine.runtime.pump import CommitPump
from engine.store.sqlite import SqliteStore
from tests.store.contract import protected, send, timer
from tests.store.rows import commit_of

KEY = bytes(range(32))
AFTER_FULL = 20


def say(line: str) -> None:
    """Write a line past every buffer."""
    os.write(1, f"{line}\n".encode())


async def caller(pump: CommitPump, stream: Stream, full: asyncio.Event) -> None:
    """Append to one stream for ever, everything of a commit at once; an unstored commit is tried again as it is."""
    version, left = 0, AFTER_FULL
    while left:
        count = 1 + version % 3
        commit = commit_of(
            stream,
            version,
            count,
            timers_set=(timer(stream, "t", version + count, version=version + count),),
            outbox=(send(stream, f"{stream}:{version + count}"),),
            protected=(protected(stream, f"{stream}@{version + count}.p"),),
        )
        try:
            done = await pump.commit(commit, lambda _: None)
        except Unavailable:
            if not full.is_set():
                full.set()
                say("full")
                unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
            continue
        assert not isinstance(done, Lost)
        assert isinstance(done, Committed)
        version += count
        left -= full.is_set()
        say(f"{stream} {version}")


async def main(path: Path, name: str, callers: int, limit_bytes: int) -> None:
    """Write until killed, or until a while after the disk was full."""
    store = SqliteStore(path, KEY)
    pump = CommitPump(store, Limits())
    if limit_bytes:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    say("ready")
    full = asyncio.Event()
    await asyncio.gather(*(caller(pump, Stream("kettle", f"{name}-{n}"), full) for n in range(callers)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    )
