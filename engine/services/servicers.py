"""The servicers: every RPC's work, once, for gRPC and Connect alike.

Rule: a command goes read → execute → view, by tables; no clinical decision is made on a porch.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from attend.v1 import demo_pb2, media_pb2
from engine.access.scope import authorize, caller_request_id, may_take_place, shown
from engine.access.tokens import Principal
from engine.kernel.commands import Request
from engine.kernel.errors import Forbidden, Invalid, Missing
from engine.kernel.ids import Stream, parse_id
from engine.services.contract import MACHINES, Rpc, Verb, rpcs, verbs
from engine.services.convert import enum_prefix, read, timestamp
from engine.services.ports import Ports
from engine.services.reads import Reads
from engine.services.views import LastViews
from engine.services.watching import Watching

Unary = Callable[[Any, Principal], Awaitable[Message]]
Streaming = Callable[[Any, Principal], AsyncIterator[Message]]


class Servicers:
    """Holds one handler for each RPC that this server offers."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        demo = ports.demo_clock is not None
        self.rpcs: Mapping[str, Rpc] = {
            rpc.name: rpc
            for rpc in rpcs(demo=demo)
            if rpc.service not in MACHINES or MACHINES[rpc.service][0] in ports.executor.machines
        }
        self._verbs = verbs(self.rpcs.values(), ports.executor.machines)
        #: The RPCs that wait behind no other call, by wire name.
        self.emergencies = frozenset(name for name, verb in self._verbs.items() if verb.command.emergency)
        reads = Reads(ports, self.rpcs.values())
        self._existing = reads.existing
        self._views = LastViews(ports.executor.limits.cached_streams)
        special: dict[str, Unary] = {
            **reads.handlers,
            "MediaService/JoinLine": self._join_line,
            "MediaService/LeaveLine": self._leave_line,
            "DemoService/AdvanceClock": self._advance_clock,
        }
        self.unary: dict[str, Unary] = {}
        self.streams: dict[str, Streaming] = {}
        for rpc in self.rpcs.values():
            if rpc.streams:
                self.streams[rpc.name] = Watching(ports).watch
            elif rpc.name in self._verbs:
                self.unary[rpc.name] = self._command(self._verbs[rpc.name])
            elif f"{rpc.service}/{rpc.method}" in special:
                self.unary[rpc.name] = special[f"{rpc.service}/{rpc.method}"]
            else:
                raise LookupError(f"{rpc.name} has no handler")

    def _command(self, verb: Verb) -> Unary:
        """Return the handler of an RPC that is a command."""
        executor, machine = self.ports.executor, self.ports.executor.machines[verb.machine]
        respond: Any = verb.rpc.response

        async def run(message: Any, principal: Principal) -> Message:
            command = read(message, verb.command)
            stream = Stream(verb.machine, parse_id(verb.stream_field, getattr(message, verb.stream_field)))
            request = Request(
                request_id=caller_request_id(principal.organization_id, message.header.request_id),
                stream=stream,
                command=command,
                actor=principal.actor,
                expected_version=message.header.expected_version or None,
                correlation=stream.id if stream.machine == "session" else "",
            )
            try:
                outcome = await executor.execute(request, principal)
            except Missing:
                # A reaction opens a moment after its alarm is answered, and the caller knows its id already.
                if not await self.ports.follow():
                    raise
                outcome = await executor.execute(request, principal)
            if outcome.repeated:
                authorize(principal, machine, outcome.state, command)
            answer: Message = respond(version=outcome.version, repeated_request=outcome.repeated)
            seen = shown(principal, verb.machine, outcome.state)
            getattr(answer, verb.machine).CopyFrom(self._views.of(stream, seen))
            return answer

        return run

    async def _join_line(self, message: Any, principal: Principal) -> Message:
        session = await self._existing("session", message.session_id, principal)
        place = _place(message.participant)
        may_take_place(principal, session, place)
        leg_id = self.ports.ids.name("leg")
        answer = await self.ports.lines.join(message.session_id, place, leg_id, message.offer_sdp)
        return media_pb2.JoinLineResponse(answer_sdp=answer, leg_id=leg_id)

    async def _leave_line(self, message: Any, principal: Principal) -> Message:
        session = await self._existing("session", message.session_id, principal)
        place = _place(message.participant)
        may_take_place(principal, session, place)
        await self.ports.lines.leave(message.session_id, place, message.leg_id)
        return media_pb2.LeaveLineResponse()

    async def _advance_clock(self, message: Any, principal: Principal) -> Message:
        clock = self.ports.demo_clock
        if clock is None:
            raise Forbidden("only a demonstration has a clock that moves")
        by = message.by.ToTimedelta()
        if self.ports.advance is None:
            clock.advance(by)
        else:
            await self.ports.advance(by)
        return demo_pb2.AdvanceClockResponse(now=timestamp(clock.now()))


def _place(number: int) -> str:
    name = media_pb2.LineParticipant.Name(number)  # type: ignore[arg-type]  # the form was checked
    if not number:
        raise Invalid("participant", "say which place")
    return name.removeprefix(enum_prefix("LineParticipant")).lower()
