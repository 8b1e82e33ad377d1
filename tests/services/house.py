"""A whole small house for the porches' tests: real machines, executor, memory store, gRPC and HTTP on loopback."""

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from attend.v1 import common_pb2, sessions_pb2
from attend.v1.coverage_pb2_grpc import CoverageServiceStub
from attend.v1.directory_pb2_grpc import DirectoryServiceStub
from attend.v1.media_pb2_grpc import MediaServiceStub
from attend.v1.reactions_pb2_grpc import ReactionServiceStub
from attend.v1.records_pb2_grpc import RecordServiceStub
from attend.v1.rings_pb2_grpc import RingServiceStub
from attend.v1.sessions_pb2_grpc import SessionServiceStub
from attend.v1.watch_pb2_grpc import WatchServiceStub
from engine.access.scope import authorize
from engine.access.tokens import TokenIssuer, TokenVerifier
from engine.bootstrap import load_packs, load_scenarios
from engine.kernel.clock import ManualClock
from engine.kernel.machine import Machine
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine as reaction_machine
from engine.reactions.overlay import parse_overlay
from engine.records.debriefing import Debriefings
from engine.records.papers.render import Paper
from engine.records.reader import RecordReader
from engine.records.seal import SealingKey
from engine.runtime.executor import Executor
from engine.runtime.ids import SeededIds
from engine.runtime.limits import Limits
from engine.runtime.watchers import Watchers
from engine.services.copies import RecordCopies
from engine.services.doors import Tls
from engine.services.emergency import EmergencyPacks
from engine.services.interceptors import CallLimits, Pipeline
from engine.services.ports import MissingItem, Ports, RecordCopy, nothing_follows
from engine.services.server import GrpcServer
from engine.services.servicers import Servicers
from engine.services.status import StatusBoard
from engine.services.web import WebServer
from engine.store.memory import MemoryStore
from engine.workflows import coverage, delivery, directory, disclosure, drill, message, ring, session
from engine.workflows.drill.state import Objectives as DrillObjectives
from engine.workflows.session import commands as c
from engine.workflows.session.state import CredentialEvidence, VerdictEvidence

NOW = dt.datetime(2026, 11, 23, 14, 0, tzinfo=dt.UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
SECRET = "ZZTOPSECRET"
PACK = load_packs()["acr-2026"]
ORG, SITE = "org-1", "site-1"
SEAL = SealingKey.from_bytes(b"\x05" * 32)
PLAN = """
site_id = "site-1"
pack_id = "acr-2026"
version = "2026-11"
emergency_phone = "9-911"
ems_address = "1 Demo Street, entrance B"
kit_place = "wall beside scanner 1"
hospital = {name = "Demo Hospital", address = "2 Demo Street", phone = "555-0107"}
roles = [{role = "receptionist", duty = "meets the ambulance at entrance B"}]
contacts = [{name = "site lead", phone = "555-0101"}]
"""


class PaperRecords:
    """Records that are as short as a record can be; a reaction's documents are the real ones."""

    def __init__(self, executor: Executor) -> None:
        self._copies = RecordCopies(RecordReader(executor.store), executor, {PACK.hash: PACK})

    async def reaction_document(self, reaction_id: str, kind: str) -> Paper:
        return await self._copies.reaction_document(reaction_id, kind)

    async def read(self, session_id: str, *, include_pdf: bool) -> RecordCopy:
        item = MissingItem(field="signatures.physician", reason="nobody attested", who="physician")
        return RecordCopy(
            document=b"{}\n",
            pdf=b"%PDF" if include_pdf else b"",
            body_hash="ab" * 32,
            sealed=False,
            missing=(item,),
        )

    async def missing(self, session_id: str) -> Sequence[MissingItem]:
        return (await self.read(session_id, include_pdf=False)).missing


class PaperLines:
    """A media node that answers every offer and remembers who is in."""

    def __init__(self) -> None:
        self.legs: dict[str, tuple[str, str]] = {}

    async def join(self, session_id: str, participant: str, leg_id: str, offer_sdp: str) -> str:
        self.legs[leg_id] = (session_id, participant)
        return "answer to " + offer_sdp

    async def leave(self, session_id: str, participant: str, leg_id: str) -> None:
        if self.legs.get(leg_id) == (session_id, participant):
            del self.legs[leg_id]


def _evidence(person_id: str, role: str) -> CredentialEvidence:
    return CredentialEvidence(
        person_id=person_id, role=role, checked_at=NOW, valid_until=NOW + dt.timedelta(days=1)
    )


async def _check_in(state: Any, command: Any, request: Any) -> Any:
    return replace(command, evidence=_evidence(command.responder_id, "responder"))


async def _verdict(state: Any, command: Any, request: Any) -> Any:
    allow = VerdictEvidence(
        result="allow",
        layers=(),
        rulebook_hash="00",
        rulebook_version="1",
        evaluated_at=NOW,
        valid_until=NOW + dt.timedelta(days=1),
    )
    return replace(command, verdict=allow)


ENRICHERS: Any = {c.CheckInResponder: _check_in, c.EvaluateRules: _verdict}


@dataclass
class House:
    """Everything a test needs to talk to the engine from outside."""

    executor: Executor
    pipeline: Pipeline
    clock: ManualClock
    lines: PaperLines
    grpc: GrpcServer
    web: WebServer
    channel: aio.Channel

    @property
    def sessions(self) -> Any:
        return SessionServiceStub(self.channel)

    @property
    def rings(self) -> Any:
        return RingServiceStub(self.channel)

    @property
    def coverage(self) -> Any:
        return CoverageServiceStub(self.channel)

    @property
    def directory(self) -> Any:
        return DirectoryServiceStub(self.channel)

    @property
    def reactions(self) -> Any:
        return ReactionServiceStub(self.channel)

    @property
    def media(self) -> Any:
        return MediaServiceStub(self.channel)

    @property
    def records(self) -> Any:
        return RecordServiceStub(self.channel)

    @property
    def watches(self) -> Any:
        return WatchServiceStub(self.channel)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.web.port}"

    def token(
        self,
        role: str,
        *,
        person: str = "",
        organization: str = ORG,
        sites: Sequence[str] = (SITE,),
        key: Ed25519PrivateKey = KEY,
        lifetime: dt.timedelta = dt.timedelta(minutes=15),
    ) -> str:
        return TokenIssuer(key, "k1", self.clock).issue(
            person_id=person or f"{role}-1",
            role=role,
            organization_id=organization,
            sites=sites,
            token_id=f"t-{role}-{person}-{organization}-{'-'.join(sites)}",
            lifetime=lifetime,
        )

    def as_(self, role: str, **more: Any) -> tuple[tuple[str, str], ...]:
        """Return gRPC metadata that signs a role in."""
        return (("authorization", f"Bearer {self.token(role, **more)}"),)


def header(request_id: str, version: int = 0) -> common_pb2.CommandHeader:
    return common_pb2.CommandHeader(request_id=f"request-{request_id}", expected_version=version)


def schedule(
    session_id: str = "ses-1", request_id: str = "", **change: Any
) -> sessions_pb2.ScheduleSessionRequest:
    """Return a well-formed request to schedule a session."""
    fields: dict[str, Any] = {
        "header": header(request_id or f"schedule-{session_id}"),
        "session_id": session_id,
        "organization_id": ORG,
        "site_id": SITE,
        "room_id": "ct-1",
        "planned_at": Timestamp(seconds=int(NOW.timestamp())),
        "order": sessions_pb2.Order(
            accession_number="ACC1",
            procedure_code="CTABDW",
            procedure_system="local",
            modality="CT",
            contrast_class="iodinated",
        ),
        "identity": common_pb2.PatientIdentity(
            mrn=SECRET,
            authority="DEMO",
            family=SECRET,
            given="DEMO",
            birth_date=common_pb2.Date(year=1970, month=2, day=3),
            sex="F",
        ),
    }
    return sessions_pb2.ScheduleSessionRequest(**{**fields, **change})


def machines() -> list[Machine]:
    """Return every machine, with its usual objectives."""
    return [
        session.machine(),
        ring.machine(),
        coverage.machine(),
        delivery.machine(),
        message.machine(),
        directory.machine(),
        disclosure.machine(),
        drill.machine(DrillObjectives(scenarios=load_scenarios())),
        reaction_machine(Objectives(pack=PACK)),
    ]


def emergency(executor: Executor, clock: ManualClock) -> EmergencyPacks:
    """Return what makes emergency packs here, with the site's own plan."""
    plans = {SITE: parse_overlay("site.toml", PLAN)}
    return EmergencyPacks(executor, clock, SEAL, Objectives(pack=PACK), plans, life_s=86400)


@asynccontextmanager
async def house(
    *,
    tls: Tls | None = None,
    limits: Limits | None = None,
    calls: CallLimits | None = None,
    demo_clock: Any = None,
    enrichers: Any = None,
    follow: Callable[[Executor], Awaitable[bool]] | None = None,
) -> AsyncIterator[House]:
    """Open a house on two free ports, and close it."""
    clock, ids, store = ManualClock(NOW), SeededIds("porch"), MemoryStore()
    executor = Executor(
        machines(),
        store,
        clock,
        ids,
        fingerprint_key=b"k" * 32,
        enrichers=enrichers or ENRICHERS,
        authorize=authorize,
        limits=limits,
    )
    await executor.open()
    lines = PaperLines()
    ports = Ports(
        executor=executor,
        watchers=Watchers(executor),
        clock=clock,
        ids=ids,
        records=PaperRecords(executor),
        emergency=emergency(executor, clock),
        debriefings=Debriefings(executor),
        lines=lines,
        demo_clock=demo_clock,
        follow=nothing_follows if follow is None else partial(follow, executor),
    )
    verifier = TokenVerifier({"k1": KEY.public_key()}, clock)
    pipeline = Pipeline(Servicers(ports), verifier, lambda: ids.name("incident"), calls)
    server = GrpcServer(pipeline)
    port = await server.start(bind="127.0.0.1", port=0, tls=tls)
    board = StatusBoard(
        store,
        executor.limits,
        product={"engine": "0.1.0"},
        demo=demo_clock is not None,
        grpc_address=f"127.0.0.1:{port}",
    )
    web = WebServer(pipeline, board)
    await web.start(bind="127.0.0.1", port=0, tls=tls)
    if tls is None:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    else:
        trusted = grpc.ssl_channel_credentials(tls.certificate.read_bytes())
        channel = grpc.aio.secure_channel(f"localhost:{port}", trusted)
    try:
        yield House(executor, pipeline, clock, lines, server, web, channel)
    finally:
        await channel.close()
        await web.stop()
        await server.stop(0)


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the google.rpc.Status that came with an error."""
    found = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    return status_pb2.Status.FromString(found if isinstance(found, bytes) else found.encode())


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Return the ErrorInfo that came with an error."""
    for detail in status_of(error).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    raise AssertionError("no ErrorInfo")


def fields_of(error: grpc.aio.AioRpcError) -> list[str]:
    """Return the fields that a BadRequest names."""
    for detail in status_of(error).details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return [one.field for one in bad.field_violations]
    return []
