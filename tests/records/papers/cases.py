"""Reactions worked by the real machine with the shipped pack, as the documents' tests read them."""

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal

from engine.kernel.ids import Stream
from engine.reactions import commands as rc
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine
from engine.reactions.state import Disposition, Severity
from engine.records.document import codec, folded, render
from engine.records.papers.parts import Case, Place
from engine.workflows.session import commands as c
from engine.workflows.session.state import Allergy, PatientIdentity, Screening
from tests.reactions.packs import pack
from tests.records import stories
from tests.records.driver import Driver

REACTION = Stream("reaction", "ses-1-r1")
PLACE = Place(
    name="Columbus Imaging",
    address="12 Example Road, Columbus, OH",
    ems_address="12 Example Road, door C, ground floor",
    time_zone="America/New_York",
)
NAMES = {"tech-1": "Tom Reyes, RT", "resp-1": "Ana Lund, RN"}
CALL_BACKS = {"phys-1": "+1 614 555 0100"}
CHILD = PatientIdentity(
    mrn="MRN-4471",
    authority="COLUMBUS",
    family="Müller",
    given="Žofia",
    birth_date=dt.date(2020, 3, 9),
    sex="F",
)
SHOCK = {"systolic_mmhg": 78, "diastolic_mmhg": 44, "heart_rate_bpm": 128, "spo2_percent": 91}


def reacting(age_years: int = 58, weight_kg: str = "72.5", patient: PatientIdentity | None = None) -> Driver:
    """A session with contrast in and a reaction just opened; `patient` is somebody else than the order said."""
    driver = Driver(reaction=machine(Objectives(pack=pack())))
    stories.scheduled(driver)
    if patient:
        driver.do(stories.HL7, c.AmendPatient(identity=patient))
    stories.prepared(driver)
    stories.answered(driver)
    stories.cleared(driver, *([patient.birth_date] if patient else []))
    stories.injected(driver)
    driver.wait(95)
    driver.do(stories.TECHNOLOGIST, c.ReportReaction())
    opened = rc.OpenReaction(
        session_id="ses-1",
        organization_id="org-1",
        site_id="site-columbus",
        onset_at=driver.now,
        age_years=age_years,
        weight_kg=Decimal(weight_kg),
        setting="idtf",
        modality="CT",
        agent="iohexol",
        demo=True,
        alerted="phys-1",
    )
    driver.send(REACTION, stories.POLICY, opened)
    return driver


def tap(driver: Driver, *signs: str, **vitals: int) -> None:
    """The technologist taps signs and measures."""
    driver.send(REACTION, stories.TECHNOLOGIST, rc.RecordSigns(signs=signs))
    if vitals:
        driver.send(REACTION, stories.TECHNOLOGIST, rc.RecordVitals(**vitals))


def grade(driver: Driver, severity: Severity, presentation: str) -> None:
    """The physician grades."""
    one = rc.GradeReaction(severity=severity, presentation=presentation, reason="as seen")
    driver.send(REACTION, stories.PHYSICIAN, one)


def treat(driver: Driver, drug: str, route: str = "") -> None:
    """Order a drug of the protocol, read it back, give it."""
    step_id, dose = next(
        (name, dose)
        for name, step in driver.state_of(REACTION).steps.items()
        if "superseded" not in step.phases
        for dose in step.offer.doses
        if dose.drug == drug and route in ("", dose.route)
    )
    driver.send(REACTION, stories.PHYSICIAN, rc.OrderStep(step_id=step_id, row_id=dose.row_id))
    heard = {
        "dose_mg": dose.dose_mg,
        "concentration_mg_per_ml": dose.concentration_mg_per_ml,
        "route": dose.route,
    }
    driver.wait(8)
    driver.send(REACTION, stories.TECHNOLOGIST, rc.ReadBackStep(step_id=step_id, **heard))
    given = rc.RecordMedicationGiven(
        step_id=step_id, drug=dose.drug, volume_ml=dose.volume_ml, given_by="resp-1", **heard
    )
    driver.wait(14)
    driver.send(REACTION, stories.TECHNOLOGIST, given)


def end(driver: Driver, disposition: Disposition, *, allergy: bool = True) -> None:
    """Signs gone, the physician's decision, documented; `allergy`: one was entered."""
    driver.send(REACTION, stories.TECHNOLOGIST, rc.ReportImproving(), rc.ReportResolved())
    gone = rc.DisposeReaction(disposition=disposition, reason="as decided")
    driver.send(REACTION, stories.PHYSICIAN, gone)
    driver.do(stories.POLICY, c.ReportReactionClosed(reaction_id=REACTION.id))
    said = rc.DocumentReaction(allergy_documented=allergy, instructions_given=True)
    driver.send(REACTION, stories.TECHNOLOGIST, said)


def begun() -> Driver:
    """An adult's anaphylaxis up to the first dose; nothing is over."""
    driver = reacting()
    tap(driver, "S-A2-1", "S-A2-4", "S-A3-5", **SHOCK)
    grade(driver, Severity.SEVERE, "anaphylaxis")
    treat(driver, "epinephrine", "IM")
    driver.send(REACTION, stories.TECHNOLOGIST, rc.RecordEmergencyCalled(service="911"))
    return driver


def severe() -> Driver:
    """An adult's anaphylaxis: two doses of epinephrine, fluid, 911, away by EMS."""
    driver = begun()
    treat(driver, "0.9 % saline or lactated Ringer's")
    driver.wait(300)
    driver.send(
        REACTION, stories.TECHNOLOGIST, rc.RecordVitals(systolic_mmhg=84, heart_rate_bpm=120, spo2_percent=93)
    )
    treat(driver, "epinephrine", "IM")
    driver.wait(360)
    tap(driver, "S-A2-1", systolic_mmhg=112, diastolic_mmhg=70, heart_rate_bpm=98, spo2_percent=97)
    end(driver, Disposition.TRANSFERRED_BY_EMS)
    return driver


def child() -> Driver:
    """A child of 6 years and 20 kg with wheeze: albuterol, to the emergency department."""
    driver = reacting(6, "20", CHILD)
    driver.send(REACTION, stories.TECHNOLOGIST, rc.RecordPatientWeight(weight_kg=Decimal(20), method="scale"))
    tap(driver, "S-A2-5", systolic_mmhg=102, diastolic_mmhg=60, heart_rate_bpm=112, spo2_percent=93)
    grade(driver, Severity.MODERATE, "bronchospasm")
    treat(driver, "albuterol")
    driver.wait(1200)
    end(driver, Disposition.EMERGENCY_DEPARTMENT)
    return driver


def physiologic() -> Driver:
    """Limited nausea, graded mild; nothing given, home."""
    driver = reacting()
    tap(driver, "S-P1-1", systolic_mmhg=126, diastolic_mmhg=80, heart_rate_bpm=78, spo2_percent=99)
    grade(driver, Severity.MILD, "vomiting")
    driver.wait(1800)
    end(driver, Disposition.DISCHARGED_HOME, allergy=False)
    return driver


def erased() -> Driver:
    """The severe reaction after the patient's identity was erased."""
    driver = severe()
    driver.protected.clear()
    return driver


def unknown() -> Driver:
    """REACTION pressed for a patient of unknown weight: allergies list names no agent, nothing else is known."""
    driver = Driver(reaction=machine(Objectives(pack=pack())))
    stories.scheduled(driver)
    driver.do(
        stories.TECHNOLOGIST,
        c.StartPreparation(),
        c.RecordScreening(screening=Screening()),
        c.RecordAllergies(allergies=(Allergy(substance="iodine"),), source="asked the patient"),
        c.ReportReaction(),
    )
    opened = rc.OpenReaction(
        session_id="ses-1",
        organization_id="org-1",
        site_id="site-columbus",
        onset_at=driver.now,
        age_years=None,
        weight_kg=None,
        setting="idtf",
        modality="CT",
        agent="",
        demo=True,
        alerted="",
    )
    driver.send(REACTION, stories.POLICY, opened)
    return driver


CASES: dict[str, Callable[[], Driver]] = {
    "severe": severe,
    "child": child,
    "physiologic": physiologic,
    "open": begun,
    "erased": erased,
    "unknown": unknown,
}


def case(driver: Driver, **change: object) -> Case:
    """What the documents of a driver's reaction are made from."""
    file = render(driver.history, folded(driver.history, codec()))
    parts: dict[str, object] = {
        "document": json.loads(file),
        "reaction_id": REACTION.id,
        "position": len(driver.rows),
        "place": PLACE,
        "names": NAMES,
        "call_backs": CALL_BACKS,
        "pack": pack(),
    }
    return Case(**{**parts, **change})  # type: ignore[arg-type]
