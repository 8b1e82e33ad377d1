"""`python -m media`: one media node in a process of its own, which lives no longer than its parent.

Rule: stdin is the leash. Its end means the parent is gone, and the node ends as it does on SIGTERM.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import resource
import secrets
import signal
import sys
import threading

from engine.kernel.clock import SystemClock
from media.node import serving
from media.relay import Relay
from media.settings import MediaSettings
from media.wire import TOKEN_VARIABLE


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m media",
        description="Carry calls and prove them. Prints one JSON line when ready; ends on SIGTERM or end of stdin.",
        epilog="Example: sleep infinity | python -m media --control-port 0 --bind 127.0.0.1",
    )
    parser.add_argument(
        "--control-port", type=int, default=0, help="loopback port of the control; 0: a free one"
    )
    parser.add_argument("--bind", default="127.0.0.1", help="the address media is carried on")
    return parser.parse_args(argv)


def _watch_parent(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        # The descriptor itself: a lock of sys.stdin held by a daemon thread would break the interpreter's exit.
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: the node is ending anyway
        loop.call_soon_threadsafe(ended.set)


def _force_end(after_s: float) -> None:
    """End the process whatever hangs: aiortc's decoder threads are not daemons."""
    timer = threading.Timer(after_s, os._exit, (1,))
    timer.daemon = True
    timer.start()


async def run(control_port: int, settings: MediaSettings, token: str | None) -> None:
    """Serve until SIGTERM, SIGINT or the end of stdin. Without a token one is made and printed."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    node_id = f"media-{secrets.token_hex(6)}"
    ready: dict[str, object] = {"node_id": node_id, "pid": os.getpid(), "bind": settings.bind}
    if token is None:
        token = secrets.token_urlsafe(24)
        ready["token"] = token
    async with (
        Relay(settings, SystemClock(), node_id) as relay,
        serving(relay, settings, control_port, token) as port,
    ):
        ready["control_port"] = port
        sys.stdout.write(json.dumps(ready, sort_keys=True) + "\n")
        sys.stdout.flush()
        threading.Thread(target=_watch_parent, args=(loop, ended), daemon=True).start()
        await ended.wait()
        _force_end(settings.stop_s)


def main(argv: list[str] | None = None) -> int:
    """Run a node and return its exit code: 0 after a clean end, 2 when the port is taken."""
    arguments = _arguments(argv)
    # Media is in plain in this process's memory, so a crash must not write that memory to disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # The token comes by the environment and not by an argument, which every user of the machine could read.
    token = os.environ.pop(TOKEN_VARIABLE, None)
    try:
        asyncio.run(run(arguments.control_port, MediaSettings(bind=arguments.bind), token))
    except OSError as error:
        sys.stderr.write(f"media node: {error}; choose another --control-port or end what uses it\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
