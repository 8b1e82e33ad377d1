"""The engine's seal: Ed25519 over a small canonical statement that binds the whole record and its events.

Rule: the key is handed in as bytes; this file reads no file and makes no key on its own initiative.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Invalid

ALGORITHM = "Ed25519"
_RAW = 32


class Signable(Protocol):
    """Something small that binds what is sealed, with the name of its format in its bytes."""

    def signed_bytes(self) -> bytes:
        """Return the bytes that are signed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a seal says: this record hash of this session and revision, sealed at this moment under this key."""

    session_id: str
    revision: int
    record_hash: str
    key_id: str
    sealed_at: dt.datetime

    def signed_bytes(self) -> bytes:
        """Return the bytes that are signed: the canonical JSON of the statement with its format's name."""
        return canonical_bytes(
            {
                "format": "attend-seal/1",
                "key_id": self.key_id,
                "record_hash": self.record_hash,
                "revision": self.revision,
                "sealed_at": self.sealed_at,
                "session_id": self.session_id,
            }
        )


def key_id(public_key: bytes) -> str:
    """Return a key's id: the SHA-256 of the raw public key in lower-case hex."""
    return hashlib.sha256(public_key).hexdigest()


class SealingKey:
    """An Ed25519 private key. Its raw 32 bytes are stored by whoever made it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key: bytes = private.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_key)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Load a key from its raw 32 bytes. Raises Invalid("sealing_key", …)."""
        if len(raw) != _RAW:
            raise Invalid("sealing_key", f"an Ed25519 key has {_RAW} bytes, this has {len(raw)}")
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    @classmethod
    def create(cls) -> Self:
        """Make a new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    def to_bytes(self) -> bytes:
        """Return the raw 32 private bytes, for storing; never log or export them."""
        return self._private.private_bytes_raw()

    def sign(self, statement: Signable) -> str:
        """Return the signature over a statement in lower-case hex."""
        return self._private.sign(statement.signed_bytes()).hex()


def holds(statement: Signable, public_key: bytes, signature: str) -> bool:
    """Return whether a signature is this key's over this statement."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            bytes.fromhex(signature), statement.signed_bytes()
        )
    except (InvalidSignature, ValueError):
        return False
    return True
