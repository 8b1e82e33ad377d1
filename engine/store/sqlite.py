"""The store in one SQLite file: WAL, synchronous=FULL, one writer thread in one writer process.

Rule: a commit is one transaction; when SQLite cannot make it durable the whole batch is rolled back and every caller
is told Unavailable. Reads use a second connection and never wait for the writer.
"""

import asyncio
import datetime as dt
import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.kernel.errors import Corrupt, Unavailable
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
_EVENT_COLUMNS = (
    "position, stream, version, type, schema, at, actor, correlation, causation, "
    "phases, flags, payload, hash, prev_hash"
)


def _text(at: dt.datetime) -> str:
    """Write a moment so that text order is time order."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


class SqliteStore:
    """Opens or creates the file at `path`. `key` (32 bytes) encrypts protected values.

    Raises Unavailable when another process writes this file or the file cannot be used.
    """

    def __init__(self, path: Path, key: bytes, *, max_pages: int | None = None) -> None:
        self._cipher = AESGCM(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(path.with_name(path.name + ".lock"))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        try:
            self._writer = _connect(path)
            self._writer.execute("PRAGMA secure_delete = ON")
            self._writer.execute("PRAGMA wal_autocheckpoint = 4000")
            _migrate(self._writer)
            if max_pages is not None:
                self._writer.execute(f"PRAGMA max_page_count = {int(max_pages)}")
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            os.close(self._lock)
            raise Unavailable(f"the database cannot be opened: {error}") from error
        self.transactions = 0

    async def commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        """Make a batch durable in one transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, tuple(batch))

    def _commit(self, batch: Sequence[Commit]) -> list[Committed | Lost]:
        db = self._writer
        try:
            db.execute("BEGIN IMMEDIATE")
            results = [self._one(commit) for commit in batch]
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise Unavailable(f"nothing was stored: {error}") from error
        self.transactions += 1
        return results

    def _one(self, commit: Commit) -> Committed | Lost:
        db, stream = self._writer, str(commit.stream)
        (actual,) = db.execute(
            "SELECT COALESCE(MAX(version), 0) FROM events WHERE stream = ?", (stream,)
        ).fetchone()
        request = commit.request
        if actual != commit.expected_version:
            return Lost(expected=commit.expected_version, actual=actual)
        kept = db.execute(
            "INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?)",
            (request.request_id, request.fingerprint, str(request.stream), request.version),
        )
        if kept.rowcount == 0:
            return Lost(expected=commit.expected_version, actual=actual)
        (head,) = db.execute("SELECT COALESCE(MAX(position), 0) FROM events").fetchone()
        rows = tuple(replace(row, position=head + n) for n, row in enumerate(commit.events, 1))
        db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_event(r) for r in rows],
        )
        self._effects(commit, stream)
        return Committed(position=head + len(rows), events=rows)

    def _effects(self, commit: Commit, stream: str) -> None:
        db = self._writer
        for name in commit.timers_cancelled:
            db.execute("DELETE FROM timers WHERE stream = ? AND name = ?", (stream, name))
        for timer in commit.timers_set:
            db.execute(
                "INSERT OR REPLACE INTO timers VALUES (?, ?, ?, ?)",
                (str(timer.stream), timer.name, _text(timer.due_at), timer.correlation),
            )
        for send in commit.outbox:
            body = json.dumps(dict(send.body), sort_keys=True)
            db.execute(
                "INSERT OR IGNORE INTO outbox (key, kind, stream, body, correlation) VALUES (?, ?, ?, ?, ?)",
                (send.key, send.kind, str(send.stream), body, send.correlation),
            )
        for value in commit.protected:
            nonce = os.urandom(NONCE_BYTES)
            sealed = nonce + self._cipher.encrypt(nonce, value.value, value.ref.encode())
            db.execute(
                "INSERT INTO protected VALUES (?, ?, ?, ?, ?)",
                (value.ref, str(value.stream), value.commitment, value.salt, sealed),
            )

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
        """Erase protected values with their salts."""
        statement = "DELETE FROM protected WHERE ref = ?"
        return await self._write(lambda db: sum(db.execute(statement, (ref,)).rowcount for ref in refs))

    async def timers(self, due: dt.datetime | None, limit: int) -> list[TimerRow]:
        """Return pending timers, earliest first."""
        bound = _text(due) if due is not None else "9999"
        found = self._rows(
            "SELECT stream, name, due_at, correlation FROM timers WHERE due_at <= ? "
            "ORDER BY due_at, stream, name LIMIT ?",
            (bound, limit),
        )
        return [
            TimerRow(
                stream=Stream.parse(stream),
                name=name,
                due_at=dt.datetime.fromisoformat(due_at),
                correlation=session,
            )
            for stream, name, due_at, session in found
        ]

    async def outbox(self, limit: int) -> list[OutboxRow]:
        """Return pending sends, oldest first."""
        found = self._rows(
            "SELECT key, kind, stream, body, correlation, attempts FROM outbox WHERE done = 0 ORDER BY id LIMIT ?",
            (limit,),
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
        statement = "UPDATE outbox SET attempts = attempts + 1, done = ? WHERE key = ?"
        await self._write(lambda db: db.execute(statement, (int(done), key)).rowcount)

    async def cursor(self, name: str) -> int:
        """Return a reader's position."""
        found = self._rows("SELECT position FROM cursors WHERE name = ?", (name,))
        return int(found[0][0]) if found else 0

    async def save_cursor(self, name: str, position: int) -> None:
        """Save a reader's position."""
        statement = "INSERT OR REPLACE INTO cursors VALUES (?, ?)"
        await self._write(lambda db: db.execute(statement, (name, position)).rowcount)

    async def streams(self, machine: str, after: str, limit: int) -> list[Stream]:
        """Return the machine's streams after an id, in id order."""
        found = self._rows(
            "SELECT stream FROM events WHERE machine = ? AND version = 1 AND stream > ? ORDER BY stream LIMIT ?",
            (machine, f"{machine}/{after}", limit),
        )
        return [Stream.parse(stream) for (stream,) in found]

    async def close(self) -> None:
        """Finish what is under way, fold the log file back in, release the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    async def _write(self, work: Callable[[sqlite3.Connection], int]) -> int:
        def run() -> int:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                changed = work(self._writer)
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise Unavailable(f"nothing was stored: {error}") from error
            return changed

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _rows(self, statement: str, values: Iterable[Any]) -> list[Any]:
        try:
            return self._reader.execute(statement, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"the database cannot be read: {error}") from error

    def _events(self, where: str, values: Iterable[Any]) -> list[EventRow]:
        return [_row(found) for found in self._rows(f"SELECT {_EVENT_COLUMNS} FROM events {where}", values)]


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _take_lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Unavailable(
            f"another process is writing {path.with_suffix('').name}; stop it, or choose another data folder"
        ) from None
    return handle


def _migrate(db: sqlite3.Connection) -> None:
    """Apply each migration that the file has not seen, in order, each in one transaction."""
    db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY) STRICT")
    seen = {name for (name,) in db.execute("SELECT name FROM migrations")}
    folder = files("engine.store") / "migrations" / "sqlite"
    for script in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if script.name.endswith(".sql") and script.name not in seen:
            name = script.name.replace("'", "")
            db.executescript(f"BEGIN; {script.read_text()} INSERT INTO migrations VALUES ('{name}'); COMMIT;")


def _event(row: EventRow) -> tuple[Any, ...]:
    return (
        row.position,
        str(row.stream),
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
