"""The line between the contract and the media node: who joins which place, and what the node proves becomes facts.

Rule: the node's word becomes a session fact and nothing else; whether that matters is the chart's business.
"""

import asyncio
import datetime as dt
import logging
from decimal import Decimal

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import AttendError, Missing
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.workflows.session import commands as c
from engine.workflows.session.state import LineEvidence
from media.backend import (
    CallId,
    LegId,
    LineCause,
    LineChanged,
    LineState,
    MediaBackend,
    Participant,
)

log = logging.getLogger(__name__)

PLACES = (Participant("technologist"), Participant("physician"))
ACTOR = Actor.system("media")
RETRY_S = 0.5
PAGE = 5000
LINE_AGE = dt.timedelta(days=2)


class Lines:
    """Joins legs and reports line states. One call a session, named as the session."""

    def __init__(self, backend: MediaBackend, executor: Executor) -> None:
        self._backend = backend
        self._executor = executor
        self._count = 0

    async def join(self, session_id: str, participant: str, leg_id: str, offer_sdp: str) -> str:
        """Connect a leg; the call opens with the first one."""
        call = CallId(session_id)
        await self._backend.open_call(call, PLACES)
        return await self._backend.add_leg(call, LegId(leg_id), Participant(participant), offer_sdp)

    async def leave(self, session_id: str, participant: str, leg_id: str) -> None:
        """Disconnect a leg; after monitoring the last word about the call is that it was closed on purpose."""
        call = CallId(session_id)
        state = await self._executor.state(Stream("session", session_id))
        try:
            if state.in_phase("closing", "signed", "sealed", "cancelled", "declined"):
                await self._backend.close_call(call)
            else:
                await self._backend.remove_leg(call, LegId(leg_id))
        except Missing:
            return

    async def forget(self) -> int:
        """Report every line lost that the log still shows as up: no leg outlives the engine, so nobody is on it now.

        Call it before the doors open. Looks at the sessions whose line changed within LINE_AGE; returns how many lost
        theirs.
        """
        lost = 0
        for session_id in sorted(await self._recent()):
            state = await self._executor.state(Stream("session", session_id))
            if state.in_phase("connecting", "verified", "degraded"):
                await self._report(session_id, c.ReportLineLost(cause="engine_restarted"))
                lost += 1
        return lost

    async def _recent(self) -> set[str]:
        """Return the sessions whose line changed lately, reading the log backwards."""
        since = self._executor.clock.now() - LINE_AGE
        found: set[str] = set()
        below = self._executor.tail.head
        while below > 0:
            start = max(0, below - PAGE)
            rows = [row for row in await self._executor.store.read(start, PAGE) if row.position <= below]
            found |= {row.stream.id for row in rows if row.type.startswith("Line")}
            if rows and rows[0].at < since:
                break
            below = start
        return found

    async def run(self) -> None:
        """Turn what the node observes into facts, for ever."""
        async for event in self._backend.watch():
            if isinstance(event.body, LineChanged):
                command = _fact(event.body)
                if command is not None:
                    await self._report(event.body.call_id, command)

    async def _report(self, session_id: str, command: Command) -> None:
        """Report one fact; a store that cannot take it now is asked again, because facts are never dropped."""
        self._count += 1
        kind = type(command).__name__
        stamp = self._executor.clock.now().isoformat()
        request = Request(
            request_id=f"media:{session_id}:{kind}:{self._count}:{stamp}",
            stream=Stream("session", session_id),
            command=command,
            actor=ACTOR,
            correlation=session_id,
        )
        while True:
            try:
                await self._executor.execute(request)
                return
            except Missing:
                log.warning("the media node speaks of a session that does not exist")
                return
            except AttendError as error:
                log.error("%s could not be stored yet: %s", kind, type(error).__name__)
                await asyncio.sleep(RETRY_S)


def _fact(change: LineChanged) -> Command | None:
    """Return the fact that a line change is; None for one that says nothing about the exam."""
    where = f":{change.participant}" if change.participant else ""
    cause = f"{change.cause.value}{where}"
    if change.state is LineState.CONNECTING:
        return c.ReportLineConnecting()
    if change.state is LineState.VERIFIED:
        return c.ReportLineVerified(evidence=_evidence(change))
    if change.state is LineState.DEGRADED:
        return c.ReportLineDegraded(cause=cause)
    if change.state is LineState.LOST:
        return c.ReportLineLost(cause=cause)
    if change.state is LineState.ABSENT and change.cause is LineCause.CALL_CLOSED:
        return c.ReportLineClosed()
    return None


def _evidence(change: LineChanged) -> LineEvidence:
    counted = {evidence.participant: evidence for evidence in change.evidence}
    technologist, physician = counted[PLACES[0]], counted[PLACES[1]]
    return LineEvidence(
        technologist_audio_packets=technologist.audio_packets,
        technologist_video_frames=technologist.video_frames,
        physician_audio_packets=physician.audio_packets,
        physician_video_frames=physician.video_frames,
        window_s=Decimal(change.window_ms) / 1000,
    )
