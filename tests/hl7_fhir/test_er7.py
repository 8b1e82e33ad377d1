"""The lazy reader: line ends, delimiters, character sets, escapes; and that splitting and joining are inverses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.hl7_fhir import ack, er7
from integrations.hl7_fhir.er7 import Delimiters
from integrations.hl7_fhir.faults import SenderFault
from tests.hl7_fhir.wire import NOW

HEAD = "MSH|^~\\&|A|B|C|D|20261120||ADT^A04|7|P|2.5.1"


def pid(line: str, *, msh: str = HEAD, codec: str = "utf-8") -> er7.Segment:
    segment = er7.read(f"{msh}\r{line}\r".encode(codec)).first("PID")
    assert segment is not None
    return segment


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_any_line_end(end: str) -> None:
    """CR, LF and CRLF all end a segment, mixed with empty lines and a missing last end."""
    message = er7.read(f"{HEAD}{end}{end}PID|1||5{end}PV1|1".encode())

    assert [segment.name for segment in message.segments] == ["MSH", "PID", "PV1"]
    assert message.er7() == f"{HEAD}\rPID|1||5\rPV1|1\r"


def test_a_line_that_is_no_segment_continues_the_one_before() -> None:
    """Free text with a bare line end stays in its field."""
    message = er7.read(f"{HEAD}\rOBX|1|TX|||first\nsecond line|x\rPV1|1\r".encode())
    obx = message.first("OBX")
    assert obx is not None

    assert (obx.raw(5), obx.raw(6)) == ("first\nsecond line", "x")
    assert [segment.name for segment in message.segments] == ["MSH", "OBX", "PV1"]


def test_header_fields_are_numbered_as_in_the_standard() -> None:
    """MSH-1 is the separator, MSH-2 the encoding characters, MSH-9.2 the trigger."""
    msh = er7.read(HEAD.encode()).msh

    assert (msh.raw(1), msh.raw(2), msh.text(3), msh.text(9, 2), msh.text(10)) == (
        "|",
        "^~\\&",
        "A",
        "A04",
        "7",
    )


def test_five_and_two_encoding_characters() -> None:
    """A fifth character (truncation) is accepted; missing ones are the usual ones, with a note."""
    five = er7.read(HEAD.replace("^~\\&", "^~\\&#").encode())
    two = er7.read(HEAD.replace("^~\\&", "^~").encode())

    assert (five.delimiters, five.notes) == (Delimiters(), ())
    assert two.delimiters == Delimiters()
    assert len(two.notes) == 1


def test_other_delimiters() -> None:
    """A message may choose its own delimiters."""
    segment = pid("PID$1$$5*6@7", msh="MSH$*@!%$A$B$C$D$$$ADT*A04$7$P$2.5.1")

    assert [piece.text(1) for piece in segment.pieces(3)] == ["5", "7"]
    assert segment.text(3, 2) == "6"


@pytest.mark.parametrize(
    "raw", [b"", b"PID|1", b"MSH", b"MSH|", b"MSHA^~\\&|", b"MSH||||||||", b"MSH|^^^^|A", b"MSH|^~\\&0123|A"]
)
def test_what_cannot_be_read(raw: bytes) -> None:
    """No header, or delimiters that cannot be used, is a sender's fault at MSH."""
    with pytest.raises(SenderFault) as caught:
        er7.read(raw)

    assert caught.value.segment == "MSH"


@pytest.mark.parametrize(
    ("raw", "code"), [(b"MSH||A|B|C", "101"), (b"MSH|^^^^|A", "102"), (b"MSH|^~\\&0123|A", "102")]
)
def test_delimiters_that_are_missing_or_cannot_be_used_have_their_own_codes(raw: bytes, code: str) -> None:
    """HL7 table 0357: 101 a required field is missing, 102 it is there and is none."""
    with pytest.raises(SenderFault) as caught:
        er7.read(raw)

    assert (caught.value.position, caught.value.code) == (2, code)


def test_two_messages_without_a_batch_are_refused_and_a_batch_is_cut() -> None:
    """One frame is one message, unless it is a batch, which split_batch cuts."""
    batch = f"FHS|^~\\&|X\rBHS|^~\\&|X\r{HEAD}\rPID|1||5\r{HEAD}\rPID|1||6\rBTS|2\rFTS|1\r".encode()
    with pytest.raises(SenderFault):
        er7.read(f"{HEAD}\r{HEAD}\r".encode())
    first, second = (er7.read(raw) for raw in er7.split_batch(batch))

    assert [segment.name for segment in first.segments] == ["MSH", "PID"]
    assert [segment.raw(3) for segment in second.all("PID")] == ["6"]
    assert er7.split_batch(HEAD.encode()) == (HEAD.encode(),)


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("8859/1", "iso8859-1", "MÜLLER"),
        ("UNICODE UTF-8", "utf-8", "MÜLLER 山田"),
        ("8859/2", "iso8859-2", "ŁUKASZ"),
        ("ISO IR87", "iso2022_jp_2", "山田"),
        ("GB 18030-2000", "gb18030", "山田"),
        ("", "utf-8", "MÜLLER"),
        ("", "windows-1252", "MÜLLER"),
    ],
)
def test_character_sets(declared: str, codec: str, name: str) -> None:
    """MSH-18 decides; without it UTF-8 is tried, then windows-1252."""
    segment = pid(f"PID|1||5||{name}", msh=HEAD + "||||||" + declared, codec=codec)

    assert segment.text(5) == name


def test_latin_1_bytes_under_a_utf_8_label() -> None:
    """Bytes that contradict MSH-18 are read by the fallback, with a note, and kept as they came."""
    raw = f"{HEAD}||||||UNICODE UTF-8\rPID|1||5||MÜLLER\r".encode("iso8859-1")
    message = er7.read(raw)

    assert message.segments[1].text(5) == "MÜLLER"
    assert message.notes == ("the bytes do not fit the character set of MSH-18",)
    assert message.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        *(
            f"{HEAD}||||||UNICODE UTF-16\rPID|1||5\r".encode(codec)
            for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
        ),
        f"{HEAD}\rPID|1||5||M".encode() + b"\xc3\x81\xff\r",
    ],
)
def test_bytes_of_no_character_set_that_is_taken(raw: bytes) -> None:
    """UTF-16, UTF-32 and bytes that fit nothing are refused with MSH-18 named; the answer says to which message."""
    with pytest.raises(SenderFault) as caught:
        er7.read(raw)
    reply = ack.build(raw, ack.refusal(caught.value), now=NOW, control_id="A1")

    assert caught.value.field == "MSH-18"
    assert reply is not None
    msh, msa, err = er7.read(reply).segments
    assert (msa.text(1), msa.text(2)) == ("AR", er7.read(HEAD.encode()).msh.text(10))
    assert [err.text(2, n) for n in (1, 3)] == ["MSH", "18"]
    assert msh.text(18) == ""


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"A\T\B\F\\S\\R\\E\C", r"A&B|^~\C"),
        (r"one\.br\two\X0D0A\x", "one\ntwo\r\nx"),
        (r"M\XC3\\X9C\LLER \XC39C\ \XDC\x", "MÜLLER Ü Üx"),
        (r"\H\bold\N\ \Zab\ \.sp2\x", "bold \\Zab\\ \nx"),
        (r"C:\path", r"C:\path"),
        (r"\X5C\T\X5C\ ", "\\T\\"),
        (r"\Xzz\ \ ", r"\Xzz\ \ ".strip()),
    ],
)
def test_escapes(sent: str, read: str) -> None:
    """Escapes are decoded once, hex ones in the message's character set; unknown and broken ones stay."""
    assert pid(f"PID|1||5||{sent}").text(5) == read


def test_repetitions_components_and_null() -> None:
    """Repetitions and subcomponents are found; the explicit null reads as empty and is told apart."""
    segment = pid('PID|1||5^^^A&1.2&ISO^MR~6|""|N')

    assert [(piece.text(1), piece.text(4, 2)) for piece in segment.pieces(3)] == [("5", "1.2"), ("6", "")]
    assert (segment.text(4), segment.is_null(4), segment.is_null(99), segment.text(99)) == (
        "",
        True,
        False,
        "",
    )


PLAIN = st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs"]), max_size=12)


@given(
    st.lists(
        st.lists(st.lists(PLAIN, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3
    )
)
def test_split_and_join_are_inverses(field: list[list[list[str]]]) -> None:
    """Whatever text a field holds, written and read again it is the same."""
    assert er7.split_field(er7.join_field(field)) == field


@given(st.text(max_size=60))
def test_escaped_text_has_no_delimiters(text: str) -> None:
    """Escaped text cannot break a segment, and reads back with line ends as LF."""
    escaped = er7.escape(text)

    assert not set(escaped) & set("|^~&\r\n\x0b\x1c")
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert er7.unescape(escaped, Delimiters(), "utf-8") == expected


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(tail: bytes, whole: bool) -> None:
    """Reading raises SenderFault or nothing, and every field can be asked for."""
    raw = HEAD.encode() + b"\rPID|1||" + tail if whole else tail
    try:
        message = er7.read(raw)
    except SenderFault:
        return
    for segment in message.segments:
        assert isinstance(segment.text(3, 4, 2), str)
        assert all(isinstance(piece.text(4), str) for piece in segment.pieces(3))
