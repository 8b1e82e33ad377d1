"""Listening: which addresses are allowed, and what every door needs before anything is started.

Rule: a door that cannot open is one sentence that names the setting and the way out.
"""

import errno
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path


class PortTaken(RuntimeError):
    """The port cannot be bound; the message says what to do."""


class PlaintextRefused(RuntimeError):
    """Plaintext was asked for beyond loopback."""


class CertificateUnusable(RuntimeError):
    """Certificate and key cannot be used; the message names the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The server's certificate chain and key, as PEM files."""

    certificate: Path
    key: Path


def check_bind(bind: str, tls: Tls | None) -> None:
    """Raise PlaintextRefused unless the address is loopback or TLS is configured."""
    if tls is None and not is_loopback(bind):
        raise PlaintextRefused(
            f"plaintext is served on loopback only: to listen on {bind}, set tls_certificate and tls_key"
        )


def is_loopback(bind: str) -> bool:
    """Return whether an address reaches this machine only."""
    if bind == "localhost":
        return True
    try:
        return ipaddress.ip_address(bind.strip("[]")).is_loopback
    except ValueError:
        return False


def check_doors(wanted: Mapping[str, tuple[str, int]], tls: Tls | None) -> None:
    """Try every (address, port) of `wanted`, by option, all at once, and let go of them again.

    Raises PortTaken or CertificateUnusable, before a store is opened or a process is started.
    """
    server_context(tls)
    with ExitStack() as held:
        for option, (bind, port) in wanted.items():
            held.enter_context(closing(listening(bind, port, option)))


def server_context(tls: Tls | None) -> ssl.SSLContext | None:
    """Return what a door speaks TLS with; None in plaintext. Raises CertificateUnusable."""
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError):
        raise CertificateUnusable(
            "tls_certificate and tls_key: give two PEM files that can be read and belong together"
        ) from None
    return context


def listening(bind: str, port: int, option: str) -> socket.socket:
    """Return a listening socket. Raises PortTaken naming the option that chooses another port."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((bind.strip("[]"), port))
        made.listen(2048)
    except OSError as error:
        made.close()
        raise PortTaken(unusable(bind, port, option, error.errno)) from None
    return made


def unusable(bind: str, port: int, option: str, code: int | None = errno.EADDRINUSE) -> str:
    """Say why an address cannot be listened on, and what to change."""
    if code == errno.EADDRINUSE:
        return f"cannot listen on {bind}:{port}: the port is taken; choose another with {option}"
    if code in (errno.EACCES, errno.EPERM):
        return f"cannot listen on {bind}:{port}: this user may not; choose a port above 1023 with {option}"
    return f"cannot listen on {bind}: this machine has no such address; choose another with --bind"
