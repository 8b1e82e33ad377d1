"""A real `attend serve` as a process of its own: started on free ports, killed without mercy, read from outside.

Rule: what these tests know of the server they know over its ports or from its file, never from inside.
"""

import asyncio
import json
import os
import select
import shutil
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from attend.v1 import watch_pb2
from attend.v1.watch_pb2_grpc import WatchServiceStub
from engine.access.tokens import TokenIssuer
from engine.demo.caller import Caller
from engine.demo.network import ORGANIZATION, PEOPLE, SITE
from engine.kernel.clock import SystemClock
from engine.kernel.ids import Stream
from engine.keys import TOKEN_KEY_ID, load_keys
from engine.runtime.ids import RandomIds
from engine.store.chain import verify_chain
from engine.store.sqlite import SqliteStore

START_S = 60.0
END_S = 20.0
HEAD = "SELECT COALESCE(MAX(position), 0) FROM events"


@dataclass
class Server:
    """A running server over a data folder."""

    data_dir: Path
    process: asyncio.subprocess.Process
    ports: dict[str, int]

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.ports['grpc']}"

    @property
    def database(self) -> Path:
        return self.data_dir / "attend.sqlite3"

    def caller(self, person_id: str, sites: tuple[str, ...] = (SITE,)) -> Caller:
        """Return a client that calls as somebody of the demo network."""
        return Caller(self.target, self.token(person_id, sites))

    def token(self, person_id: str, sites: tuple[str, ...] = (SITE,)) -> str:
        """Sign somebody of the demo network in."""
        issuer = TokenIssuer(load_keys(self.data_dir).token, TOKEN_KEY_ID, SystemClock())
        return issuer.issue(
            person_id=person_id,
            role=PEOPLE[person_id][1],
            organization_id=ORGANIZATION,
            sites=sites,
            token_id=RandomIds().name("tok"),
        )

    def children(self) -> list[int]:
        """Return the process ids of the server's children."""
        found: list[int] = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            found.extend(int(pid) for pid in (task / "children").read_text().split())
        return found

    async def kill(self) -> None:
        """Kill the server with SIGKILL and wait until its children have ended by themselves."""
        handles = [os.pidfd_open(pid) for pid in self.children()]
        self.process.kill()
        await self.process.wait()
        for handle in handles:
            ended: list[int] = (await asyncio.to_thread(select.select, [handle], [], [], END_S))[0]
            os.close(handle)
            assert ended, "a child outlived its parent"

    async def stop(self) -> None:
        """End the server in order."""
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()


async def start(data_dir: Path, *more: str) -> Server:
    """Start a server and wait until it says that it serves."""
    ready = data_dir.with_suffix(".ports")
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "engine", "serve", "--demo", "--data-dir", str(data_dir)]
    command += ["--ready-file", str(ready), *more]
    for port in ("--grpc-port", "--http-port", "--mllp-port"):
        command += [port, "0"]
    with data_dir.with_suffix(".log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        said = await process.stdout.readline()
    assert said.startswith(b"Attend"), data_dir.with_suffix(".log").read_text()[-2000:]
    return Server(data_dir, process, json.loads(ready.read_text()))


def left_behind(data_dir: Path, into: Path) -> Path:
    """Copy the files that a killed server left, so that reading them changes nothing; return the copy."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    for path in data_dir.glob("attend.sqlite3*"):
        if not path.name.endswith(("-shm", ".lock")):
            shutil.copy(path, into / path.name)
    return into / "attend.sqlite3"


def rows(database: Path, statement: str, *values: Any) -> list[Any]:
    """Read rows of a store's file."""
    with closing(sqlite3.connect(database, timeout=30)) as db:
        return db.execute(statement, values).fetchall()


async def until(server: Server, done: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Wait until something is so, looking again at each piece of news of the server, heartbeats included."""
    position = (await asyncio.to_thread(rows, server.database, HEAD))[0][0]
    metadata = (("authorization", f"Bearer {server.token('auditor-1')}"),)
    async with asyncio.timeout(within_s), grpc.aio.insecure_channel(server.target) as channel:
        watch: Any = WatchServiceStub(channel)
        news = watch.Watch(watch_pb2.WatchRequest(after_position=position), metadata=metadata)
        while not await done():
            await news.read()
        news.cancel()


async def verified(database: Path, key: bytes) -> int:
    """Verify the chain of every stream of a store that no server holds; return how many there are."""
    store = SqliteStore(database, key)
    streams = rows(database, "SELECT DISTINCT stream FROM events")
    for (name,) in streams:
        verify_chain(await store.load(Stream.parse(name)))
    await store.close()
    return len(streams)
