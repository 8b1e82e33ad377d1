"""A sealed emergency pack: canonical JSON under the engine's Ed25519 key, so that a console can trust a kept copy.

Rule: the seal is over the exact bytes. A console checks it once when it fetches and again when it falls back to it.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.kernel.canonical import canonical_bytes, digest
from engine.records.seal import SealingKey, holds


@dataclass(frozen=True, slots=True, kw_only=True)
class PackStatement:
    """What the seal of an emergency pack says: these bytes, under this key."""

    content_hash: str
    key_id: str

    def signed_bytes(self) -> bytes:
        """Return the bytes that are signed: the canonical JSON of the statement with its format's name."""
        return canonical_bytes(
            {
                "content_hash": self.content_hash,
                "format": "attend-emergency-pack-seal/1",
                "key_id": self.key_id,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPack:
    """An emergency pack as it is handed out, made from `session_version`; after `expires_at` ask again."""

    document: bytes
    content_hash: str
    key_id: str
    public_key: str
    signature: str
    session_version: int
    made_at: dt.datetime
    expires_at: dt.datetime


def seal_pack(
    content: Mapping[str, Any],
    key: SealingKey,
    *,
    session_version: int,
    made_at: dt.datetime,
    expires_at: dt.datetime,
) -> SealedPack:
    """Seal a document; when it was made, from what and until when it serves stand in its head."""
    document = canonical_bytes(
        {**content, "made_at": made_at, "expires_at": expires_at, "session_version": session_version}
    )
    statement = PackStatement(content_hash=digest(document), key_id=key.key_id)
    return SealedPack(
        document=document,
        content_hash=statement.content_hash,
        key_id=key.key_id,
        public_key=key.public_key.hex(),
        signature=key.sign(statement),
        session_version=session_version,
        made_at=made_at,
        expires_at=expires_at,
    )


def intact(document: bytes, key_id: str, public_key: str, signature: str) -> bool:
    """Return whether a document is byte for byte what the key sealed."""
    statement = PackStatement(content_hash=digest(document), key_id=key_id)
    return holds(statement, bytes.fromhex(public_key), signature)
