"""Fills what signing and sealing need to know of the record, just before the decision."""

from collections.abc import Mapping
from dataclasses import replace

from engine.kernel.clock import Clock
from engine.kernel.commands import Command, Request
from engine.records.reader import RecordReader
from engine.records.seal import SealingKey
from engine.runtime.executor import Enricher
from engine.workflows.session import commands as session
from engine.workflows.session.state import SessionState


class RecordEnrichers:
    """The enrichers that look at the record."""

    def __init__(self, reader: RecordReader, key: SealingKey, clock: Clock) -> None:
        self._reader = reader
        self._key = key
        self._clock = clock

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {
            session.ConfirmRecord: self.signing,
            session.AttestRecord: self.signing,
            session.SealRecord: self.sealing,
        }

    async def signing(
        self, state: SessionState, command: session.ConfirmRecord | session.AttestRecord, request: Request
    ) -> Command:
        """Fill the hash that is signed and what is still missing."""
        content, missing = await self._reader.body_hash_and_missing(state.session_id)
        return replace(command, record_hash=content, missing=missing)

    async def sealing(self, state: SessionState, command: session.SealRecord, request: Request) -> Command:
        """Fill the seal."""
        return await self._reader.sealing(state.session_id, self._key, self._clock.now())
