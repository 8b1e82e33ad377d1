"""The contract as the porches see it: which RPC is which command of which machine, read from the descriptors.

Rule: RPC name = command name, request field = command field. What is not here by name does not exist; a test holds
contract and commands together, both ways.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from attend.v1 import (
    coverage_pb2,
    deliveries_pb2,
    demo_pb2,
    directory_pb2,
    drills_pb2,
    media_pb2,
    reactions_pb2,
    records_pb2,
    rings_pb2,
    sessions_pb2,
    watch_pb2,
)
from engine.kernel.commands import Command
from engine.kernel.machine import Machine

PACKAGE = "attend.v1"
DEMO_SERVICE = "DemoService"

_FILES: tuple[Any, ...] = (
    sessions_pb2,
    rings_pb2,
    coverage_pb2,
    reactions_pb2,
    deliveries_pb2,
    directory_pb2,
    drills_pb2,
    media_pb2,
    records_pb2,
    watch_pb2,
    demo_pb2,
)

#: Services whose RPCs are a machine's commands: machine, and the request field that names the stream.
MACHINES: Mapping[str, tuple[str, str]] = {
    "SessionService": ("session", "session_id"),
    "RingService": ("ring", "ring_id"),
    "CoverageService": ("coverage", "coverage_id"),
    "ReactionService": ("reaction", "reaction_id"),
    "DeliveryService": ("delivery", "delivery_id"),
    "MessageService": ("message", "message_id"),
    "DirectoryService": ("directory", "organization_id"),
    "DrillService": ("drill", "drill_id"),
}

#: Fields that are "filled by the engine": evidence looked up just before the decision, never taken from a caller.
FILLED: Mapping[str, frozenset[str]] = {
    "RequestSupervision": frozenset({"nobody_to_ring"}),
    "ScheduleSession": frozenset({"site_state", "setting", "room_modality", "drill_id"}),
    "AmendOrder": frozenset({"room_modality"}),
    "DebriefDrill": frozenset({"participants", "points"}),
    "CheckInResponder": frozenset({"evidence"}),
    "RecordScreening": frozenset({"evidence"}),
    "RecordWeight": frozenset({"doubt"}),
    "ReviewScreening": frozenset({"evidence"}),
    "ClearForContrast": frozenset({"evidence", "agent_known"}),
    "OfferHandOff": frozenset({"evidence"}),
    "AcceptHandOff": frozenset({"evidence", "in_reaction_elsewhere"}),
    "EvaluateRules": frozenset({"verdict"}),
    "GrantReady": frozenset({"verdict", "physician", "responder"}),
    "StartInjection": frozenset({"verdict", "physician", "responder"}),
    "ConfirmRecord": frozenset({"record_hash", "missing"}),
    "AnswerRing": frozenset({"evidence"}),
    "GradeReaction": frozenset({"problems"}),
    "OrderStep": frozenset({"problems"}),
    "DisposeReaction": frozenset({"problems"}),
    "RecordMedicationGiven": frozenset({"physician_connected", "offline"}),
    "RecordEmergencyCalled": frozenset({"address", "offline"}),
    "RecordSigns": frozenset({"offline"}),
    "RecordVitals": frozenset({"offline"}),
    "RecordPatientWeight": frozenset({"offline"}),
    "RecordStepDone": frozenset({"offline"}),
    "ReportImproving": frozenset({"offline"}),
    "ReportResolved": frozenset({"offline"}),
    "ReportOfflineLog": frozenset({"written_by", "signed_in_until", "sent_before"}),
    "HoldCoverage": frozenset({"problems"}),
    "AttestRecord": frozenset({"record_hash", "missing"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One RPC: its full name as on the wire, and its message classes."""

    name: str
    service: str
    method: str
    request: type[Message]
    response: type[Message]
    streams: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """An RPC that is a command: of which machine, on the stream that which request field names."""

    rpc: Rpc
    command: type[Command]
    machine: str
    stream_field: str


def services(*, demo: bool) -> tuple[ServiceDescriptor, ...]:
    """Return the services that a server offers; the demo's only in a demonstration."""
    found = [service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()]
    return tuple(service for service in found if demo or service.name != DEMO_SERVICE)


def rpcs(*, demo: bool) -> tuple[Rpc, ...]:
    """Return every RPC that a server offers."""
    return tuple(_rpc(method) for service in services(demo=demo) for method in service.methods)


def verbs(offered: Iterable[Rpc], machines: Mapping[str, Machine]) -> dict[str, Verb]:
    """Return the RPCs that are commands, by wire name. An RPC of a machine's service that is no command is a read."""
    found = {}
    for rpc in offered:
        if rpc.service not in MACHINES:
            continue
        machine, stream_field = MACHINES[rpc.service]
        commands = {kind.__name__: kind for kind in machines[machine].commands if not kind.internal}
        if rpc.method in commands:
            found[rpc.name] = Verb(
                rpc=rpc, command=commands[rpc.method], machine=machine, stream_field=stream_field
            )
    return found


def _rpc(method: MethodDescriptor) -> Rpc:
    service = method.containing_service
    return Rpc(
        name=f"/{service.full_name}/{method.name}",
        service=service.name,
        method=method.name,
        request=GetMessageClass(method.input_type),
        response=GetMessageClass(method.output_type),
        streams=bool(method.server_streaming),
    )
