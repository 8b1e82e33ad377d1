"""The servers' own manners: reflection, health, TLS, refusing plaintext abroad, taken ports, draining."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from attend.v1 import sessions_pb2, watch_pb2
from engine.services.doors import PlaintextRefused, PortTaken, Tls, check_bind
from engine.services.server import GrpcServer
from engine.workflows.session import commands as c
from tests.services.house import House, house, schedule

CODE = grpc.StatusCode
NOT_BEFORE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A self-signed certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_BEFORE + dt.timedelta(days=36500))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Tls(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


class Stranger:
    """A client that has no stubs: reflection and a descriptor pool are all it knows."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        self._pool = DescriptorPool()
        self._known: set[str] = set()

    async def _ask(self, **question: Any) -> Any:
        async def once() -> Any:
            yield reflection_pb2.ServerReflectionRequest(**question)

        return await anext(aiter(self._stub.ServerReflectionInfo(once())))

    async def services(self) -> list[str]:
        """Return the names of the services it finds."""
        answer = await self._ask(list_services="")
        return [one.name for one in answer.list_services_response.service]

    async def learn(self, symbol: str) -> None:
        """Fetch the files that define a symbol."""
        answer = await self._ask(file_containing_symbol=symbol)
        files = [
            FileDescriptorProto.FromString(raw)
            for raw in answer.file_descriptor_response.file_descriptor_proto
        ]
        for file in files:
            await self._add(file)

    async def _add(self, file: FileDescriptorProto) -> None:
        if file.name in self._known:
            return
        self._known.add(file.name)
        for needed in file.dependency:
            if needed not in self._known:
                answer = await self._ask(file_by_filename=needed)
                for raw in answer.file_descriptor_response.file_descriptor_proto:
                    await self._add(FileDescriptorProto.FromString(raw))
        self._pool.Add(file)

    async def call(self, service: str, rpc: str, body: Any, metadata: Any) -> Any:
        """Call an RPC with a JSON body and return the JSON answer."""
        await self.learn(service)
        method = self._pool.FindServiceByName(service).methods_by_name[rpc]
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        invoke: Any = self._channel.unary_unary(
            f"/{service}/{rpc}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return MessageToDict(await invoke(ParseDict(body, request()), metadata=metadata))


async def test_a_generic_client_lists_services_and_runs_a_command(home: House) -> None:
    """Reflection is enough to find the services, learn their messages and schedule a session."""
    stranger = Stranger(home.channel)
    names = await stranger.services()
    answer = await stranger.call(
        "attend.v1.SessionService",
        "ScheduleSession",
        MessageToDict(schedule()),
        home.as_("technologist"),
    )

    assert {"attend.v1.SessionService", "attend.v1.WatchService", "grpc.health.v1.Health"} <= set(names)
    assert "attend.v1.DemoService" not in names
    assert "attend.v1.MediaNodeService" not in names
    assert answer["session"]["sessionId"] == "ses-1"


async def test_health_needs_no_sign_in(home: House) -> None:
    """A load balancer may ask whether the engine serves."""
    stub: Any = health_pb2_grpc.HealthStub(home.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service="attend.v1.SessionService"))

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_tls_serves_both_porches(tls: Tls) -> None:
    """With a certificate configured both ports speak TLS, and gRPC refuses plaintext."""
    async with house(tls=tls) as home:
        answer = await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        trust = ssl.create_default_context(cafile=str(tls.certificate))
        async with httpx.AsyncClient(verify=trust) as client:
            health = await client.get(f"https://127.0.0.1:{home.web.port}/healthz")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{home.grpc.port}") as plain:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                probe: Any = plain.unary_unary("/attend.v1.SessionService/GetSession")
                await probe(b"", timeout=5)

        assert answer.version == 1
        assert health.json() == {"status": "ok"}
        assert caught.value.code() is CODE.UNAVAILABLE


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.7", "example.org", "127.0.0.1.example.org"])
async def test_plaintext_is_refused_beyond_loopback(home: House, bind: str) -> None:
    """Neither porch listens in plaintext where others can reach it, and says what to set."""
    with pytest.raises(PlaintextRefused, match="tls_certificate"):
        await GrpcServer(home.pipeline).start(bind=bind, port=0)
    with pytest.raises(PlaintextRefused, match="tls_key"):
        await home.web.start(bind=bind, port=0)


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_plaintext_is_served_on_loopback(bind: str) -> None:
    """Loopback needs no certificate."""
    check_bind(bind, None)


async def test_a_taken_port_is_reported_with_the_fix(home: House) -> None:
    """Both porches say which port is taken and how to choose another."""
    with pytest.raises(PortTaken, match="--grpc-port"):
        await GrpcServer(home.pipeline).start(bind="127.0.0.1", port=home.grpc.port)
    with pytest.raises(PortTaken, match="--http-port"):
        await home.web.start(bind="127.0.0.1", port=home.web.port)


async def test_draining_ends_calls_in_flight_and_cuts_watches() -> None:
    """A call that runs is answered; a watch is cut with DRAINING; nothing new is taken."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow(state: Any, command: Any, request: Any) -> Any:
        entered.set()
        await release.wait()
        return command

    async with house(enrichers={c.ScheduleSession: slow}) as home:
        watch = home.watches.Watch(watch_pb2.WatchRequest(), metadata=home.as_("physician"))
        running = asyncio.ensure_future(
            home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))
        )
        await entered.wait()
        stopping = asyncio.create_task(home.grpc.stop(5))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await watch.read() is not grpc.aio.EOF:
                pass
        release.set()
        answer = await running
        await stopping
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await home.sessions.GetSession(
                sessions_pb2.GetSessionRequest(session_id="ses-1"), metadata=home.as_("physician")
            )

        assert caught.value.code() is CODE.UNAVAILABLE
        assert answer.version == 1
        assert late.value.code() is CODE.UNAVAILABLE


@pytest.mark.hazard("H-32")
async def test_a_fault_of_our_own_is_an_incident_without_its_contents(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What goes wrong inside is INTERNAL with an incident's name; neither answer nor log holds the values."""

    async def broken(state: Any, command: Any, request: Any) -> Any:
        raise RuntimeError(f"cannot read {command.identity}")

    async with house(enrichers={c.ScheduleSession: broken}) as home:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await home.sessions.ScheduleSession(schedule(), metadata=home.as_("technologist"))

        assert caught.value.code() is CODE.INTERNAL
        assert "incident-" in str(caught.value.details())
        assert "ZZTOP" not in str(caught.value.details()) + caplog.text
        assert "RuntimeError" in caplog.text
        assert home.pipeline.calls[("/attend.v1.SessionService/ScheduleSession", "INTERNAL")] == 1
