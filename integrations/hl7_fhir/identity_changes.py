"""Reads the ADT events that change whose number is whose, withdraw a patient or a visit, or bring what is not read.

Rule: no machine decides that two patients are one. What such an event means for a session a person decides; all that
is read here is which numbers it names, so that nobody's session is missed.
"""

from dataclasses import dataclass
from typing import Final

from integrations.hl7_fhir import v2_fields
from integrations.hl7_fhir.er7 import Message, Segment
from integrations.hl7_fhir.faults import REQUIRED_FIELD_MISSING, SenderFault
from integrations.hl7_fhir.profile import Profile
from integrations.hl7_fhir.values import Identifier, IdentityMessage, Sender


@dataclass(frozen=True, slots=True)
class _Change:
    """Why a person must look, and whether the number in MRG-1 goes out of use with it."""

    reason: str
    why: str
    retires: bool = False


_CHANGED: Final = "PATIENT_IDENTITY_CHANGED"
_MERGE: Final = _Change(_CHANGED, "PID-3 and MRG-1 become one patient", retires=True)
_RENUMBER: Final = _Change(_CHANGED, "MRG-1 becomes PID-3", retires=True)
_MOVE: Final = _Change(_CHANGED, "a number, an account or a visit moves between MRG and PID")
_LINK: Final = _Change(_CHANGED, "two patients are linked, parted or exchanged")
_WITHDRAWN: Final = _Change("PATIENT_WITHDRAWN", "the patient or the visit is cancelled or deleted")
_ALLERGIES: Final = _Change("ALLERGIES_NOT_READ", "IAM holds allergies, and they are not read from there")

# HL7 v2, chapter 3, by event. The reference names A40 and A47 (RAD-12), A11 and A38 (RAD-1) and A60 (IAM).
CHANGES: Final = {
    **dict.fromkeys(("A18", "A30", "A34", "A36", "A39", "A40"), _MERGE),
    **dict.fromkeys(("A46", "A47"), _RENUMBER),
    **dict.fromkeys(("A35", "A41", "A42", "A43", "A44", "A45", "A48", "A49", "A50", "A51"), _MOVE),
    **dict.fromkeys(("A17", "A24", "A37"), _LINK),
    **dict.fromkeys(("A11", "A23", "A29", "A38"), _WITHDRAWN),
    "A60": _ALLERGIES,
}


def read_change(message: Message, trigger: str, sender: Sender, profile: Profile) -> IdentityMessage:
    """Read which patient numbers an event names. Raises SenderFault when it names none, or a merge lacks its MRG-1."""
    what = CHANGES[trigger]
    now = _numbers(message.all("PID"), (3, 2), profile)
    before = _numbers(message.all("MRG"), (1, 4), profile)
    beside = _numbers(message.all("PID"), (4,), profile) + _numbers(message.all("MRG"), (2,), profile)
    if not now:
        raise SenderFault("PID", 3, REQUIRED_FIELD_MISSING, "the message has no patient identifier")
    if what.retires and not before:
        raise SenderFault(
            "MRG", 1, REQUIRED_FIELD_MISSING, "the message does not say which number it changes"
        )
    return IdentityMessage(
        trigger=trigger,
        reason=what.reason,
        why=what.why,
        sender=sender,
        identifiers=tuple(dict.fromkeys((*now, *before, *beside))),
        stays=now if what.retires else (),
        goes=tuple(one for one in before if one not in now) if what.retires else (),
    )


def may_change(message_type: str) -> bool:
    """Return whether a message listed under this type may be one of these; its event may stand in EVN alone."""
    kind, _, trigger = message_type.upper().partition("^")
    return kind == "ADT" and (not trigger or trigger in CHANGES)


def _numbers(
    segments: tuple[Segment, ...], fields: tuple[int, ...], profile: Profile
) -> tuple[Identifier, ...]:
    """Read the numbers of some fields as value and authority, whatever their type: it is often left out here."""
    return tuple(
        Identifier(found.value, found.authority, "")
        for segment in segments
        for field in fields
        for piece in segment.pieces(field)
        if (found := v2_fields.identifier(piece, profile)).value
    )
