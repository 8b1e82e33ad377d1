"""The protocols of a data folder: every pack that was ever in force here, the sites' overlays, and who approved them.

Rule: a pack is never overwritten. A reaction keeps the version it started with, also after the product was updated.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.access.signing import Approval
from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Corrupt
from engine.reactions.overlay import SiteOverlay, parse_overlay
from engine.reactions.pack import Pack, written_hash

APPROVAL = ".approval.json"


def pack_subject(pack: Pack) -> str:
    """Name a pack as it is approved."""
    return f"pack {pack.pack_id} {pack.version}"


def overlay_subject(overlay: SiteOverlay) -> str:
    """Name a site's overlay as it is approved."""
    return f"overlay of {overlay.site_id} for {overlay.pack_id}"


def read_pack(path: Path) -> Pack:
    """Return the pack in a kept file. Raises Corrupt when it is none, or not the one that its name says."""
    content = path.read_bytes()
    try:
        pack = msgspec.json.decode(content, type=Pack)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{path.name} cannot be read as a pack: restore it") from error
    # As written, not as read: a row gains fields with their defaults when the schema does, and stays what was signed.
    if written_hash(msgspec.json.decode(content)) != pack.hash or pack.hash != path.stem:
        raise Corrupt(f"{path.name} was changed: its content has another hash; restore it")
    return pack


def read_overlay(path: Path) -> SiteOverlay:
    """Return the overlay in a TOML file. Raises Invalid naming the field, and Corrupt for a file that is no text."""
    try:
        return parse_overlay(path.name, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path.name} cannot be read as text") from error


class ProtocolFiles:
    """Files below `data_dir`/protocols.

    `<hash>.json` is a pack, `sites/<site>.toml` a site's overlay, `<hash>.approval.json` the approval of either.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "protocols"

    def keep(self, pack: Pack) -> None:
        """Keep a version that comes into force; the same content twice is one file."""
        path = self._folder / f"{pack.hash}.json"
        if not path.exists():
            _write(path, canonical_bytes(pack))

    def versions(self) -> Mapping[str, Pack]:
        """Return every version kept, by hash. Raises Corrupt for a file that is not what its name says."""
        files = (path for path in self._folder.glob("*.json") if not path.name.endswith(APPROVAL))
        return {path.stem: read_pack(path) for path in files}

    def keep_overlay(self, overlay: SiteOverlay, text: str) -> Path:
        """Put a site's overlay in the place of its earlier one; return its file."""
        path = self._folder / "sites" / f"{overlay.site_id}.toml"
        _write(path, text.encode())
        return path

    def overlays(self) -> Mapping[str, SiteOverlay]:
        """Return every site's overlay by site. Raises what `read_overlay` raises."""
        found = (read_overlay(path) for path in sorted((self._folder / "sites").glob("*.toml")))
        return {overlay.site_id: overlay for overlay in found}

    def approved(self, approval: Approval) -> Path:
        """Keep an approval, in the place of an earlier one of the same content; return its file."""
        path = self._approval(approval.content_hash)
        _write(path, canonical_bytes(approval))
        return path

    def approval(self, content: str) -> Approval | None:
        """Return the approval of content by its hash; None when there is none. Raises Corrupt for an unreadable one."""
        path = self._approval(content)
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Approval)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"protocols/{path.name} cannot be read as an approval: sign again") from error

    def _approval(self, content: str) -> Path:
        return self._folder / f"{content}{APPROVAL}"


def _write(path: Path, content: bytes) -> None:
    """Write beside the place and move in: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
