"""The watch: events of the caller's organization and sites, from a position on, without patient identifiers."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
from google.protobuf.message import Message

from attend.v1 import watch_pb2
from engine.access.scope import is_hidden, sees_event, sees_stream, sites_of, within
from engine.access.tokens import Principal
from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Missing
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream, parse_id
from engine.runtime.watchers import Heartbeat
from engine.services.convert import timestamp
from engine.services.disclosure import keep_read
from engine.services.ports import Ports

REMEMBERED_STREAMS = 4096
#: Machines whose events tell of a patient: each that a watch shows is a read of its own, kept before the first event.
OF_A_PATIENT = frozenset({"session", "reaction"})


class Watching:
    """Turns the corridor's watch into the contract's."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def watch(self, message: Any, principal: Principal) -> AsyncIterator[Message]:
        """Yield WatchResponse after a position. Raises Missing for a session the caller may not know of."""
        session_id = message.session_id
        if session_id:
            state = await self._ports.executor.state(Stream("session", parse_id("session_id", session_id)))
            if state.version == 0:
                raise Missing("there is no such session")
            within(principal, "session", state)
        seen: OrderedDict[Stream, bool] = OrderedDict()
        news = self._ports.watchers.watch(
            message.after_position, correlation=session_id or None, person_id=principal.person_id
        )
        async with aclosing(news):
            async for one in news:
                if isinstance(one, Heartbeat):
                    yield watch_pb2.WatchResponse(heartbeat=watch_pb2.Heartbeat(position=one.position))
                elif await self._wanted(one, message.site_id, principal, seen):
                    yield watch_pb2.WatchResponse(event=event_of(one))

    async def _told(self, recorded: Recorded, principal: Principal) -> bool:
        """Return whether the caller may see one event of a stream that belongs to several sites."""
        if recorded.stream.machine != "directory":
            return True
        state = await self._ports.executor.state(recorded.stream)
        return sees_event(principal, recorded.stream.machine, state, recorded.event)

    async def _wanted(
        self, recorded: Recorded, site_id: str, principal: Principal, seen: "OrderedDict[Stream, bool]"
    ) -> bool:
        """Return whether the caller may see an event and asked for its site. Where a stream belongs never changes.

        Only what is hidden for now (a drill nobody is told of) is asked for again.
        """
        stream = recorded.stream
        if stream not in seen:
            state = await self._ports.executor.state(stream)
            if is_hidden(principal, state):
                return False
            allowed = sees_stream(principal, stream.machine, state)
            seen[stream] = allowed and (not site_id or site_id in sites_of(state))
            if seen[stream] and stream.machine in OF_A_PATIENT:
                await keep_read(self._ports, principal, state, "watch")
            if len(seen) > REMEMBERED_STREAMS:
                seen.popitem(last=False)
        return seen[stream] and await self._told(recorded, principal)


def event_of(recorded: Recorded) -> watch_pb2.WatchEvent:
    """Return an event as the watch shows it: protected and withheld fields are left out."""
    fields = msgspec.to_builtins(recorded.event, builtin_types=())
    unseen = {*recorded.event.protected, *recorded.event.withheld}
    shown = {name: value for name, value in fields.items() if name not in unseen}
    return watch_pb2.WatchEvent(
        position=recorded.position,
        stream=str(recorded.stream),
        version=recorded.version,
        at=timestamp(recorded.at),
        type=recorded.type,
        phases=recorded.phases,
        flags=recorded.flags,
        session_id=recorded.correlation,
        actor_id=recorded.actor.person_id,
        actor_role=recorded.actor.role,
        summary_json=canonical_bytes(shown).decode(),
    )
