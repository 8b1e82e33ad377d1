"""Pages to people: a ring's send goes out over every channel, and each channel's outcome is a fact of the ring.

Rule: a page carries ids and urgency, never patient data. A person nobody can reach is a fact, loudly, not silence.
"""

from collections.abc import Sequence
from typing import Protocol

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import PeerError
from engine.kernel.ids import Stream
from engine.kernel.store import OutboxRow
from engine.runtime.executor import Executor
from engine.runtime.watchers import Watchers
from engine.workflows.ring.commands import RecordPageFailed, RecordPageSent

ACTOR = Actor.system("notify")


class Channel(Protocol):
    """A way to reach a person."""

    name: str

    async def page(self, person_id: str, urgency: str, ring_id: str) -> None:
        """Reach the person. Raises PeerError with a short cause when that is not possible."""
        ...


class ConsoleChannel:
    """The person's own console: the ring is on its screen when a watch of theirs is open."""

    name = "console"

    def __init__(self, watchers: Watchers) -> None:
        self._watchers = watchers

    async def page(self, person_id: str, urgency: str, ring_id: str) -> None:
        """Succeed when the person has a watch open."""
        if not self._watchers.connected(person_id):
            raise PeerError("not_connected", permanent=False)


class Pager:
    """The outbox handler of `page`."""

    def __init__(self, executor: Executor, channels: Sequence[Channel]) -> None:
        self._executor = executor
        self._channels = tuple(channels)

    async def handle(self, row: OutboxRow) -> None:
        """Page one person over every channel and report each outcome."""
        person_id, ring_id = row.body["person_id"], row.body["ring_id"]
        for channel in self._channels:
            command: Command = RecordPageSent(person_id=person_id, channel=channel.name)
            try:
                await channel.page(person_id, row.body["urgency"], ring_id)
            except PeerError as error:
                command = RecordPageFailed(person_id=person_id, channel=channel.name, cause=str(error))
            request = Request(
                request_id=f"page:{row.key}:{channel.name}",
                stream=Stream("ring", ring_id),
                command=command,
                actor=ACTOR,
                correlation=row.body["session_id"],
            )
            await self._executor.execute(request)
