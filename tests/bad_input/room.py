"""One running server and the people at it, for tests that show that bad input changes nothing.

Rule: the server's own file is compared before and after a refusal; what was acknowledged is asked again at the end.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.demo.caller import Caller, Refused
from engine.demo.scripts.parts import KIT, SCREENING
from tests.soak.clinic import News, schedule
from tests.soak.process import Server, rows

SITES = ("demo-hospital", "nj-site")


class Room:
    """Calls as anybody by name; remembers what was acknowledged."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.session_id = f"ses-{name}"
        self.news = News(server.caller("auditor-1", SITES))
        self._callers: dict[str, Caller] = {}
        self._acknowledged: list[tuple[str, str, Mapping[str, Any], int]] = []
        self._count = 0

    def caller(self, person: str) -> Caller:
        if person not in self._callers:
            self._callers[person] = self.server.caller(person, SITES)
        return self._callers[person]

    async def do(self, person: str, rpc: str, fields: Mapping[str, Any] | None = None) -> Any:
        """Call a command and remember that it was acknowledged. Raises Refused."""
        self._count += 1
        full = {"header": {"request_id": f"{self.name}-request-{self._count}"}, **(fields or {})}
        if "session_id" in self.caller(person).takes(rpc):
            full.setdefault("session_id", self.session_id)
        answer = await self.caller(person).call(rpc, full)
        self._acknowledged.append((person, rpc, full, answer.version))
        return answer

    async def refused(self, person: str, rpc: str, fields: Mapping[str, Any] | None = None) -> Refused:
        """Call a command that must be refused, and see that nothing came of it; the rest of the house goes on."""
        header = {"header": {"request_id": f"{self.name}-refused-{self._count}"}}
        full = {**header, **(fields or {})}
        kept = f"rpc:org-demo:{full['header']['request_id']}"
        before = await self._caused(kept)
        with pytest.raises(Refused) as caught:
            await self.do(person, rpc, full)
        assert await self._caused(kept) == before
        return caught.value

    async def _caused(self, request_id: str) -> tuple[list[Any], list[Any]]:
        """Return the outcome kept for a request id and the events it caused."""
        outcome = "SELECT * FROM requests WHERE request_id = ?"
        events = "SELECT stream, version, hash FROM events WHERE causation = ?"
        return (
            await asyncio.to_thread(rows, self.server.database, outcome, request_id),
            await asyncio.to_thread(rows, self.server.database, events, request_id),
        )

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """See that a quiet session's events are the same before and after."""
        before = await self.events()
        yield
        assert await self.events() == before

    async def events(self) -> list[Any]:
        """Return every stored event of the session, but for who reads it: the test's own watch comes when it comes."""
        statement = (
            "SELECT stream, version, type, hash FROM events"
            " WHERE (correlation = ? OR stream = ?) AND stream NOT LIKE 'disclosure/%'"
        )
        values = (self.session_id, f"session/{self.session_id}")
        return await asyncio.to_thread(rows, self.server.database, statement, *values)

    async def all_there(self) -> None:
        """Ask everything acknowledged again: it was done, once, at the version that was said."""
        for person, rpc, fields, version in self._acknowledged:
            answer = await self.caller(person).call(rpc, fields)
            assert (answer.repeated_request, answer.version) == (True, version), rpc

    async def scheduled(self, **change: Any) -> None:
        await self.do("tech-1", "SessionService.ScheduleSession", schedule(self.session_id, **change))

    async def ringing(self) -> str:
        """Prepare the patient and ask for a physician; return the ring."""
        await self.do("tech-1", "SessionService.StartPreparation")
        await self.do("tech-1", "SessionService.RecordScreening", SCREENING)
        await self.do("tech-1", "SessionService.RecordWeight", {"weight_kg": "72.5", "method": "scale"})
        await self.do("tech-1", "SessionService.CheckInResponder", {"responder_id": "responder-1"})
        await self.do("tech-1", "SessionService.RecordKitChecked", KIT)
        await self.do("tech-1", "SessionService.RequestSupervision")
        return await self.news.stream("RingStarted", self.session_id)

    async def reacting(self) -> str:
        """Report a reaction, graded severe anaphylaxis by a physician who takes no ring since; return it."""
        await self.do("tech-1", "SessionService.ReportReaction")
        reaction_id = await self.news.stream("ReactionOpened", self.session_id)
        grade = {"reaction_id": reaction_id, "severity": "SEVERITY_SEVERE", "presentation": "anaphylaxis"}
        await self.do("physician-3", "ReactionService.GradeReaction", grade)
        return reaction_id

    async def close(self) -> None:
        for caller in self._callers.values():
            await caller.close()


@asynccontextmanager
async def opened(server: Server, name: str) -> AsyncIterator[Room]:
    """Open a room, and check at its end that nothing acknowledged was lost."""
    room = Room(server, name)
    following = asyncio.create_task(room.news.follow())
    try:
        yield room
        await room.all_there()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await room.close()
