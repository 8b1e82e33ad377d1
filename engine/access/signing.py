"""A medical director's approval of a protocol pack or a site's overlay: what, by whom, for which organization.

Rule: what is not approved runs in a demonstration or a drill only (clinical reference, decision (h)). The signature
covers the content's hash, so changed content needs a new one.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.kernel.canonical import canonical_bytes
from engine.kernel.errors import Invalid

FORMAT = "attend-approval/1"
MEANING = "approved for live use"
_HOW = "have the medical director run `attend protocol sign`, or start a demonstration with --demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved what. `subject` names it in words; `public_key` and `signature` are Ed25519, raw, lower-case hex."""

    subject: str
    content_hash: str
    organization_id: str
    signer_id: str
    signed_at: dt.datetime
    public_key: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return the bytes that are signed: the canonical JSON of everything but the signature."""
        return canonical_bytes(
            {
                "content_hash": self.content_hash,
                "format": FORMAT,
                "meaning": MEANING,
                "organization_id": self.organization_id,
                "public_key": self.public_key,
                "signed_at": self.signed_at,
                "signer_id": self.signer_id,
                "subject": self.subject,
            }
        )


def approve(
    subject: str,
    content_hash: str,
    key: Ed25519PrivateKey,
    *,
    organization_id: str,
    signer_id: str,
    now: dt.datetime,
) -> Approval:
    """Return a medical director's signature over content, for one organization."""
    unsigned = Approval(
        subject=subject,
        content_hash=content_hash,
        organization_id=organization_id,
        signer_id=signer_id,
        signed_at=now,
        public_key=key.public_key().public_bytes_raw().hex(),
    )
    return replace(unsigned, signature=key.sign(unsigned.signed_bytes()).hex())


def check_approval(
    subject: str,
    content_hash: str,
    found: Approval | None,
    *,
    organization_id: str,
    signers: Mapping[str, str],
) -> Approval:
    """Return the approval that lets content be used live. `signers` are the trusted public keys by person.

    Raises Invalid("protocol", …) that says what is missing and what to do.
    """
    if found is None:
        raise Invalid("protocol", f"{subject} is not signed: {_HOW}")
    if found.content_hash != content_hash or found.subject != subject:
        raise Invalid("protocol", f"{subject} changed after it was signed: {_HOW}")
    if found.organization_id != organization_id:
        raise Invalid("protocol", f"{subject} is signed for another organization: {_HOW}")
    if signers.get(found.signer_id) != found.public_key:
        raise Invalid(
            "protocol",
            f"key not trusted: {subject} is signed with one that protocol_signers does not name for this person: "
            "add the medical director's public key there",
        )
    if not _holds(found):
        raise Invalid("protocol", f"the signature over {subject} does not verify: {_HOW}")
    return found


def _holds(found: Approval) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found.public_key))
        key.verify(bytes.fromhex(found.signature), found.signed_bytes())
    except (InvalidSignature, ValueError):
        return False
    return True
