"""Conversion and form: nothing is lost or invented on the way between messages and values."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from attend.v1 import common_pb2, reactions_pb2, sessions_pb2
from engine.kernel.errors import Invalid
from engine.reactions.commands import GradeReaction, RecordMedicationGiven
from engine.reactions.state import Severity, Vitals
from engine.services.convert import EPOCH, moment, read, timestamp, write
from engine.services.form import Form, Malformed
from engine.services.views import redacted
from engine.workflows.session import commands as c
from engine.workflows.session.state import CancelReason, Order, PatientIdentity, Screening
from tests.services.house import NOW, SECRET, header, schedule

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
AMOUNT = st.decimals(0, 999999, places=3)
MOMENT = st.integers(-(2**51), 2**52).map(lambda us: EPOCH + dt.timedelta(microseconds=us))


@given(MOMENT)
def test_a_moment_survives_to_the_microsecond(when: dt.datetime) -> None:
    """A Timestamp is exact to what the engine keeps."""
    assert moment(timestamp(when)) == when


@given(
    st.builds(
        Vitals,
        at=MOMENT,
        systolic_mmhg=st.none() | st.integers(0, 300),
        spo2_percent=st.none() | st.integers(0, 100),
        conscious=st.none() | st.booleans(),
    )
)
def test_vitals_survive_with_what_was_not_measured(vitals: Vitals) -> None:
    """None, zero and false stay apart."""
    message = write(vitals, reactions_pb2.Vitals.DESCRIPTOR)

    assert read(message, Vitals) == vitals


@given(
    st.builds(
        Screening, prior_reaction=TEXT, egfr_ml_min_173m2=st.none() | AMOUNT, egfr_on=st.none() | st.dates()
    )
)
def test_screening_survives(screening: Screening) -> None:
    """Answers, amounts and days come back as they went; an empty answer is the default one, unknown."""
    message = write(screening, sessions_pb2.Screening.DESCRIPTOR)
    back = read(message, Screening)

    assert back.egfr_ml_min_173m2 == screening.egfr_ml_min_173m2
    assert str(back.egfr_ml_min_173m2) == str(screening.egfr_ml_min_173m2)
    assert back.egfr_on == screening.egfr_on
    assert back.prior_reaction == (screening.prior_reaction or "unknown")


def test_a_whole_command_is_read() -> None:
    """Nested messages, lists, enums, days and amounts land in the command; what was left out takes its default."""
    message = schedule(weight_kg="70.50", allergies=[sessions_pb2.Allergy(substance="latex")])
    command = read(message, c.ScheduleSession)

    assert command.planned_at == NOW
    assert command.identity == PatientIdentity(
        mrn=SECRET, authority="DEMO", family=SECRET, given="DEMO", birth_date=dt.date(1970, 2, 3), sex="F"
    )
    assert isinstance(command.order, Order)
    assert command.weight_kg == Decimal("70.50")
    assert [one.substance for one in command.allergies] == ["latex"]
    assert (command.mode, command.demo, command.site_state) == ("C", False, "")


def test_enums_are_read_by_name() -> None:
    """An enum's value is the word behind its prefix."""
    cancel = sessions_pb2.CancelSessionRequest(reason=sessions_pb2.CANCEL_REASON_NO_PHYSICIAN)
    grade = reactions_pb2.GradeReactionRequest(severity=reactions_pb2.SEVERITY_SEVERE, presentation="hives")

    assert read(cancel, c.CancelSession).reason is CancelReason.NO_PHYSICIAN
    assert read(grade, GradeReaction).severity is Severity.SEVERE


@pytest.mark.parametrize(
    ("message", "kind", "field"),
    [
        (sessions_pb2.CancelSessionRequest(), c.CancelSession, "reason"),
        (sessions_pb2.RecordWeightRequest(weight_kg="NaN", method="m"), c.RecordWeight, "weight_kg"),
        (sessions_pb2.RecordWeightRequest(weight_kg="1e", method="m"), c.RecordWeight, "weight_kg"),
        (
            reactions_pb2.RecordMedicationGivenRequest(given_at=Timestamp(seconds=10**12)),
            RecordMedicationGiven,
            "given_at",
        ),
        (
            sessions_pb2.RecordScreeningRequest(
                screening=sessions_pb2.Screening(egfr_on=common_pb2.Date(year=2026, month=2, day=30))
            ),
            c.RecordScreening,
            "screening.egfr_on",
        ),
        (
            sessions_pb2.AmendPatientRequest(identity=common_pb2.PatientIdentity(mrn=SECRET)),
            c.AmendPatient,
            "identity.birth_date",
        ),
    ],
)
def test_what_cannot_be_read_is_named_by_its_path(message: Any, kind: type[Any], field: str) -> None:
    """Even past the form's check, a field that makes no sense is Invalid with its path and never its value."""
    with pytest.raises(Invalid) as caught:
        read(message, kind)

    assert caught.value.field == field
    assert SECRET not in str(caught.value)


@given(TEXT)
def test_the_form_never_repeats_a_value(text: str) -> None:
    """Whatever is in a malformed field, the complaint names the field and not what was in it."""
    marked = f"{SECRET} {text}"
    message = sessions_pb2.RecordWeightRequest(
        header=header("1"), session_id=marked, weight_kg=marked, method=marked
    )
    with pytest.raises(Malformed) as caught:
        Form().check(message)

    assert [field for field, _ in caught.value.violations][:2] == ["session_id", "weight_kg"]
    assert SECRET not in str(caught.value.violations)


def test_redaction_leaves_nothing_of_the_patient() -> None:
    """A redacted request keeps its order and loses whom it is about; the original is untouched."""
    message = schedule()
    shown: Any = redacted(message)
    confirmed: Any = redacted(
        sessions_pb2.ConfirmIdentityRequest(session_id="ses-1", family=SECRET, given=SECRET, mrn=SECRET)
    )

    assert SECRET in str(message)
    assert SECRET not in str(shown) + str(confirmed)
    assert shown.order.accession_number == "ACC1"
    assert confirmed.session_id == "ses-1"


@dataclass(frozen=True)
class Bare:
    """A dataclass that shares no field with the message."""

    nothing: str = ""


def test_fields_unknown_to_the_dataclass_are_left_alone() -> None:
    """A header is not part of the command."""
    assert read(sessions_pb2.StartPreparationRequest(header=header("1")), Bare) == Bare()
