"""Records as the porches hand them out: the sealed file when there is one, the draft otherwise, and the PDF of it."""

import asyncio
import datetime as dt
from collections.abc import Sequence

from engine.kernel.ids import Stream
from engine.records.pdf import render_pdf
from engine.records.reader import RecordReader
from engine.runtime.executor import Executor
from engine.services.ports import MissingItem, RecordCopy
from engine.workflows.session.events import RecordSealed
from engine.workflows.session.state import SessionState


class RecordCopies:
    """Gives copies of records."""

    def __init__(self, reader: RecordReader, executor: Executor) -> None:
        self._reader = reader
        self._executor = executor

    async def read(self, session_id: str, *, include_pdf: bool) -> RecordCopy:
        """Return a session's record as it is now."""
        state: SessionState = await self._executor.state(Stream("session", session_id))
        sealed = bool(state.sealed_hash)
        document = await (self._reader.document(session_id) if sealed else self._reader.unsealed(session_id))
        draft = await self._reader.draft(session_id)
        return RecordCopy(
            document=document,
            pdf=await asyncio.to_thread(render_pdf, document) if include_pdf else b"",
            body_hash=draft.hash,
            sealed=sealed,
            missing=tuple(
                MissingItem(field=item.path, reason=item.why, who=item.who) for item in draft.missing
            ),
        )

    async def missing(self, session_id: str) -> Sequence[MissingItem]:
        """Return what a session's record lacks."""
        draft = await self._reader.draft(session_id)
        return [MissingItem(field=item.path, reason=item.why, who=item.who) for item in draft.missing]

    async def sealed_pdf(self, session_id: str) -> tuple[bytes, dt.datetime]:
        """Return the sealed record's PDF and the moment of its newest seal. Raises Missing when it is not sealed."""
        document = await self._reader.document(session_id)
        history = await self._executor.history(Stream("session", session_id))
        seals = [one.event.sealed_at for one in history if isinstance(one.event, RecordSealed)]
        return await asyncio.to_thread(render_pdf, document), seals[-1]
