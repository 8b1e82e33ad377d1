"""Sends HL7 v2 over MLLP on one kept-open connection per destination and waits for the matching acknowledgement.

Whatever is not a clear answer is `retry`: the message may have arrived, so whoever retries sends the same bytes.
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Literal

from integrations.hl7_fhir import ack, er7, faults
from integrations.hl7_fhir.faults import SenderFault
from integrations.hl7_fhir.framing import Frame, Framer, Runaway, frame

Kind = Literal["accepted", "rejected", "retry"]

_ACCEPTED = ("AA", "CA")
_TRANSIENT = (faults.RECORD_LOCKED, faults.INTERNAL_ERROR)


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """Times in seconds and sizes in bytes that a destination must keep."""

    connect_s: float = 10.0
    answer_s: float = 30.0
    max_answer_bytes: int = 64 * 1024
    max_stray_answers: int = 16
    """Answers to other messages that are passed over while waiting, before giving up."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """How one message fared. `code` is MSA-1 or a word of ours: UNREACHABLE, NO_ANSWER, BROKEN, BAD_ANSWER.

    `detail` holds the peer's own words: it may repeat patient data and belongs in the delivery, never in a log.
    """

    kind: Kind
    code: str
    detail: str = ""


class MllpSender:
    """One destination. `send` may be called concurrently: messages go out one after the other, in call order."""

    def __init__(
        self, host: str, port: int, *, limits: SenderLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits if limits is not None else SenderLimits()
        self._tls = tls
        self._turn = asyncio.Lock()
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.connects = 0

    async def send(self, raw: bytes) -> SendOutcome:
        """Send one message (without framing) and return how it was answered; network trouble is an outcome."""
        control_id = ack.header(raw).field(10)
        async with self._turn:
            fresh = self._stream is None
            outcome = await self._attempt(raw, control_id)
            if outcome.code == "BROKEN" and not fresh:
                # A peer may close an idle connection at any time; that is not a failed delivery yet.
                outcome = await self._attempt(raw, control_id)
            return outcome

    async def close(self) -> None:
        """Close the connection; the next send opens a new one."""
        async with self._turn:
            self._drop()

    async def _attempt(self, raw: bytes, control_id: str) -> SendOutcome:
        try:
            reader, writer = await self._connection()
        except (OSError, TimeoutError):
            return SendOutcome("retry", "UNREACHABLE")
        try:
            async with asyncio.timeout(self._limits.answer_s):
                writer.write(frame(raw))
                await writer.drain()
                outcome = await self._answer(reader, control_id)
        except TimeoutError:
            outcome = SendOutcome("retry", "NO_ANSWER")
        except OSError:
            outcome = SendOutcome("retry", "BROKEN")
        except asyncio.CancelledError:
            self._drop()
            raise
        if outcome.code in ("NO_ANSWER", "BROKEN", "BAD_ANSWER"):
            # A late answer must not be taken for the answer to the next message.
            self._drop()
        return outcome

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._stream is None:
            async with asyncio.timeout(self._limits.connect_s):
                self._stream = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
            self.connects += 1
        return self._stream

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None

    async def _answer(self, reader: asyncio.StreamReader, control_id: str) -> SendOutcome:
        cap = self._limits.max_answer_bytes
        framer = Framer(max_message_bytes=cap, max_drained_bytes=cap, max_junk_bytes=cap)
        strays = 0
        while strays <= self._limits.max_stray_answers:
            chunk = await reader.read(cap)
            if not chunk:
                return SendOutcome("retry", "BROKEN")
            for item in framer.feed(chunk):
                if isinstance(item, Runaway):
                    return SendOutcome("retry", "BAD_ANSWER", "the answer is longer than max_answer_bytes")
                outcome = read_answer(item.raw, control_id) if isinstance(item, Frame) else None
                if outcome is not None:
                    return outcome
                strays += 1
        return SendOutcome("retry", "BAD_ANSWER", "too many answers to other messages")


def read_answer(raw: bytes, control_id: str) -> SendOutcome | None:
    """Read an acknowledgement; None when it answers another message than `control_id`.

    AE and AR are final, except with the ERR codes 206 and 207 (a locked record, an internal error), which are worth
    another try.
    """
    try:
        message = er7.read(raw)
    except SenderFault:
        return SendOutcome("retry", "BAD_ANSWER", "the answer cannot be read")
    msa = message.first("MSA")
    if msa is None:
        return SendOutcome("retry", "BAD_ANSWER", "the answer has no MSA segment")
    if msa.text(2) != control_id:
        return None
    code = msa.text(1).upper()
    if code in _ACCEPTED:
        return SendOutcome("accepted", code)
    errors = message.all("ERR")
    codes = {error.text(3) or error.text(1, 4, 1) for error in errors}
    words = [msa.text(3), *(error.text(8) or error.text(7) or error.text(3, 2) for error in errors)]
    detail = "; ".join(word for word in words if word)[:500]
    if code not in ("AE", "AR", "CE", "CR"):
        return SendOutcome("retry", "BAD_ANSWER", "MSA-1 is none of AA, AE, AR, CA, CE, CR")
    return SendOutcome("retry" if codes & set(_TRANSIENT) else "rejected", code, detail)
