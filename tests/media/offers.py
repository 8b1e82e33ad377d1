"""SDP offers to join a call with: one like a browser's, and pieces to break."""

UFRAG, PWD = "abcd", "A" * 22 + "bc"
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


def section(kind: str, mid: str, direction: str = "sendrecv", extra: tuple[str, ...] = ()) -> list[str]:
    """Return the lines of one media section as a browser writes it."""
    codecs = (
        ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:9 G722/8000"]
        if kind == "audio"
        else [
            "a=rtpmap:96 VP8/90000",
            "a=rtcp-fb:96 goog-remb",
            "a=rtcp-fb:96 transport-cc",
            "a=rtcp-fb:96 nack pli",
            "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96",
        ]
    )
    return [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {'111 9' if kind == 'audio' else '96 97'}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{PWD}",
        "a=ice-options:trickle",
        f"a=fingerprint:{FINGERPRINT}",
        "a=setup:actpass",
        f"a=mid:{mid}",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        f"a={direction}",
        "a=rtcp-mux",
        *codecs,
        f"a=ssrc:{1000 + int(mid)} cname:x",
        *extra,
    ]


def offer(*sections: list[str], bundle: str | None = None) -> str:
    """Return an offer of `sections`, by default audio and video."""
    parts = sections or (section("audio", "0"), section("video", "1"))
    if bundle is None:
        bundle = " ".join(line[6:] for part in parts for line in part if line.startswith("a=mid:"))
    head = ["v=0", "o=- 46117317 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {bundle}"]
    return "\r\n".join([*head, *(line for part in parts for line in part)]) + "\r\n"
