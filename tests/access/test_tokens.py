"""Tokens: who signed in is told from a valid, unexpired token of a trusted key, and from nothing else."""

import datetime as dt
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from engine.access.roles import ROLES
from engine.access.tokens import MAX_LIFETIME, TokenIssuer, TokenVerifier, Unauthenticated
from engine.kernel.clock import ManualClock
from engine.kernel.errors import Invalid

NOW = dt.datetime(2026, 11, 23, 14, 0, tzinfo=dt.UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)


def issue(clock: ManualClock, key: Ed25519PrivateKey = KEY, **change: Any) -> str:
    fields: dict[str, Any] = {
        "person_id": "dr-1",
        "role": "physician",
        "organization_id": "org-1",
        "sites": ["site-1"],
        "token_id": "t-1",
    }
    return TokenIssuer(key, "k1", clock).issue(**{**fields, **change})


def verifier(clock: ManualClock, **more: Any) -> TokenVerifier:
    return TokenVerifier({"k1": KEY.public_key()}, clock, **more)


def test_a_token_tells_person_role_organization_and_sites() -> None:
    """What was issued is what is read."""
    clock = ManualClock(NOW)
    principal = verifier(clock).verify(issue(clock))

    assert (principal.person_id, principal.role, principal.organization_id) == ("dr-1", "physician", "org-1")
    assert principal.covers("site-1")
    assert not principal.covers("site-2")
    assert principal.expires_at == NOW + dt.timedelta(minutes=15)


def test_a_remembered_token_still_expires() -> None:
    """Remembering the signature does not remember the person past the token's time."""
    clock = ManualClock(NOW)
    reader, token = verifier(clock), issue(clock)
    reader.verify(token)

    clock.advance(dt.timedelta(minutes=14, seconds=59))
    reader.verify(token)
    clock.advance(dt.timedelta(seconds=1))

    with pytest.raises(Unauthenticated, match="expired"):
        reader.verify(token)
    with pytest.raises(Unauthenticated, match="expired"):
        reader.verify(token)


def test_what_is_remembered_is_bounded() -> None:
    """The cache forgets the oldest; a forgotten token is verified anew."""
    clock = ManualClock(NOW)
    reader = verifier(clock, cached=2)
    tokens = [issue(clock, token_id=f"t-{n}") for n in range(5)]

    for token in (*tokens, *tokens):
        reader.verify(token)

    assert len(reader._cache) == 2


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_can_sign_in(role: str) -> None:
    """The roles of the issuer are those of the verifier."""
    clock = ManualClock(NOW)

    assert verifier(clock).verify(issue(clock, role=role)).role == role


@pytest.mark.parametrize(
    "change",
    [{"role": "god"}, {"lifetime": dt.timedelta(0)}, {"lifetime": MAX_LIFETIME * 2}, {"person_id": "a b"}],
)
def test_no_token_is_issued_for_a_wrong_role_or_a_long_life(change: Any) -> None:
    """The issuer refuses what the verifier would."""
    with pytest.raises(Invalid):
        issue(ManualClock(NOW), **change)


def claims(**change: Any) -> dict[str, Any]:
    now = int(NOW.timestamp())
    whole = {
        "iss": "attend",
        "sub": "dr-1",
        "role": "physician",
        "org": "org-1",
        "sites": ["site-1"],
        "iat": now,
        "exp": now + 60,
        "jti": "t-1",
    }
    return {name: value for name, value in {**whole, **change}.items() if value is not None}


FORGERIES: dict[str, str] = {
    "another key": jwt.encode(claims(), OTHER, algorithm="EdDSA", headers={"kid": "k1"}),
    "unknown key id": jwt.encode(claims(), KEY, algorithm="EdDSA", headers={"kid": "k2"}),
    "no key id": jwt.encode(claims(), KEY, algorithm="EdDSA"),
    "no signature": jwt.encode(claims(), "", algorithm="none", headers={"kid": "k1"}),
    "shared secret": jwt.encode(claims(), "k" * 32, algorithm="HS256", headers={"kid": "k1"}),
    "no organization": jwt.encode(claims(org=None), KEY, algorithm="EdDSA", headers={"kid": "k1"}),
    "no expiry": jwt.encode(claims(exp=None), KEY, algorithm="EdDSA", headers={"kid": "k1"}),
    "long life": jwt.encode(
        claims(exp=int(NOW.timestamp()) + 10**6), KEY, algorithm="EdDSA", headers={"kid": "k1"}
    ),
    "unknown role": jwt.encode(claims(role="god"), KEY, algorithm="EdDSA", headers={"kid": "k1"}),
    "another issuer": jwt.encode(claims(iss="else"), KEY, algorithm="EdDSA", headers={"kid": "k1"}),
    "sites as text": jwt.encode(claims(sites="*"), KEY, algorithm="EdDSA", headers={"kid": "k1"}),
    "empty": "",
    "nonsense": "a.b.c",
    "enormous": "x" * 100_000,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_signs_nobody_in(name: str) -> None:
    """Whatever is wrong with a token, the answer is the same and repeats nothing of it."""
    with pytest.raises(Unauthenticated) as caught:
        verifier(ManualClock(NOW)).verify(FORGERIES[name])

    assert str(caught.value) == "the sign-in token is not valid; sign in again"


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_changed_byte_signs_nobody_in(place: int, change: int) -> None:
    """No single byte of a token can be changed (beyond the spare bits of base64) and still sign the person in."""
    clock = ManualClock(NOW)
    token = issue(clock).encode()
    at = place % len(token)
    bent = token[:at] + bytes([token[at] ^ change]) + token[at + 1 :]
    try:
        text = bent.decode("ascii")
        principal = verifier(clock).verify(text)
    except (Unauthenticated, UnicodeDecodeError):
        return

    assert at >= len(token) - 1
    assert principal == verifier(clock).verify(token.decode())
