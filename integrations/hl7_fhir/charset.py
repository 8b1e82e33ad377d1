"""From the bytes of a message to text: MSH-18 first, then the site's fallbacks, each with a note; never byte for byte.

Names are those of HL7 table 0211, without UTF-16 and UTF-32: their bytes may be those that end an MLLP frame, so a
message in them is never sure to be whole.
"""

import codecs
from dataclasses import dataclass

_NAMES = {
    "": None,
    "ASCII": "utf-8",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO IR6": "utf-8",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
} | {f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)}

FALLBACKS = ("utf-8", "windows-1252")
"""What is tried when a message names no character set, or names one that its bytes contradict."""


_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
} | {"MS".encode(codec): codec for codec in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and the codec that gave it; `note` is empty when the message's own declaration held."""

    text: str
    codec: str
    note: str


def codec_for(name: str) -> str | None:
    """Return the Python codec of an MSH-18 name, or None when it is empty or unknown."""
    wanted = " ".join(
        name.upper().replace("ISO-", "").replace("ISO8859", "8859").replace("8859-", "8859/").split()
    )
    return _NAMES.get(wanted)


def wide(raw: bytes) -> str | None:
    """Return the UTF-16 or UTF-32 codec that a message's first bytes show, or None for all other bytes."""
    return next((codec for start, codec in _WIDE.items() if raw.startswith(start)), None)


def decode(raw: bytes, declared: str, *, fallbacks: tuple[str, ...] = FALLBACKS) -> Decoded | None:
    """Decode `raw` by the `declared` MSH-18 name, else by the first fallback that fits; None when none does."""
    if wide(raw):
        return None
    if raw.startswith(codecs.BOM_UTF8) and (text := _try(raw, "utf-8-sig")) is not None:
        return Decoded(text, "utf-8", "")
    own = codec_for(declared)
    note = ""
    if own is None and declared.strip():
        note = "MSH-18 names a character set that is not known"
    if own is not None:
        text = _try(raw, own)
        if text is not None:
            return Decoded(text, own, "")
        note = "the bytes do not fit the character set of MSH-18"
    for codec in fallbacks:
        text = _try(raw, codec)
        if text is not None:
            return Decoded(text, codec, note)
    return None


def _try(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except (UnicodeError, LookupError):
        return None
