"""The far side as fixtures: real programs that nobody here wrote, started once for all tests that want them."""

from collections.abc import Iterator

import pytest

from engine.demo import peers


@pytest.fixture(scope="session")
def sekmet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.FhirPeer]:
    """A SEKMET FHIR server with strict validation."""
    with peers.sekmet(tmp_path_factory.mktemp("sekmet")) as peer:
        yield peer


@pytest.fixture(scope="session")
def mllp_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.MllpPeer]:
    """An hl7v2-fhir-bridge MLLP receiver that knows the authority DEMO."""
    authorities = {"DEMO": "urn:oid:1.2.3.4.5.1", "DEMOENT": "urn:oid:1.2.3.4.5.2"}
    with peers.mllp_receiver(tmp_path_factory.mktemp("bridge"), authorities=authorities) as peer:
        yield peer
