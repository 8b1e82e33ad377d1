"""Reads one session's record out of the store: what people are about to sign, what is missing, the sealed file.

Rule: it only reads. What it returns to the enrichers of ConfirmRecord, AttestRecord and SealRecord lands in events
through the executor like everything else.
"""

import datetime as dt
from dataclasses import dataclass

import msgspec

from engine.kernel.errors import Corrupt, Missing
from engine.kernel.ids import Stream
from engine.kernel.store import EventRow, Store
from engine.records.book import Record, body_hash
from engine.records.completeness import Item, missing, missing_paths
from engine.records.document import History, codec, folded, render, seal_hash
from engine.records.seal import SealingKey, Statement
from engine.store.chain import verify_chain
from engine.workflows.session.commands import SealRecord
from engine.workflows.session.events import ReactionReported, RecordSealed, SupervisionRequested

_LINKS = {
    SupervisionRequested.__name__: ("ring", "ring_id"),
    ReactionReported.__name__: ("reaction", "reaction_id"),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """The record as it stands: its content hash is what a person signs; `missing` keeps it from being signed."""

    record: Record
    hash: str
    missing: tuple[Item, ...]


class RecordReader:
    """Folds records of sessions from a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._codec = codec()

    async def load(self, session_id: str) -> History:
        """Return the session's whole history as of now, each stream verified.

        Raises Missing when there is no such session, Corrupt when a chain does not verify.
        """
        head = await self._store.head()
        rows = await self._stream(Stream("session", session_id), head)
        if not rows:
            raise Missing("there is no such session")
        for row in tuple(rows):
            link = _LINKS.get(row.type)
            if link is not None:
                machine, name = link
                other = Stream(machine, msgspec.json.decode(row.payload)[name])
                rows.extend(await self._stream(other, head))
        rows.sort(key=lambda row: row.position)
        refs = [ref for row in rows for ref in self._codec.refs(row)]
        return History(tuple(rows), await self._store.protected(refs))

    async def draft(self, session_id: str) -> Draft:
        """Return the record as it stands now."""
        record = folded(await self.load(session_id), self._codec)
        return Draft(record, body_hash(record), missing(record))

    async def body_hash_and_missing(self, session_id: str) -> tuple[str, tuple[str, ...]]:
        """Return what ConfirmRecord and AttestRecord need: the hash to sign and the paths of what is missing."""
        draft = await self.draft(session_id)
        return draft.hash, tuple(item.path for item in draft.missing)

    async def sealing(self, session_id: str, key: SealingKey, sealed_at: dt.datetime) -> SealRecord:
        """Return the SealRecord command, filled in, for the record as it stands now."""
        history = await self.load(session_id)
        record = folded(history, self._codec)
        covered = seal_hash(record, [row.hash for row in history.rows])
        statement = Statement(
            session_id=session_id,
            revision=record.revision,
            record_hash=covered,
            key_id=key.key_id,
            sealed_at=sealed_at,
        )
        return SealRecord(
            record_hash=covered,
            missing=missing_paths(record, signatures=True),
            key_id=key.key_id,
            public_key=key.public_key.hex(),
            signature=key.sign(statement),
            sealed_at=sealed_at,
            through=history.rows[-1].position,
        )

    async def document(self, session_id: str, revision: int | None = None) -> bytes:
        """Return the sealed record's file: of the newest revision, or of the one asked for.

        Raises Missing when the session or that revision is not sealed.
        """
        history = sealed_part(await self.load(session_id), revision)
        return render(history, folded(history, self._codec))

    async def unsealed(self, session_id: str) -> bytes:
        """Return the record's file as it stands now, without a seal; `attend verify` will say that it has none."""
        history = await self.load(session_id)
        return render(history, folded(history, self._codec))

    async def _stream(self, stream: Stream, head: int) -> list[EventRow]:
        rows = [row for row in await self._store.load(stream) if row.position <= head]
        verify_chain(rows)
        return rows


def sealed_part(history: History, revision: int | None = None) -> History:
    """Return the part of a history that a seal covers, ending with the seal's own event. Raises Missing."""
    for row in reversed(history.rows):
        if row.type != RecordSealed.__name__:
            continue
        sealed = msgspec.json.decode(row.payload)
        if revision is not None and sealed["revision"] != revision:
            continue
        covered = tuple(other for other in history.rows if other.position <= sealed["through"])
        if sum(other.stream == row.stream for other in covered) != row.version - 1:
            raise Corrupt(f"{row.stream}@{row.version}: the seal does not follow what it covers")
        return History((*covered, row), history.protected)
    raise Missing("the record is not sealed")
