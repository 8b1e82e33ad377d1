"""`python -m media.peer_stdio`: a synthetic participant in a process of its own, driven by lines of JSON.

Rule: says {"offer_sdp": …} and takes {"answer_sdp": …} on stdin; whoever starts it does the signalling. The end of
stdin means leave. Commands: {"mute_video": bool}, {"stop_sending": bool}, {"report": true}, {"leave": true}.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any

from engine.kernel.errors import PeerError
from media.backend import Kind
from media.peer import PeerSettings, SyntheticPeer

_PENDING_LINES = 64
_LINE_BYTES = 65_536


def _arguments(argv: list[str] | None) -> PeerSettings:
    parser = argparse.ArgumentParser(
        prog="python -m media.peer_stdio",
        description="A participant with a moving test picture and a tone, driven by lines of JSON on stdin.",
        epilog='Says {"offer_sdp": …}; answer with {"answer_sdp": …}; then {"mute_video": true} and the like.',
    )
    parser.add_argument("--bind", default="127.0.0.1", help="the address media is sent from")
    parser.add_argument("--frames-per-s", type=int, default=PeerSettings().frames_per_s)
    parser.add_argument("--tone-hz", type=int, default=PeerSettings().tone_hz)
    given = parser.parse_args(argv)
    return PeerSettings(bind=given.bind, frames_per_s=given.frames_per_s, tone_hz=given.tone_hz)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message, sort_keys=True) + "\n")
    sys.stdout.flush()


class _Lines:
    """Reads stdin on a thread, a bounded number of lines ahead; None at the end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_PENDING_LINES)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while len(rest) < _LINE_BYTES and (chunk := os.read(0, 4096)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._put(_parsed(line))
        self._put(None)

    def _put(self, message: dict[str, Any] | None) -> None:
        asyncio.run_coroutine_threadsafe(self._queue.put(message), self._loop).result()

    def end(self) -> None:
        """Make the next line the end."""
        self._loop.create_task(self._queue.put(None))

    async def next(self) -> dict[str, Any] | None:
        """Return the next command, or None at the end."""
        return await self._queue.get()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _report(peer: SyntheticPeer) -> dict[str, Any]:
    received = {kind.value: peer.received(kind) for kind in Kind}
    return {
        "connected": peer.connected,
        "luma": peer.luma,
        "received": {
            kind: {"packets": totals.packets, "bytes": totals.bytes, "frames": totals.frames}
            for kind, totals in received.items()
        },
    }


async def run(settings: PeerSettings) -> int:
    """Join, obey until told to leave, and return the exit code: 0, or 1 when no connection came about."""
    lines = _Lines()
    peer = SyntheticPeer(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lines.end)

    async def exchange(offer_sdp: str) -> str:
        _say({"offer_sdp": offer_sdp})
        message = await lines.next()
        if message is None or not isinstance(message.get("answer_sdp"), str):
            raise PeerError("no answer came", permanent=True)
        return str(message["answer_sdp"])

    try:
        await peer.join(exchange)
    except (PeerError, ValueError, AssertionError) as error:
        _say({"failed": str(error)})
        return 1
    _say({"joined": True})
    while (message := await lines.next()) is not None and "leave" not in message:
        if "mute_video" in message:
            peer.mute_video(bool(message["mute_video"]))
        if "stop_sending" in message:
            peer.stop_sending(bool(message["stop_sending"]))
        _say({"report": _report(peer)})
    _say({"left": _report(peer)})
    await peer.leave()
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one participant."""
    return asyncio.run(run(_arguments(argv)))


if __name__ == "__main__":
    sys.exit(main())
