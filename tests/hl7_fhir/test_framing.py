"""MLLP framing: what is a frame, what is not, and that chunks do not matter."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from integrations.hl7_fhir.framing import (
    CR,
    FS,
    VT,
    Frame,
    Framed,
    Framer,
    Oversized,
    Runaway,
    Truncated,
    frame,
)

MAX = 64


def framer() -> Framer:
    return Framer(max_message_bytes=MAX, max_drained_bytes=4 * MAX, max_junk_bytes=2 * MAX)


def cut(stream: bytes, cuts: list[int]) -> tuple[list[Framed], int]:
    """Feed `stream` cut at `cuts` and return everything that came out, with the junk count."""
    machine = framer()
    edges = [0, *sorted(min(c, len(stream)) for c in cuts), len(stream)]
    out: list[Framed] = []
    for begin, end in itertools.pairwise(edges):
        out += machine.feed(stream[begin:end])
    out += machine.end()
    return out, machine.junk_bytes


def test_two_messages_in_one_segment() -> None:
    """Two frames in one chunk are two messages, in order."""
    assert ([Frame(b"MSH|a"), Frame(b"MSH|b")], 0) == cut(frame(b"MSH|a") + frame(b"MSH|b"), [])


def test_one_message_byte_by_byte() -> None:
    """A frame that arrives one byte at a time is the same frame."""
    stream = frame(b"MSH|abc\rPID|1")

    assert ([Frame(b"MSH|abc\rPID|1")], 0) == cut(stream, list(range(len(stream))))


def test_junk_before_a_frame_is_tolerated_and_counted() -> None:
    """Bytes outside frames are counted, line ends are not, and the message after them is read."""
    assert ([Frame(b"MSH|a")], 4) == cut(b"\r\njunk\r\n" + frame(b"MSH|a") + b"\r\n", [])


def test_truncated_at_the_end_of_the_stream() -> None:
    """A message that never ended is truncated, with its size, and not a message."""
    assert ([Truncated(6)], 0) == cut(VT + b"MSH|ab", [])


def test_a_header_inside_a_message_cuts_off_what_came_before() -> None:
    """When a sender begins again without ending, the first half is truncated and the second is the message."""
    assert ([Truncated(7), Frame(b"MSH|whole")], 0) == cut(VT + b"MSH|hal" + frame(b"MSH|whole"), [])


def test_a_vertical_tab_in_free_text_does_not_cut() -> None:
    """A VT that no header follows belongs to the message."""
    assert ([Frame(b"MSH|a\x0bb")], 0) == cut(frame(b"MSH|a\x0bb"), [])


def test_a_lone_separator_belongs_to_the_message() -> None:
    """An FS that nothing ends does not end the frame: half a message is never given out."""
    assert ([Frame(b"MSH|a\x1cb")], 0) == cut(frame(b"MSH|a\x1cb"), [])


def test_a_sender_that_leaves_out_the_carriage_return() -> None:
    """FS followed by the next VT, or by LF, ends a frame too."""
    assert ([Frame(b"MSH|a"), Frame(b"MSH|b")], 0) == cut(VT + b"MSH|a" + FS + VT + b"MSH|b" + FS + b"\n", [])


def test_at_the_limit_and_one_past_it() -> None:
    """A message of exactly the limit passes; one byte more is drained, measured and followed by the next message."""
    exact, over = b"MSH|" + b"x" * (MAX - 4), b"MSH|" + b"x" * (MAX - 3)

    assert ([Frame(exact)], 0) == cut(frame(exact), [])
    assert ([Oversized(over[:MAX], MAX + 1), Frame(b"MSH|b")], 0) == cut(frame(over) + frame(b"MSH|b"), [])


def test_runaway_message_and_runaway_junk() -> None:
    """A message past the draining limit, or too much junk, ends the connection's use."""
    (first,) = cut(VT + b"M" * (5 * MAX) + FS + CR + frame(b"MSH|b"), [])[0]
    (second,) = cut(b"G" * (2 * MAX + 1) + frame(b"MSH|b"), [])[0]

    assert Runaway("max_drained_bytes", b"M" * MAX) == first
    assert Runaway("max_junk_bytes", b"") == second


PIECE = st.sampled_from(
    [VT, FS, CR, FS + CR, b"\n", b"MSH", b"MSH|", b"BHS", b"x", b"PID|1", b"y" * 40, b"z" * 90]
)


@given(st.lists(PIECE, max_size=24).map(b"".join), st.lists(st.integers(0, 400), max_size=12))
def test_any_chunking_gives_the_same_frames(stream: bytes, cuts: list[int]) -> None:
    """However a stream is cut, the same messages and faults come out."""

    def comparable(result: tuple[list[Framed], int]) -> list[object]:
        # How much of a runaway's beginning was seen depends on the chunks; that it ran away does not.
        return [item.limit if isinstance(item, Runaway) else item for item in result[0]]

    whole = cut(stream, [])

    assert comparable(whole) == comparable(cut(stream, cuts))
    assert comparable(whole) == comparable(cut(stream, list(range(len(stream)))))


@given(st.lists(st.binary(max_size=MAX).filter(lambda b: not set(b) & {0x0B, 0x1C}), max_size=6))
def test_what_is_framed_comes_out(bodies: list[bytes]) -> None:
    """Framing and cutting are inverses."""
    assert [Frame(body) for body in bodies] == cut(b"".join(map(frame, bodies)), [])[0]
