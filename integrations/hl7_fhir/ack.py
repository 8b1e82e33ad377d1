"""Answers a message from the bytes of its header alone, so that even an unreadable message is answered rightly.

Works byte for byte: what is echoed is what was sent, less control characters; only of UTF-16 and UTF-32, which no
frame can carry, the header is read as text so that the refusal names the message it answers. An acknowledgement or any
other response (a message with an MSA) is never acknowledged.
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final, Literal

from integrations.hl7_fhir import charset, faults
from integrations.hl7_fhir.er7 import Delimiters, escape, usable_delimiters
from integrations.hl7_fhir.faults import SenderFault

Code = Literal["AA", "AE", "AR"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_BATCH = re.compile(r"[\ufeff\xef\xbb\xbf \t\r\n\x0b]*((?:FHS|BHS)[^\r\n]*)")
_VERSION = re.compile(r"(\d+)\.(\d+)")
_RESPONSES: Final = ("ACK", "NAK", "MCF")
_OUR_APPLICATION = "ATTEND"


@dataclass(frozen=True, slots=True)
class Fault:
    """One ERR: where (`segment`, its occurrence, its field or None), HL7 table 0357 `code`, and a sentence."""

    code: str
    text: str
    segment: str = ""
    occurrence: int = 1
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """How a message is answered: AA it is stored and readable; AE or AR the sender must mend what `faults` say."""

    code: Code
    faults: tuple[Fault, ...] = ()


ACCEPTED: Final = Acknowledgement("AA")


def refusal(fault: SenderFault) -> Acknowledgement:
    """Turn a sender's fault into its answer: AR for what is not a usable message of ours, AE for its contents."""
    unusable = fault.segment == "MSH" or fault.code == faults.UNSUPPORTED_MESSAGE
    return Acknowledgement(
        "AR" if unusable else "AE", (Fault(fault.code, fault.why, fault.segment, fault.nth, fault.position),)
    )


@dataclass(frozen=True, slots=True)
class Header:
    """The header as far as it can be made out, values as sent (bytes read one to one); empty where absent."""

    delimiters: Delimiters
    fields: tuple[str, ...]
    response: bool

    def field(self, number: int) -> str:
        """Return MSH-`number` (3 and up) as it was sent, less control characters."""
        return self.fields[number - 1] if number <= len(self.fields) else ""

    def component(self, number: int, component: int) -> str:
        """Return one component of MSH-`number`."""
        parts = self.field(number).split(self.delimiters.component)
        return parts[component - 1].strip() if component <= len(parts) else ""

    @property
    def version(self) -> tuple[int, int] | None:
        """Return MSH-12 as numbers, or None when it is not a version."""
        found = _VERSION.match(self.component(12, 1))
        return (int(found.group(1)), int(found.group(2))) if found else None


def header(raw: bytes) -> Header:
    """Read what can be read of the header at the beginning of `raw`; never raises."""
    wide = charset.wide(raw)
    text = raw[:65536].decode(wide or "iso8859-1", "replace")
    if batch := _BATCH.match(text):
        return _batch_header(batch.group(1))
    start = text.find("MSH", 0, 64)
    if start < 0 or len(text) < start + 5:
        return Header(Delimiters(), (), False)
    lines = re.split(r"[\r\n]+", text[start:], maxsplit=2)
    separator = lines[0][3:4]
    encoding = lines[0][4:].split(separator, 1)[0] if separator else ""
    # Where MSH-2 cannot be used, what MSH-1 says still cuts the header: the list and the answer name the message. A
    # letter or digit in MSH-2 means that MSH-1 or MSH-2 was left out: no place is sure, and none is named.
    delimiters = (
        usable_delimiters(separator, encoding) or usable_delimiters(separator, "^~\\&") or Delimiters()
    )
    displaced = any(char.isalnum() for char in separator + encoding)
    fields = [] if displaced else [_CONTROLS.sub("", value) for value in lines[0].split(delimiters.field)]
    if wide:
        # The answer goes out in single bytes and must not claim the message's MSH-18.
        fields = fields[:17]
    kind = fields[8].split(delimiters.component)[0].strip().upper() if len(fields) > 8 else ""
    has_msa = len(lines) > 1 and lines[1].startswith("MSA" + delimiters.field)
    # fields[0] is the name, and MSH-1 is the separator itself: so the list already counts from MSH-1.
    return Header(delimiters, (delimiters.field, *fields[1:]), kind in _RESPONSES or has_msa)


def _batch_header(line: str) -> Header:
    """Read a file's or batch's own header as if it were a message's, so that the refusal names the batch."""
    delimiters = usable_delimiters(line[3:4], line[4:].split(line[3:4] or "|", 1)[0]) or Delimiters()
    sent = [_CONTROLS.sub("", value) for value in line.split(delimiters.field)]
    who, control_id = (sent + [""] * 6)[2:6], (sent + [""] * 11)[10]
    fields = (delimiters.field, delimiters.encoding, *who, "", "", line[:3], control_id)
    return Header(delimiters, fields, False)


def is_response(raw: bytes) -> bool:
    """Whether `raw` is itself an answer, which must never be answered."""
    return header(raw).response


def build(raw: bytes, answer: Acknowledgement, *, now: dt.datetime, control_id: str) -> bytes | None:
    """Return the acknowledgement of `raw` as bytes to frame, or None when `raw` is itself a response.

    `control_id` becomes MSH-10. Versions from 2.5 get ERR segments in the 2.5 form, older and unknown ones the
    sentence in MSA-3 and the old form of ERR.
    """
    got = header(raw)
    if got.response:
        return None
    d = got.delimiters
    modern = got.version is not None and got.version >= (2, 5)
    trigger = got.component(9, 2)
    kind = d.component.join(
        ("ACK", trigger, "ACK") if modern and trigger else ("ACK", trigger) if trigger else ("ACK",)
    )
    stamp = now.astimezone(dt.UTC).strftime("%Y%m%d%H%M%S+0000")
    msh = [
        "MSH",
        d.encoding,
        got.field(5) or _OUR_APPLICATION,
        got.field(6),
        got.field(3),
        got.field(4),
        stamp,
        "",
        kind,
        control_id,
        got.field(11) or "P",
        got.field(12) or "2.5.1",
        *([""] * 5 + [got.field(18)] if got.field(18) else []),
    ]
    msa = ["MSA", answer.code, got.field(10)]
    if answer.faults and not modern:
        msa.append(escape(answer.faults[0].text, d))
    lines = [msh, msa, *(_err(fault, d, modern=modern) for fault in answer.faults)]
    return "".join(d.field.join(line) + "\r" for line in lines).encode("iso8859-1", "replace")


def _err(fault: Fault, d: Delimiters, *, modern: bool) -> list[str]:
    position = "" if fault.position is None else str(fault.position)
    name = faults.CODE_TEXTS.get(fault.code, "")
    if not modern:
        coded = d.subcomponent.join((fault.code, escape(name, d), "HL70357"))
        return ["ERR", d.component.join((fault.segment, str(fault.occurrence), position, coded))]
    place = d.component.join((fault.segment, str(fault.occurrence), position)) if fault.segment else ""
    place = place.rstrip(d.component)
    coded = d.component.join((fault.code, escape(name, d), "HL70357"))
    return ["ERR", "", place, coded, "E", "", "", "", escape(fault.text, d)]
