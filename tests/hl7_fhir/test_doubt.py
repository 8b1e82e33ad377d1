"""What a message leaves in doubt is never guessed and never lost: refused, held with the place, or said in a notice."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from engine.kernel.commands import Request
from engine.kernel.ids import Stream
from integrations.hl7_fhir import ack
from integrations.hl7_fhir.inbound import translate
from integrations.hl7_fhir.profile import Profile, parse_profile
from integrations.hl7_fhir.values import Held, OrderMessage, PatientMessage
from tests.hl7_fhir.test_inbound import DEMO_TEXT
from tests.hl7_fhir.test_intake import ORDER, PEER, Desk
from tests.hl7_fhir.wire import NOW, sample
from tests.workflows.session import stories as s

DEMO = parse_profile(DEMO_TEXT)
OTHER_PID = b"PID|2||DEMO2002^^^DEMO^MR||DEMO^SECOND||19700101|M\r"
WEIGHT = b"OBX|1|NM|29463-7^Body weight^LN||72.5|kg|||||F\r"
UTF_16 = [ORDER.decode().encode(codec) for codec in ("utf-16", "utf-16-le", "utf-16-be")]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk with nothing on it."""
    made = Desk()
    await made.executor.open()
    yield made


def second_order(raw: bytes = ORDER, number: bytes = b"2") -> bytes:
    """The order groups of a message once more, under numbers of their own."""
    tail = raw[raw.index(b"ORC|") :]
    for name in (b"PL", b"FL", b"ACC", b"RP", b"SPS"):
        tail = tail.replace(name + b"1", name + number)
    return tail.replace(b"1.2.3.4.5.1^", b"1.2.3.4.5." + number + b"^")


def amended(*changes: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    """The order changed, in a message of its own, each (before, after) replaced."""
    raw = ORDER.replace(b"ORC|NW", b"ORC|XO").replace(b"|O1|", b"|O9|")
    for before, after in changes:
        assert before in raw
        raw = raw.replace(before, after)
    return raw + tail


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(
    ("raw", "code", "place"),
    [
        (ORDER.replace(b"PV1|", OTHER_PID + b"PV1|"), b"AE", "PID[2]"),
        (ORDER + OTHER_PID, b"AE", "PID[2]"),
        (sample("adt_a08.hl7") + OTHER_PID, b"AE", "PID[2]"),
        (ORDER.replace(b"DEMO1001^^^DEMO^MR", b""), b"AE", "PID-3"),
        (ORDER.replace(b"DEMO1001^^^DEMO^MR", b'""'), b"AE", "PID-3"),
        (ORDER.replace(b"PID|", b"ZID|"), b"AE", "PID"),
        *((raw, b"AR", "MSH-18") for raw in UTF_16),
        (b"no header at all", b"AR", "MSH"),
    ],
)
async def test_what_is_refused_is_kept_and_held(desk: Desk, raw: bytes, code: bytes, place: str) -> None:
    """The sender is told where; the bytes are kept all the same, and a person sees why nothing came of them."""
    answer = await desk.intake.receive(raw, PEER)
    await desk.reader.drain()
    reply = ack.build(raw, answer, now=NOW, control_id="A1") or b""
    [held] = await desk.messages()

    assert b"\rMSA|" + code + b"|" + held.control_id.encode() in reply
    assert held.control_id in ("O1", "ADT0008") or place == "MSH"
    assert b"\rERR|" in reply
    assert (held.phases, held.reason, held.what.split(":")[0]) == (("held",), "REFUSED", place)
    assert held.raw
    assert await desk.sessions() == []


async def test_the_answer_names_the_second_patient(desk: Desk) -> None:
    """ERR says which segment of that name is one too many."""
    raw = (ORDER + OTHER_PID).replace(b"|2.3.1", b"|2.5.1")
    reply = ack.build(raw, await desk.intake.receive(raw, PEER), now=NOW, control_id="A1") or b""

    assert b"\rERR||PID^2|100" in reply


async def test_each_order_of_a_message_is_a_session_of_its_own(desk: Desk) -> None:
    """Two orders with their own numbers make two sessions of one patient."""
    await desk.send(ORDER + second_order())
    [applied] = await desk.messages()

    assert sorted(one.order.accession_number for one in await desk.sessions() if one.order) == [
        "ACC1",
        "ACC2",
    ]
    assert len(applied.sessions) == 2


async def test_orders_that_could_be_followed_are_named_beside_one_that_could_not(desk: Desk) -> None:
    """The session of the first order, the reason of the second and of the third are all on the worklist."""
    second = second_order().replace(b"CTABDWC", b"UNHEARD")
    third = second_order(number=b"3").replace(b"ORC|NW", b"ORC|QQ")
    await desk.send(ORDER + second + third)
    [held] = await desk.messages()
    [made] = await desk.sessions()

    assert (held.phases, held.reason, held.sessions) == (
        ("held",),
        "UNKNOWN_PROCEDURE_CODE",
        (made.session_id,),
    )
    assert held.notices == ("UNKNOWN_ORDER_CONTROL: QQ",)


@pytest.mark.parametrize(
    "raw",
    [
        ORDER + second_order(number=b"1"),
        ORDER + second_order(number=b"1").replace(b"PL1", b"PL2").replace(b"FL1", b"FL2"),
    ],
)
async def test_two_orders_under_one_number_are_held(desk: Desk, raw: bytes) -> None:
    """The second would overwrite the first: neither is followed."""
    await desk.send(raw)
    [held] = await desk.messages()

    assert (held.reason, await desk.sessions()) == ("SAME_ORDER_NUMBER", [])


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize(
    ("tail", "place"),
    [
        (b"PV1|2|O|RADIOLOGY^MR1^^DEMOHOSP\r", "PV1-3.2"),
        (b"ZDS|1.2.3.4.5.99^100^Application^DICOM\r", "ZDS-1"),
        (b"TQ1|1||||||20261121141500\rTQ1|2||||||20261122141500\r", "TQ1-7"),
        (b"IPC|ACC7\rIPC|ACC8\r", "IPC-1"),
    ],
)
async def test_several_values_for_one_are_held(desk: Desk, tail: bytes, place: str) -> None:
    """A second visit, study, time or accession number with another value is nobody's to choose from."""
    await desk.send(ORDER + tail)
    [held] = await desk.messages()

    assert (held.reason, held.what.split(" ")[0]) == ("SEVERAL_VALUES", place)
    assert await desk.sessions() == []


async def test_the_same_value_twice_is_one_value(desk: Desk) -> None:
    """A repeated visit segment that agrees with the first is no trouble."""
    await desk.send(ORDER + b"PV1|2|O|RADIOLOGY^CT1^^DEMOHOSP\r")

    assert len(await desk.sessions()) == 1


def identifiers(pid_3: bytes, profile: Profile = DEMO) -> tuple[str, ...] | str:
    """The accepted identifiers of an order with this PID-3, or why it is held."""
    (meaning,) = translate(ORDER.replace(b"DEMO1001^^^DEMO^MR", pid_3), profile).meanings
    if isinstance(meaning, Held):
        return f"{meaning.reason} {meaning.what}"
    assert isinstance(meaning, OrderMessage)
    return tuple(one.value for one in meaning.patient.identifiers)


@pytest.mark.hazard("H-07")
def test_which_identifier_counts() -> None:
    """The configured authority decides, in its configured order; what is left equal is held, never the first taken."""
    two = parse_profile(DEMO_TEXT.replace('authorities = ["DEMO"]', 'authorities = ["MAIN", "DEMO"]'))
    none = parse_profile(DEMO_TEXT.replace('authorities = ["DEMO"]', "authorities = []"))
    both = b"1^^^DEMO^MR~2^^^MAIN^MR"

    assert identifiers(both) == ("1",)
    assert identifiers(both, two) == ("2",)
    assert identifiers(both, none) == "SEVERAL_IDENTIFIERS PID-3 holds DEMO/MR, MAIN/MR"
    assert identifiers(b"1^^^DEMO^MR~3^^^DEMO^MR") == "SEVERAL_IDENTIFIERS PID-3 holds DEMO/MR"
    assert identifiers(b"1^^^DEMO^MR~1^^^DEMO^MR") == ("1",)


@pytest.mark.hazard("H-13")
@pytest.mark.parametrize(
    ("obx", "notice"),
    [
        (b"||72.5|", "weight: OBX-6 is not a unit that is known"),
        (b"||72.5|stone", "weight: OBX-6 is not a unit that is known"),
        (b"||0|kg", "weight: OBX-5 is not an amount"),
        (b"||-3|kg", "weight: OBX-5 is not an amount"),
        (b"||0.01|lb", "weight: OBX-5 is not an amount"),
        (b"||1000.1|kg", "weight: OBX-5 is not an amount"),
        (b"||1E999999|kg", "weight: OBX-5 is not a number"),
        (b"||NaN|kg", "weight: OBX-5 is not a number"),
        (b"||7_2|kg", "weight: OBX-5 is not a number"),
        (b"||^72|kg", "weight: OBX-5 is not a number"),
        (b"||72~80|kg", "weight: OBX-5 is not a number"),
    ],
)
async def test_a_weight_that_is_not_taken_is_said(desk: Desk, obx: bytes, notice: str) -> None:
    """The session is made without a weight, and the notice names the field, never the value."""
    await desk.send(ORDER + b"OBX|1|NM|29463-7^Body weight^LN" + obx + b"|||||F\r")
    [applied] = await desk.messages()
    [made] = await desk.sessions()

    assert made.weight_kg is None
    assert (applied.phases, applied.notices) == (("applied",), (notice,))


@pytest.mark.hazard("H-13")
async def test_a_weight_under_a_code_nobody_mapped_is_said(desk: Desk) -> None:
    """A local code called a weight is not taken for one, nor passed over; beside a mapped one that one counts."""
    local = b"OBX|1|NM|WT^Body weight^L||90|kg|||||F\r"
    await desk.send(ORDER + local)
    await desk.send((ORDER + local + WEIGHT).replace(b"|O1|", b"|O2|").replace(b"ACC1", b"ACC2"))
    notice = ("weight: OBX-3 is a code that the profile does not map",)

    assert [one.notices for one in await desk.messages()] == [notice, notice]
    assert {one.weight_kg for one in await desk.sessions()} == {None, Decimal("72.5")}


async def test_an_unknown_sex_is_said(desk: Desk) -> None:
    """A code of no table reads as unknown, the message keeps it, and the notice names the field."""
    raw = ORDER.replace(b"|F\r", b"|Q7\r")
    assert raw != ORDER
    await desk.send(raw)
    [applied] = await desk.messages()
    [made] = await desk.sessions()

    assert made.identity is not None
    assert made.identity.sex == "unknown"
    assert applied.notices == ("PID-8: a sex that is not in HL7 table 0001 was read as unknown",)


@pytest.mark.parametrize("code", [b"", b"U", b"F", b"m"])
async def test_a_sex_of_the_table_needs_no_notice(desk: Desk, code: bytes) -> None:
    """Unknown said as unknown, or not at all, is nothing to look at."""
    await desk.send(ORDER.replace(b"|F\r", b"|" + code + b"\r"))

    assert (await desk.messages())[0].notices == ()


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize(
    ("al1", "substance", "code", "severity"),
    [
        (b"AL1|1|DA|C-77^^LOCAL|SV", "C-77", "C-77", "severe"),
        (b"AL1|1|DA|^Iohexol", "Iohexol", "", ""),
        (b"AL1|1|ZZ|^Iohexol|QQ", "Iohexol", "", "QQ"),
        (b"AL1|1||^^^C-78^Latex^LOCAL|U", "Latex", "C-78", ""),
        (b"AL1|1||^^^^^^^^as the patient says|^Bad", "as the patient says", "", "Bad"),
    ],
)
async def test_whatever_names_a_substance_is_an_allergy(
    desk: Desk, al1: bytes, substance: str, code: str, severity: str
) -> None:
    """Only a code, only a text, an alternate code, an unknown type or severity: a fact with what was given."""
    await desk.send(ORDER.replace(b"ORC|", al1 + b"\rORC|", 1))
    [made] = await desk.sessions()
    [entry] = made.allergies

    assert (entry.substance, entry.code, entry.severity) == (substance, code, severity)
    assert made.allergies_source == "hl7"
    assert (await desk.messages())[0].notices == ()


@pytest.mark.hazard("H-09")
@pytest.mark.parametrize("other", [b"AL1|2|DA||SV|Anaphylaxis", b"AL1|2|DA|^Iohexol", b"IAM|1|DA|^Iohexol"])
async def test_none_known_is_not_believed_beside_an_allergy(desk: Desk, other: bytes) -> None:
    """Somebody says none and something else says one: never none."""
    await desk.send(ORDER.replace(b"ORC|", b"AL1|1||NKA\r" + other + b"\rORC|", 1))
    [made] = await desk.sessions()

    assert made.allergies_source in ("", "hl7")
    assert [one for one in (await desk.messages())[0].notices if "no allergies are known" in one]


@pytest.mark.hazard("H-09")
async def test_an_allergy_in_a_changed_order_reaches_the_session(desk: Desk) -> None:
    """Also one that is too far on for its order to change: the rest is held."""
    allergy = b"AL1|1|DA|^Iohexol|SV\r"
    await desk.send(ORDER)
    await desk.send(amended((b"ORC|", allergy + b"ORC|"), tail=WEIGHT))
    [told] = await desk.sessions()
    assert [one.substance for one in told.allergies] == ["Iohexol"]
    assert told.weight_kg == Decimal("72.5")

    stream = Stream("session", told.session_id)
    await desk.executor.execute(Request(request_id="given", stream=stream, command=s.dose(), actor=s.TECH))
    await desk.send(amended((b"ORC|", allergy.replace(b"Iohexol", b"Latex") + b"ORC|")))
    [after] = await desk.sessions()

    assert [one.substance for one in after.allergies] == ["Latex"]
    assert (await desk.messages())[-1].reason == "WRONG_PHASE"


async def test_an_order_that_changes_after_its_session_is_over_changes_nothing(desk: Desk) -> None:
    """Called off, the session takes no allergy with it; the message is held."""
    await desk.send(ORDER)
    await desk.send(amended((b"ORC|XO", b"ORC|CA")))
    [over] = await desk.sessions()
    assert over.in_phase("cancelled")
    await desk.send(amended((b"ORC|", b"AL1|1|DA|^Iohexol|SV\rORC|")))

    assert (await desk.messages())[-1].reason == "WRONG_PHASE"
    assert await desk.sessions() == [over]


@pytest.mark.hazard("H-13")
async def test_a_weight_taken_in_the_room_is_not_overwritten_by_an_order(desk: Desk) -> None:
    """The order's later weight differs from what was measured: a person looks."""
    await desk.send(ORDER)
    [made] = await desk.sessions()
    weighed = s.c.RecordWeight(weight_kg=Decimal(90), method="measured")
    stream = Stream("session", made.session_id)
    await desk.executor.execute(Request(request_id="weighed", stream=stream, command=weighed, actor=s.TECH))
    await desk.send(amended(tail=WEIGHT))

    assert (await desk.messages())[-1].reason == "WEIGHT_DIFFERS"
    assert (await desk.sessions())[0].weight_kg == Decimal(90)


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("control", [b"NW", b"XO", b"CA"])
@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"DEMO1001^", b"DEMO2002^", "PATIENT_MISMATCH"),
        (b"PL1^", b"PL2^", "ORDER_MISMATCH"),
        (b"FL1^", b"FL2^", "ORDER_MISMATCH"),
    ],
)
async def test_another_patient_or_order_under_a_known_number_is_held(
    desk: Desk, control: bytes, before: bytes, after: bytes, reason: str
) -> None:
    """Neither scheduling, changing nor cancelling follows a number to the session of somebody or something else."""
    await desk.send(ORDER)
    [made] = await desk.sessions()
    await desk.send(amended((b"ORC|XO", b"ORC|" + control), (before, after)))

    assert (await desk.messages())[-1].reason == reason
    assert await desk.sessions() == [made]


def test_a_weight_in_a_patients_message_is_said() -> None:
    """It is not taken, and the notice says so."""
    (meaning,) = translate(sample("adt_a08.hl7") + WEIGHT, DEMO).meanings

    assert isinstance(meaning, PatientMessage)
    assert meaning.warnings == ("weight: OBX-5 is not taken from a patient's message",)


async def test_a_character_set_that_did_not_hold_is_said(desk: Desk) -> None:
    """A message read by the site's fallback, against its own MSH-18, says so."""
    raw = ORDER.replace(b"|P|2.3.1", b"|P|2.3.1||||||UNICODE UTF-8").replace(
        b"DEMO^PATIENT", b"D\xc9MO^PATIENT"
    )
    await desk.send(raw)

    assert (await desk.messages())[0].notices == ("the bytes do not fit the character set of MSH-18",)


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize("empty", [b"||", b'|""|'])
async def test_an_empty_field_takes_nothing_away(desk: Desk, empty: bytes) -> None:
    """Without a name or a sex an ADT says nothing of them: what is known stays, and the missing name is told."""
    await desk.send(ORDER)
    [before] = await desk.sessions()
    pid = ORDER.split(b"\r")[1].replace(b"|DEMO^PATIENT|", empty).replace(b"|F", b"|")
    header = ORDER.split(b"\r")[0].replace(b"ORM^O01", b"ADT^A08").replace(b"|O1|", b"|U1|")
    await desk.send(header + b"\r" + pid + b"\r")

    told = (
        "no family name was sent" if empty == b"||" else "the sender asks to delete it; what is known stays"
    )
    assert (await desk.messages())[-1].notices == (f"PID-5: {told}",)
    assert (await desk.sessions())[0].identity == before.identity


@pytest.mark.hazard("H-07")
@pytest.mark.parametrize(
    ("before", "after", "place"),
    [(b"|DEMO^PATIENT|", b"|OTHER^PERSON|", "PID-5"), (b"19710412|F", b"19710412|M", "PID-8")],
)
async def test_a_changed_order_for_somebody_else_is_held(
    desk: Desk, before: bytes, after: bytes, place: str
) -> None:
    """The same number and birth date with another whole name or another sex: a person looks."""
    await desk.send(ORDER)
    [made] = await desk.sessions()
    await desk.send(amended((before, after)))
    last = (await desk.messages())[-1]

    assert (last.reason, last.what) == ("PATIENT_MISMATCH", f"{place} differs from the order's patient")
    assert await desk.sessions() == [made]


async def test_a_changed_order_with_another_family_name_is_followed(desk: Desk) -> None:
    """A name taken in marriage is the same person."""
    await desk.send(ORDER)
    await desk.send(amended((b"|DEMO^PATIENT|", b"|MARRIED^PATIENT|")))

    assert (await desk.messages())[-1].reason == ""
