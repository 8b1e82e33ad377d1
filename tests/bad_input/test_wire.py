"""Bad bytes and a bad machine against a real server: MLLP, a watcher that dies, a disk that is full."""

import asyncio
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.demo.caller import Refused
from engine.demo.order import order_message
from engine.kernel.clock import SystemClock
from engine.keys import load_keys
from integrations.hl7_fhir.framing import frame
from tests.bad_input.room import Room, opened
from tests.soak.clinic import mllp
from tests.soak.process import Server, left_behind, rows, start, until, verified

pytestmark = pytest.mark.asyncio(loop_scope="package")
VITALS = "SessionService.RecordVitals"
MESSAGES = "SELECT COUNT(*) FROM events WHERE type = 'MessageReceived'"
TEN_MB = 10 * 1000 * 1000
WATCHER = """
import asyncio, sys
from engine.demo.caller import Caller
async def main(target, token, session_id):
    async for event in Caller(target, token).watch(session_id):
        print(event.position, flush=True)
asyncio.run(main(*sys.argv[1:]))
"""


def order(number: str) -> bytes:
    return order_message(SystemClock().now(), number)


async def received(server: Server) -> int:
    """Return how many messages are stored."""
    return int((await asyncio.to_thread(rows, server.database, MESSAGES))[0][0])


async def test_a_truncated_frame(server: Server, room: Room) -> None:
    """Half a message is never answered and never stored; sent again whole it is taken once."""
    await room.scheduled()
    before, raw = await received(server), order("710001")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports["mllp"])
    writer.write(frame(raw)[: len(raw) // 2])
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert await received(server) == before

    for _ in range(2):
        assert b"MSA|AA" in await mllp(server.ports["mllp"], raw)
    assert await received(server) == before + 1


async def test_a_message_without_a_pid(server: Server, room: Room) -> None:
    """An order for nobody is refused to its sender with the place of the fault, kept, and held for a person."""
    await room.scheduled()
    before = await received(server)
    nobody = b"\r".join(line for line in order("710002").split(b"\r") if not line.startswith(b"PID"))

    answer = await mllp(server.ports["mllp"], nobody)
    assert b"MSA|AE" in answer or b"MSA|AR" in answer
    assert b"\rERR|" in answer
    assert b"PID" in answer
    assert await received(server) == before + 1
    integrator = room.caller("integrator-1")

    async def held() -> Any:
        asked = {"phase": "INBOUND_MESSAGE_PHASE_HELD"}
        found = await integrator.call("MessageService.ListMessages", asked)
        return [one for one in found.messages if one.control_id == "O710002"]

    await until(server, held, 20)
    (message,) = await held()
    assert (message.reason, message.what.split(":")[0]) == ("REFUSED", "PID")


async def test_a_weight_without_a_unit(server: Server, room: Room) -> None:
    """An order whose weight nobody can read is followed without it, and found among the messages with a notice."""
    await room.scheduled()
    raw = order("710006") + b"OBX|1|NM|29463-7^Body weight^LN||72.5||||||F\r"
    assert b"MSA|AA" in await mllp(server.ports["mllp"], raw)
    integrator = room.caller("integrator-1")

    async def noticed() -> Any:
        found = await integrator.call("MessageService.ListMessages", {"noticed": True})
        assert all(one.notices for one in found.messages)
        return [one for one in found.messages if one.control_id == "O710006"]

    await until(server, noticed, 20)
    (message,) = await noticed()
    assert list(message.notices) == ["weight: OBX-6 is not a unit that is known"]
    assert len(message.sessions) == 1


async def test_a_ten_megabyte_message(server: Server, room: Room) -> None:
    """A message past the limit is refused and not kept; the next sender is served."""
    await room.scheduled()
    before = await received(server)
    huge = order("710003") + b"NTE|1||" + b"x" * TEN_MB + b"\r"

    answer = await mllp(server.ports["mllp"], huge)
    assert b"MSA|AR" in answer
    assert await received(server) == before
    assert b"MSA|AA" in await mllp(server.ports["mllp"], order("710004"))


async def test_an_unknown_code(server: Server, room: Room) -> None:
    """A procedure that our map does not know is our trouble: acknowledged, held for a person, and no session."""
    await room.scheduled()
    raw = order("710005").replace(b"CTABDWC^CT abdomen", b"UNHEARD^CT of what")
    assert b"MSA|AA" in await mllp(server.ports["mllp"], raw)
    integrator = room.caller("integrator-1")

    async def held() -> Any:
        asked = {"phase": "INBOUND_MESSAGE_PHASE_HELD"}
        found = await integrator.call("MessageService.ListMessages", asked)
        return [one for one in found.messages if one.control_id == "O710005"]

    await until(server, held, 20)
    (message,) = await held()
    assert message.reason
    assert "UNHEARD" in message.what
    assert list(message.sessions) == []
    where = "SELECT payload FROM events WHERE type = 'SessionScheduled' AND payload LIKE '%ACC710005%'"
    assert not rows(server.database, where)

    again = await room.do("integrator-1", "MessageService.ReplayMessage", {"message_id": message.message_id})
    assert again.version > message.version

    async def held_again() -> bool:
        return any(one.version > again.version for one in await held())

    await until(server, held_again, 20)
    asked = {"message_id": message.message_id, "dismissal": "sent again under a known code"}
    await room.do("integrator-1", "MessageService.DismissMessage", asked)
    assert await held() == []


async def test_a_vanished_watcher(server: Server, room: Room) -> None:
    """A watcher that is killed disturbs nobody; from its last position another misses nothing."""
    await room.scheduled()
    arguments = (server.target, server.token("auditor-1"), room.session_id)
    watcher = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WATCHER, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert watcher.stdout is not None
    position = int(await watcher.stdout.readline())
    watcher.kill()
    await watcher.wait()

    for rate in range(80, 90):
        await room.do("tech-1", VITALS, {"heart_rate_bpm": rate})
    events = room.caller("auditor-1").watch(room.session_id, position)
    seen: list[int] = []
    while len(seen) < 10:
        one = await anext(events)
        if one.stream.startswith("session/"):  # an auditor also sees who reads
            seen.append(one.version)
    assert seen == list(range(2, 12))
    await events.aclose()  # type: ignore[attr-defined]  # it is an async generator


async def test_a_full_disk(tmp_path: Path) -> None:
    """When the file may not grow a command is refused as a whole; with room again the same request is done, once."""
    server = await start(tmp_path / "data")
    assert server.process.pid
    async with opened(server, "full") as room:
        await room.scheduled()
        await room.do("tech-1", VITALS, {"heart_rate_bpm": 80})
        wal = server.data_dir / "attend.sqlite3-wal"
        _bound(server, wal.stat().st_size)
        last, refused = 80, 0
        before = await room.events()
        for rate in range(81, 86):
            with pytest.raises(Refused) as caught:
                await room.caller("tech-1").call(VITALS, _vitals(room, rate))
            assert caught.value.reason == "STORE_UNAVAILABLE"
            refused += 1
        assert await room.events() == before

        _bound(server, resource.RLIM_INFINITY)
        for rate in range(81, 86):
            answer = await room.caller("tech-1").call(VITALS, _vitals(room, rate))
            assert not answer.repeated_request
            last = answer.version
        assert last == len(before) + refused
    await server.kill()
    left = left_behind(server.data_dir, tmp_path / "left")
    await verified(left, load_keys(server.data_dir).store)


def _bound(server: Server, size_bytes: int) -> None:
    """Bound how large a file the running server may write: for its log of commits the disk is full."""
    assert server.process.pid
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


def _vitals(room: Room, rate: int) -> dict[str, Any]:
    header = {"request_id": f"full-disk-{rate}"}
    return {"header": header, "session_id": room.session_id, "heart_rate_bpm": rate}
