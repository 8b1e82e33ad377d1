"""The form of requests: amounts above nothing, something said, text that looks like what was typed."""

from collections.abc import Iterator
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from attend.v1 import common_pb2, form_pb2, reactions_pb2, sessions_pb2
from engine.services.contract import rpcs
from engine.services.form import WORDS, Form, Malformed
from tests.services.house import SECRET, House, fields_of, header, schedule
from tests.services.test_grpc import CODE, refused

PLAIN, LINES = form_pb2.plain, form_pb2.lines
#: Text that no person types: a session description has lines of its own.
MACHINE_TEXT = {"attend.v1.JoinLineRequest.offer_sdp"}
HIDDEN = ("\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\u202e", "\u2066", "\u2028")


def complaints(message: Any) -> list[tuple[str, str]]:
    """Return what the form says against a message."""
    try:
        Form().check(message)
    except Malformed as malformed:
        return list(malformed.violations)
    return []


def texts(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Return every string field that a request can carry, nested ones too."""
    for field in message.fields:
        nested = field.message_type
        if nested is not None and nested.file.package == "attend.v1" and nested.full_name not in seen:
            seen.add(nested.full_name)
            yield from texts(nested, seen)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield field


def test_a_broken_pattern_is_said_in_words() -> None:
    """Nobody has to read an expression: what to write is said, for every pattern of every request."""
    unsaid = set()
    for rpc in rpcs(demo=True):
        for text in texts(rpc.request.DESCRIPTOR, set()):
            rules = text.GetOptions().Extensions[validate_pb2.field]
            for ruled in (rules.string, rules.repeated.items.string):
                if ruled.HasField("pattern") and ruled.pattern not in WORDS:
                    unsaid.add(ruled.pattern)
    [(field, words)] = complaints(
        sessions_pb2.StartPreparationRequest(header=header("form-1"), session_id="not an id")
    )

    assert unsaid == set()
    assert (field, words) == (
        "session_id",
        "give 1 to 100 letters, digits and . _ : -, a letter or digit first",
    )


def test_every_text_of_a_request_has_a_pattern_or_is_readable_text() -> None:
    """No string reaches a command without a rule about which characters it may hold."""
    free = []
    for rpc in rpcs(demo=True):
        for field in texts(rpc.request.DESCRIPTOR, set()):
            rules = field.GetOptions().Extensions[validate_pb2.field]
            text = rules.repeated.items.string if field.is_repeated else rules.string
            ruled = text.HasField("pattern") or text.Extensions[PLAIN] or text.Extensions[LINES]
            if not ruled and field.full_name not in MACHINE_TEXT:
                free.append(field.full_name)

    assert sorted(set(free)) == []


@pytest.mark.parametrize("weight_kg", ["0", "0.0", "000.0000", "1000.1", "75000"])
async def test_a_weight_of_nothing_is_refused_by_field(home: House, weight_kg: str) -> None:
    """A weight of 0 kg is a slip of the hand, in an order and at the scale; nothing is stored."""
    ordered = home.sessions.ScheduleSession(schedule(weight_kg=weight_kg), metadata=home.as_("technologist"))
    error = await refused(ordered)
    assert (error.code(), fields_of(error)) == (CODE.INVALID_ARGUMENT, ["weight_kg"])
    assert "above 0 and up to 1000" in str(error.details())
    assert await home.executor.store.head() == 0

    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    at_the_scale = sessions_pb2.RecordWeightRequest(
        header=header("weight"), session_id="ses-1", weight_kg=weight_kg, method="scale"
    )
    error = await refused(home.sessions.RecordWeight(at_the_scale, metadata=home.as_("technologist")))
    assert fields_of(error) == ["weight_kg"]
    assert await home.executor.store.head() == 1


def test_a_weight_in_a_reaction_is_above_nothing_too() -> None:
    """The weight that doses go by has the same form."""
    made = reactions_pb2.RecordPatientWeightRequest
    fields = {"header": header("1"), "reaction_id": "rea-1", "method": "scale"}

    assert [field for field, _ in complaints(made(**fields, weight_kg="0.00"))] == ["weight_kg"]
    assert {field for field, _ in complaints(made(**fields, weight_kg="75000"))} == {"weight_kg"}
    assert complaints(made(**fields, weight_kg="0.4")) == []


async def test_vital_signs_without_any_are_refused(home: House) -> None:
    """An empty set of vital signs says nothing; zero, as measured, is something."""
    await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
    empty = sessions_pb2.SessionServiceRecordVitalsRequest(header=header("vitals"), session_id="ses-1")
    error = await refused(home.sessions.RecordVitals(empty, metadata=home.as_("technologist")))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert "give at least one vital sign" in str(error.details())
    assert await home.executor.store.head() == 1

    arrest = sessions_pb2.SessionServiceRecordVitalsRequest(
        header=header("vitals-0"), session_id="ses-1", heart_rate_bpm=0
    )
    assert (await home.sessions.RecordVitals(arrest, metadata=home.as_("technologist"))).version == 2


def test_vital_signs_in_a_reaction_may_be_consciousness_alone() -> None:
    """Whether the patient is conscious is worth a report of its own; nothing at all is not."""
    made = reactions_pb2.ReactionServiceRecordVitalsRequest
    fields = {"header": header("1"), "reaction_id": "rea-1"}

    assert [why for _, why in complaints(made(**fields))] == [
        "give at least one vital sign, or say whether the patient is conscious"
    ]
    assert complaints(made(**fields, conscious=False)) == []


@pytest.mark.parametrize("field", ["family", "given", "mrn"])
@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_an_identity_holds_no_hidden_characters(field: str, hidden: str) -> None:
    """Names and numbers look like what was typed; the complaint names the field and shows no value."""
    request = schedule()
    setattr(request.identity, field, f"{SECRET}{hidden}A")
    [(path, why)] = complaints(request)

    assert path == f"identity.{field}"
    assert why.startswith("write it on one line, without control characters")
    assert SECRET not in why


@pytest.mark.parametrize("name", ["O’Neil-Łukasz", "محمد", "בן־דוד", "李", "नमस्ते", "Ng\u0303o"])
def test_names_of_every_script_are_welcome(name: str) -> None:
    """A name in any writing is a name."""
    identity = common_pb2.PatientIdentity(family=name)

    assert not [field for field, _ in complaints(identity) if field == "family"]


def test_a_reason_may_have_lines_but_nothing_hidden() -> None:
    """Longer free text keeps its lines and tabs."""
    made = sessions_pb2.DeferContrastRequest
    fields = {"header": header("1"), "session_id": "ses-1"}

    assert complaints(made(**fields, reason="asthma today\n\tcome back tomorrow\r\n")) == []
    assert [field for field, _ in complaints(made(**fields, reason="fine\u202e"))] == ["reason"]
    assert [field for field, _ in complaints(made(**fields, reason="fine\x00"))] == ["reason"]
