"""The order that starts a demonstration, as a RIS sends it: HL7 v2 bytes, with a clearly synthetic patient."""

import datetime as dt

MRN = "DEMO1001"
AUTHORITY = "DEMO"
FHIR_SYSTEM = "urn:oid:1.2.3.4.5.1"


def patient_message(now: dt.datetime, number: str) -> bytes:
    """Return the ADT^A04 that registers the patient."""
    lines = (
        f"MSH|^~\\&|DEMORIS|DEMOHOSP|ATTEND|DEMOHOSP|{_time(now)}||ADT^A04|A{number}|P|2.3.1",
        f"EVN|A04|{_time(now)}",
        _pid(),
        "PV1|1|O|RADIOLOGY^CT1^^DEMOHOSP",
    )
    return "\r".join(lines).encode() + b"\r"


def order_message(now: dt.datetime, number: str) -> bytes:
    """Return the ORM^O01 with the study's ZDS segment: a CT of the abdomen with contrast, in a quarter of an hour."""
    planned = _time(now + dt.timedelta(minutes=15))
    lines = (
        f"MSH|^~\\&|DEMORIS|DEMOHOSP|ATTEND|DEMOHOSP|{_time(now)}||ORM^O01|O{number}|P|2.3.1",
        _pid(),
        "PV1|1|O|RADIOLOGY^CT1^^DEMOHOSP",
        f"ORC|NW|PL{number}^DEMORIS|FL{number}^DEMORIS||SC||1^^^{planned}^^R",
        f"OBR|1|PL{number}^DEMORIS|FL{number}^DEMORIS|CTABDWC^CT abdomen with contrast^DEMOPROC"
        f"||||||||||||0310^DEMO^REFERRER||ACC{number}|RP{number}|SPS{number}||||CT",
        f"ZDS|1.2.3.4.5.{number}^100^Application^DICOM",
    )
    return "\r".join(lines).encode() + b"\r"


def fhir_patient() -> dict[str, object]:
    """Return the same patient as the EHR's FHIR server knows them."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": FHIR_SYSTEM, "value": MRN}],
        "name": [{"family": "DEMO", "given": ["PATIENT"]}],
        "birthDate": "1971-04-12",
        "gender": "female",
    }


def fhir_allergy(patient_id: str) -> dict[str, object]:
    """Return an allergy of that patient."""
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                    "code": "active",
                }
            ]
        },
        "code": {"text": "Penicillin"},
        "patient": {"reference": f"Patient/{patient_id}"},
        "reaction": [{"manifestation": [{"text": "Hives"}]}],
    }


def _pid() -> str:
    return f"PID|1||{MRN}^^^{AUTHORITY}^MR||DEMO^PATIENT||19710412|F"


def _time(moment: dt.datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S+0000")
