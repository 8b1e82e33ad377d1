"""What an SDP offer must look like before a parser may see it."""

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.errors import Invalid
from media.sdp import check_offer
from media.settings import MediaSettings
from tests.media.offers import FINGERPRINT, PWD, UFRAG, offer, section

LIMITS = MediaSettings()


def with_line(old: str, new: str) -> str:
    """Return the good offer with `old` replaced everywhere."""
    text = offer()
    assert old in text
    return text.replace(old, new)


def test_a_browsers_offer_is_kept_in_what_matters() -> None:
    """Opus and VP8, identity, direction and extensions stay; other codecs, retransmission and sources go."""
    checked = check_offer(offer(), LIMITS)

    assert (("audio", "sendrecv"), ("video", "sendrecv")) == checked.sections
    for kept in (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        f"a=ice-pwd:{PWD}",
        f"a=fingerprint:{FINGERPRINT}",
        "a=rtcp-fb:96 nack pli",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
    ):
        assert kept in checked.sdp
    for dropped in ("G722", "rtx", "ssrc", "audio-level", "transport-cc", "ice-options"):
        assert dropped not in checked.sdp


def test_candidates_that_are_no_plain_udp_address_are_dropped() -> None:
    """A `.local` name would make the server ask the network for it; TCP, multicast and the end mark go as well."""
    extra = (
        "a=candidate:1 1 udp 2113937151 192.0.2.7 51000 typ host generation 0 network-cost 999",
        "a=candidate:2 1 udp 2113937151 0a1b2c3d.local 51000 typ host",
        "a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
        "a=candidate:4 1 udp 2113937151 224.0.0.1 51000 typ host",
        "a=candidate:5 1 udp 2113937151 192.0.2.7 0 typ host",
        "a=candidate:6 1 udp 99999999999 192.0.2.7 51000 typ host",
        "a=end-of-candidates",
    )

    checked = check_offer(offer(section("audio", "0", extra=extra), section("video", "1")), LIMITS)

    candidates = [line for line in checked.sdp.split("\r\n") if "candidate" in line]
    assert ["a=candidate:1 1 udp 2113937151 192.0.2.7 51000 typ host"] == candidates


def test_identity_may_stand_at_the_head_of_the_offer() -> None:
    """Firefox writes the fingerprint once for the whole session."""
    lines = offer().split("\r\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("m="))
    body = [line for line in lines[at:] if not line.startswith("a=fingerprint:")]

    checked = check_offer(
        "\r\n".join([*lines[:at], f"a=fingerprint:{FINGERPRINT}", *body]),
        LIMITS,
    )

    assert 2 == checked.sdp.count("a=fingerprint:")


def test_receiving_pairs_for_further_participants_are_taken_up_to_the_limit() -> None:
    """One pair per other participant; one more is refused."""
    pairs = [
        section(kind, str(2 * i + j), "sendrecv" if i == 0 else "recvonly")
        for i in range(LIMITS.legs_per_call)
        for j, kind in enumerate(("audio", "video"))
    ]

    assert 2 * (LIMITS.legs_per_call - 1) == len(check_offer(offer(*pairs[:-2]), LIMITS).sections)
    with pytest.raises(Invalid):
        check_offer(offer(*pairs), LIMITS)


REFUSED = {
    "empty": "",
    "another language": "GET / HTTP/1.1\r\n\r\n",
    "no media": "v=0\r\ns=-\r\na=group:BUNDLE 0\r\n",
    "a control character": with_line("s=-", "s=\x00"),
    "too long": offer() + "a=x\r\n" * LIMITS.offer_bytes,
    "too many bytes in few characters": offer() + "a=" + "\U0001f600" * (LIMITS.offer_bytes // 3),
    "too many lines": offer() + "a=\r\n" * LIMITS.offer_lines,
    "a data channel": offer() + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    "plain RTP": with_line("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "audio alone": offer(section("audio", "0")),
    "video alone": offer(section("video", "0")),
    "two sending cameras": offer(
        section("audio", "0"), section("video", "1"), section("audio", "2"), section("video", "3")
    ),
    "an odd number of sections": offer(
        section("audio", "0"), section("video", "1"), section("video", "2", "recvonly")
    ),
    "video that is not sent": offer(section("audio", "0"), section("video", "1", "recvonly")),
    "two directions": with_line("a=rtcp-mux", "a=rtcp-mux\r\na=inactive"),
    "nothing bundled": with_line("a=group:BUNDLE 0 1", "a=x"),
    "half bundled": offer(bundle="0"),
    "the same mid twice": offer(section("audio", "0"), section("video", "0")),
    "no password": with_line(f"a=ice-pwd:{PWD}\r\n", ""),
    "a short password": with_line(PWD, "short"),
    "two passwords": with_line(f"a=ice-pwd:{PWD}", f"a=ice-pwd:{PWD}\r\na=ice-pwd:{PWD}"),
    "a short user name": with_line(f"a=ice-ufrag:{UFRAG}", "a=ice-ufrag:a"),
    "no fingerprint": with_line(f"a=fingerprint:{FINGERPRINT}\r\n", ""),
    "a weak fingerprint": with_line("sha-256", "md5"),
    "five fingerprints": with_line(
        f"a=fingerprint:{FINGERPRINT}", "\r\n".join([f"a=fingerprint:{FINGERPRINT}"] * 5)
    ),
    "no setup": with_line("a=setup:actpass\r\n", ""),
    "a wrong setup": with_line("a=setup:actpass", "a=setup:holdconn"),
    "no rtcp-mux": with_line("a=rtcp-mux\r\n", ""),
    "no Opus": with_line("opus", "speex"),
    "no VP8": with_line("VP8", "VP9"),
    "a codec of another section's number": with_line("a=rtpmap:96 VP8", "a=rtpmap:98 VP8"),
    "a shared payload type": with_line("96", "111"),
    "too many candidates": offer(
        section("audio", "0", extra=("a=candidate:1 1 udp 1 192.0.2.7 5 typ host",) * 33),
        section("video", "1"),
    ),
    "too many payload types": with_line("SAVPF 96 97", "SAVPF 96 " + "97 " * 65 + "97"),
    "an impossible payload type": with_line("SAVPF 96 97", "SAVPF 96 970"),
    "an ICE-lite peer": with_line("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1\r\na=ice-lite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_plainly_an_offer_is_refused(name: str) -> None:
    """Each broken offer is Invalid with the field named and a reason."""
    with pytest.raises(Invalid) as refused:
        check_offer(REFUSED[name], LIMITS)

    assert "offer_sdp" == refused.value.field
    assert refused.value.why


GOOD_LINES = offer().split("\r\n")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_breaks_the_parser_behind_the_check(data: st.DataObject) -> None:
    """What passes the check is parsed by aiortc without an error; the check itself raises nothing but Invalid."""
    lines = list(GOOD_LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "edit", "text"])):
            case "drop":
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "edit":
                i = data.draw(st.integers(0, max(0, len(lines[at]) - 1)))
                lines[at] = lines[at][:i] + data.draw(st.text(max_size=3)) + lines[at][i + 1 :]
            case _:
                lines[at] = data.draw(st.text(max_size=40))
    try:
        checked = check_offer("\r\n".join(lines), LIMITS)
    except Invalid as refused:
        assert "offer_sdp" == refused.field
        return

    parsed = SessionDescription.parse(checked.sdp)
    assert ["audio", "video"] == sorted(media.kind for media in parsed.media)
