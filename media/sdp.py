"""Checks the form of an SDP offer before any parser of a library sees it, and strips what the node never uses.

Rule: pure text in, pure text out; whatever is not plainly a bundled audio and video offer is Invalid("offer_sdp", …).
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.kernel.errors import Invalid
from media.settings import MediaSettings

_LINE = re.compile(r"[a-z]=[\x20-\x7e\x80-\U0010ffff]*")
_MEDIA = re.compile(r"m=(audio|video) ([0-9]{1,5}) UDP/TLS/RTP/SAVPF((?: [0-9]{1,3})+)")
_IDENTITY = {
    "mid": re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,16}"),
    "setup": re.compile(r"actpass|active|passive"),
    "ice-ufrag": re.compile(r"[A-Za-z0-9+/]{4,256}"),
    "ice-pwd": re.compile(r"[A-Za-z0-9+/]{22,256}"),
}
_FINGERPRINT = re.compile(r"sha-(?:256|384|512) [0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31,63}")
_CANDIDATE = re.compile(
    r"([A-Za-z0-9+/]{1,32}) 1 (?:udp|UDP) ([0-9]{1,10}) ([0-9A-Fa-f.:]{1,45}) ([0-9]{1,5})"
    r" typ (host|srflx|prflx|relay).*"
)
_RTPMAP = re.compile(r"([0-9]{1,3}) ([A-Za-z0-9_.-]{1,32})/([0-9]{1,6})(?:/[0-9])?")
_EXTMAP = re.compile(r"([1-9]|1[0-4])(?:/[a-z]+)? (\S{1,128})")
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
_CODEC = {"audio": "opus/48000", "video": "VP8/90000"}
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb")
# The sound level extension is left out on purpose: a malformed one breaks aiortc's parser, and nothing here reads it.
_EXTENSIONS = frozenset(
    {"urn:ietf:params:rtp-hdrext:sdes:mid", "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"}
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer, rewritten: the text to hand on, and the kind and direction of each media section in order."""

    sdp: str
    sections: tuple[tuple[str, str], ...]


def check_offer(text: str, limits: MediaSettings) -> Offer:
    """Return the checked offer, rewritten from the parts that were understood.

    Accepted: 1 audio and 1 video section to send and receive, then further receiving pairs up to the number of other
    participants; all bundled, Opus and VP8 present, which are the only codecs kept. Candidates that are not plain UDP
    addresses (`.local`, TCP) and the end-of-candidates mark are dropped. Raises Invalid("offer_sdp", why).
    """
    lines = _lines(text, limits)
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    if not starts:
        raise _invalid("no media section")
    if len(starts) > 2 * (limits.legs_per_call - 1):
        raise _invalid("too many media sections")
    session = lines[: starts[0]]
    bundle = _session(session)
    sections = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    inherited = [line for line in session if line.startswith(("a=fingerprint:", "a=setup:", "a=ice-"))]
    kept: list[str] = []
    shapes: list[tuple[str, str]] = []
    mids: list[str] = []
    payload_types: dict[str, str] = {}
    for section in sections:
        kind, direction, mid, out = _section(section, inherited, limits)
        kept += out
        shapes.append((kind, direction))
        mids.append(mid)
        if payload_types.setdefault(out[0].rpartition(" ")[2], kind) != kind:
            raise _invalid("audio and video share a payload type")
    if len(set(mids)) != len(mids) or bundle != mids:
        raise _invalid("all media sections must be bundled, in order, under their own mid")
    _shape(shapes)
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE " + " ".join(mids)]
    return Offer("\r\n".join([*head, "a=msid-semantic:WMS *", *kept]) + "\r\n", tuple(shapes))


def _invalid(why: str) -> Invalid:
    return Invalid("offer_sdp", why)


def _lines(text: str, limits: MediaSettings) -> list[str]:
    # The length in characters first: encoding a huge text to measure it would be the very work to avoid.
    if len(text) > limits.offer_bytes or len(text.encode("utf-8", "replace")) > limits.offer_bytes:
        raise _invalid("too long")
    lines = text.replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) > limits.offer_lines:
        raise _invalid("too many lines")
    if not lines or lines[0] != "v=0":
        raise _invalid("does not start with v=0")
    if not all(_LINE.fullmatch(line) for line in lines):
        raise _invalid("a line is not of the form letter=text")
    return lines


def _session(lines: list[str]) -> list[str]:
    groups = [line.split(" ")[1:] for line in lines if line.startswith("a=group:BUNDLE ")]
    if len(groups) != 1:
        raise _invalid("one BUNDLE group is needed")
    if "a=ice-lite" in lines:
        raise _invalid("an ICE-lite peer cannot join")
    return groups[0]


def _attributes(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            yield name, value


def _section(
    lines: list[str], inherited: list[str], limits: MediaSettings
) -> tuple[str, str, str, list[str]]:
    media = _MEDIA.fullmatch(lines[0])
    if media is None or media[2] == "0":
        raise _invalid("a media section is not audio or video over DTLS-SRTP")
    kind, formats = media[1], media[3].split()
    if len(formats) > limits.codecs_per_media or any(int(f) > 127 for f in formats):
        raise _invalid("too many or impossible payload types")
    own = {name for name, _ in _attributes(lines)}
    lines = [*lines, *(line for line in inherited if line[2:].partition(":")[0] not in own)]
    attributes = list(_attributes(lines))
    identity = list(_identity(attributes))
    directions = [name for name, value in attributes if name in _DIRECTIONS and not value]
    if len(directions) > 1:
        raise _invalid("two directions in one media section")
    direction = directions[0] if directions else "sendrecv"
    payload_type = _codec(kind, formats, attributes)
    head = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload_type}", "c=IN IP4 0.0.0.0", f"a={direction}"]
    codec = [f"a=rtpmap:{payload_type} {_CODEC[kind]}{'/2' if kind == 'audio' else ''}"]
    codec += [
        f"a=rtcp-fb:{payload_type} {feedback}"
        for feedback in _FEEDBACK
        if any(("rtcp-fb", f"{scope} {feedback}") in attributes for scope in (payload_type, "*"))
    ]
    rest = [*_extensions(attributes), *_candidates(attributes, limits)]
    return kind, direction, _only(attributes, "mid"), [*head, *identity, *codec, *rest]


def _only(attributes: list[tuple[str, str]], name: str) -> str:
    values = [value for key, value in attributes if key == name]
    return values[0] if len(values) == 1 else ""


def _identity(attributes: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the checked lines of ICE, DTLS and bundling."""
    for name, pattern in _IDENTITY.items():
        value = _only(attributes, name)
        if not pattern.fullmatch(value):
            raise _invalid(f"{name} is missing or malformed")
        yield f"a={name}:{value}"
    fingerprints = [value for name, value in attributes if name == "fingerprint"]
    if not 1 <= len(fingerprints) <= 4 or not all(_FINGERPRINT.fullmatch(value) for value in fingerprints):
        raise _invalid("the DTLS fingerprint is missing or malformed")
    yield from (f"a=fingerprint:{value}" for value in fingerprints)
    if ("rtcp-mux", "") not in attributes:
        raise _invalid("rtcp-mux is needed")
    yield "a=rtcp-mux"


def _codec(kind: str, formats: list[str], attributes: list[tuple[str, str]]) -> str:
    """Return the payload type of the one codec the node speaks for this kind."""
    for name, value in attributes:
        match = _RTPMAP.fullmatch(value) if name == "rtpmap" else None
        if match is None or match[1] not in formats or not 96 <= int(match[1]) <= 127:
            continue
        if f"{match[2]}/{match[3]}".lower() == _CODEC[kind].lower():
            return match[1]
    raise _invalid(f"no {_CODEC[kind]} in the {kind} section")


def _extensions(attributes: list[tuple[str, str]]) -> Iterator[str]:
    seen: set[str] = set()
    for name, value in attributes:
        match = _EXTMAP.fullmatch(value) if name == "extmap" else None
        if match and match[2] in _EXTENSIONS and not seen & {match[1], match[2]}:
            seen |= {match[1], match[2]}
            yield f"a=extmap:{match[1]} {match[2]}"


def _candidates(attributes: list[tuple[str, str]], limits: MediaSettings) -> Iterator[str]:
    offered = [value for name, value in attributes if name == "candidate"]
    if len(offered) > limits.candidates_per_offer:
        raise _invalid("too many candidates")
    for value in offered:
        match = _CANDIDATE.fullmatch(value)
        if match and 0 < int(match[4]) < 65_536 and int(match[2]) < 2**31 and _reachable(match[3]):
            yield f"a=candidate:{match[1]} 1 udp {match[2]} {match[3]} {match[4]} typ {match[5]}"


def _reachable(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified)


def _shape(shapes: list[tuple[str, str]]) -> None:
    for kind in ("audio", "video"):
        directions = [direction for k, direction in shapes if k == kind]
        if not directions or directions[0] != "sendrecv":
            raise _invalid(f"the first {kind} section must send and receive")
        if any(direction != "recvonly" for direction in directions[1:]):
            raise _invalid(f"further {kind} sections must only receive")
    if len(shapes) % 2:
        raise _invalid("audio and video sections must come in pairs")
