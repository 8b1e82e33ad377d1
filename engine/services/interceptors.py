"""The way every call takes, whatever carried it: sign-in, permission, form, deadline, work, status, count.

Rule: nothing reaches a handler that is not signed in, permitted and well formed; nothing leaves but a message or a
Refusal.
"""

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from engine.access.table import permit
from engine.access.tokens import Principal, TokenVerifier, Unauthenticated
from engine.kernel.errors import AttendError, Overloaded
from engine.runtime.deadlines import Deadlines
from engine.runtime.watchers import WatcherTooSlow
from engine.services.contract import Rpc
from engine.services.errors import Draining, Refusal, TooLate, Unexpected, refusal
from engine.services.form import Form
from engine.services.servicers import Servicers

log = logging.getLogger("attend.services")

SCHEME = "bearer "
TOO_LATE = "the deadline passed; a command may still be done: ask again with the same request id"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """What one call may take. A caller's own deadline counts when it is shorter."""

    deadline_s: float = 10.0
    longest_deadline_s: float = 30.0
    calls_in_flight: int = 4096
    slow_write_s: float = 10.0


class Pipeline:
    """Runs calls. `calls` counts finished ones by (rpc, status code name); `in_flight` those that run."""

    def __init__(
        self,
        servicers: Servicers,
        verifier: TokenVerifier,
        name_incident: Callable[[], str],
        limits: CallLimits | None = None,
    ) -> None:
        self.servicers = servicers
        self.limits = limits or CallLimits()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.in_flight = 0
        self._verifier = verifier
        self._name_incident = name_incident
        self._form = Form()
        self._deadlines = Deadlines()
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def draining(self) -> bool:
        """Whether new calls are refused."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Refuse new calls and cut watches; calls that run go on to their end."""
        self._draining.set()

    async def idle(self) -> None:
        """Wait until no call runs."""
        await self._idle.wait()

    async def unary(
        self, rpc: Rpc, message: Message, authorization: str | None, timeout_s: float | None
    ) -> Message:
        """Run one call. Raises Refusal."""
        self._enter()
        try:
            principal = self._admit(rpc, message, authorization)
            work = self.servicers.unary[rpc.name](message, principal)
            answer = await self._deadlines.within(self._allowed(timeout_s), work)
        except asyncio.CancelledError:
            self._count(rpc, "CANCELLED")
            raise
        except TimeoutError:
            raise self._refused(rpc, TooLate(TOO_LATE)) from None
        except Exception as error:  # noqa: BLE001 - the outermost edge: everything becomes a status here
            raise self._refused(rpc, error) from None
        else:
            self._count(rpc, "OK")
            return answer
        finally:
            self._leave()

    async def stream(
        self, rpc: Rpc, message: Message, authorization: str | None
    ) -> AsyncGenerator[Message, None]:
        """Run one watch until it ends, is cut or its caller goes. Raises Refusal."""
        self._enter()
        try:
            principal = self._admit(rpc, message, authorization)
            news = self.servicers.streams[rpc.name](message, principal)
            async for one in self._until_drained(news, principal):
                yield one
        except (asyncio.CancelledError, GeneratorExit):
            self._count(rpc, "CANCELLED")
            raise
        except Exception as error:  # noqa: BLE001 - the outermost edge: everything becomes a status here
            raise self._refused(rpc, error) from None
        else:
            self._count(rpc, "OK")
        finally:
            self._leave()

    def too_slow(self, rpc: Rpc, position: int) -> Refusal:
        """Return the refusal for a watcher that took longer than `slow_write_s` to take the event after `position`."""
        return self._refused(rpc, WatcherTooSlow(position))

    def _admit(self, rpc: Rpc, message: Message, authorization: str | None) -> Principal:
        if self.draining:
            raise Draining("this server is going down; try again")
        if self.in_flight > self.limits.calls_in_flight:
            raise Overloaded("calls_in_flight")
        principal = self._signed_in(authorization)
        permit(principal, rpc.name)
        self._form.check(message)
        return principal

    def _signed_in(self, authorization: str | None) -> Principal:
        if authorization is None or not authorization.lower().startswith(SCHEME):
            raise Unauthenticated("sign in: send the token as `authorization: Bearer …`")
        return self._verifier.verify(authorization[len(SCHEME) :].strip())

    def _allowed(self, timeout_s: float | None) -> float:
        """Return how long a call may take."""
        asked = self.limits.deadline_s if timeout_s is None else timeout_s
        return min(asked, self.limits.longest_deadline_s)

    async def _until_drained(
        self, news: AsyncIterator[Message], principal: Principal
    ) -> AsyncIterator[Message]:
        """Pass a stream on until the server drains or the caller's sign-in runs out."""
        drained = asyncio.ensure_future(self._draining.wait())
        upcoming: asyncio.Future[Any] | None = None
        try:
            while True:
                upcoming = asyncio.ensure_future(anext(news))
                await asyncio.wait({upcoming, drained}, return_when=asyncio.FIRST_COMPLETED)
                if not upcoming.done():
                    raise Draining("this server is going down; watch again from your last position")
                try:
                    one = upcoming.result()
                except StopAsyncIteration:
                    return
                self._verifier.still_valid(principal)
                yield one
        finally:
            drained.cancel()
            if upcoming is not None:
                upcoming.cancel()
                await asyncio.gather(upcoming, return_exceptions=True)
            await news.aclose()  # type: ignore[attr-defined]  # handlers of streams are async generators

    def _enter(self) -> None:
        self.in_flight += 1
        self._idle.clear()

    def _leave(self) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    def _refused(self, rpc: Rpc, error: Exception) -> Refusal:
        if not isinstance(error, AttendError):
            error = self._incident(rpc, error)
        answer = refusal(error)
        self._count(rpc, answer.code.name)
        return answer

    def _incident(self, rpc: Rpc, error: Exception) -> Unexpected:
        """Log a fault of our own: where it was, never what was in it."""
        incident = self._name_incident()
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-6:]))
        log.error("%s: %s in %s at %s", incident, type(error).__name__, rpc.name, where)
        return Unexpected(incident)

    def _count(self, rpc: Rpc, code: str) -> None:
        self.calls[(rpc.name, code)] += 1
