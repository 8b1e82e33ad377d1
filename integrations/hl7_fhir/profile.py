"""A feed's mapping profile: where things are and what codes mean, as data; a code that is not in it is never guessed.

Parsed by a pure function from TOML text; whoever starts the engine reads the file.
"""

import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass

from engine.kernel.errors import Invalid

_PATH = re.compile(r"([A-Z][A-Z0-9]{2})-(\d{1,3})(?:\.(\d{1,2})(?:\.(\d{1,2}))?)?")
_MODALITIES = ("CT", "MR", "XA", "RF", "MG", "US", "CR", "DX", "NM", "PT")
_CONTRASTS = ("iodinated", "gadolinium", "microbubble", "none")


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a message: segment, field, component and subcomponent, counted from 1."""

    segment: str
    field: int
    component: int = 1
    subcomponent: int = 1

    def __str__(self) -> str:
        return f"{self.segment}-{self.field}" + (f".{self.component}" if self.component > 1 else "")


@dataclass(frozen=True, slots=True)
class ProcedureMeaning:
    """What a procedure code stands for: DICOM modality, and iodinated, gadolinium, microbubble or none."""

    code: str
    system: str
    text: str
    modality: str
    contrast: str


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom a message must be meant for (MSH-5.1, MSH-6.1); an empty tuple takes any."""

    applications: tuple[str, ...]
    facilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which patient identifiers are this feed's medical record numbers."""

    types: tuple[str, ...]
    authorities: tuple[str, ...]
    type_when_blank: str
    authority_when_blank: str


@dataclass(frozen=True, slots=True)
class OrderPaths:
    """Where the parts of an order are; the first path with a value wins."""

    accession: tuple[Path, ...]
    study_instance_uid: tuple[Path, ...]
    placer: tuple[Path, ...]
    filler: tuple[Path, ...]
    procedure: tuple[Path, ...]
    modality: tuple[Path, ...]
    room: tuple[Path, ...]
    planned_at: tuple[Path, ...]
    provider: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Observations:
    """Codes and whole texts (lower case) under which a feed sends weight and height."""

    weight: tuple[str, ...]
    weight_texts: tuple[str, ...]
    height: tuple[str, ...]
    height_texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One feed's map. `procedures` is keyed by (code, system), `rooms` by the feed's room code."""

    name: str
    version: str
    site: str
    timezone: zoneinfo.ZoneInfo
    fallback_charsets: tuple[str, ...]
    receiver: Receiver
    identity: Identity
    order: OrderPaths
    none_known_codes: tuple[str, ...]
    observations: Observations
    procedures: Mapping[tuple[str, str], ProcedureMeaning]
    rooms: Mapping[str, str]


def parse_path(field: str, text: str) -> Path:
    """Parse `SEG-f[.c[.s]]`. Raises Invalid(field, …)."""
    found = _PATH.fullmatch(text)
    if not found or "0" in found.groups():
        raise Invalid(field, "write a place as SEGMENT-field, SEGMENT-field.component or with a subcomponent")
    segment, *numbers = found.groups()
    return Path(segment, *(int(number) for number in numbers if number))


def parse_profile(text: str) -> Profile:
    """Parse a profile from TOML text. Raises Invalid(field, why) for anything missing, unknown or misspelt."""
    try:
        top = _Table("profile", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Invalid("profile", f"not TOML: {error}") from None
    identity, order = top.table("identity"), top.table("order")
    allergies, observations = top.table("allergies"), top.table("observations")
    receiver = top.table("receiver")
    zone = top.text("timezone")
    try:
        timezone = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise Invalid("profile.timezone", "give a name of the IANA time zone database") from None
    profile = Profile(
        name=top.text("name"),
        version=top.text("version"),
        site=top.text("site"),
        timezone=timezone,
        fallback_charsets=top.texts("fallback_charsets"),
        receiver=Receiver(receiver.texts("applications"), receiver.texts("facilities")),
        identity=Identity(
            types=identity.texts("types"),
            authorities=identity.texts("authorities"),
            type_when_blank=identity.text("type_when_blank", blank=True),
            authority_when_blank=identity.text("authority_when_blank", blank=True),
        ),
        order=OrderPaths(**{name: order.paths(name) for name in OrderPaths.__dataclass_fields__}),
        none_known_codes=allergies.texts("none_known_codes"),
        observations=Observations(
            weight=observations.texts("weight"),
            weight_texts=tuple(text.lower() for text in observations.texts("weight_texts")),
            height=observations.texts("height"),
            height_texts=tuple(text.lower() for text in observations.texts("height_texts")),
        ),
        procedures=_procedures(top.tables("procedure")),
        rooms=_rooms(top.tables("room")),
    )
    for table in (top, receiver, identity, order, allergies, observations):
        table.end()
    return profile


def _procedures(tables: "list[_Table]") -> dict[tuple[str, str], ProcedureMeaning]:
    out: dict[tuple[str, str], ProcedureMeaning] = {}
    for table in tables:
        meaning = ProcedureMeaning(
            code=table.text("code"),
            system=table.text("system", blank=True),
            text=table.text("text"),
            modality=table.one_of("modality", _MODALITIES),
            contrast=table.one_of("contrast", _CONTRASTS),
        )
        table.end()
        if (meaning.code, meaning.system) in out:
            raise Invalid(f"{table.name}.code", f"{meaning.code} is mapped twice")
        out[meaning.code, meaning.system] = meaning
    return out


def _rooms(tables: "list[_Table]") -> dict[str, str]:
    out: dict[str, str] = {}
    for table in tables:
        code = table.text("code")
        if code in out:
            raise Invalid(f"{table.name}.code", f"{code} is mapped twice")
        out[code] = table.text("room")
        table.end()
    return out


class _Table:
    """Takes values out of one TOML table by type, and refuses what is left over."""

    def __init__(self, name: str, values: Mapping[str, object]) -> None:
        self.name = name
        self._left = dict(values)

    def text(self, key: str, *, blank: bool = False) -> str:
        value = self._left.pop(key, None)
        if not isinstance(value, str) or not (value or blank):
            raise Invalid(f"{self.name}.{key}", "give a text")
        return value

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise Invalid(f"{self.name}.{key}", f"give one of {', '.join(allowed)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Invalid(f"{self.name}.{key}", "give a list of texts")
        return tuple(value)

    def paths(self, key: str) -> tuple[Path, ...]:
        return tuple(parse_path(f"{self.name}.{key}", item) for item in self.texts(key))

    def table(self, key: str) -> "_Table":
        value = self._left.pop(key, None)
        if not isinstance(value, dict):
            raise Invalid(f"{self.name}.{key}", "give this table")
        return _Table(f"{self.name}.{key}", value)

    def tables(self, key: str) -> "list[_Table]":
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise Invalid(f"{self.name}.{key}", f"write each as [[{key}]]")
        return [_Table(f"{self.name}.{key}[{number}]", item) for number, item in enumerate(value)]

    def end(self) -> None:
        if self._left:
            raise Invalid(f"{self.name}.{min(self._left)}", "not a setting of a profile")
