"""What messages mean: orders and patients read right, our own trouble held with the code named, faults located."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from engine.kernel.errors import Invalid
from integrations.hl7_fhir import ack, er7
from integrations.hl7_fhir.faults import SenderFault
from integrations.hl7_fhir.inbound import MAX_SEGMENTS, translate
from integrations.hl7_fhir.profile import Profile, parse_profile
from integrations.hl7_fhir.values import (
    Allergies,
    Allergy,
    Coded,
    Held,
    Identifier,
    Meaning,
    OrderMessage,
    Patient,
    PatientMessage,
    Provider,
    Sender,
    Unused,
)
from tests.hl7_fhir.wire import sample

DEMO_TEXT = (Path(__file__).parents[2] / "integrations/hl7_fhir/profiles/demo.toml").read_text()


@pytest.fixture(scope="module")
def demo() -> Profile:
    return parse_profile(DEMO_TEXT)


def only(raw: bytes, profile: Profile) -> Meaning:
    (meaning,) = translate(raw, profile).meanings
    return meaning


def order(raw: bytes, profile: Profile) -> OrderMessage:
    meaning = only(raw, profile)
    assert isinstance(meaning, OrderMessage), meaning
    return meaning


def test_an_order_with_zds(demo: Profile) -> None:
    """ORM^O01 with ZDS gives every part of the order, the study UID included."""
    assert order(sample("orm_o01_zds.hl7"), demo) == OrderMessage(
        action="schedule",
        sender=Sender("DEMORIS", "DEMOHOSP", "ORM0001"),
        patient=Patient(
            identifiers=(Identifier("DEMO1001", "DEMO", "MR"),),
            family="DEMO",
            given="PATIENT",
            birth_date=dt.date(1961, 4, 12),
            sex="female",
            others=(Identifier("900-00-1001", "DEMOGOV", "SS"),),
        ),
        placer="PL1001",
        filler="FL1001",
        accession="ACC1001",
        study_instance_uid="1.2.3.4.5.1001",
        procedure=Coded("CTABDWC", "CT abdomen with contrast", "DEMOPROC"),
        modality="CT",
        contrast="iodinated",
        site="demo-hospital",
        room="room-ct-1",
        planned_at=dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC),
        provider=Provider("0310", "DEMO", "REFERRER"),
        allergies=Allergies(
            "listed",
            (
                Allergy(
                    Coded("DEMO-PCN", "Penicillin", "DEMOCODES"), "drug", "moderate", ("Hives", "Itching")
                ),
            ),
        ),
        weight_kg=Decimal("72.5"),
        height_cm=Decimal(168),
    )


def test_an_order_with_ipc(demo: Profile) -> None:
    """OMI^O23 takes its numbers from IPC, its time from TQ1, weight from pounds, height from metres."""
    read = order(sample("omi_o23_ipc.hl7"), demo)

    assert (read.accession, read.study_instance_uid, read.room) == ("ACC1002", "1.2.3.4.5.1002", "room-mr-1")
    assert (read.modality, read.contrast) == ("MR", "gadolinium")
    assert (read.weight_kg, read.height_cm) == (Decimal("81.6"), Decimal(175))
    assert read.planned_at == dt.datetime(2026, 11, 21, 19, 15, tzinfo=dt.UTC)
    assert (read.patient.family, read.allergies.status) == ("DÉMO", "unknown")


@pytest.mark.parametrize(
    ("orc", "action"),
    [("NW||", "schedule"), ("XO||", "amend"), ("CA||", "cancel"), ("DC||", "cancel"), ("OC||", "cancel")],
)
def test_order_control(demo: Profile, orc: str, action: str) -> None:
    """ORC-1 says what to do."""
    raw = sample("orm_o01_zds.hl7").replace(b"ORC|NW|", f"ORC|{orc}".encode()[:-1])

    assert order(raw, demo).action == action


def test_a_status_change_may_be_a_cancellation_or_the_exam_itself(demo: Profile) -> None:
    """ORC-5 wins over an update: cancelled is a cancellation, in process is nothing to schedule."""
    raw = sample("orm_o01_zds.hl7").replace(b"ORC|NW|", b"ORC|XO|")

    assert order(raw.replace(b"||SC||", b"||CA||"), demo).action == "cancel"
    assert isinstance(only(raw.replace(b"||SC||", b"||CM||"), demo), Unused)


def test_cancelling_needs_no_map(demo: Profile) -> None:
    """An order is cancelled even when its procedure and room are unknown."""
    raw = (
        sample("orm_o01_zds.hl7")
        .replace(b"ORC|NW|", b"ORC|CA|")
        .replace(b"CTABDWC", b"OTHER")
        .replace(b"CT1", b"ZZ")
    )

    assert order(raw, demo).action == "cancel"


@pytest.mark.parametrize(
    ("before", "after", "reason", "what"),
    [
        (b"CTABDWC^", b"NEWPROC^", "UNKNOWN_PROCEDURE_CODE", "NEWPROC (DEMOPROC)"),
        (b"^DEMOPROC|", b"^OTHERSYSTEM|", "UNKNOWN_PROCEDURE_CODE", "CTABDWC (OTHERSYSTEM)"),
        (
            b"CTABDWC^CT abdomen with contrast^DEMOPROC",
            b"",
            "NO_PROCEDURE_CODE",
            "no procedure code where the",
        ),
        (b"^CT1^", b"^CT9^", "UNKNOWN_ROOM", "CT9"),
        (b"||||CT\r", b"||||MR\r", "MODALITY_DIFFERS", "CTABDWC is mapped to CT"),
        (b"ORC|NW|", b"ORC|QQ|", "UNKNOWN_ORDER_CONTROL", "QQ"),
        (b"ORC|NW|", b"ORC||", "NO_ORDER_CONTROL", "ORC-1"),
        (b"^^^DEMO^MR", b"^^^DEMO^PI", "NO_ACCEPTED_IDENTIFIER", "PID-3 holds DEMO/PI, DEMOGOV/SS"),
        (b"^^^DEMO^MR", b"^^^^MR", "NO_ACCEPTED_IDENTIFIER", "PID-3 holds DEMOGOV/SS, no authority/MR"),
    ],
)
def test_what_is_held_for_a_person(
    demo: Profile, before: bytes, after: bytes, reason: str, what: str
) -> None:
    """Trouble with our maps stops the message with the code or field named."""
    raw = sample("orm_o01_zds.hl7").replace(before, after)
    held = only(raw, demo)

    assert isinstance(held, Held)
    assert held.reason == reason
    assert held.what.startswith(what)


def test_an_alternate_code_is_enough(demo: Profile) -> None:
    """The second triplet of OBR-4 is looked up when the first is unknown."""
    raw = sample("orm_o01_zds.hl7").replace(
        b"CTABDWC^CT abdomen with contrast^DEMOPROC", b"77^local^L^79103-8^CT^LN"
    )

    assert order(raw, demo).procedure == Coded("79103-8", "CT", "LN")


def test_a_procedure_without_contrast_is_unused(demo: Profile) -> None:
    """A code that is mapped as without contrast makes no session, and says so."""
    meaning = only(sample("orm_o01_zds.hl7").replace(b"CTABDWC", b"CTHEADWO"), demo)

    assert isinstance(meaning, Unused)
    assert "CTHEADWO" in meaning.why


def test_every_order_of_a_message_is_read(demo: Profile) -> None:
    """Two ORC groups are two orders, each with its own numbers; a code unknown in one holds only that one."""
    raw = sample("orm_o01_zds.hl7")
    second = raw[raw.index(b"ORC|") :].replace(b"1001", b"2002")
    first, other = translate(raw + second, demo).meanings
    _, held = translate(raw + second.replace(b"CTABDWC", b"NEW"), demo).meanings

    assert isinstance(first, OrderMessage)
    assert isinstance(other, OrderMessage)
    assert (first.accession, first.study_instance_uid) == ("ACC1001", "1.2.3.4.5.1001")
    assert (other.accession, other.study_instance_uid) == ("ACC2002", "1.2.3.4.5.2002")
    assert isinstance(held, Held)


@pytest.mark.parametrize(
    ("before", "after", "warning"),
    [
        (b"|72.5|kg|", b"|72.5||", "weight: OBX-6"),
        (b"|72.5|kg|", b"|about 70|kg|", "weight: OBX-5"),
        (b"|72.5|kg|", b"|-3|kg|", "weight: OBX-5"),
        (b"|72.5|kg|", b"|NaN|kg|", "weight: OBX-5"),
    ],
)
def test_a_weight_that_cannot_be_trusted_is_unknown(
    demo: Profile, before: bytes, after: bytes, warning: str
) -> None:
    """A weight without a known unit, or that is no amount, is None with a warning, never a guess."""
    read = order(sample("orm_o01_zds.hl7").replace(before, after), demo)

    assert read.weight_kg is None
    assert [text for text in read.warnings if text.startswith(warning)]


def test_the_newest_weight_counts_and_a_contradiction_does_not(demo: Profile) -> None:
    """Of several weights the newest is taken; two different ones of the same time are none."""
    raw = sample("orm_o01_zds.hl7")
    newer = raw + b"OBX|3|NM|29463-7^Body weight^LN||73|kg|||||F|||20261120090000\r"
    same = raw + b"OBX|3|NM|29463-7^Body weight^LN||99|kg|||||F|||20261120080000\r"

    assert order(newer, demo).weight_kg == Decimal(73)
    assert order(same, demo).weight_kg is None
    assert "several different values" in order(same, demo).warnings[0]


def test_times_with_and_without_an_offset(demo: Profile) -> None:
    """A local time is read in the profile's zone; a repeated hour is said; a day alone is no time."""

    def planned(text: bytes) -> tuple[dt.datetime | None, int]:
        read = order(sample("orm_o01_zds.hl7").replace(b"20261120103000", text), demo)
        return read.planned_at, len(read.warnings)

    assert planned(b"202607011030") == (dt.datetime(2026, 7, 1, 14, 30, tzinfo=dt.UTC), 0)
    assert planned(b"20261101013000")[1] == 1
    assert planned(b"20261120") == (None, 1)
    assert planned(b"20269920103000") == (None, 1)


def test_a_patient_registered_with_no_known_allergies(demo: Profile) -> None:
    """ADT^A04: the legal name, and "no known allergies" because somebody said so."""
    meaning = only(sample("adt_a04.hl7"), demo)

    assert isinstance(meaning, PatientMessage)
    assert (meaning.action, meaning.trigger) == ("register", "A04")
    assert (meaning.patient.family, meaning.patient.given) == ("DEMO", "PATIENT")
    assert meaning.allergies == Allergies("none_known")


@pytest.mark.hazard("H-09")
def test_nothing_said_about_allergies_is_unknown(demo: Profile) -> None:
    """An update without AL1 says nothing about allergies."""
    meaning = only(sample("adt_a08.hl7"), demo)

    assert isinstance(meaning, PatientMessage)
    assert (meaning.action, meaning.allergies) == ("update", Allergies("unknown"))


def test_five_encoding_characters_partial_date_and_foreign_sex(demo: Profile) -> None:
    """A fifth encoding character is no trouble; half a birth date and an unknown sex are unknown, with warnings."""
    meaning = only(sample("adt_a28_five_encoding_characters.hl7"), demo)

    assert isinstance(meaning, PatientMessage)
    assert (meaning.patient.given, meaning.patient.birth_date, meaning.patient.sex) == (
        "A & B",
        None,
        "unknown",
    )
    assert len(meaning.warnings) == 2
    assert meaning.allergies.items == (
        Allergy(Coded("", "Contrast media", ""), "drug", "severe", ("Swelling",)),
    )


def test_an_authority_known_by_its_oid(demo: Profile) -> None:
    """CX-4 matches by namespace or by universal id."""
    profile = parse_profile(DEMO_TEXT.replace('authorities = ["DEMO"]', 'authorities = ["1.2.3.4"]'))

    assert order(sample("omi_o23_ipc.hl7"), profile).patient.identifiers == (
        Identifier("DEMO1002", "1.2.3.4", "MR"),
    )


@pytest.mark.parametrize(
    ("before", "after", "place", "code"),
    [
        (b"|ORM0001|", b"||", "MSH-10", "101"),
        (b"|ORM^O01|", b"||", "MSH-9", "101"),
        (b"PID|", b"ZID|", "PID", "100"),
        (b"DEMO1001^^^DEMO^MR~900-00-1001^^^DEMOGOV^SS", b"", "PID-3", "101"),
        (b"MSH|", b"MSX|", "MSH", "100"),
    ],
)
def test_what_the_sender_must_mend(demo: Profile, before: bytes, after: bytes, place: str, code: str) -> None:
    """No control id, type, patient or header is the sender's fault, located, and its answer has an ERR that says so."""
    raw = sample("orm_o01_zds.hl7").replace(before, after)
    with pytest.raises(SenderFault) as caught:
        translate(raw, demo)
    answer = ack.build(
        raw, ack.refusal(caught.value), now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), control_id="A1"
    )

    assert (caught.value.field, caught.value.code) == (place, code)
    assert answer is not None
    assert code.encode() in answer


def test_other_types_are_unused(demo: Profile) -> None:
    """A type that is not used here is said to be unused, whatever else it lacks."""
    raw = b"MSH|^~\\&|A|B|C|D|20261120||MDM^T02|9|P|2.5.1\r"

    assert only(raw, demo) == Unused(
        "MDM^T02", "this type of message is not used here", Sender("A", "B", "9")
    )


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ('site = "demo-hospital"', "", "profile.site"),
        ('"IPC-1"', '"IPC1"', "profile.order.accession"),
        ('timezone = "America/New_York"', 'timezone = "Nowhere/At_All"', "profile.timezone"),
        ('contrast = "gadolinium"', 'contrast = "barium"', "profile.procedure[3].contrast"),
        ('code = "MR1"', 'code = "CT1"', "profile.room[1].code"),
        ('version = "1"', 'version = "1"\ncolour = "red"', "profile.colour"),
        ('name = "demo"', "name = ", "profile"),
    ],
)
def test_a_profile_with_a_mistake_is_refused(before: str, after: str, field: str) -> None:
    """A profile with anything missing, unknown or twice is refused with the place named."""
    with pytest.raises(Invalid) as caught:
        parse_profile(DEMO_TEXT.replace(before, after, 1))

    assert caught.value.field == field


def test_segments_and_repetitions_at_the_limit_and_one_past_it(demo: Profile) -> None:
    """A message of exactly the limits is read; one segment or repetition more is refused with the limit named."""
    raw = sample("adt_a04.hl7")
    full = raw + b"NTE|\r" * (MAX_SEGMENTS - raw.count(b"\r"))
    repeated = raw.replace(b"DEMO1001^^^DEMO^MR", b"DEMO1001^^^DEMO^MR" + b"~X" * (er7.MAX_REPETITIONS - 1))

    assert isinstance(only(full, demo), PatientMessage)
    assert isinstance(only(repeated, demo), PatientMessage)
    for past in (full + b"NTE|\r", repeated.replace(b"~X", b"~X~X", 1)):
        with pytest.raises(SenderFault) as caught:
            translate(past, demo)
        assert "more" in caught.value.why
