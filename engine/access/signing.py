"""A medical director's signature over a protocol pack: what is signed, by whom, for which organization.

Rule: a pack that is not signed runs in a demonstration or a drill only (clinical reference, decision (h)). The
signature covers the pack's hash, so a changed pack needs a new one.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Invalid
from engine.reactions.pack import Pack

FORMAT = "attend-pack-signature/1"
MEANING = "approved for live use"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSignature:
    """Who approved which pack. `public_key` and `signature` are Ed25519, raw, in lower-case hex."""

    pack_id: str
    pack_version: str
    pack_hash: str
    organization_id: str
    signer_id: str
    signed_at: dt.datetime
    public_key: str
    signature: str

    def signed_bytes(self) -> bytes:
        """Return the bytes that are signed: the canonical JSON of everything but the signature."""
        return canonical_bytes(
            {
                "format": FORMAT,
                "meaning": MEANING,
                "organization_id": self.organization_id,
                "pack_hash": self.pack_hash,
                "pack_id": self.pack_id,
                "pack_version": self.pack_version,
                "public_key": self.public_key,
                "signed_at": self.signed_at,
                "signer_id": self.signer_id,
            }
        )


def sign_pack(
    pack: Pack, key: Ed25519PrivateKey, *, organization_id: str, signer_id: str, now: dt.datetime
) -> PackSignature:
    """Return a medical director's signature over a pack, for one organization."""
    unsigned = PackSignature(
        pack_id=pack.pack_id,
        pack_version=pack.version,
        pack_hash=pack.hash,
        organization_id=organization_id,
        signer_id=signer_id,
        signed_at=now,
        public_key=key.public_key().public_bytes_raw().hex(),
        signature="",
    )
    return _signed(unsigned, key.sign(unsigned.signed_bytes()).hex())


def _signed(unsigned: PackSignature, signature: str) -> PackSignature:
    fields = {name: getattr(unsigned, name) for name in PackSignature.__slots__}
    return PackSignature(**{**fields, "signature": signature})


def check_signature(
    pack: Pack, found: PackSignature | None, *, organization_id: str, signers: Mapping[str, str]
) -> PackSignature:
    """Return the signature that lets a pack run live. `signers` are the trusted public keys by person.

    Raises Invalid("pack", …) that says what is missing and what to do.
    """
    if found is None:
        raise Invalid("pack", f"{pack.pack_id} is not signed: {_HOW}")
    if found.pack_hash != pack.hash or found.pack_id != pack.pack_id:
        raise Invalid("pack", f"{pack.pack_id} changed after it was signed: {_HOW}")
    if found.organization_id != organization_id:
        raise Invalid("pack", f"{pack.pack_id} is signed for another organization: {_HOW}")
    if signers.get(found.signer_id) != found.public_key:
        raise Invalid(
            "pack",
            f"{pack.pack_id} is signed with a key that protocol_signers does not name for this person: "
            "add the medical director's public key there",
        )
    if not _holds(found):
        raise Invalid("pack", f"the signature over {pack.pack_id} does not verify: {_HOW}")
    return found


_HOW = "have the medical director run `attend protocol sign`, or start a demonstration with --demo"


def _holds(found: PackSignature) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.public_key))
        key.verify(bytes.fromhex(found.signature), found.signed_bytes())
    except (InvalidSignature, ValueError):
        return False
    return True
