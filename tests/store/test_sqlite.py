"""The SQLite store passes the contract, and stands what a disk, another process and a kill can do to it."""

import asyncio
import os
import random  # noqa: TID251 - the moments of the kills, from a printed seed
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.kernel.errors import Corrupt, Invalid, Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import Committed, Store
from engine.runtime.limits import Limits
from engine.runtime.pump import CommitPump
from engine.store.chain import verify_chain
from engine.store.sqlite import SqliteStore
from tests.store.contract import A, B, StoreContract, protected, send, timer
from tests.store.rows import commit_of
from tests.store.writer import KEY

KILLS = 100 if os.environ.get("ATTEND_SOAK") else 15
CALLERS = 8


class TestSqliteStore(StoreContract):
    """SQLite as a tenant: reopening is a new store on the same file."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        self.path = tmp_path / "attend.db"
        self.opened = [SqliteStore(self.path, KEY)]
        yield self.opened[0]
        for one in self.opened:
            await one.close()

    async def reopened(self, store: Store) -> Store:
        await store.close()
        self.opened.append(SqliteStore(self.path, KEY))
        return self.opened[-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "attend.db"


async def test_sixty_four_callers_share_transactions(path: Path) -> None:
    """64 concurrent commits are made durable in two transactions: the first caller's and everybody else's."""
    store = SqliteStore(path, KEY)
    pump = CommitPump(store, Limits())

    done = await asyncio.gather(
        *(pump.commit(commit_of(Stream("kettle", f"k{n}"), 0, 1), lambda _: None) for n in range(64))
    )

    assert all(isinstance(one, Committed) for one in done)
    assert store.transactions <= 2
    await store.close()


async def test_nobody_else_may_read_the_file(path: Path) -> None:
    """What the file holds of patients is for its owner, whatever the umask of the one who starts the engine."""
    before = os.umask(0)
    try:
        store = SqliteStore(path, KEY)
    finally:
        os.umask(before)
    await store.commit([commit_of(A, 0, 1)])
    modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    await store.close()

    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}


async def test_a_full_disk_changes_nothing_and_loses_nothing(path: Path) -> None:
    """A batch that does not fit is Unavailable as a whole; what was acknowledged stays, and room mends it."""
    small = SqliteStore(path, KEY, max_pages=40)
    fitted = 0
    with pytest.raises(Unavailable, match="full"):
        while True:
            await small.commit([commit_of(A, fitted, 1), commit_of(B, fitted, 1)])
            fitted += 1
    assert fitted > 0
    assert await small.head() == 2 * fitted
    assert await small.request(commit_of(A, fitted, 1).request.request_id) is None
    await small.close()

    roomy = SqliteStore(path, KEY)
    (again,) = await roomy.commit([commit_of(A, fitted, 1)])

    assert isinstance(again, Committed)
    verify_chain(await roomy.load(A))
    verify_chain(await roomy.load(B))
    await roomy.close()


async def test_a_foreign_lock_is_unavailable_and_passes(path: Path) -> None:
    """While another program holds the database nothing is stored and callers are told; afterwards it works."""
    store = SqliteStore(path, KEY, busy_s=0.01)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await store.commit([commit_of(A, 0, 1)])
    with pytest.raises(Unavailable, match="locked"):
        await store.save_cursor("policies", 1)
    foreign.execute("ROLLBACK")
    foreign.close()

    (done,) = await store.commit([commit_of(A, 0, 1)])

    assert isinstance(done, Committed)
    await store.close()


async def test_a_replaced_file_is_noticed(path: Path) -> None:
    """A database that was deleted or swapped under a running engine takes no more writes."""
    store = SqliteStore(path, KEY)
    await store.commit([commit_of(A, 0, 1)])
    take_away(path)
    with pytest.raises(Unavailable):
        await store.commit([commit_of(A, 1, 1)])
    put_back_empty(path)
    with pytest.raises(Unavailable, match="replaced"):
        await store.commit([commit_of(A, 1, 1)])
    await store.close()


async def test_a_fault_inside_a_batch_leaves_no_open_transaction(path: Path) -> None:
    """A commit that the driver cannot even bind fails its batch and nothing after it."""
    store = SqliteStore(path, KEY)
    with pytest.raises(UnicodeEncodeError):
        await store.commit([commit_of(A, 0, 1), commit_of(B, 0, 0, request_id="\ud800")])

    assert await store.head() == 0
    assert isinstance((await store.commit([commit_of(A, 0, 1)]))[0], Committed)
    await store.close()


async def test_a_closed_store_is_unavailable(path: Path) -> None:
    """After closing, reads and writes say so, and closing again is allowed."""
    store = SqliteStore(path, KEY)
    await store.close()
    await store.close()

    with pytest.raises(Unavailable):
        await store.commit([commit_of(A, 0, 1)])
    with pytest.raises(Unavailable):
        await store.load(A)


@pytest.mark.hazard("H-35")
async def test_a_second_process_is_refused(path: Path) -> None:
    """A second writer on the same file is told who is in the way; when the first is gone it may."""
    refusal = r"another process is writing attend\.db"
    with writing(path, "first", 1), pytest.raises(Unavailable, match=refusal):
        SqliteStore(path, KEY)

    store = SqliteStore(path, KEY)
    await store.close()


async def test_a_second_store_in_one_process_is_refused(path: Path) -> None:
    """The lock also holds inside one process."""
    store = SqliteStore(path, KEY)
    with pytest.raises(Unavailable, match="another process"):
        SqliteStore(path, KEY)
    await store.close()


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    """A path below a file is refused with a sentence, not with a stack."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="folder"):
        SqliteStore(tmp_path / "file" / "attend.db", KEY)


def test_a_file_that_is_no_database_is_unavailable_and_untouched(path: Path) -> None:
    """Somebody else's file is refused and keeps its bytes; the lock is free again."""
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 400)
    for _ in range(2):
        with pytest.raises(Unavailable, match="not a database"):
            SqliteStore(path, KEY)

    assert path.read_bytes() == b"not a database" * 400


async def test_another_key_is_refused(path: Path) -> None:
    """A store is never opened with another key, so values under two keys never mix; a key has 32 bytes."""
    await SqliteStore(path, KEY).close()

    with pytest.raises(Corrupt, match="another key"):
        SqliteStore(path, b"x" * 32)
    with pytest.raises(Invalid, match="32 bytes"):
        SqliteStore(path, b"short")
    await SqliteStore(path, KEY).close()


async def test_a_newer_schema_is_refused(path: Path) -> None:
    """A database with a migration this version does not know is left alone."""
    await SqliteStore(path, KEY).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO migrations VALUES ('9999_future.sql')")
    db.close()

    with pytest.raises(Corrupt, match="newer Attend"):
        SqliteStore(path, KEY)


async def test_a_changed_protected_value_is_corrupt(path: Path) -> None:
    """Ciphertext that was tampered with, or moved to another reference, does not read."""
    store = SqliteStore(path, KEY)
    await store.commit([commit_of(A, 0, 1, protected=(protected(A, "one"), protected(A, "two")))])
    await store.close()
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE protected SET value = (SELECT value FROM protected WHERE ref = 'two') WHERE ref = 'one'"
        )
    db.close()
    store = SqliteStore(path, KEY)

    with pytest.raises(Corrupt, match="one"):
        await store.protected(["one"])
    assert len(await store.protected(["two"])) == 1
    await store.close()


async def test_an_erased_value_is_gone_from_every_file(path: Path) -> None:
    """A value is never on disk in clear; after erasing, its ciphertext and salt are not either, log file included."""
    store = SqliteStore(path, KEY)
    value = protected(A, "kettle/a@1.owner")
    await store.commit([commit_of(A, 0, 1, protected=(value,))])
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        (sealed,) = db.execute("SELECT value FROM protected").fetchone()
    db.close()
    assert value.value not in everything(path)
    assert sealed in everything(path)
    assert value.salt in everything(path)

    await store.erase([value.ref])

    assert sealed not in everything(path)
    assert value.salt not in everything(path)
    await store.close()


def test_a_disk_that_fills_while_writing_loses_nothing_acknowledged(path: Path) -> None:
    """The system refuses to let a file grow in the middle of commits: every caller is told, then all goes on."""
    with writing(path, "full", CALLERS, limit_bytes=400_000) as writer:
        lines = writer.stdout.read().split("\n")
        assert writer.wait() == 0, lines[-3:]

    assert "full" in lines
    acknowledged = newest(lines)
    assert len(acknowledged) == CALLERS
    asyncio.run(check(path, acknowledged, stored_more=0))


@pytest.mark.hazard("H-17")
def test_kill_minus_nine_loses_nothing_acknowledged(path: Path) -> None:
    """A writer is killed at random moments, again and again: what it acknowledged is there, whole and chained."""
    seed = int.from_bytes(os.urandom(4), "big")
    moments = random.Random(seed)
    acknowledged: dict[Stream, int] = {}
    for kill in range(KILLS):
        wanted = moments.randrange(1, 400)
        with writing(path, f"w{kill}", CALLERS) as writer:
            lines = [writer.stdout.readline().strip() for _ in range(wanted)]
            writer.kill()
            lines.extend(line for line in writer.stdout.read().split("\n")[:-1])
            writer.wait()
        acknowledged |= newest(lines)

    assert sum(acknowledged.values()) > KILLS, f"seed {seed}"
    asyncio.run(check(path, acknowledged, stored_more=KILLS * CALLERS * 3))


async def check(path: Path, acknowledged: dict[Stream, int], stored_more: int) -> None:
    """Assert that each stream verifies, reaches what was acknowledged, and that its rows stand or fall together."""
    store = SqliteStore(path, KEY)
    stored = 0
    timers = {row.stream: row for row in await store.timers(None, 10_000)}
    sends = {row.key for row in await store.outbox(1_000_000)}
    listed: list[Stream] = []
    while page := await store.streams("kettle", listed[-1].id if listed else "", 100):
        listed.extend(page)
    assert set(acknowledged) <= set(listed)
    for stream in listed:
        rows = await store.load(stream)
        verify_chain(rows)
        assert len(rows) >= acknowledged.get(stream, 0)
        stored += len(rows)
        assert timers[stream] == timer(stream, "t", len(rows), version=len(rows))
        version = 0
        while version < len(rows):
            count = 1 + version % 3
            assert await store.request(f"{stream}:{version}+{count}") is not None
            version += count
            assert send(stream, f"{stream}:{version}").key in sends
            assert await store.protected([f"{stream}@{version}.p"])
        assert version == len(rows), "a commit was stored in part"
    assert [row.position for row in await store.read(0, stored + 1)] == list(range(1, stored + 1))
    assert stored - sum(acknowledged.values()) <= stored_more
    await store.close()


@contextmanager
def writing(path: Path, name: str, callers: int, limit_bytes: int = 0) -> "Iterator[subprocess.Popen[str]]":
    """Run the writer until it says it is ready; kill it afterwards."""
    command = [sys.executable, "-m", "tests.store.writer", str(path), name, str(callers), str(limit_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            yield writer
        finally:
            writer.kill()


def newest(lines: list[str]) -> dict[Stream, int]:
    """Return the highest acknowledged version of each stream."""
    spoken = [line.split() for line in lines if line.startswith("kettle/")]
    return {Stream.parse(name): int(version) for name, version in spoken}


def take_away(path: Path) -> None:
    """Move the database file away."""
    path.rename(path.with_name("taken-away.db"))


def put_back_empty(path: Path) -> None:
    """Put an empty file in the database's place."""
    path.write_bytes(b"")


def everything(path: Path) -> bytes:
    """Return the bytes of every file beside the database."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
