"""MLLP over TLS, with a client certificate asked for: who may talk, and what the handler learns of the peer."""

import datetime as dt
import ipaddress
import ssl
from itertools import count
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.bootstrap import build
from engine.kernel.clock import ManualClock
from engine.settings import Settings
from integrations.hl7_fhir.ack import ACCEPTED, Acknowledgement
from integrations.hl7_fhir.listener import Listener, Peer
from integrations.hl7_fhir.sender import MllpSender, SendOutcome
from tests.hl7_fhir.wire import NOW, adt


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=36500 // 4))
        .not_valid_after(NOW + dt.timedelta(days=36500 // 4))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    cert_path.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_path, key_path


async def test_mutual_tls(tmp_path: Path) -> None:
    """A peer with the right certificate is served and named; one without any, or speaking plainly, is not."""
    server_pair, client_pair = certificate(tmp_path, "listener"), certificate(tmp_path, "demo-ris")
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_pair[0]))
    server_tls.load_cert_chain(*server_pair)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    known = ssl.create_default_context(cafile=str(server_pair[0]))
    known.load_cert_chain(*client_pair)
    unknown = ssl.create_default_context(cafile=str(server_pair[0]))
    seen: list[Peer] = []
    numbers = count(1)

    async def handler(raw: bytes, peer: Peer) -> Acknowledgement:
        seen.append(peer)
        return ACCEPTED

    listener = Listener(
        handler, clock=ManualClock(NOW), control_ids=lambda: str(next(numbers)), tls=server_tls
    )
    port = await listener.start("127.0.0.1", 0)
    outcomes = []
    for tls in (known, unknown, None):
        sender = MllpSender("127.0.0.1", port, tls=tls)
        outcomes.append(await sender.send(adt("1")))
        await sender.close()
    await listener.stop()

    assert outcomes[0] == SendOutcome("accepted", "AA")
    assert [outcome.kind for outcome in outcomes[1:]] == ["retry", "retry"]
    assert [peer.certificate for peer in seen] == ["demo-ris"]


async def test_a_configured_certificate_covers_this_porch_too(tmp_path: Path) -> None:
    """A server with a certificate speaks TLS to the RIS; a peer that speaks plainly gets no answer."""
    pair = certificate(tmp_path, "server")
    settings = Settings(
        data_dir=tmp_path / "data",
        demo=True,
        grpc_port=0,
        http_port=0,
        mllp_port=0,
        tls_certificate=pair[0],
        tls_key=pair[1],
    )
    engine = build(settings)
    listening = await engine.start()
    answers = []
    try:
        for tls in (ssl.create_default_context(cafile=str(pair[0])), None):
            sender = MllpSender("127.0.0.1", listening.mllp, tls=tls)
            answers.append(await sender.send(adt("1")))
            await sender.close()
    finally:
        await engine.stop()

    assert answers[0].code == "AA"
    assert answers[1].kind == "retry"
