"""What a feed may not do unseen: merge a patient under way, send tests into production, or numbers without end."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from attend.v1 import common_pb2, sessions_pb2
from engine.demo.order import MRN
from engine.kernel.commands import Request
from engine.kernel.ids import Stream
from engine.workflows.session.commands import CancelSession
from engine.workflows.session.state import CancelReason
from integrations.hl7_fhir import ack
from integrations.hl7_fhir.faults import SenderFault
from integrations.hl7_fhir.inbound import translate
from integrations.hl7_fhir.intake import Intake
from integrations.hl7_fhir.limits import MAX_ALLERGIES, max_len
from integrations.hl7_fhir.profile import parse_profile
from tests.hl7_fhir.test_inbound import DEMO_TEXT
from tests.hl7_fhir.test_intake import ORDER, PEER, Desk, update
from tests.hl7_fhir.wire import NOW
from tests.workflows.session import stories as s


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk with one order on it."""
    made = Desk()
    await made.executor.open()
    await made.send(ORDER)
    yield made


def merge(pid: str, mrg: str, trigger: str = "A40") -> bytes:
    """An ADT that moves what was known under `mrg` to `pid`."""
    head = (
        ORDER.split(b"\r")[0].replace(b"ORM^O01|O1", f"ADT^{trigger}|M{pid}{mrg}{trigger}".encode()).decode()
    )
    lines = (head, f"EVN|{trigger}|20261120", f"PID|1||{pid}^^^DEMO^MR", f"MRG|{mrg}^^^DEMO^MR")
    return "\r".join(lines).encode() + b"\r"


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("trigger", ["A18", "A34", "A40", "A43", "A47"])
@pytest.mark.parametrize(("pid", "mrg"), [(MRN, "NEW1"), ("NEW1", MRN)])
async def test_a_merge_of_a_patient_under_way_is_held(desk: Desk, trigger: str, pid: str, mrg: str) -> None:
    """By either number, before or after: nothing changes by itself, and a person is told which event it was."""
    await desk.send(merge(pid, mrg, trigger))
    held = (await desk.messages())[-1]
    [planned] = await desk.sessions()

    assert (held.phases, held.reason) == (("held",), "PATIENT_IDENTITY_CHANGED")
    assert held.what.startswith(trigger) and MRN not in held.what
    assert planned.identity.mrn == MRN


async def test_a_merge_that_touches_nobody_here_needs_nobody(desk: Desk) -> None:
    """Other people's numbers, or a patient whose exam is over."""
    await desk.send(merge("OTHER1", "OTHER2"))
    [planned] = await desk.sessions()
    over = CancelSession(reason=CancelReason.PATIENT_NO_SHOW)
    stream = Stream("session", planned.session_id)
    await desk.executor.execute(Request(request_id="over", stream=stream, command=over, actor=s.TECH))
    await desk.send(merge(MRN, "NEW1"))

    assert [one.phases for one in await desk.messages()] == [("applied",)] * 3


@pytest.mark.parametrize(
    ("field", "sent", "code", "place"),
    [
        (b"|O9|P|", b"|O9|T|", b"202", "MSH-11"),
        (b"|O9|P|", b"|O9|D|", b"202", "MSH-11"),
        (b"|O9|P|", b"|O9|X|", b"202", "MSH-11"),
        (b"|P|2.3.1", b"|P|9.9", b"203", "MSH-12"),
        (b"|P|2.3.1", b"|P|3.0", b"203", "MSH-12"),
    ],
)
async def test_tests_and_other_versions_do_not_reach_production(
    desk: Desk, field: bytes, sent: bytes, code: bytes, place: str
) -> None:
    """Refused with HL7's own code, kept and held, and no session comes of it; a demonstration takes tests."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|").replace(field, sent)
    reply = ack.build(raw, await desk.intake.receive(raw, PEER), now=NOW, control_id="A1") or b""
    await desk.reader.drain()
    held = (await desk.messages())[-1]

    assert b"\rMSA|AR|O9" in reply and code in reply
    assert (held.phases, held.reason, held.what.split(":")[0]) == (("held",), "REFUSED", place)
    assert len(await desk.sessions()) == 1
    if place == "MSH-11":
        demo = Intake(desk.executor, replace(desk.feed, feed_id="demo", demo=True), b"k" * 32)
        assert (await demo.receive(raw, PEER)).code == "AA"


@pytest.mark.parametrize("said", [b"|O9||", b"|O9|p|"])
async def test_a_feed_that_says_nothing_or_writes_small_is_production(desk: Desk, said: bytes) -> None:
    """MSH-11 empty or `p`: taken."""
    await desk.send(ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|").replace(b"|O9|P|", said))

    assert len(await desk.sessions()) == 2


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(
    ("was", "long", "place"),
    [
        (b"DEMO1001", b"9" * 5_000, "PID-3.1: longer than 100 characters"),
        (b"DEMO1001", b"9" * 101, "PID-3.1: longer than 100 characters"),
        (b"DEMO^PATIENT", b"D" * 201 + b"^PATIENT", "PID-5.1: longer than 200 characters"),
        (b"DEMO^PATIENT", b"DEMO^" + b"P" * 5_000, "PID-5.2: longer than 200 characters"),
        (b"ACC9", b"A" * 1_001, "IPC-1 or OBR-18: longer than 1000 characters"),
        (b"PL1^DEMORIS", b"P" * 1_001, "ORC-2 or OBR-2: longer than 1000 characters"),
        (b"FL1^DEMORIS", b"F" * 1_001, "ORC-3 or OBR-3: longer than 1000 characters"),
        (b"1.2.3.4.5.1^", b"1" * 1_001 + b"^", "IPC-3 or ZDS-1: longer than 1000 characters"),
        (b"CT abdomen with contrast", b"C" * 1_001, "OBR-4: longer than 1000 characters"),
        (b"0310^DEMO", b"0" * 1_001 + b"^DEMO", "OBR-16 or ORC-12: longer than 1000 characters"),
        (b"ORC|NW", b"AL1|1|DA|^" + b"I" * 1_001 + b"\rORC|NW", "AL1-3: longer than 1000 characters"),
        (b"ORC|NW", b"AL1|1|DA|^I|S|" + b"R" * 1_001 + b"\rORC|NW", "AL1-5: longer than 1000 characters"),
        (b"ORC|NW", b"AL1|1|DA|^I\r" * 201 + b"ORC|NW", "AL1: more allergies than 200"),
    ],
)
async def test_a_number_or_name_without_end_is_held(desk: Desk, was: bytes, long: bytes, place: str) -> None:
    """No session is made of it, and the worklist names the field and not the value."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    assert was in raw
    await desk.send(raw.replace(was, long))
    held = (await desk.messages())[-1]

    assert (held.phases, held.reason, held.what) == (("held",), "TOO_LONG", place)
    assert len(await desk.sessions()) == 1


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(
    ("was", "long"),
    [(b"DEMO1001", b"9" * 100), (b"DEMO^PATIENT", b"D" * 200 + b"^" + b"P" * 200), (b"ACC9", b"A" * 1_000)],
)
async def test_what_is_as_long_as_the_contract_allows_is_taken(desk: Desk, was: bytes, long: bytes) -> None:
    """What a person may type a feed may send: the limit is read from the contract's form."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    await desk.send(raw.replace(was, long))

    assert len(await desk.sessions()) == 2


def test_the_limits_are_the_contracts() -> None:
    """There is one limit for one field, and it is declared in the contract."""
    identity, order = common_pb2.PatientIdentity, sessions_pb2.Order

    assert [max_len(identity, name) for name in ("mrn", "authority")] == [100, 100]
    assert [max_len(identity, name) for name in ("family", "given")] == [200, 200]
    assert {max_len(order, name) for name in ("accession_number", "procedure_text")} == {1000}
    assert MAX_ALLERGIES == 200


@pytest.mark.hazard("H-07")
async def test_nobody_who_is_yet_to_be_born_is_a_patient(desk: Desk) -> None:
    """A birth date after tomorrow is a slip of a hand or a field too far: held, by order and by registration."""
    await desk.send(
        ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|").replace(b"|19710412|", b"|20271120|")
    )
    await desk.send(update(family="X").replace(b"|19710412|", b"|20271120|"))
    *_, order, patient = await desk.messages()
    told = ("BIRTH_DATE_AHEAD", "PID-7 is a day that has not come")

    assert (order.reason, order.what) == (patient.reason, patient.what) == told
    assert len(await desk.sessions()) == 1


@pytest.mark.parametrize(
    ("configured", "place"),
    [
        ('applications = ["ATTEND"]', ""),
        ('applications = ["OTHER", "ATTEND"]', ""),
        ('applications = ["OTHER"]', "MSH-5"),
        ('facilities = ["DEMOHOSP"]', ""),
        ('facilities = ["ELSEWHERE"]', "MSH-6"),
    ],
)
def test_another_receivers_message_is_refused_where_ours_is_named(configured: str, place: str) -> None:
    """Unconfigured, any is taken; configured, one that was sent to the wrong door is told so."""
    name = configured.split(" ", maxsplit=1)[0]
    profile = parse_profile(DEMO_TEXT.replace(f"{name} = []", configured, 1))
    if not place:
        assert translate(ORDER, profile).meanings
        return
    with pytest.raises(SenderFault) as caught:
        translate(ORDER, profile)

    assert (caught.value.field, ack.refusal(caught.value).code) == (place, "AR")


@pytest.mark.parametrize("code", ["29463-7", "3141-9"])
async def test_a_weight_is_known_by_either_code(desk: Desk, code: str) -> None:
    """Body weight, and body weight measured."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    await desk.send(raw + f"OBX|1|NM|{code}^Weight^LN||72.5|kg|||||F\r".encode())

    assert sorted(str(one.weight_kg) for one in await desk.sessions()) == ["72.5", "None"]


async def test_a_batch_is_refused_in_words(desk: Desk) -> None:
    """The sender reads what to do instead."""
    raw = b"FHS|^~\\&|X\rBHS|^~\\&|X\r" + ORDER.replace(b"|2.3.1", b"|2.5.1") + b"BTS|1\rFTS|1\r"
    answer = await desk.intake.receive(raw, PEER)

    assert answer.code == "AR"
    assert "batches are not taken" in answer.faults[0].text


@pytest.mark.parametrize("name", ["FHS", "BHS"])
@pytest.mark.parametrize("sent_by", ["RIS", "A RIS WHOSE NAME IS LONG, SO THAT THE FIRST MSH COMES LATE"])
async def test_a_batch_is_listed_and_answered_by_its_own_number(desk: Desk, name: str, sent_by: str) -> None:
    """Not by the first message's, which nobody refused by itself."""
    raw = f"{name}|^~\\&|{sent_by}|HOSP|ATTEND|X|2026||||B77\r".encode() + ORDER + b"BTS|1\r"
    reply = ack.build(raw, await desk.intake.receive(raw, PEER), now=NOW, control_id="A1") or b""
    await desk.reader.drain()
    held = (await desk.messages())[-1]

    assert (held.control_id, held.message_type, held.reason) == ("B77", name, "REFUSED")
    assert b"\rMSA|AR|B77|batches are not taken" in reply
    assert reply.startswith(b"MSH|^~\\&|ATTEND|X|" + sent_by.encode() + b"|HOSP|")


async def test_a_message_with_unusable_delimiters_is_listed_by_its_own_name(desk: Desk) -> None:
    """MSH-1 still cuts the header: control id and type are the message's."""
    raw = ORDER.replace(b"MSH|^~\\&|", b"MSH|^^^^|").replace(b"|O1|", b"|O7|")
    answer = await desk.intake.receive(raw, PEER)
    listed = (await desk.messages())[-1]

    assert answer.code == "AR"
    assert (listed.control_id, listed.message_type) == ("O7", "ORM^O01")


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize("status", ["W", "D", "X"])
async def test_a_weight_that_is_taken_back_is_doubted_aloud(desk: Desk, status: str) -> None:
    """Posted for the wrong patient: it stays as the last that is known, says so wherever doses are, and is a notice."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    weight = "OBX|1|NM|29463-7^Weight^LN||50|kg|||||{}\r"
    await desk.send(raw + weight.format("F").encode())
    changed = raw.replace(b"|O9|", b"|O10|").replace(b"ORC|NW", b"ORC|XO")
    await desk.send(changed + weight.format(status).encode())
    [weighed] = [one for one in await desk.sessions() if one.weight_kg]
    last = (await desk.messages())[-1]

    assert "taken it back" in weighed.weight_doubt
    assert (last.phases, last.notices) == (("applied",), ("weight: OBX-11 takes back what was sent before",))
    await desk.send(changed.replace(b"|O10|", b"|O11|") + weight.format("C").replace("|50|", "|20|").encode())
    [weighed] = [one for one in await desk.sessions() if one.weight_kg]
    assert (weighed.weight_kg, weighed.weight_doubt) == (Decimal(20), "")


async def test_another_odd_weight_beside_it_does_not_hide_that_one_was_taken_back(desk: Desk) -> None:
    """The doubt stands whatever else the message holds under a code that nobody mapped."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    await desk.send(raw + b"OBX|1|NM|29463-7^Weight^LN||50|kg|||||F\r")
    back = b"OBX|1|NM|29463-7^Weight^LN||50|kg|||||W\rOBX|2|NM|X1^Body Weight^L||50|kg|||||F\r"
    await desk.send(raw.replace(b"|O9|", b"|O10|").replace(b"ORC|NW", b"ORC|XO") + back)
    [weighed] = [one for one in await desk.sessions() if one.weight_kg]

    assert "taken it back" in weighed.weight_doubt


async def test_a_taken_back_weight_says_nothing_of_the_one_that_follows(desk: Desk) -> None:
    """The corrected result of the same message counts; a first order without one has no weight."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    wrong = b"OBX|1|NM|29463-7^Weight^LN||50|kg|||||W\r"
    right = b"OBX|2|NM|29463-7^Weight^LN||20|kg|||||F\r"
    await desk.send(raw + wrong + right)
    await desk.send(raw.replace(b"ACC9", b"ACC8").replace(b"|O9|", b"|O8|") + wrong)
    weights = sorted(str(one.weight_kg) for one in await desk.sessions())

    assert weights == ["20", "None", "None"]


@pytest.mark.parametrize(
    "header", [b"MSH|DEMORIS|", b"MSH^~\\&|DEMORIS|", b"MSH|^~\\&DEMORIS|", b"MSHX^~\\&XDEMORISX"]
)
async def test_a_header_with_a_delimiter_left_out_is_listed_under_no_name(desk: Desk, header: bytes) -> None:
    """Every field stands one place off: the processing id is not taken for the control id."""
    raw = ORDER.replace(b"MSH|^~\\&|DEMORIS|", header)
    reply = ack.build(raw, await desk.intake.receive(raw, PEER), now=NOW, control_id="A1") or b""
    await desk.reader.drain()
    held = (await desk.messages())[-1]

    assert (held.control_id, held.message_type) == ("", "")
    assert (held.reason, held.what.split(":")[0]) == ("REFUSED", "MSH-2")
    assert b"\rMSA|AR||" in reply


@pytest.mark.parametrize("code", ["3142-7^Body weight Stated", "8335-2^"])
@pytest.mark.hazard("H-13")
async def test_a_weight_that_nobody_measured_is_not_taken_and_said(desk: Desk, code: str) -> None:
    """Stated and estimated weights are other codes than the profile maps."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    await desk.send(raw + f"OBX|1|NM|{code}^LN||72.5|kg|||||F\r".encode())

    assert {one.weight_kg for one in await desk.sessions()} == {None}
    assert (await desk.messages())[-1].notices == ("OBX: results other than weight and height are not read",)


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize(
    ("lines", "notice"),
    [
        (
            b"OBX|1|NM|33914-3^eGFR^LN||28|mL/min|||||F",
            "OBX: results other than weight and height are not read",
        ),
        (
            b"NTE|1||x\rPV1|2||||||||||||||B6",
            "PV1-15: the ambulatory status, which may say pregnant, is not read",
        ),
    ],
)
async def test_what_an_order_tells_and_nobody_reads_is_said(desk: Desk, lines: bytes, notice: str) -> None:
    """Kidneys and pregnancy are asked in the room; that the order spoke of them is a notice."""
    await desk.send(ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|") + lines + b"\r")

    assert (await desk.messages())[-1].notices == (notice,)


@pytest.mark.hazard("H-09")
async def test_an_orders_clinical_information_is_a_notice(desk: Desk) -> None:
    """OBR-12 and OBR-13 may name an allergy in words: a person is told where to look."""
    raw = ORDER.replace(b"ACC1", b"ACC9").replace(b"|O1|", b"|O9|")
    told = raw.replace(b"DEMOPROC||||||||||||", b"DEMOPROC||||||||^Isolation|asked for iodine allergy|||")
    assert told != raw
    await desk.send(told)

    assert (await desk.messages())[-1].notices == (
        "OBR-12: the danger code is not read",
        "OBR-13: the relevant clinical information is not read",
    )
