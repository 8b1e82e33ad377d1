"""Reads the parts that v2 messages share: identifiers, names, times, allergies, amounts. Never guesses.

Readers that can meet something unreadable return a value with a warning sentence instead of raising.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from engine.kernel.quantities import kg_from_lb
from integrations.hl7_fhir.er7 import NULL, Message, Piece, Segment
from integrations.hl7_fhir.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, SenderFault
from integrations.hl7_fhir.profile import Path, Profile
from integrations.hl7_fhir.values import Allergies, Allergy, Coded, Identifier, Patient, Provider, Sender, Sex

_SEXES: Final[dict[str, Sex]] = {"F": "female", "M": "male", "O": "other", "A": "other", "N": "other"}
_KINDS: Final = {
    "DA": "drug",
    "FA": "food",
    "MA": "other",
    "MC": "other",
    "EA": "environment",
    "AA": "environment",
}
_SEVERITIES: Final = {"SV": "severe", "MO": "moderate", "MI": "mild", "U": ""}
_UNIT_ALIASES: Final = {"[LB_AV]": "LB", "LBS": "LB", "[IN_I]": "IN", "INCH": "IN", "KGS": "KG"}
_NOT_A_RESULT: Final = ("X", "D", "W", "N", "I", "O")
_TAKEN_BACK: Final = ("X", "D", "W")
TAKEN_BACK: Final = "OBX-11 takes back what was sent before"
_NOT_READ: Final = (
    ("OBR", 12, "the danger code is"),
    ("OBR", 13, "the relevant clinical information is"),
    ("PID", 29, "a time of death is"),
    ("PID", 30, "what it says of a death is"),
    ("PV1", 15, "the ambulatory status, which may say pregnant, is"),
)
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{0,6})?")
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)?(\d\d)?(?:\.\d{1,4})?)?([+-]\d{4})?")

Units = Mapping[str, Callable[[Decimal], Decimal]]
"""How to get from each unit that is known to the one wanted."""

WEIGHT_UNITS: Final[Units] = {"KG": Decimal, "G": lambda grams: grams / 1000, "LB": kg_from_lb}
LENGTH_UNITS: Final[Units] = {
    "CM": Decimal,
    "M": lambda metres: metres * 100,
    "IN": lambda inches: inches * Decimal("2.54"),
    "MM": lambda millimetres: millimetres / 10,
}


def sender(message: Message) -> Sender:
    """Read MSH-3, MSH-4 and MSH-10. Raises SenderFault without a control id: it could not be answered."""
    control_id = message.msh.text(10)
    if not control_id:
        raise SenderFault("MSH", 10, REQUIRED_FIELD_MISSING, "the message has no control id")
    return Sender(message.msh.text(3), message.msh.text(4), control_id)


class SeveralValues(Exception):
    """A place that should hold one value holds several: nobody here may choose. `path` is where."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


def value_at(scope: Sequence[Segment], path: Path) -> str:
    """Return what every segment and repetition at `path` says, or an empty string. Raises SeveralValues."""
    pieces = [
        piece for segment in scope if segment.name == path.segment for piece in segment.pieces(path.field)
    ]
    values = {value for piece in pieces if (value := piece.text(path.component, path.subcomponent))}
    # A value with an unescaped subcomponent mark would be cut short without a word.
    if len(values) > 1 or (path.subcomponent == 1 and any(one.text(path.component, 2) for one in pieces)):
        raise SeveralValues(path)
    return values.pop() if values else ""


def first_value(scope: Sequence[Segment], paths: Sequence[Path]) -> str:
    """Return what the first of `paths` that holds anything says, or an empty string. Raises SeveralValues."""
    return next((value for path in paths if (value := value_at(scope, path))), "")


def patient(message: Message, profile: Profile) -> tuple[Patient, list[str]]:
    """Read PID. Raises SenderFault when there is not exactly one PID or no identifier in it, SeveralValues in doubt.

    Of the identifiers that the profile accepts those of the best authority and type are kept: more than one, and it
    cannot be told which counts.
    """
    pid = message.first("PID")
    if pid is None:
        raise SenderFault("PID", None, SEGMENT_SEQUENCE, "the message has no patient segment")
    if len(message.all("PID")) > 1:
        raise SenderFault("PID", None, SEGMENT_SEQUENCE, "more than one patient in one message", nth=2)
    warnings: list[str] = []
    every = [found for piece in pid.pieces(3) if (found := identifier(piece, profile)).value]
    if not every:
        raise SenderFault("PID", 3, REQUIRED_FIELD_MISSING, "the message has no patient identifier")
    wanted = profile.identity
    accepted = [
        one
        for one in every
        if one.type in wanted.types
        and one.authority
        and (not wanted.authorities or one.authority in wanted.authorities)
    ]
    best = min((_rank(one, profile) for one in accepted), default=None)
    identifiers = tuple(dict.fromkeys(one for one in accepted if _rank(one, profile) == best))
    name = _legal_name(pid.pieces(5), warnings)
    for field in (7, 8):
        value_at([pid], Path("PID", field))
    if any(piece.text(1, 2) for piece in pid.pieces(3) if identifier(piece, profile) in identifiers):
        raise SeveralValues(Path("PID", 3))
    birth, birth_warning = date(pid.text(7), "PID-7")
    sex_sent = pid.text(8).upper()
    if sex_sent not in ("", "U", *_SEXES):
        warnings.append("PID-8: a sex that is not in HL7 table 0001 was read as unknown")
    if (name is None or not name.text(1)) and not pid.is_null(5):
        warnings.append("PID-5: no family name was sent")
    if birth_warning:
        warnings.append(birth_warning)
    for field in (5, 7, 8):
        if pid.is_null(field):
            warnings.append(f"PID-{field}: the sender asks to delete it; what is known stays")
    read = Patient(
        identifiers=identifiers,
        family=name.text(1) if name else "",
        given=name.text(2) if name else "",
        birth_date=birth,
        sex=_SEXES.get(sex_sent, "unknown"),
        others=tuple(one for one in every if one not in identifiers),
    )
    return read, warnings


def _rank(one: Identifier, profile: Profile) -> tuple[int, int]:
    """Where the profile names this accepted identifier's authority and type: the lower, the better."""
    wanted = profile.identity
    authority = wanted.authorities.index(one.authority) if wanted.authorities else 0
    return authority, wanted.types.index(one.type)


def identifier(piece: Piece, profile: Profile) -> Identifier:
    """Read one CX: CX-4 matches a profile authority by its name or its universal id; blanks as the profile says."""
    names = [part for number in (1, 2) if (part := piece.text(4, number))]
    known = [name for name in names if name in profile.identity.authorities]
    authority = (known or names or [profile.identity.authority_when_blank])[0]
    return Identifier(piece.text(1), authority, piece.text(5) or profile.identity.type_when_blank)


def _legal_name(pieces: Sequence[Piece], warnings: list[str]) -> Piece | None:
    """The legal name (XPN-7 = L) if one says so, else the first; two legal ones that differ are nobody's to choose."""
    legal = [piece for piece in pieces if piece.text(7) == "L"]
    if len({(piece.text(1), piece.text(2)) for piece in legal}) > 1:
        raise SeveralValues(Path("PID", 5))
    if not legal and len({(piece.text(1), piece.text(2)) for piece in pieces}) > 1:
        warnings.append("PID-5: several names and none is called the legal one; the first was taken")
    return next(iter((*legal, *pieces)), None)


def provider(scope: Sequence[Segment], paths: Sequence[Path]) -> Provider:
    """Read the first XCN that holds an id or a name."""
    for path in paths:
        for segment in scope:
            if segment.name == path.segment and (pieces := segment.pieces(path.field)):
                found = Provider(pieces[0].text(1), pieces[0].text(2), pieces[0].text(3))
                if found != Provider():
                    return found
    return Provider()


def date(text: str, where: str) -> tuple[dt.date | None, str]:
    """Read a day; None with a warning when it is not a whole one."""
    if not text:
        return None, ""
    found = _TIME.fullmatch(text)
    if not found or not found.group(3):
        return None, f"{where}: not a whole date, read as unknown"
    try:
        return dt.date(int(found.group(1)), int(found.group(2)), int(found.group(3))), ""
    except ValueError:
        return None, f"{where}: not a date, read as unknown"


def moment(text: str, where: str, profile: Profile) -> tuple[dt.datetime | None, str]:
    """Read a time to at least the minute, as UTC; the profile's zone where it has no offset.

    A local time that the clocks skip or repeat is read with the earlier offset and a warning.
    """
    if not text:
        return None, ""
    found = _TIME.fullmatch(text)
    if not found or not found.group(5):
        return None, f"{where}: not a time of day, read as unknown"
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        if offset := found.group(7):
            sign = -1 if offset[0] == "-" else 1
            zone = dt.timezone(sign * dt.timedelta(hours=int(offset[1:3]), minutes=int(offset[3:])))
            return dt.datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(dt.UTC), ""
        local = dt.datetime(year, month, day, hour, minute, second, tzinfo=profile.timezone)
        twice = local.utcoffset() != local.replace(fold=1).utcoffset()
        return local.astimezone(dt.UTC), f"{where}: the clocks change in this hour" if twice else ""
    except (ValueError, OverflowError):
        return None, f"{where}: not a time, read as unknown"


def allergies(message: Message, profile: Profile) -> tuple[Allergies, list[str]]:
    """Read AL1 segments, with warnings. None at all is `unknown`; only a code that says so, alone, is `none_known`.

    Whatever names a substance is an entry: a code of any system, a text, with or without a known type or severity.
    """
    items = []
    none_known = False
    warnings = ["IAM: allergies in this segment are not read"] if message.first("IAM") else []
    for segment in message.all("AL1"):
        substance = coded(segment, 3)
        if not (substance.code or substance.text):
            warnings.append("AL1-3: an allergy without its substance was not taken")
            continue
        if substance.code in profile.none_known_codes:
            none_known = True
            continue
        severity = segment.text(4)
        items.append(
            Allergy(
                substance=substance,
                kind=_KINDS.get(segment.text(2), ""),
                severity=_SEVERITIES.get(severity.upper(), severity or segment.text(4, 2)),
                reactions=tuple(
                    text for piece in segment.pieces(5) if (text := piece.text(2) or piece.text(1))
                ),
            )
        )
    if none_known and (items or warnings):
        warnings.append(
            "AL1-3: that no allergies are known was not believed, for the message names allergies"
        )
    if items:
        return Allergies("listed", tuple(items)), warnings
    return Allergies("none_known" if none_known and not warnings else "unknown"), warnings


def coded(segment: Segment, field: int) -> Coded:
    """Read the first triplet of a CE or CWE that says anything, else its original text."""
    for number in (1, 4):
        code, text, system = (segment.text(field, part) for part in range(number, number + 3))
        if code or text:
            return Coded(code, text, system)
    return Coded("", segment.text(field, 9), "")


def alternates(segment: Segment, field: int) -> tuple[Coded, ...]:
    """Read both triplets of a CE or CWE, those that hold a code."""
    both = (
        Coded(segment.text(field, number), segment.text(field, number + 1), segment.text(field, number + 2))
        for number in (1, 4)
    )
    return tuple(one for one in both if one.code)


def not_read(scope: Sequence[Segment], profile: Profile) -> list[str]:
    """Name what a person would want to know of in a message, and nothing here reads: the field, not what it says."""
    seen = profile.observations
    codes, texts = (*seen.weight, *seen.height), {*seen.weight_texts, *seen.height_texts}
    found = [
        f"{segment.name}-{field}: {what} not read"
        for segment in scope
        for name, field, what in _NOT_READ
        if segment.name == name and segment.raw(field).upper() not in ("", NULL, "N")
    ]
    other = any(
        segment.name == "OBX"
        and segment.raw(5) not in ("", NULL)
        and not any(kind.code in codes for kind in alternates(segment, 3))
        and not {segment.text(3, 2).lower(), segment.text(3, 5).lower()} & texts
        for segment in scope
    )
    return [*dict.fromkeys(found), "OBX: results other than weight and height are not read" if other else ""]


def measured(
    scope: Sequence[Segment],
    name: str,
    codes: Sequence[str],
    texts: Sequence[str],
    units: Units,
    limit: Decimal | None = None,
) -> tuple[Decimal | None, str]:
    """Read one amount, up to `limit`, out of OBX segments, in the unit that `units` leads to.

    Takes the newest by OBX-14. Refuses to choose between differing results without times, and to read one without
    a unit it knows, that is no amount, or that is called so under a code nobody mapped: then None with a warning.
    """
    found: list[tuple[str, Decimal]] = []
    warning = taken_back = ""
    for segment in scope:
        sent, status = segment.raw(5), segment.text(11).upper()
        if segment.name != "OBX" or (
            status not in _TAKEN_BACK and (status in _NOT_A_RESULT or sent in ("", NULL))
        ):
            continue
        kinds = alternates(segment, 3)
        mapped = any(kind.code in codes for kind in kinds)
        if not mapped and not {segment.text(3, 2).lower(), segment.text(3, 5).lower()} & set(texts):
            continue
        if status in _TAKEN_BACK:
            taken_back = f"{name}: {TAKEN_BACK}"
            continue
        if kinds and not mapped:
            warning = f"{name}: OBX-3 is a code that the profile does not map"
            continue
        unit = segment.text(6).upper()
        convert = units.get(_UNIT_ALIASES.get(unit, unit))
        if not _NUMBER.fullmatch(sent.strip()):
            return None, f"{name}: OBX-5 is not a number"
        if convert is None:
            return None, f"{name}: OBX-6 is not a unit that is known"
        value = convert(Decimal(sent.strip())).normalize() + 0
        if value <= 0 or (limit is not None and value > limit):
            return None, f"{name}: OBX-5 is not an amount"
        found.append((segment.text(14), value))
    if not found:
        return None, taken_back or warning
    newest = max(at for at, _ in found)
    values = {value for at, value in found if at == newest}
    if len(values) > 1:
        return None, f"{name}: several different values, none of them the newest"
    return values.pop(), warning
