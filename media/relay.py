"""The simple relay: aiortc connections, each leg's decoded frames sent on to the others, and the proof of it.

Rule: implements media.backend.MediaBackend in this process; every count is bounded by media.settings.
"""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from engine.kernel.clock import Clock
from engine.kernel.errors import Invalid, Missing, Overloaded, Rejected
from media import aiortc_seam as seam
from media.backend import (
    CallId,
    Kind,
    LegCause,
    LegChanged,
    LegId,
    LegState,
    LineCause,
    LineChanged,
    LineState,
    MediaEvent,
    Participant,
    Proof,
    wall,
)
from media.health import Health, Sample, step
from media.journal import Journal
from media.leg import Leg, LegHooks
from media.sdp import check_offer
from media.settings import MediaSettings

_LOG = logging.getLogger(__name__)


class _Call:
    """The legs of one call and the memory of its line."""

    def __init__(self, call_id: CallId, required: tuple[Participant, ...], now_s: float) -> None:
        self.id = call_id
        self.required = required
        self.places: list[Participant] = list(required)
        self.legs: dict[LegId, Leg] = {}
        self.health = Health(required=required)
        self.joining = asyncio.Lock()
        self.row_start: tuple[float, dt.datetime] | None = None
        self.next_row_s = now_s

    def leg_of(self, participant: Participant) -> Leg | None:
        return next((leg for leg in self.legs.values() if leg.participant == participant), None)

    def take_place(self, participant: Participant) -> None:
        """Give the participant a fixed place; a visitor may take the place of one who left."""
        if participant in self.places:
            return
        for i, other in enumerate(self.places):
            if other not in self.required and self.leg_of(other) is None:
                self.places[i] = participant
                return
        self.places.append(participant)

    def slot(self, receiver: Leg, source: Participant) -> int:
        """Return which slot of `receiver` carries `source`: its place among the others."""
        return [p for p in self.places if p != receiver.participant].index(source)


class Relay:
    """Carries calls in this process. Use it as an async context manager; a MediaBackend."""

    def __init__(
        self,
        settings: MediaSettings,
        clock: Clock,
        node_id: str,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._steady = steady
        self._calls: dict[CallId, _Call] = {}
        self._draining = False
        self._ticker: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self.journal = Journal(node_id, settings.journal_events)
        self.failed_ticks = 0

    async def __aenter__(self) -> "Relay":
        seam.prepare((self._settings.bind,))
        self._ticker = asyncio.get_running_loop().create_task(self._tick_for_ever())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End every call and stop judging."""
        self._draining = True
        await asyncio.gather(*(self.close_call(call_id) for call_id in list(self._calls)))
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
        if self._endings:
            await asyncio.wait(self._endings)

    @property
    def load(self) -> tuple[int, int]:
        """How many calls and legs run."""
        return len(self._calls), sum(len(call.legs) for call in self._calls.values())

    async def open_call(self, call_id: CallId, required: tuple[Participant, ...]) -> None:
        """See MediaBackend.open_call."""
        known = self._calls.get(call_id)
        if known is not None:
            if known.required != required:
                raise Rejected("CALL_EXISTS", "The call is open for other participants.")
            return
        if not 2 <= len(required) <= self._settings.legs_per_call or len(set(required)) != len(required):
            raise Invalid("required_participants", "name two or more, each once, within the legs of a call")
        self._refuse_when_draining()
        if len(self._calls) >= self._settings.calls_per_node:
            raise Overloaded("calls_per_node")
        self._calls[call_id] = _Call(call_id, required, self._steady())
        self._line(call_id, LineState.ABSENT, LineCause.CALL_OPENED)

    async def add_leg(self, call_id: CallId, leg_id: LegId, participant: Participant, offer_sdp: str) -> str:
        """See MediaBackend.add_leg."""
        call = self._call(call_id)
        self._refuse_when_draining()
        offer = check_offer(offer_sdp, self._settings)
        async with call.joining:
            if leg_id in call.legs:
                raise Rejected("LEG_EXISTS", "A connection of this id is in the call.")
            replaced = call.leg_of(participant)
            if len(call.legs) - (replaced is not None) >= self._settings.legs_per_call:
                raise Overloaded("legs_per_call")
            leg = Leg(leg_id, participant, self._settings, self._steady, self._hooks(call))
            answer = await leg.answer(offer)
            if self._calls.get(call_id) is not call:
                await leg.end(LegCause.CALL_CLOSED)
                raise Missing("the call was closed meanwhile")
            if replaced is not None:
                replaced.finish(LegCause.REPLACED)
            call.take_place(participant)
            call.legs[leg_id] = leg
            self._leg(call, leg, LegState.JOINING, None)
            return answer

    async def remove_leg(self, call_id: CallId, leg_id: LegId) -> None:
        """See MediaBackend.remove_leg."""
        leg = self._call(call_id).legs.get(leg_id)
        if leg is None:
            raise Missing("no such leg in this call")
        await leg.end(LegCause.REMOVED)

    async def close_call(self, call_id: CallId) -> None:
        """See MediaBackend.close_call."""
        call = self._call(call_id)
        del self._calls[call_id]
        await asyncio.gather(*(leg.end(LegCause.CALL_CLOSED) for leg in list(call.legs.values())))
        self._line(call_id, LineState.ABSENT, LineCause.CALL_CLOSED)

    async def watch(self, after_sequence: int = 0) -> AsyncIterator[MediaEvent]:
        """See MediaBackend.watch."""
        async for event in self.journal.read(after_sequence):
            if event is not None:
                yield event

    async def drain(self) -> tuple[int, int]:
        """See MediaBackend.drain."""
        self._draining = True
        return self.load

    def _call(self, call_id: CallId) -> _Call:
        call = self._calls.get(call_id)
        if call is None:
            raise Missing("no such call on this node")
        return call

    def _refuse_when_draining(self) -> None:
        if self._draining:
            raise Rejected("DRAINING", "This media node takes no more calls.")

    def _hooks(self, call: _Call) -> LegHooks:
        def frame(leg: Leg, kind: Kind, picture: Any) -> None:
            if call.legs.get(leg.id) is not leg:
                return
            for other in call.legs.values():
                if other.participant != leg.participant:
                    other.feed(call.slot(other, leg.participant), kind, picture)

        def changed(leg: Leg, state: LegState, cause: LegCause | None) -> None:
            if state is LegState.ENDED and call.legs.get(leg.id) is leg:
                del call.legs[leg.id]
                for other in call.legs.values():
                    if other.participant != leg.participant:
                        other.clear(call.slot(other, leg.participant))
            elif call.legs.get(leg.id) is not leg:
                return
            if state is LegState.ENDED:
                self._later(leg.closed())
            self._leg(call, leg, state, cause)

        return LegHooks(frame=frame, changed=changed)

    def _later(self, ending: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _leg(self, call: _Call, leg: Leg, state: LegState, cause: LegCause | None) -> None:
        self.journal.append(
            LegChanged(
                call_id=call.id,
                leg_id=leg.id,
                participant=leg.participant,
                state=state,
                cause=cause,
                at=wall(self._clock.now()),
            )
        )

    def _line(self, call_id: CallId, state: LineState, cause: LineCause) -> None:
        self.journal.append(
            LineChanged(call_id=call_id, state=state, cause=cause, at=wall(self._clock.now()))
        )

    async def _tick_for_ever(self) -> None:
        while True:
            for call in list(self._calls.values()):
                try:
                    await self._tick(call)
                except Exception:  # noqa: BLE001 - the outermost loop: logged and counted
                    # The judgement of one call must not end that of the others; the count is watched by tests.
                    self.failed_ticks += 1
                    _LOG.exception("judging a call failed")
            await asyncio.sleep(self._settings.tick_s)

    async def _tick(self, call: _Call) -> None:
        now_s, now = self._steady(), wall(self._clock.now())
        sample = Sample(at_s=now_s, legs=tuple(leg.sample() for leg in call.legs.values()))
        call.health, verdict = step(call.health, sample, self._settings.health)
        if verdict is not None:
            self.journal.append(
                LineChanged(
                    call_id=call.id,
                    state=verdict.state,
                    cause=verdict.cause,
                    at=now,
                    participant=verdict.participant,
                    kind=verdict.kind,
                    evidence=verdict.evidence,
                    window_ms=round(verdict.window_s * 1000),
                    silent_ms=round(verdict.silent_s * 1000),
                )
            )
        await self._row(call, now_s, now)

    async def _row(self, call: _Call, now_s: float, now: dt.datetime) -> None:
        if not call.legs:
            call.row_start = None
            return
        if call.row_start is None:
            call.row_start = (now_s, now)
            call.next_row_s = now_s + self._settings.proof_row_s
            return
        if now_s < call.next_row_s:
            return
        start_s, start = call.row_start
        # Rows keep to their second and do not drift; after a stall the next one starts anew.
        due_s = call.next_row_s + self._settings.proof_row_s
        call.next_row_s = due_s if due_s > now_s else now_s + self._settings.proof_row_s
        call.row_start = (now_s, now)
        rows = [row for leg in list(call.legs.values()) for row in await leg.rows()]
        length_ms = round((now_s - start_s) * 1000)
        self.journal.append(Proof(call_id=call.id, starts_at=start, length_ms=length_ms, rows=tuple(rows)))
