"""How long a text of a message may be: what the contract's own form says of the field it becomes, and nothing else.

Rule: one limit. A message is held to the same lengths as a request, and what is too long is named by its place in the
message, never cut and never repeated.
"""

from collections.abc import Iterable

from buf.validate import validate_pb2
from google.protobuf.message import Message

from attend.v1 import common_pb2, sessions_pb2
from integrations.hl7_fhir.profile import Path, Profile
from integrations.hl7_fhir.values import Allergies, OrderMessage, Patient

MAX_ALLERGIES: int = (
    sessions_pb2.ScheduleSessionRequest.DESCRIPTOR.fields_by_name["allergies"]
    .GetOptions()
    .Extensions[validate_pb2.field]
    .repeated.max_items
)
"""Allergies one list may hold."""


def max_len(message: type[Message], field: str) -> int:
    """Return how many characters the contract allows in a field."""
    rules = message.DESCRIPTOR.fields_by_name[field].GetOptions().Extensions[validate_pb2.field]
    allowed: int = rules.string.max_len
    return allowed


_MRN = max_len(common_pb2.PatientIdentity, "mrn")
_AUTHORITY = max_len(common_pb2.PatientIdentity, "authority")
_FAMILY = max_len(common_pb2.PatientIdentity, "family")
_GIVEN = max_len(common_pb2.PatientIdentity, "given")
_ORDER = {
    name: max_len(sessions_pb2.Order, name)
    for name in (
        "accession_number",
        "placer_number",
        "filler_number",
        "study_instance_uid",
        "procedure_code",
        "procedure_system",
        "procedure_text",
        "ordering_provider",
    )
}
_ALLERGY = {
    name: max_len(sessions_pb2.Allergy, name)
    for name in ("substance", "code", "system", "reaction", "severity")
}


def too_long_in_patient(patient: Patient) -> str:
    """Return what is too long of a patient, as a sentence that names the place; empty when nothing is."""
    first = patient.identifiers[0]
    return _first(
        (
            ("PID-3.1", first.value, _MRN),
            ("PID-3.4", first.authority, _AUTHORITY),
            ("PID-5.1", patient.family, _FAMILY),
            ("PID-5.2", patient.given, _GIVEN),
        )
    )


def too_long_in_order(order: OrderMessage, profile: Profile) -> str:
    """Return what is too long of an order, as `too_long_in_patient` does."""
    paths = profile.order
    return _first(
        (
            (_places(paths.accession or paths.filler), order.number, _ORDER["accession_number"]),
            (_places(paths.placer), order.placer, _ORDER["placer_number"]),
            (_places(paths.filler), order.filler, _ORDER["filler_number"]),
            (_places(paths.study_instance_uid), order.study_instance_uid, _ORDER["study_instance_uid"]),
            (_places(paths.procedure), order.procedure.code, _ORDER["procedure_code"]),
            (_places(paths.procedure), order.procedure.system, _ORDER["procedure_system"]),
            (_places(paths.procedure), order.procedure.text, _ORDER["procedure_text"]),
            (_places(paths.provider), order.provider.id, _ORDER["ordering_provider"]),
        )
    )


def too_long_in_allergies(found: Allergies) -> str:
    """Return what is too long of an allergy list, as `too_long_in_patient` does."""
    if len(found.items) > MAX_ALLERGIES:
        return f"AL1: more allergies than {MAX_ALLERGIES}"
    return _first(
        place
        for item in found.items
        for place in (
            ("AL1-3", item.substance.text, _ALLERGY["substance"]),
            ("AL1-3", item.substance.code, _ALLERGY["code"]),
            ("AL1-3", item.substance.system, _ALLERGY["system"]),
            ("AL1-4", item.severity, _ALLERGY["severity"]),
            ("AL1-5", ", ".join(item.reactions), _ALLERGY["reaction"]),
        )
    )


def _first(places: Iterable[tuple[str, str, int]]) -> str:
    found = next(((place, allowed) for place, text, allowed in places if len(text) > allowed), None)
    return f"{found[0]}: longer than {found[1]} characters" if found else ""


def _places(paths: tuple[Path, ...]) -> str:
    return " or ".join(str(path) for path in paths)
