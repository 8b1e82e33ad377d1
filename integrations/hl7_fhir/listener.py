"""The MLLP porch: takes messages off kept-open connections and answers each only after its handler returns.

What is not certain is not answered: a connection closed without an acknowledgement makes the sender try again.
"""

import asyncio
import datetime as dt
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.kernel.clock import Clock
from engine.kernel.errors import AttendError, Overloaded, Unavailable
from integrations.hl7_fhir import ack, faults
from integrations.hl7_fhir.framing import Frame, Framed, Framer, Oversized, Runaway, Truncated, frame

_log = logging.getLogger(__name__)


class NothingStored(AttendError):
    """A handler failed and is certain that it left nothing behind, so the sender may be told."""


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Every limit of the listener. Times are in seconds.

    `frame_s` is how long one message may take to arrive whole, `idle_s` how long a connection may stay silent
    between messages, `handle_s` how long a handler may take, `write_s` how long a peer may take to read its answer.
    """

    max_message_bytes: int = 8 * 1024 * 1024
    max_drained_bytes: int = 64 * 1024 * 1024
    max_junk_bytes: int = 64 * 1024
    max_connections: int = 64
    max_handling: int = 16
    chunk_bytes: int = 64 * 1024
    idle_s: float = 3600.0
    frame_s: float = 60.0
    handle_s: float = 30.0
    write_s: float = 30.0
    tls_handshake_s: float = 10.0


@dataclass(slots=True)
class ListenerCounts:
    """What the listener has seen since it was made; never reset."""

    connections: int = 0
    connections_refused: int = 0
    messages: int = 0
    acknowledged: int = 0
    refused: int = 0
    unanswered: int = 0
    responses_ignored: int = 0
    oversized: int = 0
    truncated: int = 0
    runaway: int = 0
    timed_out: int = 0
    junk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a message: the address, and the name of the client certificate where TLS asked for one."""

    host: str
    port: int
    certificate: str = ""


Handler = Callable[[bytes, Peer], Awaitable[ack.Acknowledgement]]
"""Makes a message durable and says how to answer it. See Listener for what its exceptions mean."""


class _Hangup(Exception):
    """This connection is over."""


class Listener:
    """Listens for MLLP on one address.

    `handler(raw, peer)` is awaited for each message; messages of one connection never overlap, so a peer that
    pipelines is held back by TCP. Its answer is sent as it is. If it raises NothingStored, Unavailable or Overloaded
    (errors that promise that nothing was changed) AE is sent; after any other error, or when `handle_s` passes,
    the connection is closed without an answer. `control_ids()` gives a new MSH-10 for each answer.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        clock: Clock,
        control_ids: Callable[[], str],
        limits: ListenerLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler = handler
        self._clock = clock
        self._control_ids = control_ids
        self._limits = limits if limits is not None else ListenerLimits()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._busy: dict[asyncio.Task[None], bool] = {}
        self._closing = False
        self._slots = asyncio.Semaphore(self._limits.max_handling)
        self.counts = ListenerCounts()

    async def start(self, host: str, port: int) -> int:
        """Listen on `host`:`port` (0 for any free one) and return the port."""
        self._server = await asyncio.start_server(
            self._connected,
            host,
            port,
            ssl=self._tls,
            ssl_handshake_timeout=self._limits.tls_handshake_s if self._tls else None,
            limit=self._limits.chunk_bytes,
            backlog=self._limits.max_connections,
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace_s: float = 5.0) -> None:
        """Stop taking connections; let messages in hand be answered for up to `grace_s` seconds, then cut the rest."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for task, busy in list(self._busy.items()):
            if not busy:
                task.cancel()
        if self._busy:
            await asyncio.wait(list(self._busy), timeout=grace_s)
        for task in list(self._busy):
            task.cancel()
        if self._busy:
            await asyncio.wait(list(self._busy))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._closing or len(self._busy) >= self._limits.max_connections:
            self.counts.connections_refused += 1
            writer.close()
            return
        self.counts.connections += 1
        self._busy[task] = False
        limits = self._limits
        framer = Framer(
            max_message_bytes=limits.max_message_bytes,
            max_drained_bytes=limits.max_drained_bytes,
            max_junk_bytes=limits.max_junk_bytes,
        )
        try:
            await self._serve(reader, writer, framer, task)
        except (_Hangup, ConnectionError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            # Only stop() cancels; the connection task ends here, so there is nobody above to tell.
            pass
        finally:
            del self._busy[task]
            self.counts.junk_bytes += framer.junk_bytes
            writer.close()

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        framer: Framer,
        task: asyncio.Task[None],
    ) -> None:
        peer = _peer(writer)
        loop = asyncio.get_running_loop()
        frame_deadline: float | None = None
        while not self._closing:
            if not framer.inside:
                frame_deadline = None
            elif frame_deadline is None:
                frame_deadline = loop.time() + self._limits.frame_s
            chunk = await self._read(reader, frame_deadline, loop)
            self._busy[task] = True
            for item in framer.feed(chunk) if chunk else framer.end():
                frame_deadline = None
                await self._take(item, writer, peer)
            self._busy[task] = False
            if not chunk:
                return

    async def _read(
        self, reader: asyncio.StreamReader, frame_deadline: float | None, loop: asyncio.AbstractEventLoop
    ) -> bytes:
        deadline = frame_deadline if frame_deadline is not None else loop.time() + self._limits.idle_s
        try:
            async with asyncio.timeout_at(deadline):
                return await reader.read(self._limits.chunk_bytes)
        except TimeoutError:
            self.counts.timed_out += 1
            if frame_deadline is not None:
                self.counts.truncated += 1
            raise _Hangup from None

    async def _take(self, item: Framed, writer: asyncio.StreamWriter, peer: Peer) -> None:
        match item:
            case Frame(raw):
                await self._message(raw, writer, peer)
            case Oversized(head, _):
                self.counts.oversized += 1
                await self._answer(
                    head, _too_long("max_message_bytes", self._limits.max_message_bytes), writer
                )
            case Runaway(limit, head):
                self.counts.runaway += 1
                if head:
                    await self._answer(head, _too_long(limit, self._limits.max_drained_bytes), writer)
                raise _Hangup
            case Truncated():
                self.counts.truncated += 1

    async def _message(self, raw: bytes, writer: asyncio.StreamWriter, peer: Peer) -> None:
        self.counts.messages += 1
        if ack.is_response(raw):
            self.counts.responses_ignored += 1
            return
        try:
            async with self._slots, asyncio.timeout(self._limits.handle_s):
                answer = await self._handler(raw, peer)
        except (NothingStored, Unavailable, Overloaded) as error:
            _log.warning("message not taken, nothing stored: %s", type(error).__name__)
            fault = ack.Fault(faults.INTERNAL_ERROR, "nothing was stored; send it again later")
            answer = ack.Acknowledgement("AE", (fault,))
        except Exception as error:  # noqa: BLE001 - outermost loop of a connection: unsure, so hang up unanswered
            self.counts.unanswered += 1
            _log.error("handler failed, connection closed without an answer: %s", type(error).__name__)
            raise _Hangup from None
        await self._answer(raw, answer, writer)

    async def _answer(self, raw: bytes, answer: ack.Acknowledgement, writer: asyncio.StreamWriter) -> None:
        now: dt.datetime = self._clock.now()
        reply = ack.build(raw, answer, now=now, control_id=self._control_ids())
        if reply is None:
            return
        writer.write(frame(reply))
        try:
            async with asyncio.timeout(self._limits.write_s):
                await writer.drain()
        except TimeoutError:
            self.counts.timed_out += 1
            raise _Hangup from None
        if answer.code == "AA":
            self.counts.acknowledged += 1
        else:
            self.counts.refused += 1


def _too_long(limit: str, value: int) -> ack.Acknowledgement:
    text = f"the message is longer than {limit} = {value} bytes; nothing was stored"
    # Not 207: senders try that one again, and the same bytes would be refused again.
    return ack.Acknowledgement("AR", (ack.Fault(faults.DATA_TYPE, text),))


def _peer(writer: asyncio.StreamWriter) -> Peer:
    address = writer.get_extra_info("peername") or ("", 0)
    certificate = writer.get_extra_info("peercert") or {}
    names = [value for group in certificate.get("subject", ()) for key, value in group if key == "commonName"]
    return Peer(str(address[0]), int(address[1]), names[0] if names else "")
