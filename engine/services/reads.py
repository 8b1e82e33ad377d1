"""The reading RPCs: one thing, or a page of things, of the caller's organization and sites."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from google.protobuf.message import Message

from attend.v1 import reactions_pb2, records_pb2, sessions_pb2
from engine.access.scope import sees, shown, sites_of, within
from engine.access.tokens import Principal
from engine.kernel.errors import Missing
from engine.kernel.ids import Stream, parse_id
from engine.services.contract import MACHINES, Rpc
from engine.services.convert import enum_prefix, timestamp
from engine.services.disclosure import disclose, keep_read
from engine.services.drills import DrillReads
from engine.services.ports import MissingItem, Ports
from engine.services.readiness import readiness_of
from engine.services.views import view

_GETS = (
    ("RingService", "GetRing", "ring"),
    ("CoverageService", "GetCoverage", "coverage"),
    ("DeliveryService", "GetDelivery", "delivery"),
    ("MessageService", "GetMessage", "message"),
    ("DirectoryService", "GetDirectory", "directory"),
)
_LISTS = (
    ("SessionService", "ListSessions", "session"),
    ("RingService", "ListRings", "ring"),
    ("CoverageService", "ListCoverage", "coverage"),
    ("DeliveryService", "ListDeliveries", "delivery"),
    ("MessageService", "ListMessages", "message"),
    ("DrillService", "ListDrills", "drill"),
)
DEFAULT_PAGE = 50
SCAN_PAGE = 200

Unary = Callable[[Any, Principal], Awaitable[Message]]


class Reads:
    """Handlers of the reading RPCs, by `Service/Rpc`."""

    def __init__(self, ports: Ports, offered: Iterable[Rpc]) -> None:
        self._ports = ports
        self._responses = {rpc.method: rpc.response for rpc in offered}
        self.handlers: dict[str, Unary] = {
            "SessionService/GetSession": self._get_session,
            "SessionService/GetReadiness": self._get_readiness,
            "SessionService/GetEmergencyPack": self._get_emergency_pack,
            "RecordService/GetRecord": self._get_record,
            "ReactionService/GetReaction": self._get_reaction,
            "ReactionService/GetReactionDocument": self._get_reaction_document,
            **{
                f"{service}/{rpc}": self._get(service, rpc, machine)
                for service, rpc, machine in _GETS
                if rpc in self._responses
            },
            **{
                f"{service}/{rpc}": self._list(rpc, machine)
                for service, rpc, machine in _LISTS
                if rpc in self._responses
            },
            "RecordService/ListWorklist": self._list_worklist,
            **DrillReads(ports, self.existing).handlers,
        }

    async def existing(self, machine: str, identifier: str, principal: Principal) -> Any:
        """Return the state of something that exists and that the caller may see. Raises Missing or Forbidden."""
        stream = Stream(machine, parse_id(f"{machine}_id", identifier))
        state = await self._ports.executor.state(stream)
        if state.version == 0 and await self._ports.follow():  # what the caller was told of may be on its way
            state = await self._ports.executor.state(stream)
        if state.version == 0:
            raise Missing(f"there is no such {machine}")
        within(principal, machine, state)
        return state

    async def visible(
        self, machine: str, after: str, site_id: str, principal: Principal
    ) -> AsyncGenerator[tuple[str, Any], None]:
        """Yield (id, state) of a machine's streams after an id that the caller may see, in id order."""
        while True:
            page = await self._ports.executor.store.streams(machine, after, SCAN_PAGE)
            for stream in page:
                state = await self._ports.executor.state(stream)
                if sees(principal, state) and (not site_id or site_id in sites_of(state)):
                    yield stream.id, state
            if len(page) < SCAN_PAGE:
                return
            after = page[-1].id

    async def _get_session(self, message: Any, principal: Principal) -> Message:
        session = await self.existing("session", message.session_id, principal)
        if message.include_identity:
            await disclose(self._ports, principal, session, message.purpose, "identity")
        else:
            await keep_read(self._ports, principal, session, "session", message.purpose)
        shown: Any = view("session", session, identity=message.include_identity)
        return sessions_pb2.GetSessionResponse(session=shown)

    def _get(self, service: str, rpc: str, machine: str) -> Unary:
        """Return the handler that reads one thing of a machine by its stream id."""
        _, stream_field = MACHINES[service]
        respond: Any = self._responses[rpc]

        async def get(message: Any, principal: Principal) -> Message:
            state = await self.existing(machine, getattr(message, stream_field), principal)
            answer: Message = respond(**{machine: view(machine, shown(principal, machine, state))})
            return answer

        return get

    def _list(self, rpc: str, machine: str) -> Unary:
        """Return the handler that lists a machine's things by id, a page at a time."""
        respond: Any = self._responses[rpc]
        listed = next(field.name for field in respond.DESCRIPTOR.fields if field.is_repeated)

        async def page(message: Any, principal: Principal) -> Message:
            shown: list[Message] = []
            read: list[Any] = []
            token, last = "", ""
            found = self.visible(machine, message.page_token, message.site_id, principal)
            async with aclosing(found):
                async for identifier, state in found:
                    one: Any = view(machine, state)
                    if message.phase and message.phase not in one.phases:
                        continue
                    if getattr(message, "noticed", False) and not one.notices:
                        continue
                    if len(shown) == (message.page_size or DEFAULT_PAGE):
                        token = last
                        break
                    shown.append(one)
                    read.append(state)
                    last = identifier
            if machine == "session":
                await asyncio.gather(*(keep_read(self._ports, principal, one, "list") for one in read))
            answer: Message = respond(next_page_token=token, **{listed: shown})
            return answer

        return page

    async def _get_readiness(self, message: Any, principal: Principal) -> Message:
        session = await self.existing("session", message.session_id, principal)
        await keep_read(self._ports, principal, session, "readiness")
        return readiness_of(session, self._ports.clock.now())

    async def _get_emergency_pack(self, message: Any, principal: Principal) -> Message:
        session = await self.existing("session", message.session_id, principal)
        await disclose(self._ports, principal, session, message.purpose, "emergency_pack")
        made = await self._ports.emergency.make(message.session_id)
        return sessions_pb2.GetEmergencyPackResponse(
            document=made.document,
            content_hash=made.content_hash,
            key_id=made.key_id,
            public_key=made.public_key,
            signature=made.signature,
            session_version=made.session_version,
            made_at=timestamp(made.made_at),
            expires_at=timestamp(made.expires_at),
        )

    async def _get_record(self, message: Any, principal: Principal) -> Message:
        session = await self.existing("session", message.session_id, principal)
        await disclose(self._ports, principal, session, message.purpose, "record")
        copy = await self._ports.records.read(message.session_id, include_pdf=message.include_pdf)
        return records_pb2.GetRecordResponse(
            document=copy.document,
            pdf=copy.pdf,
            body_hash=copy.body_hash,
            sealed=copy.sealed,
            missing=[_item(item) for item in copy.missing],
        )

    async def _get_reaction(self, message: Any, principal: Principal) -> Message:
        reaction = await self.existing("reaction", message.reaction_id, principal)
        await keep_read(self._ports, principal, reaction, "reaction")
        shown: Any = view("reaction", reaction)
        return reactions_pb2.GetReactionResponse(reaction=shown)

    async def _get_reaction_document(self, message: Any, principal: Principal) -> Message:
        reaction = await self.existing("reaction", message.reaction_id, principal)
        session = await self.existing("session", reaction.session_id, principal)
        kind = reactions_pb2.ReactionDocumentKind.Name(message.kind)
        name = kind.removeprefix(enum_prefix("ReactionDocumentKind")).lower()
        await disclose(self._ports, principal, session, message.purpose, name)
        made = await self._ports.records.reaction_document(message.reaction_id, name)
        return reactions_pb2.GetReactionDocumentResponse(
            document=made.json,
            pdf=made.pdf,
            content_hash=made.content_hash,
            position=made.position,
            reaction_version=made.reaction_version,
        )

    async def _list_worklist(self, message: Any, principal: Principal) -> Message:
        answer = records_pb2.ListWorklistResponse()
        size = message.page_size or DEFAULT_PAGE
        found = self.visible("session", message.page_token, message.site_id, principal)
        async with aclosing(found):
            async for session_id, state in found:
                missing = () if state.drill else await self._ports.records.missing(session_id)
                if not missing:
                    continue
                if len(answer.entries) == size:
                    answer.next_page_token = answer.entries[-1].session_id
                    break
                await keep_read(self._ports, principal, state, "worklist")
                answer.entries.add(
                    session_id=session_id, site_id=state.site_id, missing=[_item(item) for item in missing]
                )
        return answer


def _item(item: MissingItem) -> records_pb2.MissingItem:
    return records_pb2.MissingItem(field=item.field, reason=item.reason, who=item.who)
