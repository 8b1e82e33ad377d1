"""Which sessions that go on bear a number, and which patient numbers were merged away: what a message is looked up by.

Rule: numbers are kept as keyed digests only. What is found here is a candidate: whoever asks looks at the session's
own state. It is learned from the log when the engine starts, for a reader continues from where it stopped.
"""

import hmac
from collections.abc import Awaitable, Callable, Iterable

from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.workflows.message.events import MessageReceived
from engine.workflows.session.state import Order, PatientIdentity, SessionState
from integrations.hl7_fhir.values import Identifier, IdentityMessage

PAGE = 500
GONE = frozenset({"sealed", "cancelled", "declined"})
"""Phases in which nothing more comes of a session by itself."""

EARLIER = MessageReceived.__name__


class Known:
    """The index. Call `open` once, before the first message."""

    def __init__(self, executor: Executor, key: bytes) -> None:
        self._executor = executor
        self._key = key
        self._found: dict[str, set[str]] = {}
        self._bears: dict[str, set[str]] = {}
        self._retired: set[str] = set()

    async def open(self, reread: Callable[[Recorded], Awaitable[IdentityMessage | None]]) -> None:
        """Learn from the log which sessions go on and which numbers were merged away.

        `reread` says what a received message changed of identities, None for nothing or for one that was erased.
        """
        last: dict[str, tuple[str, ...]] = {}
        position = 0
        while page := await self._executor.store.read(position, PAGE, machine="session"):
            last.update((row.stream.id, row.phases) for row in page)
            position = page[-1].position
        for session_id, phases in last.items():
            if GONE.isdisjoint(phases):
                state: SessionState = await self._executor.state(Stream("session", session_id))
                self.learn(session_id, state.identity, state.order)
        position = 0
        while page := await self._executor.store.read(position, PAGE, machine="message"):
            for row in page:
                told = await reread(self._executor.codec.decode(row, {})) if row.type == EARLIER else None
                if told is not None:
                    self.retire(told)
            position = page[-1].position

    def learn(self, session_id: str, identity: PatientIdentity | None, order: Order | None) -> None:
        """Let a session be found by the numbers it bears now, and no more by those it bore."""
        keys: set[str] = set()
        if identity is not None:
            keys |= {self._digest("patient", identity.authority, identity.mrn)}
            keys |= {self._digest("patient", "", identity.mrn)}
        if order is not None:
            for kind, number in (("placer", order.placer_number), ("filler", order.filler_number)):
                keys |= {self._digest(kind, "", number)} if number else set()
        for key in self._bears.get(session_id, set()) - keys:
            self._found[key].discard(session_id)
        for key in keys:
            self._found.setdefault(key, set()).add(session_id)
        self._bears[session_id] = keys

    async def of_patient(self, authority: str, mrn: str) -> list[SessionState]:
        """Return the sessions of a patient by id; an empty authority is any."""
        return await self._states([self._digest("patient", authority, mrn)])

    async def concerned(self, told: IdentityMessage) -> list[SessionState]:
        """Return the sessions that bear any of the patient numbers a change of identity names."""
        return await self._states(
            [self._digest("patient", one.authority, one.value) for one in told.identifiers]
        )

    async def of_order(self, placer: str, filler: str) -> list[SessionState]:
        """Return the sessions that bear an order's placer or filler number."""
        numbers = (("placer", placer), ("filler", filler))
        return await self._states([self._digest(kind, "", number) for kind, number in numbers if number])

    def retire(self, told: IdentityMessage) -> None:
        """Remember which numbers a merge takes out of use, and that those it keeps are in use."""
        self._retired |= {self._digest("patient", one.authority, one.value) for one in told.goes}
        self._retired -= {self._digest("patient", one.authority, one.value) for one in told.stays}

    def retired(self, one: Identifier) -> bool:
        """Return whether a number was merged into another."""
        names = (one.authority, "")
        return any(self._digest("patient", authority, one.value) in self._retired for authority in names)

    async def _states(self, keys: Iterable[str]) -> list[SessionState]:
        ids = sorted({session_id for key in keys for session_id in self._found.get(key, ())})
        return [await self._executor.state(Stream("session", session_id)) for session_id in ids]

    def _digest(self, kind: str, authority: str, number: str) -> str:
        return hmac.digest(self._key, f"{kind}|{authority}|{number}".encode(), "sha256").hex()
