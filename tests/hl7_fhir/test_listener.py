"""The MLLP listener over real sockets: answers, limits, trouble."""

import asyncio
from dataclasses import replace

import pytest

from engine.kernel.errors import Overloaded, Rejected, Unavailable
from integrations.hl7_fhir import er7
from integrations.hl7_fhir.ack import ACCEPTED, Acknowledgement, Fault
from integrations.hl7_fhir.framing import VT, frame
from integrations.hl7_fhir.listener import ListenerLimits, NothingStored, Peer
from tests.hl7_fhir.wire import WAIT_S, Client, Seen, adt, listening


def code_and_id(answer: bytes | None) -> tuple[str, str]:
    assert answer is not None
    msa = er7.read(answer).first("MSA")
    assert msa is not None
    return msa.text(1), msa.text(2)


async def test_many_messages_on_one_kept_open_connection() -> None:
    """Three messages on one connection are three messages and three answers."""
    seen = Seen()
    async with listening(seen) as (listener, port):
        client = await Client.connect(port)
        answers = [code_and_id(await client.ask(adt(str(n)))) for n in range(3)]

        assert answers == [("AA", "0"), ("AA", "1"), ("AA", "2")]
        assert [adt("0"), adt("1"), adt("2")] == seen.raws
        assert (listener.counts.connections, listener.counts.acknowledged) == (1, 3)
        client.close()


async def test_pipelined_and_in_one_segment() -> None:
    """Messages sent without waiting, in one TCP segment, are answered one by one in order."""
    async with listening(Seen()) as (_, port):
        client = await Client.connect(port)
        await client.put(frame(adt("a")) + frame(adt("b")) + frame(adt("c")))

        assert [code_and_id(await client.answer()) for _ in range(3)] == [
            ("AA", "a"),
            ("AA", "b"),
            ("AA", "c"),
        ]
        client.close()


async def test_one_message_over_many_segments() -> None:
    """A message that arrives in single bytes is answered once."""
    async with listening(Seen()) as (listener, port):
        client = await Client.connect(port)
        for octet in frame(adt("slow")):
            await client.put(bytes([octet]))

        assert code_and_id(await client.answer()) == ("AA", "slow")
        assert listener.counts.messages == 1
        client.close()


async def test_junk_before_a_message() -> None:
    """Junk before VT is counted and does not disturb the message."""
    async with listening(Seen()) as (listener, port):
        client = await Client.connect(port)
        await client.put(b"junk!" + frame(adt("1")))

        assert code_and_id(await client.answer()) == ("AA", "1")
        client.close()
    assert listener.counts.junk_bytes == 5


async def test_an_answer_waits_for_the_handler() -> None:
    """Nothing is acknowledged while the handler has not returned, and other connections go on meanwhile."""
    gate = asyncio.Event()
    entered = asyncio.Event()

    async def handler(raw: bytes, peer: Peer) -> Acknowledgement:
        if b"|held|" in raw:
            entered.set()
            await gate.wait()
        return ACCEPTED

    async with listening(handler) as (listener, port):
        first, second = await Client.connect(port), await Client.connect(port)
        await first.put(frame(adt("held")))
        await asyncio.wait_for(entered.wait(), WAIT_S)

        assert code_and_id(await second.ask(adt("other"))) == ("AA", "other")
        assert listener.counts.acknowledged == 1
        gate.set()
        assert code_and_id(await first.answer()) == ("AA", "held")
        first.close()
        second.close()


@pytest.mark.parametrize("error", [NothingStored("x"), Unavailable("disk full"), Overloaded("queue")])
async def test_a_handler_that_is_sure_nothing_was_stored(error: Exception) -> None:
    """When nothing was stored for certain the sender is told AE, and the connection goes on."""

    async def handler(raw: bytes, peer: Peer) -> Acknowledgement:
        if b"|bad|" in raw:
            raise error
        return ACCEPTED

    async with listening(handler) as (_, port):
        client = await Client.connect(port)

        assert code_and_id(await client.ask(adt("bad"))) == ("AE", "bad")
        assert code_and_id(await client.ask(adt("good"))) == ("AA", "good")
        client.close()


@pytest.mark.parametrize(
    "error", [RuntimeError("?"), Rejected("NO"), OSError(28, "full"), ConnectionError("db")]
)
async def test_a_handler_that_is_not_sure(error: Exception) -> None:
    """When it is unknown what was stored the connection closes without an answer, and the listener lives."""

    async def handler(raw: bytes, peer: Peer) -> Acknowledgement:
        if b"|bad|" in raw:
            raise error
        return ACCEPTED

    async with listening(handler) as (listener, port):
        client = await Client.connect(port)
        assert await client.ask(adt("bad")) is None
        again = await Client.connect(port)

        assert code_and_id(await again.ask(adt("good"))) == ("AA", "good")
        assert listener.counts.unanswered == 1
        client.close()
        again.close()


async def test_a_handler_that_takes_too_long() -> None:
    """A handler past handle_s is given up without an answer."""

    async def handler(raw: bytes, peer: Peer) -> Acknowledgement:
        await asyncio.Event().wait()
        return ACCEPTED

    async with listening(handler, ListenerLimits(handle_s=0.05)) as (_, port):
        client = await Client.connect(port)

        assert await client.ask(adt("1")) is None
        client.close()


async def test_a_ten_megabyte_message_is_refused_and_the_connection_survives() -> None:
    """10 MB is drained, refused with AR and an ERR that names the limit, never handled, and the next one is taken."""
    seen = Seen()
    async with listening(seen) as (listener, port):
        client = await Client.connect(port)
        big = adt("big", tail=b"OBX|1|ED|x||" + b"A" * 10_000_000 + b"\r")
        answer = await client.ask(big)
        assert answer is not None
        err = er7.read(answer).first("ERR")
        assert err is not None

        assert code_and_id(answer) == ("AR", "big")
        assert "max_message_bytes = 8388608" in err.text(8)
        assert code_and_id(await client.ask(adt("next"))) == ("AA", "next")
        assert ([adt("next")], 1) == (seen.raws, listener.counts.oversized)
        client.close()


async def test_at_the_size_limit_and_one_past_it() -> None:
    """A message of exactly max_message_bytes is taken; one byte more is not."""
    limits = ListenerLimits(max_message_bytes=500)
    exact = adt("1", tail=b"NTE|" + b"x" * (500 - len(adt("1")) - 5) + b"\r")
    async with listening(Seen(), limits) as (_, port):
        client = await Client.connect(port)

        assert len(exact) == 500
        assert code_and_id(await client.ask(exact)) == ("AA", "1")
        assert code_and_id(await client.ask(exact[:-1] + b"x\r")) == ("AR", "1")
        client.close()


async def test_a_message_without_end_closes_the_connection() -> None:
    """Past max_drained_bytes the sender gets AR and the connection is closed."""
    async with listening(Seen(), ListenerLimits(max_message_bytes=1000, max_drained_bytes=2000)) as (_, port):
        client = await Client.connect(port)
        await client.put(VT + adt("1") + b"x" * 4000)

        assert code_and_id(await client.answer()) == ("AR", "1")
        assert await client.answer() is None
        client.close()


async def test_a_truncated_message_is_never_answered() -> None:
    """A connection that ends inside a message gets no answer, and nothing reaches the handler."""
    seen = Seen()
    async with listening(seen) as (listener, port):
        client = await Client.connect(port)
        await client.put(frame(adt("1"))[:-2])
        client.writer.write_eof()

        assert await client.answer() is None
        assert (seen.raws, listener.counts.truncated) == ([], 1)
        client.close()


async def test_a_message_that_never_ends_in_time() -> None:
    """A message that stops half way is given up after frame_s, a silent connection after idle_s."""
    async with listening(Seen(), ListenerLimits(frame_s=0.05, idle_s=0.05)) as (listener, port):
        slow, silent = await Client.connect(port), await Client.connect(port)
        await slow.put(VT + b"MSH|")

        assert await slow.answer() is None
        assert await silent.answer() is None
        assert (listener.counts.timed_out, listener.counts.truncated) == (2, 1)
        slow.close()
        silent.close()


async def test_an_acknowledgement_is_never_acknowledged() -> None:
    """An ACK, or anything with an MSA, is counted and neither handled nor answered."""
    seen = Seen()
    ack_message = b"MSH|^~\\&|A|B|C|D|20261120||ACK^A01^ACK|9|P|2.5.1\rMSA|AA|1\r"
    async with listening(seen) as (listener, port):
        client = await Client.connect(port)
        await client.put(
            frame(ack_message) + frame(ack_message.replace(b"ACK^A01^ACK", b"ORG^O20")) + frame(adt("1"))
        )

        assert code_and_id(await client.answer()) == ("AA", "1")
        assert ([adt("1")], 2) == (seen.raws, listener.counts.responses_ignored)
        client.close()


async def test_connections_at_the_limit_and_one_past_it() -> None:
    """Connection max_connections is served; the next is closed at once and the others go on."""
    async with listening(Seen(), ListenerLimits(max_connections=2)) as (listener, port):
        clients = [await Client.connect(port), await Client.connect(port)]
        assert [code_and_id(await client.ask(adt("1"))) for client in clients] == [("AA", "1")] * 2
        extra = await Client.connect(port)

        assert await extra.answer() is None
        assert code_and_id(await clients[0].ask(adt("2"))) == ("AA", "2")
        assert listener.counts.connections_refused == 1
        for client in (*clients, extra):
            client.close()


async def test_a_peer_that_does_not_read_its_answers_is_cut() -> None:
    """Back-pressure: a pipelining peer that never reads stops being served, and is cut after write_s."""
    answer = Acknowledgement("AE", (Fault("100", "x" * 60_000),))
    seen = Seen(answer)
    limits = replace(ListenerLimits(), write_s=0.2)
    async with listening(seen, limits) as (listener, port):
        client = await Client.connect(port)
        sender = asyncio.create_task(client.put(frame(adt("1")) * 20_000))
        async with asyncio.timeout(WAIT_S):
            while listener.counts.timed_out == 0:
                await asyncio.wait([sender], timeout=0.02)

        assert len(seen.raws) < 20_000
        sender.cancel()
        client.writer.transport.abort()
        await asyncio.gather(sender, return_exceptions=True)


async def test_stopping_answers_what_is_in_hand() -> None:
    """stop() lets a message in hand be answered and closes idle connections."""
    entered, gate = asyncio.Event(), asyncio.Event()

    async def handler(raw: bytes, peer: Peer) -> Acknowledgement:
        entered.set()
        await gate.wait()
        return ACCEPTED

    async with listening(handler) as (listener, port):
        client, idle = await Client.connect(port), await Client.connect(port)
        await client.put(frame(adt("last")))
        await asyncio.wait_for(entered.wait(), WAIT_S)
        stopping = asyncio.create_task(listener.stop())
        assert await idle.answer() is None
        gate.set()

        assert code_and_id(await client.answer()) == ("AA", "last")
        await stopping
        assert await client.answer() is None
        client.close()
        idle.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&",
        b"PID|1\r",
        b"\xff\xfe\x00",
        b"MSHaaaaaaaaaaaa",
        b"MSH||||||||||||",
    ],
)
async def test_what_is_no_message_is_answered_without_a_crash(raw: bytes) -> None:
    """Any framed bytes can be answered, with or without a header."""
    async with listening(Seen(Acknowledgement("AR", (Fault("100", "no header"),)))) as (_, port):
        client = await Client.connect(port)

        assert code_and_id(await client.ask(raw)) == ("AR", "")
        client.close()
