"""Acknowledgements: built from the header's bytes alone, in each version's form, for anything that may come."""

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.hl7_fhir import ack, er7
from integrations.hl7_fhir.ack import ACCEPTED, Acknowledgement, Fault
from integrations.hl7_fhir.faults import SenderFault
from integrations.hl7_fhir.inbound import translate
from integrations.hl7_fhir.profile import parse_profile
from tests.hl7_fhir.test_inbound import DEMO_TEXT
from tests.hl7_fhir.wire import adt, sample

NOW = dt.datetime(2026, 11, 20, 10, 0, 5, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
REFUSED = Acknowledgement("AE", (Fault("101", "no name | given", "PID", 1, 5),))
DEMO = parse_profile(DEMO_TEXT)


def built(raw: bytes, answer: Acknowledgement = ACCEPTED) -> bytes:
    reply = ack.build(raw, answer, now=NOW, control_id="A1")
    assert reply is not None
    return reply


def test_an_accepting_answer() -> None:
    """Sender and receiver swap, the control id comes back, the time is UTC with its offset."""
    assert built(adt("77")) == (
        b"MSH|^~\\&|ATTEND|DEMO|DEMORIS|DEMO|20261120150005+0000||ACK^A04^ACK|A1|P|2.5.1\rMSA|AA|77\r"
    )


@pytest.mark.parametrize("version", ["2.5", "2.5.1", "2.6", "2.8.2", "2.9"])
def test_an_error_from_version_2_5(version: str) -> None:
    """From 2.5 the place, the code and the sentence are fields of ERR, and MSA-3 is empty."""
    message = er7.read(built(adt("77", version), REFUSED))
    err, msa = message.segments[2], message.segments[1]

    assert (msa.text(1), msa.text(2), msa.text(3)) == ("AE", "77", "")
    assert [err.text(2, n) for n in (1, 2, 3)] == ["PID", "1", "5"]
    assert (err.text(3), err.text(3, 3), err.text(4)) == ("101", "HL70357", "E")
    assert err.text(8) == "no name | given"


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "1.0", "", "V2.3"])
def test_an_error_before_version_2_5(version: str) -> None:
    """Before 2.5, and for versions unknown, the sentence is MSA-3 and ERR-1 has the old form."""
    message = er7.read(built(adt("77", version), REFUSED))
    err, msa = message.segments[2], message.segments[1]

    assert msa.text(3) == "no name | given"
    assert [err.text(1, n) for n in (1, 2, 3, 4)] == ["PID", "1", "5", "101"]
    assert message.msh.text(9, 3) == ""


def test_the_senders_delimiters_and_bytes_come_back() -> None:
    """The answer uses the delimiters of the message, and echoes its bytes as they were."""
    raw = "MSH$*@!%$Ä$B$C$D$2026$$ADT*A04$7%8$T$2.5.1$$$$$$8859/1\rPID$1\r".encode("iso8859-1")
    reply = built(raw, REFUSED)

    assert reply.startswith(
        "MSH$*@!%$C$D$Ä$B$20261120150005+0000$$ACK*A04*ACK$A1$T$2.5.1$$$$$$8859/1\r".encode("iso8859-1")
    )
    assert b"\rMSA$AE$7%8\r" in reply
    assert b"no name | given" in reply


def test_control_characters_are_never_echoed() -> None:
    """A control id with a framing byte in it cannot break the answer's frame."""
    assert b"\rMSA|AA|7x\r" in built(adt("7\x1c\x0bx"))


@pytest.mark.parametrize(
    ("raw", "response"),
    [
        (b"MSH|^~\\&|A|B|C|D|2026||ACK^A01^ACK|1|P|2.5\rMSA|AA|1\r", True),
        (b"MSH|^~\\&|A|B|C|D|2026||ack|1|P|2.5\n", True),
        (b"MSH|^~\\&|A|B|C|D|2026||ORR^O02|1|P|2.3\r\nMSA|AA|1\r\n", True),
        (b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3\rPID|1\rMSA|AA|1\r", False),
    ],
)
def test_a_response_is_never_acknowledged(raw: bytes, response: bool) -> None:
    """ACKs and anything whose second segment is MSA get no answer."""
    assert ack.is_response(raw) is response
    assert (ack.build(raw, ACCEPTED, now=NOW, control_id="A1") is None) is response


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda tail: b"MSH" + tail)))
@example(b"MSH\rxyz")
@example(b"MSH|\rxyz")
@example(b"MSH||||||||||||")
def test_anything_can_be_answered(raw: bytes) -> None:
    """Whatever came in a frame, the answer is one readable message that holds no framing byte."""
    reply = ack.build(raw, REFUSED, now=NOW, control_id="A1")
    if reply is None:
        return

    assert not set(reply) & {0x0B, 0x1C}
    assert [segment.name for segment in er7.read(reply).segments] == ["MSH", "MSA", "ERR"]


MUTATION = st.tuples(st.integers(0, 900), st.integers(0, 40), st.binary(max_size=12))


@given(
    st.sampled_from(
        ["orm_o01_zds.hl7", "omi_o23_ipc.hl7", "adt_a04.hl7", "adt_a28_five_encoding_characters.hl7"]
    ),
    st.lists(MUTATION, max_size=4),
)
def test_a_damaged_message_is_translated_or_refused(
    name: str, mutations: list[tuple[int, int, bytes]]
) -> None:
    """Whatever happens to a message, it is translated or refused with a place, and can be answered."""
    raw = sample(name)
    for at, cut, put in mutations:
        raw = raw[:at] + put + raw[at + cut :]
    for one in er7.split_batch(raw):
        answer = ACCEPTED
        try:
            assert translate(one, DEMO).meanings
        except SenderFault as fault:
            answer = ack.refusal(fault)
        reply = ack.build(one, answer, now=NOW, control_id="A1")

        assert reply is None or answer.code.encode() in reply
