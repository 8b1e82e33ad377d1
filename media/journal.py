"""What a node observed, numbered and kept for a while, so that a watcher can resume where it was.

Rule: bounded; nobody waits for a slow watcher, who is cut when what it needs has been dropped.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from engine.kernel.errors import Overloaded
from media.backend import LegChanged, LineChanged, MediaEvent, Proof


class Journal:
    """The newest observations of one node in order; sequences start at 1 and have no holes."""

    def __init__(self, node_id: str, events: int) -> None:
        self.node_id = node_id
        self.last_sequence = 0
        self._events: deque[MediaEvent] = deque(maxlen=events)
        self._grown = asyncio.Event()

    def append(self, body: LineChanged | LegChanged | Proof) -> None:
        """Number an observation and wake every watcher."""
        self.last_sequence += 1
        self._events.append(MediaEvent(node_id=self.node_id, sequence=self.last_sequence, body=body))
        self._grown.set()
        self._grown = asyncio.Event()

    def after(self, sequence: int) -> list[MediaEvent]:
        """Return what is kept after `sequence`. Raises Overloaded("journal_events") if some of it was dropped.

        0 asks for whatever is still kept.
        """
        if not self._events or sequence >= self.last_sequence:
            return []
        first = self._events[0].sequence
        if sequence and sequence + 1 < first:
            raise Overloaded("journal_events")
        skip = max(0, sequence + 1 - first)
        return [self._events[i] for i in range(skip, len(self._events))]

    async def read(
        self, after_sequence: int, idle_s: float | None = None
    ) -> AsyncIterator[MediaEvent | None]:
        """Yield what comes after `after_sequence`, for ever; None after each `idle_s` without anything new."""
        position = after_sequence
        while True:
            grown = self._grown
            for event in self.after(position):
                yield event
                position = event.sequence
            if self.last_sequence > position:
                continue
            try:
                async with asyncio.timeout(idle_s):
                    await grown.wait()
            except TimeoutError:
                yield None
