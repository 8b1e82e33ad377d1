"""The packs of a data folder: every version that was ever in force here, and the signatures over them.

Rule: nothing is overwritten. A reaction keeps the version it started with, also after the product was updated.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.access.signing import PackSignature
from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Corrupt
from engine.reactions.pack import Pack, content_hash


def read_pack(path: Path) -> Pack:
    """Return the pack in a kept file. Raises Corrupt when it is none, or not the one that its name says."""
    try:
        pack = msgspec.json.decode(path.read_bytes(), type=Pack)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{path.name} cannot be read as a pack: restore it") from error
    if content_hash(pack) != pack.hash or pack.hash != path.stem:
        raise Corrupt(f"{path.name} was changed: its content has another hash; restore it")
    return pack


class ProtocolFiles:
    """Files below `data_dir`/protocols: `<hash>.json` is a pack, `<hash>.signature.json` the signature over it."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "protocols"

    def keep(self, pack: Pack) -> None:
        """Keep a version that comes into force; the same content twice is one file."""
        path = self._folder / f"{pack.hash}.json"
        if not path.exists():
            self._write(path, canonical_bytes(pack))

    def versions(self) -> Mapping[str, Pack]:
        """Return every version kept, by hash. Raises Corrupt for a file that is not what its name says."""
        files = (path for path in self._folder.glob("*.json") if not path.name.endswith(".signature.json"))
        return {path.stem: read_pack(path) for path in files}

    def sign(self, signature: PackSignature) -> Path:
        """Keep a signature, in the place of an earlier one over the same content; return its file."""
        path = self._signature(signature.pack_hash)
        self._write(path, canonical_bytes(signature))
        return path

    def signature(self, pack: Pack) -> PackSignature | None:
        """Return the signature over a pack; None when there is none. Raises Corrupt for one that cannot be read."""
        path = self._signature(pack.hash)
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=PackSignature)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"protocols/{path.name} cannot be read as a signature: sign again") from error

    def _signature(self, pack_hash: str) -> Path:
        return self._folder / f"{pack_hash}.signature.json"

    def _write(self, path: Path, content: bytes) -> None:
        """Write beside the place and move in: a crash leaves the old file or the new one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        with fresh.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
