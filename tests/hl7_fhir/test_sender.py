"""The MLLP sender against servers that misbehave: every case is accepted, rejected or worth another try."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from integrations.hl7_fhir.ack import Acknowledgement, Fault
from integrations.hl7_fhir.framing import Frame, Framer, frame
from integrations.hl7_fhir.sender import MllpSender, SenderLimits, SendOutcome, read_answer
from tests.hl7_fhir.wire import Seen, adt, listening

LIMITS = SenderLimits(connect_s=10, answer_s=0.3)


def msa(code: str, control_id: str, *more: str) -> bytes:
    return f"MSH|^~\\&|||||20261120||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r{''.join(more)}".encode()


@asynccontextmanager
async def answering(script: Callable[[bytes, int], list[bytes] | None]) -> AsyncIterator[int]:
    """A server that answers message number n with the frames of `script`, or hangs up on None."""
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        framer = Framer(max_message_bytes=1 << 20, max_drained_bytes=1 << 20, max_junk_bytes=0)
        while chunk := await reader.read(65536):
            for item in framer.feed(chunk):
                assert isinstance(item, Frame)
                seen += 1
                replies = script(item.raw, seen)
                if replies is None:
                    writer.close()
                    return
                for reply in replies:
                    writer.write(frame(reply))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_many_messages_share_one_connection() -> None:
    """Concurrent sends go out one after the other on one connection, each with its own answer."""
    seen = Seen()
    async with listening(seen) as (listener, port):
        sender = MllpSender("127.0.0.1", port)
        outcomes = await asyncio.gather(*(sender.send(adt(str(n))) for n in range(10)))
        await sender.close()

        assert outcomes == [SendOutcome("accepted", "AA")] * 10
        assert (listener.counts.connections, seen.raws) == (1, [adt(str(n)) for n in range(10)])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Acknowledgement("AE", (Fault("101", "no name", "PID", 1, 5),)), "rejected"),
        (Acknowledgement("AR", (Fault("200", "not that type"),)), "rejected"),
        (Acknowledgement("AE", (Fault("207", "disk full"),)), "retry"),
    ],
)
@pytest.mark.parametrize("version", ["2.5.1", "2.3.1"])
async def test_refusals(answer: Acknowledgement, kind: str, version: str) -> None:
    """AE and AR are final unless their ERR says that the trouble is the receiver's own; old ERR form included."""
    async with listening(Seen(answer)) as (_, port):
        sender = MllpSender("127.0.0.1", port)
        outcome = await sender.send(adt("1", version))
        await sender.close()

        assert (outcome.kind, outcome.code) == (kind, answer.code)
        assert answer.faults[0].text in outcome.detail


async def test_answers_to_other_messages_are_passed_over() -> None:
    """A stray answer is not taken for ours."""
    async with answering(lambda raw, n: [msa("AE", "other"), msa("AA", "7")]) as port:
        sender = MllpSender("127.0.0.1", port)

        assert await sender.send(adt("7")) == SendOutcome("accepted", "AA")
        await sender.close()


async def test_no_answer_in_time_closes_the_connection() -> None:
    """After a timeout the next message goes out on a new connection, so a late answer cannot be mistaken."""
    async with answering(lambda raw, n: [] if n == 1 else [msa("AA", "8")]) as port:
        sender = MllpSender("127.0.0.1", port, limits=LIMITS)

        assert await sender.send(adt("7")) == SendOutcome("retry", "NO_ANSWER")
        assert await sender.send(adt("8")) == SendOutcome("accepted", "AA")
        assert sender.connects == 2
        await sender.close()


async def test_a_connection_closed_while_idle_is_opened_again() -> None:
    """A kept connection that the peer dropped is replaced once; a fresh one is worth another try later."""
    async with answering(lambda raw, n: None if n in (2, 4, 5) else [msa("AA", str(n))]) as port:
        sender = MllpSender("127.0.0.1", port)

        assert await sender.send(adt("1")) == SendOutcome("accepted", "AA")
        assert await sender.send(adt("3")) == SendOutcome("accepted", "AA")
        assert await sender.send(adt("4")) == SendOutcome("retry", "BROKEN")
        await sender.close()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"garbage", "BAD_ANSWER"),
        (b"MSH|^~\\&|||||2026||ACK|1|P|2.5\r", "BAD_ANSWER"),
        (msa("ZZ", "1"), "BAD_ANSWER"),
    ],
)
def test_what_is_no_answer(raw: bytes, code: str) -> None:
    """An unreadable answer says nothing about the message: another try."""
    outcome = read_answer(raw, "1")
    assert outcome is not None

    assert (outcome.kind, outcome.code) == ("retry", code)


async def test_an_endless_answer_is_given_up() -> None:
    """An answer past max_answer_bytes is no answer."""
    async with answering(lambda raw, n: [b"MSH|" + b"x" * 200_000]) as port:
        sender = MllpSender("127.0.0.1", port)
        outcome = await sender.send(adt("1"))
        await sender.close()

        assert (outcome.kind, outcome.code) == ("retry", "BAD_ANSWER")
