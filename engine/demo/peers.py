"""Starts the far side that nobody here wrote: a FHIR server, an MLLP receiver and an MLLP sender, on 127.0.0.1 only.

They come from PyPI (the `peers` extra) and run as processes of their own, from this environment's bin folder. Calls
block; from asyncio use `asyncio.to_thread`.
"""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.kernel.errors import PeerError

HOST = "127.0.0.1"
START_S = 60.0
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class FhirPeer:
    """A running FHIR R4 server: its base address, and the log of its output."""

    base_url: str
    log: Path


@dataclass(frozen=True, slots=True)
class MllpPeer:
    """A running MLLP receiver: its port, the folder with one FHIR bundle for each message it took, and its log."""

    host: str
    port: int
    taken: Path
    log: Path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def sekmet(work: Path, *, port: int = 0) -> Iterator[FhirPeer]:
    """Run SEKMET (FHIR R4, strict validation, no sign-in) with its files under `work` until the block ends."""
    port = port or free_port()
    base_url = f"http://{HOST}:{port}/fhir"
    work.mkdir(parents=True, exist_ok=True)
    settings = {
        "base_url": base_url,
        "host": HOST,
        "port": port,
        "data_dir": str(work / "data"),
        "own_private_key_path": str(work / "private.pem"),
        "facility_name": "Demo General Hospital",
        "validation": {"inbound": "strict"},
        "simulator": {"enabled": False},
    }
    # JSON is YAML.
    (work / "settings.yaml").write_text(json.dumps(settings))
    command = [
        _program("sekmet"),
        "serve",
        "--config",
        str(work / "settings.yaml"),
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    with _running(command, work, port) as log:
        yield FhirPeer(base_url, log)


@contextmanager
def mllp_receiver(work: Path, *, authorities: Mapping[str, str], port: int = 0) -> Iterator[MllpPeer]:
    """Run hl7v2-fhir-bridge as the RIS that takes our results, with its files under `work` until the block ends.

    `authorities` maps the assigning authorities it shall know to their FHIR systems; the first one's numbers are
    its medical record numbers. It refuses messages (AE) whose patient it cannot identify by them.
    """
    port = port or free_port()
    taken = work / "taken"
    taken.mkdir(parents=True, exist_ok=True)
    known = ", ".join(json.dumps(name) for name in list(authorities)[:1])
    config = ["[mapping]", f"mrn_authorities = [{known}]", "[mapping.assigning_authorities]"]
    config += [f"{json.dumps(name)} = {json.dumps(system)}" for name, system in authorities.items()]
    (work / "bridge.toml").write_text("\n".join(config) + "\n")
    command = [_program("hl7v2-fhir-bridge"), "serve", "--config", str(work / "bridge.toml")]
    command += ["--host", HOST, "--port", str(port), "--out", str(taken)]
    with _running(command, work, port) as log:
        yield MllpPeer(HOST, port, taken, log)


def mllp_send(messages: Sequence[bytes], port: int, work: Path, *, timeout_s: float = 60.0) -> str:
    """Send messages on one connection with python-hl7's mllp_send and return what it printed (the answers).

    Raises PeerError when it fails or does not end in time.
    """
    work.mkdir(parents=True, exist_ok=True)
    framed = work / "to_send.mllp"
    framed.write_bytes(b"".join(b"\x0b" + message + b"\x1c\r" for message in messages))
    command = [_program("mllp_send"), "--file", str(framed), "--port", str(port), HOST]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise PeerError("mllp_send did not end in time", permanent=False) from None
    if done.returncode != 0:
        raise PeerError(f"mllp_send ended with {done.returncode}: {done.stderr[-300:]}", permanent=False)
    return done.stdout


def _program(name: str) -> str:
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise PeerError(f"{name} is not installed: pip install 'attend[peers]'", permanent=True)
    return str(path)


@contextmanager
def _running(command: Sequence[str], work: Path, port: int) -> Iterator[Path]:
    """Run a server until the block ends; it is ready when its port takes connections."""
    log = work / "output.log"
    with log.open("wb") as output:
        process = _start(command, work, output)
        try:
            _wait_until_it_listens(process, port, log)
            yield log
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(command: Sequence[str], work: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    pause = threading.Event()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PeerError(f"it ended at once with {process.returncode}; see {log}", permanent=True)
        try:
            with socket.create_connection((HOST, port), timeout=1.0):
                return
        except OSError:
            pause.wait(0.05)
    raise PeerError(f"it did not listen within {START_S:.0f} s; see {log}", permanent=True)
