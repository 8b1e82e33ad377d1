"""The documents' examples run: every marked block of the README, in order, as one newcomer's shell would."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.bootstrap import protocols
from engine.settings import load

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```sh\n(.*?)```", re.DOTALL)


def examples() -> dict[str, str]:
    return dict(EXAMPLE.findall((ROOT / "README.md").read_text()))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.hazard("H-33")
def test_the_readme_runs(tmp_path: Path) -> None:
    """A newcomer who types the README's blocks gets answers, and a treated reaction without a line or READY."""
    blocks = examples()
    grpc_port, http_port, mllp_port = free_port(), free_port(), free_port()
    env = {
        **os.environ,
        "ATTEND_GRPC_PORT": str(grpc_port),
        "ATTEND_HTTP_PORT": str(http_port),
        "ATTEND_MLLP_PORT": str(mllp_port),
        "ATTEND_TARGET": f"127.0.0.1:{grpc_port}",
    }
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    served = blocks["serve"].strip().removesuffix("&")
    server = subprocess.Popen(
        ["bash", "-c", f"exec {served}"], cwd=tmp_path, env=env, stdout=subprocess.DEVNULL
    )
    try:
        _wait(grpc_port, server)
        script = "\n".join(blocks[name] for name in ("grpc", "session", "connect"))
        script = f"set -euo pipefail\n{script}".replace("127.0.0.1:8080", f"127.0.0.1:{http_port}")
        typed = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)

    assert typed.returncode == 0, typed.stdout[-2000:] + typed.stderr[-2000:]
    assert "attend.v1.SessionService/StartInjection" in typed.stdout
    assert "LINE" in typed.stdout.upper()
    assert '"drug":"epinephrine"' in typed.stdout.replace(" ", "")


def test_a_pack_goes_live_as_the_readme_says(tmp_path: Path) -> None:
    """The director types the block, says yes, and pastes what is printed: a live server starts with that file."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    signed = subprocess.run(
        ["bash", "-ec", examples()["sign"]],
        cwd=tmp_path,
        input="y\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pasted = signed.stdout[signed.stdout.index("[protocol_signers]") :]
    config = tmp_path / "attend.toml"
    config.write_text(f'organization_id = "org-1"\ndata_dir = "{tmp_path}/attend-data"\n{pasted}')

    assert protocols(load(config)).signed_by == "dr-lee"


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended at once"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            os.sched_yield()
    pytest.fail("the server did not listen in time")


def test_the_readme_names_two_commands_for_set_up() -> None:
    """make demo and make test are all a newcomer needs, and both are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()

    for command in ("make demo", "make test"):
        assert command in (ROOT / "README.md").read_text()
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)
