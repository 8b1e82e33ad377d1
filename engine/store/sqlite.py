"""The store in one SQLite file: WAL, synchronous=FULL, one writer thread in one writer process.

Rule: a commit is one transaction; when SQLite cannot make it durable the whole batch is rolled back and every caller
is told Unavailable. Reads use a second connection and never wait for the writer.
"""

import asyncio
import contextlib
import datetime as dt
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from engine.kernel.errors import Corrupt, Invalid, Unavailable
from engine.kernel.ids import Stream
from engine.kernel.store import (
    Commit,
    Committed,
    EventRow,
    Lost,
    OutboxRow,
    ProtectedValue,
    RequestRow,
    TimerRow,
)

T = TypeVar("T")
NONCE_BYTES = 12
KEY_BYTES = 32
_KNOWN_TEXT = b"attend"
_EVENT_COLUMNS = (
    "position, stream, version, type, schema, at, actor, correlation, causation, "
    "phases, flags, payload, hash, prev_hash"
)
_VERSIONS = (
    "SELECT asked.value, (SELECT COALESCE(MAX(version), 0) FROM events WHERE stream = asked.value) "
    "FROM json_each(?) AS asked"
)
_KNOWN_REQUESTS = "SELECT request_id FROM requests WHERE request_id IN (SELECT value FROM json_each(?))"
_TIMER_COLUMNS = "stream, name, due_at, correlation, set_at_version"


def _text(at: dt.datetime) -> str:
    """Write a moment so that text order is time order."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


class SqliteStore:
    """Opens or creates the file at `path`. `key` (32 bytes) encrypts protected values.

    `max_pages` bounds the file's size (a page is 4096 bytes); `busy_s` is how long to wait for a foreign lock.
    `transactions` counts what was made durable: each is one fsync. Raises Unavailable when another process writes
    this file or the file cannot be used, Corrupt when it was written with another key or by a newer Attend.
    """

    def __init__(self, path: Path, key: bytes, *, max_pages: int | None = None, busy_s: float = 5.0) -> None:
        if len(key) != KEY_BYTES:
            raise Invalid("key", f"give {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)
        self._path = path
        self._lock = _take_lock(path)
        opened: list[sqlite3.Connection] = []
        try:
            opened.append(_connect(path, busy_s))
            self._writer = opened[0]
            self._writer.execute("PRAGMA secure_delete = ON")
            self._writer.execute("PRAGMA wal_autocheckpoint = 4000")
            _migrate(self._writer)
            self._check_key()
            if max_pages is not None:
                self._writer.execute(f"PRAGMA max_page_count = {int(max_pages)}")
            opened.append(_connect(path, busy_s))
            self._reader = opened[1]
            self._reader.execute("PRAGMA query_only = ON")
            self._file = _identity(path)
        except (sqlite3.Error, OSError, Corrupt) as error:
            for connection in opened:
                connection.close()
            os.close(self._lock)
            if isinstance(error, Corrupt):
                raise
            raise Unavailable(f"the database {path.name} cannot be opened: {error}") from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._closed = False
        self.transactions = 0

    async def commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Make a batch durable in one transaction."""
        return await self._durably(lambda db: self._batch(batch)) if batch else []

    async def _durably(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction on the writer's thread. Raises Unavailable; then nothing of it is kept."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)
        except RuntimeError as error:
            raise Unavailable("nothing was stored: the database is closed") from error

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        db = self._writer
        try:
            if _identity(self._path) != self._file:
                raise Unavailable("nothing was stored: the database file was replaced")
            db.execute("BEGIN IMMEDIATE")
            result = work(db)
            db.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"nothing was stored: {error}") from error
        finally:
            self._undo()
        self.transactions += 1
        return result

    def _undo(self) -> None:
        """Roll back what a failure left open, whatever it was; a lost connection has nothing to roll back."""
        with contextlib.suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _check_key(self) -> None:
        """Hold the file to the key it was first opened with."""
        found = self._writer.execute("SELECT sealed FROM key_check").fetchone()
        if found is None:
            nonce = os.urandom(NONCE_BYTES)
            sealed = nonce + self._cipher.encrypt(nonce, _KNOWN_TEXT, None)
            self._writer.execute("INSERT INTO key_check VALUES (1, ?)", (sealed,))
            return
        try:
            self._cipher.decrypt(found[0][:NONCE_BYTES], found[0][NONCE_BYTES:], None)
        except InvalidTag:
            raise Corrupt(
                f"{self._path.name} was written with another key; give the key file it was made with"
            ) from None

    def _batch(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Write a whole batch in a handful of statements: each gives the interpreter away and must win it back."""
        db = self._writer
        streams = [str(commit.stream) for commit in batch]
        ids = json.dumps([commit.request.request_id for commit in batch])
        versions: dict[str, int] = dict(db.execute(_VERSIONS, (json.dumps(streams),)).fetchall())
        known = {found for (found,) in db.execute(_KNOWN_REQUESTS, (ids,))}
        (head,) = db.execute("SELECT COALESCE(MAX(position), 0) FROM events").fetchone()
        results: list[Committed | Lost] = []
        won: list[Commit] = []
        requests: list[tuple[Any, ...]] = []
        rows: list[tuple[Any, ...]] = []
        for commit, stream in zip(batch, streams, strict=True):
            request_id = commit.request.request_id
            if versions[stream] != commit.expected_version or request_id in known:
                results.append(Lost(expected=commit.expected_version, actual=versions[stream]))
                continue
            placed = tuple(replace(row, position=head + n) for n, row in enumerate(commit.events, 1))
            head += len(placed)
            versions[stream] += len(placed)
            known.add(request_id)
            won.append(commit)
            requests.append(_request(commit, stream))
            rows.extend([_event(row, stream) for row in placed])
            results.append(Committed(position=head, events=placed))
        db.executemany("INSERT INTO requests VALUES (?, ?, ?, ?)", requests)
        db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._effects(won)
        return results

    def _effects(self, won: Sequence[Commit]) -> None:
        db = self._writer
        timers: dict[tuple[str, str], TimerRow | None] = {}
        for commit in won:
            timers |= dict.fromkeys((str(commit.stream), name) for name in commit.timers_cancelled)
            timers |= {(str(timer.stream), timer.name): timer for timer in commit.timers_set}
        gone = [key for key, timer in timers.items() if timer is None]
        if gone:
            db.executemany("DELETE FROM timers WHERE stream = ? AND name = ?", gone)
        wanted = [_timer_values(timer) for timer in timers.values() if timer is not None]
        if wanted:
            db.executemany("INSERT OR REPLACE INTO timers VALUES (?, ?, ?, ?, ?)", wanted)
        sends = [_send(send) for commit in won for send in commit.outbox]
        if sends:
            db.executemany(
                "INSERT OR IGNORE INTO outbox (key, kind, stream, body, correlation) VALUES (?, ?, ?, ?, ?)",
                sends,
            )
        values = [self._sealed(value) for commit in won for value in commit.protected]
        if values:
            db.executemany("INSERT INTO protected VALUES (?, ?, ?, ?, ?)", values)

    def _sealed(self, value: ProtectedValue) -> tuple[Any, ...]:
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, value.value, value.ref.encode())
        return value.ref, str(value.stream), value.commitment, value.salt, sealed

    async def load(self, stream: Stream) -> list[EventRow]:
        """Return a stream's events by version."""
        return self._events("WHERE stream = ? ORDER BY version", (str(stream),))

    async def read(
        self, after: int, limit: int, *, correlation: str | None = None, machine: str | None = None
    ) -> list[EventRow]:
        """Return events after a position, in position order."""
        where, values = ["position > ?"], [after]
        for column, wanted in (("correlation", correlation), ("machine", machine)):
            if wanted is not None:
                where.append(f"{column} = ?")
                values.append(wanted)  # type: ignore[arg-type]  # a mixed list is what the driver takes
        return self._events(f"WHERE {' AND '.join(where)} ORDER BY position LIMIT ?", (*values, limit))

    async def head(self) -> int:
        """Return the newest position."""
        return int(self._rows("SELECT COALESCE(MAX(position), 0) FROM events", ())[0][0])

    async def request(self, request_id: str) -> RequestRow | None:
        """Return the outcome kept for a request id."""
        found = self._rows(
            "SELECT fingerprint, stream, version FROM requests WHERE request_id = ?", (request_id,)
        )
        if not found:
            return None
        fingerprint, stream, version = found[0]
        return RequestRow(
            request_id=request_id, fingerprint=fingerprint, stream=Stream.parse(stream), version=version
        )

    async def protected(self, refs: Sequence[str]) -> dict[str, ProtectedValue]:
        """Return the protected values that still exist, decrypted."""
        found = {}
        for ref in refs:
            for stream, promise, salt, sealed in self._rows(
                "SELECT stream, commitment, salt, value FROM protected WHERE ref = ?", (ref,)
            ):
                try:
                    value = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], ref.encode())
                except InvalidTag:
                    raise Corrupt(f"the protected value {ref} cannot be decrypted with this key") from None
                found[ref] = ProtectedValue(
                    ref=ref, stream=Stream.parse(stream), commitment=promise, salt=salt, value=value
                )
        return found

    async def erase(self, refs: Sequence[str]) -> int:
        """Erase protected values with their salts, from the log file beside the database too."""
        statement = "DELETE FROM protected WHERE ref = ?"
        erased = await self._durably(lambda db: sum(db.execute(statement, (ref,)).rowcount for ref in refs))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._fold_back)
        return erased

    def _fold_back(self) -> None:
        """Write the log file back and empty it; when something reads just then, the next checkpoint does."""
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    async def timers(self, due: dt.datetime | None, limit: int) -> list[TimerRow]:
        """Return pending timers, earliest first."""
        bound = _text(due) if due is not None else "9999"
        found = self._rows(
            f"SELECT {_TIMER_COLUMNS} FROM timers WHERE due_at <= ? ORDER BY due_at, stream, name LIMIT ?",
            (bound, limit),
        )
        return [_timer(row) for row in found]

    async def timer(self, stream: Stream, name: str) -> TimerRow | None:
        """Return the stream's pending timer of that name."""
        found = self._rows(
            f"SELECT {_TIMER_COLUMNS} FROM timers WHERE stream = ? AND name = ?", (str(stream), name)
        )
        return _timer(found[0]) if found else None

    async def outbox(self, limit: int, *, kind: str | None = None) -> list[OutboxRow]:
        """Return pending sends, oldest first."""
        where, values = ("AND kind = ?", (kind, limit)) if kind is not None else ("", (limit,))
        found = self._rows(
            "SELECT key, kind, stream, body, correlation, attempts FROM outbox "
            f"WHERE done = 0 {where} ORDER BY id LIMIT ?",
            values,
        )
        return [
            OutboxRow(
                key=key,
                kind=kind,
                stream=Stream.parse(stream),
                body=json.loads(body),
                correlation=session,
                attempts=attempts,
            )
            for key, kind, stream, body, session, attempts in found
        ]

    async def outbox_attempted(self, key: str, *, done: bool) -> None:
        """Count a hand-over; a done one stays as a row, so that its key is never sent again."""
        statement = "UPDATE outbox SET attempts = attempts + 1, done = ? WHERE key = ? AND done = 0"
        await self._durably(lambda db: db.execute(statement, (int(done), key)).rowcount)

    async def cursor(self, name: str) -> int:
        """Return a reader's position."""
        found = self._rows("SELECT position FROM cursors WHERE name = ?", (name,))
        return int(found[0][0]) if found else 0

    async def save_cursor(self, name: str, position: int) -> None:
        """Save a reader's position."""
        statement = "INSERT OR REPLACE INTO cursors VALUES (?, ?)"
        await self._durably(lambda db: db.execute(statement, (name, position)).rowcount)

    async def streams(self, machine: str, after: str, limit: int) -> list[Stream]:
        """Return the machine's streams after an id, in id order."""
        found = self._rows(
            "SELECT stream FROM events WHERE machine = ? AND version = 1 AND stream > ? ORDER BY stream LIMIT ?",
            (machine, f"{machine}/{after}", limit),
        )
        return [Stream.parse(stream) for (stream,) in found]

    async def close(self) -> None:
        """Finish what is under way, fold the log file back in, release the file. Closing twice is allowed."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    def _rows(self, statement: str, values: Iterable[Any]) -> list[Any]:
        try:
            return self._reader.execute(statement, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"the database cannot be read: {error}") from error

    def _events(self, where: str, values: Iterable[Any]) -> list[EventRow]:
        return [_row(found) for found in self._rows(f"SELECT {_EVENT_COLUMNS} FROM events {where}", values)]


def _connect(path: Path, busy_s: float) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=busy_s)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _take_lock(path: Path) -> int:
    """Hold the lock file beside the database, as long as this process lives. Raises Unavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite itself would let everybody read it
    except OSError as error:
        raise Unavailable(f"the folder of {path.name} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Unavailable(
            f"another process is writing {path.name}; stop it, or choose another data folder"
        ) from None
    return handle


def _identity(path: Path) -> tuple[int, int]:
    """Return which file a path names now: a deleted or replaced database must not be written to unnoticed."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _migrate(db: sqlite3.Connection) -> None:
    """Apply each migration that the file has not seen, in order, each in one transaction."""
    db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) STRICT")
    seen = {name for (name,) in db.execute("SELECT name FROM migrations")}
    folder = files("engine.store") / "migrations" / "sqlite"
    scripts = {script.name: script for script in folder.iterdir() if script.name.endswith(".sql")}
    if unknown := sorted(seen - set(scripts)):
        raise Corrupt(f"the database was written by a newer Attend (migration {unknown[0]}); use that one")
    for name in sorted(set(scripts) - seen):
        script = scripts[name].read_text()
        db.executescript(f"BEGIN; {script} INSERT INTO migrations VALUES ('{name}'); COMMIT;")


def _timer(found: Sequence[Any]) -> TimerRow:
    stream, name, due_at, session, version = found
    return TimerRow(
        stream=Stream.parse(stream),
        name=name,
        due_at=dt.datetime.fromisoformat(due_at),
        correlation=session,
        set_at_version=version,
    )


def _request(commit: Commit, stream: str) -> tuple[Any, ...]:
    request = commit.request
    return request.request_id, request.fingerprint, stream, request.version


def _timer_values(timer: TimerRow) -> tuple[Any, ...]:
    return str(timer.stream), timer.name, _text(timer.due_at), timer.correlation, timer.set_at_version


def _send(send: OutboxRow) -> tuple[Any, ...]:
    body = json.dumps(dict(send.body), sort_keys=True)
    return send.key, send.kind, str(send.stream), body, send.correlation


def _event(row: EventRow, stream: str) -> tuple[Any, ...]:
    return (
        row.position,
        stream,
        row.stream.machine,
        row.version,
        row.type,
        row.schema,
        _text(row.at),
        row.actor,
        row.correlation,
        row.causation,
        " ".join(row.phases),
        " ".join(row.flags),
        row.payload.decode(),
        row.hash,
        row.prev_hash,
    )


def _row(found: Sequence[Any]) -> EventRow:
    (
        position,
        stream,
        version,
        kind,
        schema,
        at,
        actor,
        session,
        cause,
        phases,
        flags,
        payload,
        digest,
        before,
    ) = found
    return EventRow(
        position=position,
        stream=Stream.parse(stream),
        version=version,
        type=kind,
        schema=schema,
        at=dt.datetime.fromisoformat(at),
        actor=actor,
        correlation=session,
        causation=cause,
        phases=tuple(phases.split()),
        flags=tuple(flags.split()),
        payload=payload.encode(),
        hash=digest,
        prev_hash=before,
    )
