"""A small driver that writes a session's history as the executor would: machines decide, rows are chained."""

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from msgspec import structs

from engine.kernel.canonical import canonical_bytes, digest
from engine.kernel.commands import Actor, Command
from engine.kernel.events import Event
from engine.kernel.ids import Stream
from engine.kernel.machine import Context, Machine
from engine.kernel.store import Commit, EventRow, ProtectedValue, RequestRow
from engine.records.book import Record, body_hash
from engine.records.completeness import missing_paths
from engine.records.document import History, codec, folded, render, seal_hash
from engine.records.reader import sealed_part
from engine.records.seal import SealingKey, Statement
from engine.store.chain import FIRST, event_hash
from engine.store.memory import MemoryStore
from engine.workflows.session import commands as c
from engine.workflows.session import machine as session_machine

START = dt.datetime(2026, 11, 23, 14, 0, 0, tzinfo=dt.UTC)
KEY = SealingKey.from_bytes(bytes(range(32)))
MACHINES: dict[str, Machine] = {"session": session_machine()}


class Driver:
    """One session's history in the making. Its clock moves only when told."""

    def __init__(self, session_id: str = "ses-1", reaction: Machine | None = None) -> None:
        self._machines = {**MACHINES, **({"reaction": reaction} if reaction else {})}
        self.session_id = session_id
        self.session = Stream("session", session_id)
        self.now = START
        self.rows: list[EventRow] = []
        self.protected: dict[str, ProtectedValue] = {}
        self._codec = codec()
        self._states: dict[Stream, Any] = {}

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += dt.timedelta(seconds=seconds)

    def do(self, actor: Actor, *commands: Command) -> None:
        """Let a person (or part) send commands to the session, one second apart."""
        self.send(self.session, actor, *commands)

    def send(self, stream: Stream, actor: Actor, *commands: Command) -> None:
        """Send commands to any stream whose machine is driven here, one second apart."""
        machine = self._machines[stream.machine]
        for command in commands:
            state = self.state_of(stream)
            decision = machine.decide(state, command, Context(now=self.now, actor=actor))
            self.write(stream, actor, decision.events, decision.phases, decision.flags)
            self.wait(1)

    def state_of(self, stream: Stream) -> Any:
        """The state of a stream whose machine is driven here."""
        return self._states.get(stream) or self._machines[stream.machine].initial(stream.id)

    def write(
        self,
        stream: Stream,
        actor: Actor,
        events: Iterable[Event],
        phases: tuple[str, ...],
        flags: tuple[str, ...] = (),
    ) -> None:
        """Append events to a stream as they are: also for streams whose machine is not driven here."""
        for event in events:
            before = [row for row in self.rows if row.stream == stream]
            version = len(before) + 1
            payload, split = self._codec.encode(stream, version, event, self._salt(stream, version))
            row = EventRow(
                position=len(self.rows) + 1,
                stream=stream,
                version=version,
                type=type(event).__name__,
                schema=type(event).schema,
                at=self.now,
                actor=canonical_bytes(actor).decode(),
                correlation=self.session_id,
                causation=f"req-{len(self.rows) + 1}",
                phases=phases,
                flags=flags,
                payload=payload,
                hash="",
                prev_hash=before[-1].hash if before else FIRST,
            )
            row = structs.replace(row, hash=event_hash(row))
            self.rows.append(row)
            self.protected.update({kept.ref: kept for kept in split})
            if stream.machine in self._machines:
                self._apply(stream, row)

    def _salt(self, stream: Stream, version: int) -> Callable[[], bytes]:
        return lambda: bytes.fromhex(digest(f"{stream}@{version}".encode()))[:16]

    def _apply(self, stream: Stream, row: EventRow) -> None:
        machine = self._machines[stream.machine]
        self._states[stream] = machine.apply(self.state_of(stream), self._codec.decode(row, self.protected))

    @property
    def state(self) -> Any:
        """The session's state."""
        return self._states[self.session]

    @property
    def history(self) -> History:
        """Everything so far."""
        return History(tuple(self.rows), dict(self.protected))

    @property
    def record(self) -> Record:
        """The record as it stands."""
        return folded(self.history, self._codec)

    def confirm(self, actor: Actor) -> None:
        """The technologist confirms the record as it stands."""
        seen = body_hash(self.record)
        self.do(actor, c.ConfirmRecord(seen_hash=seen, record_hash=seen, missing=missing_paths(self.record)))

    def attest(self, actor: Actor) -> None:
        """The physician attests the record as it stands."""
        seen = body_hash(self.record)
        self.do(actor, c.AttestRecord(seen_hash=seen, record_hash=seen, missing=missing_paths(self.record)))

    def seal(self, key: SealingKey = KEY) -> None:
        """The engine seals the record as it stands."""
        record = self.record
        covered = seal_hash(record, [row.hash for row in self.rows])
        statement = Statement(
            session_id=self.session_id,
            revision=record.revision,
            record_hash=covered,
            key_id=key.key_id,
            sealed_at=self.now,
        )
        sealed = c.SealRecord(
            record_hash=covered,
            missing=missing_paths(record, signatures=True),
            key_id=key.key_id,
            public_key=key.public_key.hex(),
            signature=key.sign(statement),
            sealed_at=self.now,
            through=len(self.rows),
        )
        self.do(Actor.system("records"), sealed)

    def file(self) -> bytes:
        """The sealed file of the newest revision."""
        part = sealed_part(self.history)
        return render(part, folded(part, self._codec))

    async def store(self) -> MemoryStore:
        """A store that holds exactly this history."""
        store = MemoryStore()
        for row in self.rows:
            kept = tuple(
                v for ref, v in self.protected.items() if ref.startswith(f"{row.stream}@{row.version}.")
            )
            done = RequestRow(
                request_id=row.causation, fingerprint="", stream=row.stream, version=row.version
            )
            one = Commit(
                stream=row.stream,
                expected_version=row.version - 1,
                events=(row,),
                request=done,
                protected=kept,
            )
            await store.commit([one])
        return store


def amount(text: str) -> Decimal:
    """Short for a Decimal in a story."""
    return Decimal(text)
