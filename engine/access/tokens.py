"""Sign-in tokens: short-lived EdDSA JWTs that carry person, role, organization and sites.

Rule: a token's signature is verified once and remembered; whether it has expired is asked every time.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.access.roles import ROLES
from engine.kernel.clock import Clock, later
from engine.kernel.commands import Actor
from engine.kernel.errors import AttendError, Invalid
from engine.kernel.ids import parse_id

ALGORITHM = "EdDSA"
ISSUER = "attend"
EVERY_SITE = "*"
MAX_TOKEN_CHARACTERS = 8192
MAX_LIFETIME = dt.timedelta(hours=12)
_CLAIMS = ["iss", "sub", "role", "org", "sites", "iat", "exp", "jti"]


class Unauthenticated(AttendError):
    """Nobody is signed in: the token is absent, forged, malformed or expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling: one person in one role at one organization, for some of its sites or every one (`*`)."""

    person_id: str
    role: str
    organization_id: str
    sites: frozenset[str]
    token_id: str
    issued_at: dt.datetime
    expires_at: dt.datetime

    def covers(self, site_id: str) -> bool:
        """Return whether the person is signed in for a site of the organization."""
        return EVERY_SITE in self.sites or site_id in self.sites

    @property
    def actor(self) -> Actor:
        """The same person as the actor of a command."""
        return Actor(person_id=self.person_id, role=self.role, organization_id=self.organization_id)


class TokenIssuer:
    """Signs tokens with one Ed25519 key, named `key_id` in their header."""

    def __init__(self, key: Ed25519PrivateKey, key_id: str, clock: Clock) -> None:
        self._key = key
        self._key_id = key_id
        self._clock = clock

    def issue(
        self,
        *,
        person_id: str,
        role: str,
        organization_id: str,
        sites: Iterable[str],
        token_id: str,
        lifetime: dt.timedelta = dt.timedelta(minutes=15),
    ) -> str:
        """Return a signed token. Raises Invalid for an unknown role or a lifetime that is not short."""
        if role not in ROLES:
            raise Invalid("role", f"choose one of {', '.join(sorted(ROLES))}")
        if not dt.timedelta(0) < lifetime <= MAX_LIFETIME:
            raise Invalid("lifetime", f"choose more than 0 and at most {MAX_LIFETIME}")
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "sub": parse_id("person_id", person_id),
            "role": role,
            "org": parse_id("organization_id", organization_id),
            "sites": sorted(sites),
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": token_id,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._key_id})


class TokenVerifier:
    """Tells who a token belongs to. `keys` are the trusted public keys by key id."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey], clock: Clock, *, cached: int = 4096) -> None:
        self._keys = dict(keys)
        self._clock = clock
        self._limit = cached
        self._cache: OrderedDict[str, Principal] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Return who signed in. Raises Unauthenticated, which never repeats the token."""
        principal = self._cache.get(token)
        if principal is None:
            principal = self._read(token)
            self._cache[token] = principal
            if len(self._cache) > self._limit:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(token)
        try:
            self.still_valid(principal)
        except Unauthenticated:
            del self._cache[token]
            raise
        return principal

    def held(self, token: str, at: dt.datetime, device_at: dt.datetime) -> Principal:
        """Return who was signed in with a token at a moment, which may be long ago.

        `at` is told by a device whose clock says `device_at` now: a clock that is wrong says as well how long ago it
        was. Raises Unauthenticated for a token that is forged, or that held at neither.
        """
        principal = self._read(token)
        ago = later(self._clock.now(), (at - device_at).total_seconds())
        if not any(principal.issued_at <= moment < principal.expires_at for moment in (at, ago)):
            raise Unauthenticated("nobody was signed in with this token at that moment")
        return principal

    def still_valid(self, principal: Principal) -> None:
        """Raise Unauthenticated once the sign-in has expired: asked again and again by long calls."""
        if self._clock.now() >= principal.expires_at:
            raise Unauthenticated("the sign-in has expired; sign in again")

    def _read(self, token: str) -> Principal:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("the sign-in token is not valid; sign in again")
        try:
            key = self._keys[str(jwt.get_unverified_header(token)["kid"])]
            # Time is the clock's business, not the library's: only the signature and the shape are asked here.
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
            return self._principal(claims)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError, Invalid):
            raise Unauthenticated("the sign-in token is not valid; sign in again") from None

    def _principal(self, claims: Mapping[str, object]) -> Principal:
        issued, expires = _moment(claims["iat"]), _moment(claims["exp"])
        role, sites = claims["role"], claims["sites"]
        if role not in ROLES or not isinstance(sites, list) or expires - issued > MAX_LIFETIME:
            raise ValueError("role, sites or lifetime")
        return Principal(
            person_id=parse_id("sub", str(claims["sub"])),
            role=str(role),
            organization_id=parse_id("org", str(claims["org"])),
            sites=frozenset(str(site) for site in sites),
            token_id=str(claims["jti"]),
            issued_at=issued,
            expires_at=expires,
        )


def _moment(claim: object) -> dt.datetime:
    if not isinstance(claim, int) or isinstance(claim, bool):
        raise TypeError("a moment is a whole number of seconds")
    return dt.datetime.fromtimestamp(claim, dt.UTC)
