"""Server processes for the benchmarks: pinned to one core from birth, their CPU time read from the kernel."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, 1
END_S = 20


@dataclass(frozen=True, slots=True)
class Running:
    """A server process and where it listens."""

    name: str
    pid: int
    port: int

    def cpu_s(self) -> float:
        """Return the seconds of CPU it has used so far, over all its threads and without its children."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pin(core: int) -> bool:
    """Keep this process, and what it starts from now on, on one core; return whether the machine has it."""
    allowed = sorted(os.sched_getaffinity(0) | {core})
    if (os.cpu_count() or 1) <= core or core not in allowed:
        return False
    os.sched_setaffinity(0, {core})
    return True


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    pin(SERVER_CORE)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pin(CLIENT_CORE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(END_S)


@contextmanager
def echo() -> Iterator[Running]:
    """Run the bare echo server."""
    with _process([sys.executable, "-m", "benchmarks.echo"]) as process:
        assert process.stdout is not None
        yield Running("echo", process.pid, int(process.stdout.readline()))


@contextmanager
def engine(data_dir: Path) -> Iterator[Running]:
    """Run `attend serve --demo` on a data folder."""
    ready = data_dir.with_suffix(".ports")
    command = [sys.executable, "-m", "engine", "serve", "--demo", "--data-dir", str(data_dir)]
    command += ["--ready-file", str(ready)]
    for port in ("--grpc-port", "--http-port", "--mllp-port"):
        command += [port, "0"]
    with _process(command) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield Running("engine", process.pid, json.loads(ready.read_text())["grpc"])
