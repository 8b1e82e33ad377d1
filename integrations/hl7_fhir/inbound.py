"""Turns one HL7 v2 message into what it means here: an order, a patient, something held for a person, or unused.

Pure: bytes and a profile in, values out. Raises SenderFault for what only the sender can mend; trouble with
our own maps is Held, with the code named. Nothing is skipped: every order in a message gives one meaning.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from engine.reactions.dose import WEIGHT_LIMIT_KG
from integrations.hl7_fhir import er7, v2_fields
from integrations.hl7_fhir.er7 import Message, Segment
from integrations.hl7_fhir.faults import (
    DATA_TYPE,
    REQUIRED_FIELD_MISSING,
    SEGMENT_SEQUENCE,
    TABLE_VALUE,
    UNSUPPORTED_VERSION,
    SenderFault,
)
from integrations.hl7_fhir.identity_changes import CHANGES, read_change
from integrations.hl7_fhir.profile import Path, Profile
from integrations.hl7_fhir.values import (
    Allergies,
    Coded,
    Held,
    Meaning,
    OrderMessage,
    Patient,
    PatientMessage,
    Sender,
    Unused,
)

_PATIENT_ACTIONS: Final[dict[str, Literal["register", "update"]]] = {
    "A01": "register",
    "A04": "register",
    "A05": "register",
    "A08": "update",
    "A28": "register",
    "A31": "update",
}
_ORDER_ACTIONS: Final[dict[str, Literal["schedule", "amend", "cancel"]]] = {
    "NW": "schedule",
    "XO": "amend",
    "XX": "amend",
    "SC": "amend",
    "CA": "cancel",
    "OC": "cancel",
    "DC": "cancel",
    "OD": "cancel",
}
# MSH-12 is empty in some old feeds, whose messages are read as any other version 2.
_VERSION: Final = re.compile(r"(?:2(?:\.[0-9]{1,2}){0,2})?")
_ORDER_TYPES: Final = (("ORM", "O01"), ("OMI", "O23"))
_WITH_EVENT: Final = ("ADT", *(kind for kind, _ in _ORDER_TYPES))
_CANCELLED: Final = ("CA", "DC")
_PERFORMED: Final = ("IP", "CM", "A")
MAX_SEGMENTS: Final = 5_000
"""More segments than this in an order or a patient message are refused (other types are only stored)."""

_BEFORE_ORDERS: Final = ("MSH", "PID", "PD1", "PV1", "PV2", "IN1", "IN2", "IN3", "GT1", "AL1")


@dataclass(frozen=True, slots=True)
class Translation:
    """A read message: its type as `ORM^O01`, its version as sent, who sent it, what it means, and oddities of form.

    `processing_id` is MSH-11: P production, T training, D debugging, empty when nothing was said.
    """

    type: str
    version: str
    processing_id: str
    sender: Sender
    meanings: tuple[Meaning, ...]
    notes: tuple[str, ...]


def translate(raw: bytes, profile: Profile) -> Translation:
    """Read one message (see er7.split_batch for several). Raises SenderFault, and nothing else."""
    message = er7.read(raw, fallbacks=profile.fallback_charsets)
    sender = v2_fields.sender(message)
    _meant_for_us(message, profile)
    kind, trigger = _type(message)
    name = f"{kind}^{trigger}" if trigger else kind
    identity = kind == "ADT" and trigger in CHANGES
    used = (kind, trigger) in _ORDER_TYPES or (kind == "ADT" and trigger in _PATIENT_ACTIONS) or identity
    if used and not _VERSION.fullmatch(message.msh.text(12)):
        raise SenderFault("MSH", 12, UNSUPPORTED_VERSION, "send HL7 version 2")
    if used and len(message.segments) > MAX_SEGMENTS:
        raise SenderFault("MSH", None, SEGMENT_SEQUENCE, f"more segments than {MAX_SEGMENTS}")
    meanings: tuple[Meaning, ...]
    if (kind, trigger) in _ORDER_TYPES:
        meanings = _orders(message, name, sender, profile)
    elif identity:
        meanings = (read_change(message, trigger, sender, profile),)
    elif used:
        meanings = (_patient(message, trigger, sender, profile),)
    else:
        meanings = (Unused(name, "this type of message is not used here", sender),)
    version, processing_id = message.msh.text(12), message.msh.text(11).upper()
    return Translation(name, version, processing_id, sender, meanings, message.notes)


def _meant_for_us(message: Message, profile: Profile) -> None:
    """Raise SenderFault for a message to another application or facility, where the profile says which are ours."""
    wanted = profile.receiver
    for field, names in ((5, wanted.applications), (6, wanted.facilities)):
        if names and message.msh.text(field) not in names:
            raise SenderFault("MSH", field, TABLE_VALUE, "the message is meant for another receiver")


def _type(message: Message) -> tuple[str, str]:
    kind, trigger = message.msh.text(9, 1).upper(), message.msh.text(9, 2).upper()
    if not kind:
        raise SenderFault("MSH", 9, REQUIRED_FIELD_MISSING, "the message has no type")
    event = message.first("EVN")
    if not trigger and kind == "ADT" and event is not None:
        trigger = event.text(1).upper()
    if len(message.msh.pieces(9)) > 1:
        raise SenderFault("MSH", 9, DATA_TYPE, "the message has more than one type")
    if not trigger and kind in _WITH_EVENT:
        raise SenderFault("MSH", 9, REQUIRED_FIELD_MISSING, "the message has a type and no event")
    return kind, trigger


def _who(message: Message, sender: Sender, profile: Profile) -> tuple[Patient, list[str]] | Held:
    try:
        return v2_fields.patient(message, profile)
    except v2_fields.SeveralValues as several:
        return Held("SEVERAL_VALUES", f"{several.path} of one patient holds several values", sender)


def _patient(message: Message, trigger: str, sender: Sender, profile: Profile) -> Meaning:
    who = _who(message, sender, profile)
    if isinstance(who, Held):
        return who
    patient, warnings = who
    if unidentified := _unidentified(patient, sender):
        return unidentified
    allergies, more = v2_fields.allergies(message, profile)
    weight, _, spoken = _measures(message.segments, profile)
    if weight is not None:
        more.append("weight: OBX-5 is not taken from a patient's message")
    unread = v2_fields.not_read(message.segments, profile)
    said = tuple(text for text in (*warnings, *more, *spoken, *unread) if text)
    return PatientMessage(_PATIENT_ACTIONS[trigger], trigger, sender, patient, allergies, said)


def _unidentified(patient: Patient, sender: Sender) -> Held | None:
    if len(patient.identifiers) == 1:
        return None
    reason = "SEVERAL_IDENTIFIERS" if patient.identifiers else "NO_ACCEPTED_IDENTIFIER"
    seen = patient.identifiers or patient.others
    kinds = sorted({f"{one.authority or 'no authority'}/{one.type or 'no type'}" for one in seen})
    return Held(reason, "PID-3 holds " + ", ".join(kinds[:5]), sender)


def _orders(message: Message, name: str, sender: Sender, profile: Profile) -> tuple[Meaning, ...]:
    who = _who(message, sender, profile)
    if isinstance(who, Held):
        return (who,)
    patient, warnings = who
    if unidentified := _unidentified(patient, sender):
        return (unidentified,)
    allergies, more = v2_fields.allergies(message, profile)
    shared, groups = order_groups(message)
    if not groups:
        return (Held("NO_ORDER", "the message has neither ORC nor OBR", sender),)
    meanings: list[Meaning] = []
    for group in groups:
        try:
            meaning = _order(name, [*group, *shared], patient, allergies, [*warnings, *more], sender, profile)
        except v2_fields.SeveralValues as several:
            meaning = Held("SEVERAL_VALUES", f"{several.path} of one order holds several values", sender)
        meanings.append(meaning)
    numbers = Counter(one.number for one in meanings if isinstance(one, OrderMessage))
    twice = Held("SAME_ORDER_NUMBER", "several orders of the message bear one number", sender)
    return tuple(
        twice if isinstance(one, OrderMessage) and numbers[one.number] > 1 else one for one in meanings
    )


def order_groups(message: Message) -> tuple[list[Segment], list[list[Segment]]]:
    """Cut an order message into what belongs to the patient and one group for each order.

    A group begins at an ORC, or at an OBR that does not follow its ORC. A ZDS after the last order of several belongs
    to the last, as the standard's order of segments says.
    """
    shared: list[Segment] = []
    groups: list[list[Segment]] = []
    for segment in message.segments:
        alone = segment.name == "OBR" and (not groups or any(one.name == "OBR" for one in groups[-1]))
        if segment.name == "ORC" or alone:
            groups.append([segment])
        elif groups and segment.name not in _BEFORE_ORDERS:
            groups[-1].append(segment)
        else:
            shared.append(segment)
    return shared, groups


def _order(
    name: str,
    scope: Sequence[Segment],
    patient: Patient,
    allergies: Allergies,
    patient_warnings: Sequence[str],
    sender: Sender,
    profile: Profile,
) -> Meaning:
    action = _action(scope, sender)
    if isinstance(action, Held | Unused):
        return action
    paths = profile.order
    numbers = {
        number: v2_fields.first_value(scope, getattr(paths, number))
        for number in ("placer", "filler", "accession", "study_instance_uid")
    }
    if not any(numbers.values()):
        why = "no accession, placer, filler or study UID where the profile looks"
        return Held("NO_ORDER_NUMBER", why, sender)
    procedure = _procedure(scope, sender, profile, needed=action != "cancel")
    if isinstance(procedure, Held):
        return procedure
    coded, modality, contrast = procedure
    if contrast == "none" and action == "schedule":
        return Unused(name, f"procedure {coded.code} is mapped as without contrast", sender)
    sent_modality = v2_fields.first_value(scope, paths.modality).upper()
    room_code = v2_fields.first_value(scope, paths.room)
    if action != "cancel":
        if sent_modality and sent_modality != modality:
            why = f"{coded.code} is mapped to {modality}, the message says otherwise"
            return Held("MODALITY_DIFFERS", why, sender)
        if room_code and room_code not in profile.rooms:
            return Held("UNKNOWN_ROOM", room_code[:60], sender)
    planned_at, time_warning = v2_fields.moment(
        v2_fields.first_value(scope, paths.planned_at), "planned_at", profile
    )
    weight, height, warnings = _measures(scope, profile)
    return OrderMessage(
        action=action,
        sender=sender,
        patient=patient,
        **numbers,
        procedure=coded,
        modality=modality or sent_modality,
        contrast=contrast,
        site=profile.site,
        room=profile.rooms.get(room_code, ""),
        planned_at=planned_at,
        provider=v2_fields.provider(scope, paths.provider),
        allergies=allergies,
        weight_kg=weight,
        height_cm=height,
        warnings=tuple(
            text
            for text in (*patient_warnings, time_warning, *warnings, *v2_fields.not_read(scope, profile))
            if text
        ),
        weight_taken_back=weight is None and warnings[0] == f"weight: {v2_fields.TAKEN_BACK}",
    )


def _measures(
    scope: Sequence[Segment], profile: Profile
) -> tuple[Decimal | None, Decimal | None, tuple[str, str]]:
    """Read weight in kg and height in cm, with the warning of each."""
    seen = profile.observations
    weight, weight_warning = v2_fields.measured(
        scope, "weight", seen.weight, seen.weight_texts, v2_fields.WEIGHT_UNITS, WEIGHT_LIMIT_KG
    )
    height, height_warning = v2_fields.measured(
        scope, "height", seen.height, seen.height_texts, v2_fields.LENGTH_UNITS
    )
    return weight, height, (weight_warning, height_warning)


def _action(
    scope: Sequence[Segment], sender: Sender
) -> Literal["schedule", "amend", "cancel"] | Held | Unused:
    """Read ORC-1, and ORC-5 where it says more (a status change may be a cancellation, or the exam under way)."""
    orc = next((segment for segment in scope if segment.name == "ORC"), None)
    for field in (1, 5):
        pieces = orc.pieces(field) if orc else ()
        if len({piece.text(1) for piece in pieces}) > 1 or any(
            piece.text(2) or piece.text(1, 2) for piece in pieces
        ):
            raise v2_fields.SeveralValues(Path("ORC", field))
    control = orc.text(1).upper() if orc else ""
    status = orc.text(5).upper() if orc else ""
    if not control:
        return Held("NO_ORDER_CONTROL", "ORC-1 is empty", sender)
    action = _ORDER_ACTIONS.get(control)
    if action is None:
        return Held("UNKNOWN_ORDER_CONTROL", control[:10], sender)
    if action == "amend" and status in _CANCELLED:
        return "cancel"
    if action == "amend" and status in _PERFORMED:
        return Unused(
            f"ORC-1 {control}", f"the order's status is {status}: it is already being performed", sender
        )
    return action


def _procedure(
    scope: Sequence[Segment], sender: Sender, profile: Profile, *, needed: bool
) -> tuple[Coded, str, str] | Held:
    """Look the procedure's code up (either triplet), giving code, modality and contrast."""
    sent: list[Coded] = []
    for path in profile.order.procedure:
        segment = next((one for one in scope if one.name == path.segment), None)
        if needed and segment is not None and len({one.raw for one in segment.pieces(path.field)}) > 1:
            raise v2_fields.SeveralValues(path)
        sent += v2_fields.alternates(segment, path.field) if segment is not None else ()
    mapped = [
        (coded, found) for coded in sent if (found := profile.procedures.get((coded.code, coded.system)))
    ]
    if needed and len({(found.modality, found.contrast) for _, found in mapped}) > 1:
        why = "the codes of one procedure are mapped to different modalities or contrasts"
        return Held("PROCEDURE_DIFFERS", why, sender)
    for coded, meaning in mapped:
        return Coded(coded.code, coded.text or meaning.text, coded.system), meaning.modality, meaning.contrast
    if not needed:
        return (sent[0] if sent else Coded()), "", ""
    if not sent:
        return Held("NO_PROCEDURE_CODE", "no procedure code where the profile looks", sender)
    named = " / ".join(f"{coded.code} ({coded.system or 'no system'})" for coded in sent)
    return Held("UNKNOWN_PROCEDURE_CODE", named[:200], sender)
