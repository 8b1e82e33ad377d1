"""ORU^R01: what is written is read back the same by our own reader, and hl7apy finds it valid."""

import base64
import datetime as dt
from dataclasses import replace

from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.hl7_fhir import er7
from integrations.hl7_fhir.outbound import Destination, oru_r01
from integrations.hl7_fhir.result import SupervisionResult
from integrations.hl7_fhir.values import Coded
from tests.hl7_fhir.results import SEVERE, UNEVENTFUL

NOW = dt.datetime(2026, 11, 20, 16, 20, tzinfo=dt.UTC)
TO = Destination("DEMORIS", "DEMOHOSP", our_facility="DEMO SITE")
SEGMENTS = 20


def written(result: SupervisionResult) -> er7.Message:
    return er7.read(oru_r01(result, TO, now=NOW, control_id="OUT1"))


def rows(message: er7.Message) -> dict[str, tuple[str, str, str]]:
    """The last OBX of each code: type, value, unit."""
    return {obx.text(3): (obx.text(2), obx.text(5), obx.text(6)) for obx in message.all("OBX")}


def test_header_patient_and_order() -> None:
    """Addresses, both identifiers with their authority, and the order's numbers come back as they were."""
    message = written(UNEVENTFUL)
    pid, obr, orc = message.first("PID"), message.first("OBR"), message.first("ORC")
    assert pid is not None
    assert obr is not None
    assert orc is not None

    assert [message.msh.text(n) for n in (3, 4, 5, 6, 10, 12)] == [
        "ATTEND",
        "DEMO SITE",
        "DEMORIS",
        "DEMOHOSP",
        "OUT1",
        "2.5.1",
    ]
    assert [(p.text(1), p.text(4), p.text(5)) for p in pid.pieces(3)] == [
        ("DEMO1001", "DEMO", "MR"),
        ("DEMO-E-1", "DEMOENT", "PI"),
    ]
    assert (pid.text(5, 1), pid.text(5, 2), pid.text(7), pid.text(8)) == ("DEMO", "PATIENT", "19610412", "F")
    assert [obr.text(n) for n in (2, 3, 4, 18, 25)] == ["PL1001", "FL1001", "CTABDWC", "ACC1001", "F"]
    assert (orc.text(2), orc.text(3)) == ("PL1001", "FL1001")


def test_a_severe_reaction() -> None:
    """Agent, dose, vitals, reaction, treatment, verdict, seal and PDF are all there, amounts digit for digit."""
    message = written(SEVERE)
    seen = rows(message)
    treatments = [(obx.text(4), obx.text(5, 2)) for obx in message.all("OBX") if obx.text(3) == "TREATMENT"]

    assert seen["CONTRAST_AGENT"] == ("CWE", "109218004", "")
    assert seen["CONTRAST_VOLUME"] == ("NM", "100.0", "mL")
    assert seen["CONTRAST_RATE"] == ("NM", "3.50", "mL/s")
    assert seen["59408-5"] == ("NM", "91.0", "%")
    assert seen["REACTION_SEVERITY"] == ("ST", "severe", "")
    assert seen["TREATMENT_DOSE"] == ("NM", "0.30", "mg")
    assert treatments == [("4.1", "Epinephrine"), ("4.2", "Legs raised & oxygen by mask")]
    assert seen["REACTION_OUTCOME"][1] == "Transferred by ambulance | observed ^ stable"
    assert seen["VERDICT"][1] == "allow"
    assert seen["SEAL_SHA256"][1] == "ab" * 32
    pdf = message.all("OBX")[-1]
    assert [pdf.text(5, n) for n in (2, 3, 4)] == ["application", "pdf", "Base64"]
    assert base64.b64decode(pdf.text(5, 5)) == SEVERE.pdf


def test_no_reaction_is_said() -> None:
    """Without a reaction the message says that none was recorded."""
    assert rows(written(UNEVENTFUL))["REACTION"] == ("ST", "none recorded", "")


def test_a_correction_is_marked() -> None:
    """A second version is sent as a correction, in OBR-25 and every OBX-11."""
    message = written(replace(SEVERE, version=2))
    obr = message.first("OBR")
    assert obr is not None

    assert obr.text(25) == "C"
    assert {obx.text(11) for obx in message.all("OBX")} == {"C"}


def test_a_large_document() -> None:
    """A PDF of 2 MB passes through."""
    pdf = bytes(range(256)) * 8192

    assert base64.b64decode(written(replace(UNEVENTFUL, pdf=pdf)).all("OBX")[-1].text(5, 5)) == pdf


def test_hl7apy_finds_it_valid() -> None:
    """The bytes, parsed again by hl7apy, validate."""
    text = oru_r01(SEVERE, TO, now=NOW, control_id="OUT1").decode()

    assert parse_message(text).validate()


def test_the_same_result_gives_the_same_bytes() -> None:
    """A repeated delivery is byte for byte the same."""
    assert oru_r01(SEVERE, TO, now=NOW, control_id="1") == oru_r01(SEVERE, TO, now=NOW, control_id="1")


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_text_comes_back(text: str) -> None:
    """Whatever a name or text holds, no segment breaks and the text is read back, on one line."""
    patient = replace(UNEVENTFUL.patient, family=f"X{text}")
    message = written(replace(UNEVENTFUL, patient=patient, procedure=Coded("C", f"Y{text}", "L")))
    pid, obr = message.first("PID"), message.first("OBR")
    assert pid is not None
    assert obr is not None

    def one_line(value: str) -> str:
        return "".join(" " if char <= " " or char == "\x7f" else char for char in value)

    assert pid.text(5).split() == one_line(f"X{text}").split()
    assert obr.text(4, 2).split() == one_line(f"Y{text}").split()
    assert len(message.segments) == SEGMENTS
