"""A site overlay: the facility's own emergency plan beside a pack. It says who, where and by which number.

Rule: never a dose. A text that reads like one does not load; doses come from the pack that the medical director signed.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec

from engine.kernel.canonical import canonical_hash
from engine.kernel.errors import Invalid
from engine.reactions.finding import Finding

DOSE = re.compile(
    r"\d\s*(?:mg|mcg|µg|μg|ug|(?-i:g)|mL|cc|units?|puffs?|tablets?|devices?|L/min)(?:/\w+)?(?![A-Za-z])"
    r"|(?<![\d.])1\s*:\s*\d[\d ,.]*0{2}\b",
    re.IGNORECASE,
)
PHONE = re.compile(r"\+?[0-9][0-9 ().\-]*(?: ?(?:x|ext\.?) ?[0-9]+)?", re.IGNORECASE)
TEXT_LIMIT = 500
# All of a plan's words together: it stands in every emergency pack, which is to stay small.
PLAN_LIMIT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Who does what in an emergency at this site."""

    role: str
    duty: str
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody to call."""

    name: str
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """Where a patient is brought."""

    name: str
    address: str
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOverlay:
    """The plan of one site for one pack. `hash` covers everything but itself and is what a director signs.

    `emergency_phone` is what the room dials for the emergency service, with the prefix of the house if it needs one;
    `patient_phone` what a patient who went home calls with questions.
    """

    site_id: str
    pack_id: str
    version: str
    emergency_phone: str
    ems_address: str
    ems_meeting_point: str = ""
    code_team_phone: str = ""
    kit_place: str
    defibrillator_place: str = ""
    oxygen_place: str = ""
    hospital: Hospital
    roles: tuple[Role, ...] = ()
    contacts: tuple[Contact, ...] = ()
    patient_phone: str = ""
    hash: str = ""


def plan_for(overlays: Mapping[str, SiteOverlay], site_id: str, pack_id: str) -> SiteOverlay | None:
    """Return a site's plan when it was made for a pack; a plan beside another pack is nobody's word on this one."""
    plan = overlays.get(site_id)
    return plan if plan is not None and plan.pack_id == pack_id else None


NESTED: Mapping[str, type] = {"roles": Role, "contacts": Contact, "hospital": Hospital}


def parse_overlay(file: str, text: str) -> SiteOverlay:
    """Parse a site overlay from TOML. Raises Invalid whose field reads "file field"."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise Invalid(file, f"not TOML: {broken}") from None
    _known(file, SiteOverlay, written)
    try:
        overlay = msgspec.convert({**written, "hash": ""}, SiteOverlay)
    except msgspec.ValidationError as broken:
        why, _, at = str(broken).partition(" - at `$")
        missing = re.search(r"missing required field `(\w+)`", why)
        field = at.strip("`").lstrip(".") or (missing.group(1) if missing else "")
        raise Invalid(f"{file} {field}".strip(), why) from None
    for place, words in _texts(overlay):
        _check(f"{file} {place}", words, phone=place.endswith("phone"))
    length = sum(len(words.encode()) for _, words in _texts(overlay))
    if length > PLAN_LIMIT:
        raise Invalid(
            file, f"a plan has {PLAN_LIMIT} bytes of text at most, this one {length}: shorten or merge roles"
        )
    return replace(overlay, hash=canonical_hash(_signed(overlay)))


def _signed(overlay: SiteOverlay) -> Mapping[str, Any]:
    """Return what a director signs; a later field that nobody wrote is left out, which unsigns no earlier plan."""
    written = {field.name: getattr(overlay, field.name) for field in fields(overlay)}
    return {name: value for name, value in written.items() if name != "patient_phone" or value}


def _known(place: str, kind: type, written: Mapping[str, Any]) -> None:
    """Refuse a field that the schema does not have: a dose has no field here."""
    known = {f.name for f in fields(kind)} - {"hash"}
    for name, value in written.items():
        if name not in known:
            raise Invalid(f"{place} {name}", "an overlay has no such field")
        inner = NESTED.get(name)
        for part in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(part, Mapping):
                _known(f"{place} {name}", inner, part)


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    for field in fields(value):
        inner, name = getattr(value, field.name), f"{place}{field.name}"
        if isinstance(inner, str):
            yield name, inner
        elif isinstance(inner, tuple):
            for number, part in enumerate(inner, start=1):
                yield from _texts(part, f"{name} {number} ")
        else:
            yield from _texts(inner, f"{name} ")


def _check(place: str, words: str, *, phone: bool) -> None:
    required = place.rpartition(" ")[2] in ("site_id", "pack_id", "version", "emergency_phone", "ems_address")
    if not words.strip() and (
        required or place.endswith((" kit_place", " name", " address", " role", " duty"))
    ):
        raise Invalid(place, "must not be empty")
    if len(words) > TEXT_LIMIT or not words.isprintable():
        raise Invalid(place, f"one line of at most {TEXT_LIMIT} characters")
    if phone and words and not PHONE.fullmatch(words):
        raise Invalid(place, "write a telephone number: digits, spaces, + ( ) . - and an extension")
    if DOSE.search(words):
        raise Invalid(place, "an overlay holds no dose: doses come from the signed pack")


def overlay_objections(overlay: SiteOverlay, packs: Collection[str]) -> tuple[Finding, ...]:
    """Return what speaks against signing a plan that can be read: a pack that is not among `packs`."""
    if overlay.pack_id in packs:
        return ()
    sentence = f"there is no pack {overlay.pack_id}; choose one of {', '.join(packs)}"
    return (Finding(rule="overlay", row_id=f"{overlay.site_id} pack_id", sentence=sentence),)
