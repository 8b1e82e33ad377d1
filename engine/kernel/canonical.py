"""The one spelling of a value that is hashed: canonical JSON (RFC 8785) and SHA-256 over it.

msgspec writes it; a test holds it equal to the `rfc8785` library for every value that events may contain (text,
whole numbers, booleans, null, lists, objects with ASCII keys; amounts are Decimals, written as text).
"""

import hashlib
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="string", uuid_format="canonical")


def canonical_bytes(value: Any) -> bytes:
    """Return the canonical JSON of plain values, dataclasses, Decimals and datetimes."""
    return _ENCODER.encode(value)


def digest(value: bytes) -> str:
    """Return the SHA-256 of bytes in lower-case hex."""
    return hashlib.sha256(value).hexdigest()


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON in lower-case hex."""
    return digest(canonical_bytes(value))
