"""Reads the parts that v2 messages share: identifiers, names, times, allergies, amounts. Never guesses.

Readers that can meet something unreadable return a value with a warning sentence instead of raising.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from engine.kernel.quantities import kg_from_lb
from integrations.hl7_fhir.er7 import Message, Piece, Segment
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
_SEVERITIES: Final = {"SV": "severe", "MO": "moderate", "MI": "mild"}
_UNIT_ALIASES: Final = {"[LB_AV]": "LB", "LBS": "LB", "[IN_I]": "IN", "INCH": "IN", "KGS": "KG"}
_NOT_A_RESULT: Final = ("X", "D", "W", "N", "I", "O")
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


def value_at(scope: Sequence[Segment], path: Path) -> str:
    """Return the value at `path` in the first segment of that name in `scope`, or an empty string."""
    for segment in scope:
        if segment.name == path.segment:
            return segment.text(path.field, path.component, path.subcomponent)
    return ""


def first_value(scope: Sequence[Segment], paths: Sequence[Path]) -> str:
    """Return the first value that any of `paths` holds, or an empty string."""
    return next((value for path in paths if (value := value_at(scope, path))), "")


def patient(message: Message, profile: Profile) -> tuple[Patient, list[str]]:
    """Read PID. Raises SenderFault when there is no PID or no identifier in it."""
    pid = message.first("PID")
    if pid is None:
        raise SenderFault("PID", None, SEGMENT_SEQUENCE, "the message has no patient segment")
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
    name = _legal_name(pid.pieces(5))
    birth, birth_warning = date(pid.text(7), "PID-7")
    sex_sent = pid.text(8).upper()
    if sex_sent not in ("", "U", *_SEXES):
        warnings.append("PID-8: a sex that is not in HL7 table 0001 was read as unknown")
    if birth_warning:
        warnings.append(birth_warning)
    read = Patient(
        identifiers=tuple(accepted),
        family=name.text(1) if name else "",
        given=name.text(2) if name else "",
        birth_date=birth,
        sex=_SEXES.get(sex_sent, "unknown"),
        others=tuple(one for one in every if one not in accepted),
    )
    return read, warnings


def identifier(piece: Piece, profile: Profile) -> Identifier:
    """Read one CX: CX-4 matches a profile authority by its name or its universal id; blanks as the profile says."""
    names = [part for number in (1, 2) if (part := piece.text(4, number))]
    known = [name for name in names if name in profile.identity.authorities]
    authority = (known or names or [profile.identity.authority_when_blank])[0]
    return Identifier(piece.text(1), authority, piece.text(5) or profile.identity.type_when_blank)


def _legal_name(pieces: Sequence[Piece]) -> Piece | None:
    """The legal name (XPN-7 = L) if one says so, else the first."""
    return next((piece for piece in pieces if piece.text(7) == "L"), pieces[0] if pieces else None)


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


def allergies(message: Message, profile: Profile) -> Allergies:
    """Read AL1 segments. None at all is `unknown`; only a code that says so is `none_known`."""
    items = []
    none_known = False
    for segment in message.all("AL1"):
        substance = coded(segment, 3)
        if not (substance.code or substance.text):
            continue
        if substance.code in profile.none_known_codes:
            none_known = True
            continue
        items.append(
            Allergy(
                substance=substance,
                kind=_KINDS.get(segment.text(2), ""),
                severity=_SEVERITIES.get(segment.text(4), ""),
                reactions=tuple(
                    text for piece in segment.pieces(5) if (text := piece.text(2) or piece.text(1))
                ),
            )
        )
    if items:
        return Allergies("listed", tuple(items))
    return Allergies("none_known" if none_known else "unknown")


def coded(segment: Segment, field: int) -> Coded:
    """Read the first triplet of a CE or CWE."""
    return Coded(segment.text(field, 1), segment.text(field, 2), segment.text(field, 3))


def alternates(segment: Segment, field: int) -> tuple[Coded, ...]:
    """Read both triplets of a CE or CWE, those that hold a code."""
    both = (
        Coded(segment.text(field, number), segment.text(field, number + 1), segment.text(field, number + 2))
        for number in (1, 4)
    )
    return tuple(one for one in both if one.code)


def measured(
    scope: Sequence[Segment],
    name: str,
    codes: Sequence[str],
    texts: Sequence[str],
    units: Units,
) -> tuple[Decimal | None, str]:
    """Read one amount out of OBX segments, in the unit that `units` leads to.

    Takes the newest by OBX-14. Refuses to choose between differing results without times, and to read one without
    a unit it knows: then None with a warning.
    """
    found: list[tuple[str, Decimal]] = []
    for segment in scope:
        if segment.name != "OBX" or segment.text(11).upper() in _NOT_A_RESULT or not segment.text(5):
            continue
        kinds = alternates(segment, 3)
        spoken = {segment.text(3, 2).lower(), segment.text(3, 5).lower()} if not kinds else set()
        if not (any(kind.code in codes for kind in kinds) or spoken & set(texts)):
            continue
        unit = segment.text(6).upper()
        convert = units.get(_UNIT_ALIASES.get(unit, unit))
        try:
            value = Decimal(segment.text(5))
        except InvalidOperation:
            return None, f"{name}: OBX-5 is not a number"
        if convert is None:
            return None, f"{name}: OBX-6 is not a unit that is known"
        if not value.is_finite() or value <= 0:
            return None, f"{name}: OBX-5 is not an amount"
        found.append((segment.text(14), convert(value).normalize() + 0))
    if not found:
        return None, ""
    newest = max(at for at, _ in found)
    values = {value for at, value in found if at == newest}
    if len(values) > 1:
        return None, f"{name}: several different values, none of them the newest"
    return values.pop(), ""
