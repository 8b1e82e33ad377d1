"""A small lazy reader of HL7 v2 in its delimited form: splits what is asked for and keeps every byte it was given.

Any line end, MSH-2 of one to five characters, escapes decoded in the message's own character set. A line that does
not begin like a segment continues the one before it (free text with bare line ends is met in real feeds). Written
because schema-aware parsing costs 500 times more and loses segments (ADR and reference: hl7_fhir, 1.1 and 1.2).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from integrations.hl7_fhir import charset
from integrations.hl7_fhir.faults import (
    DATA_TYPE,
    REQUIRED_FIELD_MISSING,
    SEGMENT_SEQUENCE,
    TABLE_VALUE,
    SenderFault,
)

NULL = '""'
"""HL7's explicit null: the sender says that the value is to be deleted."""

MAX_SEGMENTS = 100_000
"""More segments than this in one message are refused."""

MAX_REPETITIONS = 200
"""More repetitions than this of a field that is asked for are refused."""

_LINE = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_ENVELOPE = ("FHS", "BHS", "BTS", "FTS")
_DEFAULTS = "^~\\&"


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters a message is cut with (MSH-1 and MSH-2)."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def encoding(self) -> str:
        """MSH-2 as four characters."""
        return self.component + self.repetition + self.escape + self.subcomponent


@dataclass(frozen=True, slots=True)
class Piece:
    """One repetition of a field, as it was sent."""

    raw: str
    delimiters: Delimiters
    codec: str

    def text(self, component: int = 1, subcomponent: int = 1) -> str:
        """Return one value, decoded and stripped of outer blanks; empty when absent or explicitly null.

        A value without the delimiter asked for is its own first part.
        """
        value = _part(self.raw, self.delimiters.component, component)
        value = _part(value, self.delimiters.subcomponent, subcomponent)
        return "" if value == NULL else unescape(value, self.delimiters, self.codec).strip()


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `nth` counts segments of the same name from 1. Fields are numbered as in the standard."""

    name: str
    nth: int
    line: str
    delimiters: Delimiters
    codec: str

    def raw(self, field: int) -> str:
        """Return field `field` as it was sent, or an empty string."""
        if self.name in ("MSH", *_ENVELOPE):
            if field == 1:
                return self.delimiters.field
            field -= 1
        parts = self.line.split(self.delimiters.field, field + 1)
        return parts[field] if 0 < field < len(parts) else ""

    def pieces(self, field: int) -> tuple[Piece, ...]:
        """Return every repetition of a field, none when empty or null. Raises SenderFault past MAX_REPETITIONS."""
        raw = self.raw(field)
        if raw in ("", NULL):
            return ()
        if raw.count(self.delimiters.repetition) >= MAX_REPETITIONS:
            raise SenderFault(self.name, field, DATA_TYPE, f"more repetitions than {MAX_REPETITIONS}")
        return tuple(
            Piece(part, self.delimiters, self.codec) for part in raw.split(self.delimiters.repetition)
        )

    def text(self, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return one value of the first repetition, decoded; empty when absent or null."""
        first = _part(self.raw(field), self.delimiters.repetition, 1)
        return Piece(first, self.delimiters, self.codec).text(component, subcomponent)

    def is_null(self, field: int) -> bool:
        """Whether the sender asks for this field to be deleted."""
        return self.raw(field) == NULL


@dataclass(frozen=True, slots=True)
class Message:
    """A read message: its bytes, its segments in order, the codec it was read with and what was odd about it."""

    raw: bytes
    segments: tuple[Segment, ...]
    delimiters: Delimiters
    codec: str
    notes: tuple[str, ...]

    @property
    def msh(self) -> Segment:
        """The header."""
        return self.segments[0]

    def all(self, name: str) -> tuple[Segment, ...]:
        """Return every segment called `name`."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        """Return the first segment called `name`, or None."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def er7(self) -> str:
        """Return the text again, with CR line ends."""
        return "".join(segment.line + "\r" for segment in self.segments)


def split_batch(raw: bytes) -> tuple[bytes, ...]:
    """Cut the bytes of a frame or file into messages: FHS, BHS, BTS and FTS lines are taken off, one MSH each.

    Bytes without any MSH come back as they are (they will be refused when read).
    """
    starts = [match.start(1) for match in re.finditer(rb"(?:\A|[\r\n])[\x20\t\x0b\xef\xbb\xbf]*(MSH)", raw)]
    if not starts or (len(starts) == 1 and not re.search(rb"(?:\A|[\r\n])(?:FHS|BHS|BTS|FTS)", raw)):
        return (raw,)
    pieces = [raw[begin:end] for begin, end in zip(starts, [*starts[1:], len(raw)], strict=True)]
    return tuple(
        re.sub(rb"(?:\A|(?<=[\r\n]))(?:FHS|BHS|BTS|FTS)[^\r\n]*[\r\n]*", b"", piece) for piece in pieces
    )


def read(raw: bytes, *, fallbacks: tuple[str, ...] = charset.FALLBACKS) -> Message:
    """Read one message. Raises SenderFault without a header, with one that cannot be used, or of no character set."""
    decoded = charset.decode(raw, _declared_charset(raw), fallbacks=fallbacks)
    if decoded is None:
        raise SenderFault(
            "MSH", 18, TABLE_VALUE, "the bytes are in no character set that is taken; send UTF-8 and say so"
        )
    text = decoded.text.lstrip("\ufeff \t\r\n\x0b").rstrip("\x1c\r\n \t\x00")
    if text.startswith(("FHS", "BHS")):
        raise SenderFault(
            "MSH",
            None,
            SEGMENT_SEQUENCE,
            "batches are not taken here: send each message in a frame of its own",
        )
    if not text.startswith("MSH") or len(text) < 8:
        raise SenderFault("MSH", None, SEGMENT_SEQUENCE, "the message does not begin with a header segment")
    delimiters, notes = _delimiters(text)
    segments = tuple(_segments(text, delimiters, decoded.codec))
    if sum(segment.name == "MSH" for segment in segments) > 1:
        raise SenderFault(
            "MSH",
            None,
            SEGMENT_SEQUENCE,
            "more than one message in one frame: send each in a frame of its own",
        )
    return Message(
        raw, segments, delimiters, decoded.codec, tuple(note for note in (decoded.note, *notes) if note)
    )


def unescape(text: str, delimiters: Delimiters, codec: str) -> str:
    r"""Decode the escapes of one value: \F\ \S\ \T\ \R\ \E\ \P\ \Xdd..\ \.br\ ...; unknown ones stay as sent."""
    if delimiters.escape not in text:
        return text
    mark = re.escape(delimiters.escape)
    # Neighbouring \X..\ escapes are decoded together: one multi-byte character may be spread over several.
    pattern = f"(?:{mark}X(?:[0-9A-Fa-f]{{2}})+{mark})+|{mark}([^{mark}]{{1,40}}){mark}"
    return re.sub(pattern, lambda found: _escape_value(found, delimiters, codec), text)


def escape(text: str, delimiters: Delimiters = Delimiters()) -> str:
    r"""Encode text so that it can stand in a component; line ends become \.br\, other controls \Xdd\."""
    names = {
        delimiters.escape: "E",
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.repetition: "R",
        delimiters.subcomponent: "T",
    }
    mark = delimiters.escape
    out = []
    for char in text.replace("\r\n", "\n").replace("\r", "\n"):
        if char in names:
            out.append(f"{mark}{names[char]}{mark}")
        elif char == "\n":
            out.append(f"{mark}.br{mark}")
        elif char < " " or char == "\x7f":
            out.append(f"{mark}X{ord(char):02X}{mark}")
        else:
            out.append(char)
    return "".join(out)


Field = Sequence[Sequence[Sequence[str]]]
"""Repetitions of components of subcomponents, decoded."""


def split_field(
    text: str, delimiters: Delimiters = Delimiters(), codec: str = "utf-8"
) -> list[list[list[str]]]:
    """Cut one field wholly into decoded subcomponents."""
    return [
        [
            [unescape(part, delimiters, codec) for part in component.split(delimiters.subcomponent)]
            for component in repetition.split(delimiters.component)
        ]
        for repetition in text.split(delimiters.repetition)
    ]


def join_field(field: Field, delimiters: Delimiters = Delimiters()) -> str:
    """Write one field: the inverse of split_field for text without control characters."""
    return delimiters.repetition.join(
        delimiters.component.join(
            delimiters.subcomponent.join(escape(part, delimiters) for part in component)
            for component in repetition
        )
        for repetition in field
    )


def _part(text: str, delimiter: str, number: int) -> str:
    parts = text.split(delimiter, number)
    return parts[number - 1] if number <= len(parts) else ""


def _declared_charset(raw: bytes) -> str:
    """Read MSH-18 before anything is decoded: the header's own characters are ASCII in every set that is taken."""
    start = raw.find(b"MSH", 0, 64)
    if start < 0:
        return ""
    line = re.split(rb"[\r\n]", raw[start : start + 4096], maxsplit=1)[0]
    if len(line) < 5:
        return ""
    fields = line.split(line[3:4])
    declared = fields[17] if len(fields) > 17 else b""
    repetition = fields[1][1:2] or b"~"
    return declared.split(repetition)[0].decode("ascii", "replace").strip()


def usable_delimiters(separator: str, encoding: str) -> Delimiters | None:
    """Return the delimiters that MSH-1 and MSH-2 name, missing ones being the usual ones; None when unusable.

    Each must be ASCII punctuation and none may stand twice.
    """
    used = encoding[:4] + _DEFAULTS[len(encoding[:4]) :]
    plain = all("!" <= char <= "~" and not char.isalnum() for char in separator + encoding)
    if len(separator) != 1 or not 1 <= len(encoding) <= 5 or not plain or len({separator, *used}) != 5:
        return None
    return Delimiters(separator, *used)


def _delimiters(text: str) -> tuple[Delimiters, tuple[str, ...]]:
    separator = text[3]
    encoding = re.split(r"[\r\n]", text[4:], maxsplit=1)[0].split(separator, 1)[0]
    delimiters = usable_delimiters(separator, encoding)
    if delimiters is None:
        code = DATA_TYPE if encoding else REQUIRED_FIELD_MISSING
        raise SenderFault("MSH", 2, code, "the delimiters in MSH-1 and MSH-2 cannot be used")
    note = (
        "" if len(encoding) in (4, 5) else "MSH-2 is shorter than four characters; the usual ones were taken"
    )
    return delimiters, (note,)


def _segments(text: str, delimiters: Delimiters, codec: str) -> Iterator[Segment]:
    lines: list[list[str]] = []
    for line in _LINE.split(text):
        begun = line.lstrip(" \t\x0b")
        if _NAME.match(begun) and begun[3:4] in ("", delimiters.field):
            lines.append([begun])
            if len(lines) > MAX_SEGMENTS:
                raise SenderFault("MSH", None, SEGMENT_SEQUENCE, f"more segments than {MAX_SEGMENTS}")
        elif begun:
            lines[-1].append(line)
    counts: dict[str, int] = {}
    for parts in lines:
        name = parts[0][:3]
        counts[name] = counts.get(name, 0) + 1
        yield Segment(name, counts[name], "\n".join(parts), delimiters, codec)


def _hex(found: str, mark: str, codec: str) -> str:
    octets = bytes.fromhex(found.replace(mark + "X", "").replace(mark, ""))
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        return octets.decode("iso8859-1")


def _escape_value(found: re.Match[str], delimiters: Delimiters, codec: str) -> str:
    name = found.group(1)
    if name is None:
        return _hex(found.group(), delimiters.escape, codec)
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": "#",
        "H": "",
        "N": "",
        ".br": "\n",
        ".fi": "",
        ".nf": "",
        ".ce": "\n",
    }
    if name in plain:
        return plain[name]
    if re.fullmatch(r"\.sp[+-]?\d{0,2}", name):
        return "\n"
    if re.fullmatch(r"\.(?:in|ti|sk)[+ -]*\d{0,2}", name):
        return " "
    return found.group()
