"""FHIR without a foreign server: what we build is R4, digit for digit; a server's statement decides what is written."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class

from engine.kernel.errors import PeerError
from integrations.hl7_fhir.fhir_http import FhirHttp, Resource, dumps, loads
from integrations.hl7_fhir.fhir_reader import FhirReader
from integrations.hl7_fhir.fhir_resources import Entry, FhirNames, build
from integrations.hl7_fhir.fhir_writer import FhirWriter, parse_capabilities, resolve
from integrations.hl7_fhir.result import SupervisionResult
from tests.hl7_fhir.results import SEVERE, UNEVENTFUL
from tests.hl7_fhir.wire import client_of

NAMES = FhirNames(
    "https://attend.invalid/id",
    {"DEMO": "urn:oid:1.2.3", "DEMOENT": "urn:oid:1.2.4"},
    "urn:oid:1.2.5",
    "urn:oid:1.2.6",
)
BASE = "http://ehr.invalid/fhir"


def of(entries: tuple[Entry, ...], kind: str) -> list[Resource]:
    return [entry.resource for entry in entries if entry.kind == kind]


@pytest.mark.parametrize("result", [UNEVENTFUL, SEVERE, replace(SEVERE, contrast=(), vitals=(), pdf=b"")])
def test_every_resource_is_r4(result: SupervisionResult) -> None:
    """Each resource, with its references in place, passes the R4B model and has no empty element."""
    entries = build(result, NAMES)
    references = {entry.url: f"{entry.kind}/{n}" for n, entry in enumerate(entries)}
    for entry in entries:
        text = dumps(resolve(entry.resource, references, entries))
        get_fhir_model_class(entry.kind).model_validate_json(text)

        assert b"urn:uuid:" not in text
        assert not {b'""', b"[]", b"{}", b"null"} & {
            part for part in (b'""', b"[]", b"{}", b"null") if part in text
        }


def test_amounts_keep_their_digits() -> None:
    """Decimals are numbers on the wire with the digits they were given, there and back."""
    entries = build(SEVERE, NAMES)
    contrast, epinephrine = of(entries, "MedicationAdministration")
    text = dumps(contrast).decode()

    assert '"value":100.0,' in text
    assert '"value":3.50,' in text
    assert '"value":0.30,' in dumps(epinephrine).decode()
    assert loads(text.encode())["dosage"]["rateQuantity"]["value"] == Decimal("3.50")
    assert dumps(loads(text.encode())) == text.encode()


def test_what_a_severe_reaction_writes() -> None:
    """The document comes first among ours; the reaction gives an event that suspects the contrast, and an allergy."""
    entries = build(SEVERE, NAMES)
    (event,), (allergy,) = of(entries, "AdverseEvent"), of(entries, "AllergyIntolerance")
    urls = {entry.url: entry for entry in entries}

    assert [entry.kind for entry in entries[:4]] == [
        "Patient",
        "ServiceRequest",
        "DocumentReference",
        "Procedure",
    ]
    assert (
        urls[event["suspectEntity"][0]["instance"]["reference"]].resource
        == of(entries, "MedicationAdministration")[0]
    )
    assert allergy["verificationStatus"]["coding"][0]["code"] == "unconfirmed"
    assert allergy["code"]["coding"][0]["code"] == "109218004"
    assert [sign["text"] for sign in allergy["reaction"][0]["manifestation"]] == [
        "Anaphylaxis",
        "Hypotension",
    ]


@pytest.mark.parametrize("kind", ["physiologic", "extravasation"])
def test_only_allergic_like_reactions_become_allergies(kind: Any) -> None:
    """A physiologic reaction or an extravasation is an event, never an allergy."""
    assert SEVERE.reaction is not None
    entries = build(replace(SEVERE, reaction=replace(SEVERE.reaction, kind=kind)), NAMES)

    assert of(entries, "AllergyIntolerance") == []
    assert len(of(entries, "AdverseEvent")) == 1


def test_the_same_result_gives_the_same_resources() -> None:
    """Identifiers and urls depend on the session alone, so a repeated delivery finds what the first wrote."""
    assert build(SEVERE, NAMES) == build(SEVERE, NAMES)
    assert len({entry.url for entry in build(SEVERE, NAMES)}) == len(build(SEVERE, NAMES))


def statement(**types: str) -> Resource:
    """A CapabilityStatement: for each type, letters c(reate) u(pdate) s(earch by identifier)."""
    words = {"c": "create", "u": "update", "s": "search-type"}
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": kind,
                        "interaction": [{"code": words[letter]} for letter in does],
                        "searchParam": [{"name": "identifier", "type": "token"}] if "s" in does else [],
                    }
                    for kind, does in types.items()
                ],
            }
        ],
    }


class Server:
    """A small in-process FHIR server that takes what its statement says, and can fail."""

    def __init__(
        self, capabilities: Resource, fail: Callable[[httpx.Request], int] = lambda request: 0
    ) -> None:
        self.capabilities = capabilities
        self.fail = fail
        self.stored: list[Resource] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if status := self.fail(request):
            if status == 1:
                raise httpx.ReadTimeout("late")
            return httpx.Response(status)
        kind = request.url.path.removeprefix("/fhir/").split("/")[0]
        if kind == "metadata":
            return httpx.Response(200, json=self.capabilities)
        if request.method == "POST":
            resource = {
                **json.loads(request.content),
                "id": str(len(self.stored)),
                "meta": {"versionId": "1"},
            }
            self.stored.append(resource)
            return httpx.Response(201, headers={"Location": f"{BASE}/{kind}/{resource['id']}/_history/1"})
        wanted = request.url.params["identifier"].split("|")
        found = [
            resource
            for resource in self.stored
            if resource["resourceType"] == kind
            and any([one["system"], one["value"]] == wanted for one in self._identifiers(resource))
        ]
        bundle = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": one} for one in found],
        }
        return httpx.Response(200, json=bundle)

    @staticmethod
    def _identifiers(resource: Resource) -> list[Resource]:
        value = resource["identifier"]
        return value if isinstance(value, list) else [value]

    def kinds(self) -> dict[str, int]:
        kinds = [resource["resourceType"] for resource in self.stored]
        return {kind: kinds.count(kind) for kind in kinds}


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[FhirHttp]:
    http = FhirHttp(BASE, client=client_of(server))
    yield http
    await http.close()


def epic_like() -> Server:
    server = Server(
        statement(
            Patient="sc",
            ServiceRequest="scu",
            DocumentReference="scu",
            Observation="scu",
            Procedure="scu",
            AllergyIntolerance="sc",
            MedicationAdministration="s",
            AdverseEvent="s",
        )
    )
    server.stored.append(
        {
            "resourceType": "Patient",
            "id": "pat",
            "identifier": [{"system": "urn:oid:1.2.3", "value": "DEMO1001"}],
        }
    )
    return server


async def test_a_server_that_takes_no_administrations_or_events() -> None:
    """The right subset is written, the rest is reported as not accepted, and a second run writes nothing."""
    server = epic_like()
    async with connected(server) as http:
        first = await FhirWriter(http).write(build(SEVERE, NAMES))
        count = len(server.stored)
        second = await FhirWriter(http).write(build(SEVERE, NAMES), first_attempt=False)

    assert {o.kind for o in first if o.outcome == "not_accepted"} == {
        "MedicationAdministration",
        "AdverseEvent",
    }
    assert {o.kind for o in first if o.outcome == "created"} == {
        "DocumentReference",
        "Procedure",
        "Observation",
        "AllergyIntolerance",
    }
    assert [o.outcome for o in first if o.kind == "ServiceRequest"] == ["absent"]
    assert len(server.stored) == count
    assert "created" not in {o.outcome for o in second}


async def test_what_cannot_be_searched_for_is_created_only_once() -> None:
    """Without search by identifier a type is created on the first attempt and never again."""
    server = epic_like()
    server.capabilities = statement(Patient="s", DocumentReference="c")
    async with connected(server) as http:
        await FhirWriter(http).write(build(UNEVENTFUL, NAMES))
        again = await FhirWriter(http).write(build(UNEVENTFUL, NAMES), first_attempt=False)

    assert server.kinds()["DocumentReference"] == 1
    assert [o.outcome for o in again if o.kind == "DocumentReference"] == ["unsure"]


@pytest.mark.parametrize(
    ("status", "kind"), [(422, "rejected"), (400, "rejected"), (503, "retry"), (429, "retry"), (1, "retry")]
)
async def test_failures_while_writing(status: int, kind: str) -> None:
    """A refusal concerns one resource; trouble that may pass stops what follows, to be tried again."""
    server = epic_like()
    server.fail = lambda request: (
        status if request.method == "POST" and b"DocumentReference" in request.content else 0
    )
    async with connected(server) as http:
        outcomes = await FhirWriter(http).write(build(SEVERE, NAMES))
    by_kind = {o.kind: o.outcome for o in outcomes}

    assert by_kind["DocumentReference"] == kind
    assert by_kind["Procedure"] == ("created" if kind == "rejected" else "retry")


async def test_a_lost_answer_without_search_is_unsure() -> None:
    """When the answer to a create is lost and the type cannot be searched, a person must look."""
    server = epic_like()
    server.capabilities = statement(Patient="s", DocumentReference="c", Procedure="sc")
    server.fail = lambda request: (
        1 if request.method == "POST" and b"DocumentReference" in request.content else 0
    )
    async with connected(server) as http:
        outcomes = await FhirWriter(http).write(build(UNEVENTFUL, NAMES))

    assert {o.kind: o.outcome for o in outcomes}["DocumentReference"] == "unsure"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 503])
async def test_statuses_of_a_read(status: int) -> None:
    """Each refusal says whether trying again can help."""
    async with connected(Server({}, lambda request: status)) as http:
        with pytest.raises(PeerError) as caught:
            await FhirReader(http).find_patient("urn:x", "1")

    assert caught.value.permanent is (status < 408)


BAD_PATIENT = (
    b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Patient",'
    b'"identifier":[{"system":"urn:x","value":"1"}],"birthDate":"soon"}}]}'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{",
        b'{"resourceType":"Patient"}',
        b'{"resourceType":"Bundle","type":"searchset","x":1}',
        b'{"a":NaN}',
        b"[" * 100_000,
        BAD_PATIENT,
    ],
)
async def test_what_is_no_fhir_answer(body: bytes) -> None:
    """An answer that is not R4 is the peer's error, whatever it is."""
    http = FhirHttp(BASE, client=client_of(lambda request: httpx.Response(200, content=body)))
    with pytest.raises(PeerError):
        await FhirReader(http).find_patient("urn:x", "1")
    await http.close()


async def test_a_page_link_to_another_server_is_not_followed() -> None:
    """Credentials never follow a link elsewhere."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        link = [{"relation": "next", "url": "http://elsewhere.invalid/fhir?page=2"}]
        return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset", "link": link})

    http = FhirHttp(BASE, client=client_of(answer))
    with pytest.raises(PeerError):
        await FhirReader(http).allergies("1")
    await http.close()

    assert asked == ["ehr.invalid"]


async def test_gender_outside_its_codes_is_unknown() -> None:
    """The models let a wrong gender pass; it is read as unknown, with a warning."""
    resource = {"resourceType": "Patient", "id": "1", "gender": "F", "birthDate": "1961"}
    http = FhirHttp(BASE, client=client_of(lambda request: httpx.Response(200, json=resource)))
    read = await FhirReader(http).read_patient("1", "urn:x")
    await http.close()

    assert (read.patient.sex, read.patient.birth_date, len(read.warnings)) == ("unknown", None, 2)


def test_a_server_of_another_release_is_refused() -> None:
    """R5 and what is no CapabilityStatement are refused."""
    for wrong in (
        {"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"},
        {"resourceType": "Bundle"},
    ):
        with pytest.raises(PeerError):
            parse_capabilities(wrong)


async def test_concurrent_reads_share_a_client() -> None:
    """Reads may run at the same time on one client."""
    async with connected(epic_like()) as http:
        found = await asyncio.gather(
            *(FhirReader(http).find_patient("urn:oid:1.2.3", "DEMO1001") for _ in range(8))
        )

    assert [one.id for one in found if one] == ["pat"] * 8
