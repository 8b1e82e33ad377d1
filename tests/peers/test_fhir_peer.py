"""FHIR with a server that nobody here wrote: SEKMET is read and written, strictly validating."""

import base64
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from engine.demo import peers
from engine.kernel.errors import PeerError
from integrations.hl7_fhir import codes
from integrations.hl7_fhir.fhir_http import FhirHttp, FhirLimits, Resource
from integrations.hl7_fhir.fhir_reader import FhirReader
from integrations.hl7_fhir.fhir_resources import FhirNames, build
from integrations.hl7_fhir.fhir_writer import FhirWriter
from integrations.hl7_fhir.result import SupervisionResult
from integrations.hl7_fhir.values import Allergies, Identifier
from tests.hl7_fhir.results import SEVERE

MRN = "urn:oid:1.2.3.4.5.1"


@pytest.fixture
async def http(sekmet: peers.FhirPeer) -> AsyncIterator[FhirHttp]:
    client = FhirHttp(sekmet.base_url)
    yield client
    await client.close()


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A text of this test's own, so that tests share the server without meeting."""
    return request.node.name.replace("_", "-").replace("[", "-").rstrip("]")[5:45]


async def create(http: FhirHttp, resource: Resource) -> str:
    answer = await http.call("POST", resource["resourceType"], body=resource)
    assert answer.status == 201, answer
    return str(answer.resource["id"])


async def patient(http: FhirHttp, mrn: str) -> str:
    return await create(
        http,
        {
            "resourceType": "Patient",
            "identifier": [{"system": MRN, "value": mrn}, {"system": "urn:other", "value": "O-1"}],
            "name": [
                {"use": "old", "family": "BEFORE"},
                {"use": "official", "family": "DEMO", "given": ["PATIENT", "ONE"]},
            ],
            "gender": "female",
            "birthDate": "1961-04-12",
        },
    )


def allergy(patient_id: str, **more: object) -> Resource:
    base = "http://terminology.hl7.org/CodeSystem/allergyintolerance"
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": f"{base}-clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{base}-verification", "code": "confirmed"}]},
        "patient": {"reference": f"Patient/{patient_id}"},
        "code": {"text": "Demo substance"},
        **more,
    }


async def test_a_patient_by_identifier(http: FhirHttp, unique: str) -> None:
    """A patient is found by system and value, with the accepted identifier apart from the others."""
    patient_id = await patient(http, unique)
    found = await FhirReader(http).find_patient(MRN, unique)
    assert found is not None

    assert (found.id, found.version) == (patient_id, "1")
    assert found.patient.identifiers == (Identifier(unique, MRN, ""),)
    assert found.patient.others == (Identifier("O-1", "urn:other", ""),)
    assert (found.patient.family, found.patient.given) == ("DEMO", "PATIENT ONE")
    assert (found.patient.birth_date, found.patient.sex) == (dt.date(1961, 4, 12), "female")
    assert await FhirReader(http).find_patient(MRN, f"{unique}-not-there") is None
    assert await FhirReader(http).read_patient(patient_id, MRN) == found


async def test_two_patients_with_one_identifier(http: FhirHttp, unique: str) -> None:
    """An identifier that two patients carry identifies nobody."""
    await patient(http, unique)
    await patient(http, unique)

    with pytest.raises(PeerError) as caught:
        await FhirReader(http).find_patient(MRN, unique)
    assert caught.value.permanent


async def test_allergies_listed_none_known_and_unknown(http: FhirHttp, unique: str) -> None:
    """Nothing listed is unknown; "no known allergy" is none known; an entry in error counts for nothing."""
    reader = FhirReader(http)
    patient_id = await patient(http, unique)
    nothing = await reader.allergies(patient_id)
    base = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
    wrong = {"coding": [{"system": base, "code": "entered-in-error"}]}
    in_error = allergy(patient_id, verificationStatus=wrong)
    del in_error["clinicalStatus"]
    await create(http, in_error)
    still_nothing = await reader.allergies(patient_id)
    nka = {"coding": [{"system": codes.SNOMED, "code": codes.NO_KNOWN_ALLERGY.code}]}
    await create(http, allergy(patient_id, code=nka))
    none_known = await reader.allergies(patient_id)
    reaction = {"manifestation": [{"text": "Hives"}], "severity": "moderate"}
    await create(http, allergy(patient_id, category=["medication"], reaction=[reaction]))
    listed = await reader.allergies(patient_id)

    assert nothing == still_nothing == Allergies("unknown")
    assert none_known == Allergies("none_known")
    assert listed.status == "listed"
    (item,) = listed.items
    assert (item.substance.text, item.kind, item.severity, item.reactions) == (
        "Demo substance",
        "drug",
        "moderate",
        ("Hives",),
    )
    assert (item.active, item.confirmed) == (True, True)


async def test_all_pages_are_read_or_none(http: FhirHttp, sekmet: peers.FhirPeer, unique: str) -> None:
    """A long list is read through its pages; past max_pages it is refused rather than cut."""
    patient_id = await patient(http, unique)
    for _ in range(5):
        await create(http, allergy(patient_id))
    small = FhirHttp(sekmet.base_url, limits=FhirLimits(page_size=2, max_pages=3))
    smaller = FhirHttp(sekmet.base_url, limits=FhirLimits(page_size=2, max_pages=2))

    assert len((await FhirReader(small).allergies(patient_id)).items) == 5
    with pytest.raises(PeerError):
        await FhirReader(smaller).allergies(patient_id)
    await small.close()
    await smaller.close()


async def test_an_answer_past_the_size_limit(http: FhirHttp, sekmet: peers.FhirPeer, unique: str) -> None:
    """An answer longer than max_answer_bytes is refused for good."""
    await patient(http, unique)
    small = FhirHttp(sekmet.base_url, limits=FhirLimits(max_answer_bytes=100))
    with pytest.raises(PeerError) as caught:
        await FhirReader(small).find_patient(MRN, unique)
    await small.close()

    assert caught.value.permanent


async def test_a_server_that_is_not_there() -> None:
    """No server is trouble that may pass."""
    http = FhirHttp(f"http://{peers.HOST}:{peers.free_port()}/fhir")
    with pytest.raises(PeerError) as caught:
        await FhirReader(http).find_patient(MRN, "1")
    await http.close()

    assert not caught.value.permanent


def result_of(unique: str, mrn: str) -> tuple[SupervisionResult, FhirNames]:
    who = replace(SEVERE.patient, identifiers=(Identifier(mrn, "DEMO", "MR"),))
    order = replace(SEVERE.order, accession=f"ACC-{unique}")
    names = FhirNames("https://attend.invalid/id", {"DEMO": MRN}, accession="urn:oid:1.2.3.4.5.11")
    return replace(SEVERE, session_id=f"ses-{unique}", patient=who, order=order), names


async def test_everything_is_written_once(http: FhirHttp, unique: str) -> None:
    """What SEKMET's statement lists (no AdverseEvent) is taken, strictly validated; a second run creates nothing."""
    patient_id = await patient(http, unique)
    result, names = result_of(unique, unique)
    writer = FhirWriter(http, create_theirs=True)
    entries = build(result, names)
    first = await writer.write(entries)
    again = await writer.write(entries, first_attempt=False)

    assert [(o.kind, o.outcome) for o in first if o.outcome != "created"] == [
        ("Patient", "found"),
        ("AdverseEvent", "not_accepted"),
    ]
    assert {o.outcome for o in again if o.kind != "AdverseEvent"} == {"found"}
    assert [o.reference for o in again] == [o.reference for o in first]
    document = await http.get(next(o.reference for o in first if o.kind == "DocumentReference"))
    assert base64.b64decode(document["content"][0]["attachment"]["data"]) == result.pdf
    assert document["subject"]["reference"] == f"Patient/{patient_id}"
    given = await http.get(next(o.reference for o in first if o.kind == "MedicationAdministration"))
    procedure = next(o.reference for o in first if o.kind == "Procedure")
    assert given["partOf"][0]["reference"] == procedure


async def test_a_correction_updates_what_is_there(http: FhirHttp, unique: str) -> None:
    """A second version updates our resources in place and leaves theirs alone."""
    await patient(http, unique)
    result, names = result_of(unique, unique)
    writer = FhirWriter(http, create_theirs=True)
    await writer.write(build(result, names))
    outcomes = await writer.write(build(replace(result, version=2, pdf=b"%PDF-1.7 second"), names))
    document = await http.get(next(o.reference for o in outcomes if o.kind == "DocumentReference"))

    theirs = ("Patient", "ServiceRequest", "AdverseEvent")
    assert {(o.outcome, o.version) for o in outcomes if o.kind not in theirs} == {("updated", "2")}
    assert [o.outcome for o in outcomes if o.kind in theirs] == ["found", "found", "not_accepted"]
    assert document["docStatus"] == "amended"


async def test_nothing_is_written_for_a_patient_that_is_not_there(http: FhirHttp, unique: str) -> None:
    """Without the patient, nothing is created; the order that is absent does not stop the rest otherwise."""
    result, names = result_of(unique, unique)
    outcomes = await FhirWriter(http).write(build(result, names))
    await patient(http, unique)
    later = await FhirWriter(http).write(build(result, names))

    assert [o.outcome for o in outcomes] == ["absent"] + ["rejected"] * (len(outcomes) - 1)
    assert [(o.kind, o.outcome) for o in later[:3]] == [
        ("Patient", "found"),
        ("ServiceRequest", "absent"),
        ("DocumentReference", "created"),
    ]
    procedure = await http.get(next(o.reference for o in later if o.kind == "Procedure"))
    assert procedure["basedOn"][0]["identifier"]["value"] == result.order.accession
