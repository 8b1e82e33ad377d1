"""Waiting on what a media backend reports, without sleeping."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from media.backend import (
    CallId,
    LegChanged,
    LegId,
    LineChanged,
    LineState,
    MediaBackend,
    MediaEvent,
    Participant,
    Proof,
)
from media.peer import Exchange

TECH, DOC = Participant("technologist"), Participant("physician")
CALL = CallId("call-1")


class Observer:
    """Collects what a backend reports and lets a test wait for it."""

    def __init__(self, backend: MediaBackend) -> None:
        self._backend = backend
        self.events: list[MediaEvent] = []
        self._grown = asyncio.Condition()

    async def run(self) -> None:
        """Collect for ever."""
        async for event in self._backend.watch():
            async with self._grown:
                self.events.append(event)
                self._grown.notify_all()

    async def until(self, wanted: Callable[[MediaEvent], bool], after: int = 0, within_s: float = 20) -> int:
        """Wait for an event at index `after` or later that is `wanted`; return its index. Raises TimeoutError."""
        position = after
        async with asyncio.timeout(within_s), self._grown:
            while True:
                while position < len(self.events):
                    if wanted(self.events[position]):
                        return position
                    position += 1
                await self._grown.wait()

    async def line(self, state: LineState, after: int = 0, within_s: float = 20) -> tuple[int, LineChanged]:
        """Wait until the line is `state`; return the index and the change."""
        index = await self.until(
            lambda e: isinstance(e.body, LineChanged) and e.body.state is state, after, within_s
        )
        body = self.events[index].body
        assert isinstance(body, LineChanged)
        return index, body

    @property
    def lines(self) -> list[LineChanged]:
        """All changes of lines so far."""
        return [e.body for e in self.events if isinstance(e.body, LineChanged)]

    @property
    def legs(self) -> list[LegChanged]:
        """All changes of legs so far."""
        return [e.body for e in self.events if isinstance(e.body, LegChanged)]

    @property
    def proofs(self) -> list[Proof]:
        """All proofs so far."""
        return [e.body for e in self.events if isinstance(e.body, Proof)]


@asynccontextmanager
async def observing(backend: MediaBackend) -> AsyncIterator[Observer]:
    """Observe `backend` while the block runs; an error of the watch fails the test."""
    observer = Observer(backend)
    task = asyncio.get_running_loop().create_task(observer.run())
    try:
        yield observer
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def into(backend: MediaBackend, leg: str, participant: Participant, call: CallId = CALL) -> Exchange:
    """Return the exchange that joins `call` as `participant`."""

    async def exchange(offer_sdp: str) -> str:
        return await backend.add_leg(call, LegId(leg), participant, offer_sdp)

    return exchange
