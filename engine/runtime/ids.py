"""The one owner of randomness: request ids and salts, from the machine or from a seed behind the same protocol."""

import hashlib
import secrets
from typing import Protocol

SALT_BYTES = 16


class Ids(Protocol):
    """Gives fresh names and salts."""

    def name(self, prefix: str) -> str:
        """Return a name nobody else has: `prefix-` and 26 characters."""
        ...

    def salt(self) -> bytes:
        """Return SALT_BYTES unguessable bytes."""
        ...


class RandomIds:
    """From the operating system's generator."""

    def name(self, prefix: str) -> str:
        """Return a random name."""
        return f"{prefix}-{secrets.token_hex(13)}"

    def salt(self) -> bytes:
        """Return a random salt."""
        return secrets.token_bytes(SALT_BYTES)


class SeededIds:
    """From a seed, for the simulation: the same seed gives the same names in the same order."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def name(self, prefix: str) -> str:
        """Return the next name."""
        return f"{prefix}-{self._next().hex()[:26]}"

    def salt(self) -> bytes:
        """Return the next salt."""
        return self._next()[:SALT_BYTES]

    def _next(self) -> bytes:
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{self._count}".encode()).digest()
