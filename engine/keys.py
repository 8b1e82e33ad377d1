"""The keys of a data folder: made once, readable by the owner only, each for one purpose.

Rule: keys are bytes here and objects elsewhere; losing `store.key` loses every protected value, and says so.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.records.seal import SealingKey

KEY_BYTES = 32
TOKEN_KEY_ID = "attend-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Everything secret a running engine needs."""

    store: bytes
    fingerprint: bytes
    seal: SealingKey
    token: Ed25519PrivateKey


def load_keys(data_dir: Path) -> Keys:
    """Return the folder's keys, making those that are missing."""
    folder = data_dir / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    token = _key(folder / "token.key", lambda: Ed25519PrivateKey.generate().private_bytes_raw())
    return Keys(
        store=_key(folder / "store.key", lambda: secrets.token_bytes(KEY_BYTES)),
        fingerprint=_key(folder / "fingerprint.key", lambda: secrets.token_bytes(KEY_BYTES)),
        seal=SealingKey.from_bytes(_key(folder / "seal.key", lambda: SealingKey.create().to_bytes())),
        token=Ed25519PrivateKey.from_private_bytes(token),
    )


def _key(path: Path, make: Callable[[], bytes]) -> bytes:
    if path.exists():
        return path.read_bytes()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        made = make()
        out.write(made)
    return made
