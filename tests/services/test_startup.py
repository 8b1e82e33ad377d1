"""Starting the server: what keeps it from starting is one sentence that names the setting, and nothing else."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FREE = {"--grpc-port": "0", "--http-port": "0", "--mllp-port": "0", "--media-port": "0"}


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `attend serve --demo` as a person does, until it gives up."""
    command = [sys.executable, "-m", "engine", "serve", "--demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a failed start says; nothing else is printed anywhere."""
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("option", list(FREE))
def test_a_used_port_is_named_with_the_option_that_chooses_another(
    option: str, taken: str, tmp_path: Path
) -> None:
    """The same sentence for every door; no data folder is half made and no process is left over."""
    ports = [word for pair in {**FREE, option: taken}.items() for word in pair]
    line = said(serve("--data-dir", str(tmp_path / "data"), *ports))

    assert line == (
        f"Error: cannot listen on 127.0.0.1:{taken}: the port is taken; choose another with {option}"
    )


def test_plaintext_beyond_loopback_says_what_to_set(tmp_path: Path) -> None:
    """No certificate, no open door: the way out is in the sentence, the library that checks is not."""
    line = said(serve("--bind", "0.0.0.0", "--data-dir", str(tmp_path)))

    assert line == (
        "Error: plaintext is served on loopback only: to bind to another address set tls_certificate and "
        "tls_key, or use --bind 127.0.0.1"
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("bind = \n", "this is not TOML"),
        ("colour = 'blue'\n", "colour: there is no such setting"),
        ("ready_s = 1\n", "ready_s: Input should be greater than or equal to 10"),
        ("tls_certificate = 'no.pem'\ntls_key = 'no.pem'\n", "tls_certificate: there is no such file"),
        ("tls_key = '{file}'\n", "tls_certificate and tls_key come together"),
        ("tls_certificate = '{file}'\ntls_key = '{file}'\n", "give two PEM files"),
        ("hl7_destination = 'ris'\n", "hl7_destination: write it as host:port"),
        ("fhir_base_url = 'ehr'\n", "fhir_base_url: write it as an http:// or https:// address"),
        ("pack = 'none'\n", "pack: choose one of"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(written: str, expected: str, tmp_path: Path) -> None:
    """The file or the field, and what to write."""
    config = tmp_path / "attend.toml"
    config.write_text(written.format(file=config))
    ports = [word for pair in FREE.items() for word in pair]

    assert expected in said(serve("--config", str(config), "--data-dir", str(tmp_path / "data"), *ports))


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """It is the folder's fault, so no port is blamed."""
    (tmp_path / "file").touch()
    line = said(serve("--data-dir", str(tmp_path / "file" / "data")))

    assert "Not a directory; choose another folder with --data-dir" in line


def test_an_authority_without_a_system_is_named() -> None:
    """A half pair is not dropped silently."""
    assert said(serve("--fhir-authority", "DEMO")) == (
        "Error: --fhir-authority: write it as AUTHORITY=FHIR-SYSTEM"
    )


@pytest.mark.parametrize("asked", [["--list"], ["attend.v1.SessionService/ListSessions", "{}"]])
def test_a_call_without_a_server_says_so(asked: list[str]) -> None:
    """`attend call` to nobody is one sentence with the reason."""
    command = [sys.executable, "-m", "engine", "call", "--target", "127.0.0.1:1", *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.strip().splitlines()
    assert "UNAVAILABLE" in line
