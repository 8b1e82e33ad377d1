"""Histories that the record tests share: an uneventful session, a severe reaction with a lost line, a bypass."""

import datetime as dt
from decimal import Decimal

from engine.kernel.commands import Actor, TimerFired
from engine.kernel.ids import Stream
from engine.people.screening import ask
from engine.reactions import events as r
from engine.reactions.state import (
    Disposition,
    Medication,
    OfferedDose,
    OfferedStep,
    OrderedDose,
    Severity,
    Vitals,
)
from engine.workflows.ring import events as ring
from engine.workflows.ring.state import Candidate, Rung
from engine.workflows.session import commands as c
from engine.workflows.session.state import (
    Allergy,
    CredentialEvidence,
    LayerResult,
    LineEvidence,
    Order,
    PatientIdentity,
    Screening,
    VerdictEvidence,
)
from tests.reactions.packs import pack
from tests.records.driver import Driver, amount

TECHNOLOGIST = Actor(person_id="tech-1", role="technologist", organization_id="org-1")
PHYSICIAN = Actor(person_id="phys-1", role="physician", organization_id="org-1")
RELIEF = Actor(person_id="phys-2", role="physician", organization_id="org-1")
HL7 = Actor.system("hl7")
POLICY = Actor.system("policies")
MEDIA = Actor.system("media")
TIMERS = Actor.system("timers")
LATER = dt.timedelta(hours=6)


def credentials(driver: Driver, person_id: str, role: str, **more: object) -> CredentialEvidence:
    """Credentials found without a problem."""
    return CredentialEvidence(
        person_id=person_id,
        role=role,
        checked_at=driver.now,
        valid_until=driver.now + LATER,
        **more,  # type: ignore[arg-type]
    )


def physician(driver: Driver, person_id: str = "phys-1", name: str = "Ines Okafor, MD") -> CredentialEvidence:
    """The supervising physician's credentials."""
    return credentials(
        driver,
        person_id,
        "physician",
        name=name,
        npi="1999999984",
        licence_type="MD",
        licence_state="OH",
        licence_number="DEMO-35-000001",
    )


def responder(driver: Driver) -> CredentialEvidence:
    """The responder's credentials."""
    return credentials(
        driver,
        "resp-1",
        "responder",
        name="Ana Lund, RN",
        licence_type="RN",
        licence_state="OH",
        licence_number="DEMO-RN-7",
        competency_expires_on=dt.date(2027, 5, 31),
    )


def verdict(driver: Driver, result: str = "allow") -> VerdictEvidence:
    """What the rules say."""
    layers = (
        LayerResult(
            layer="federal_payer",
            result="allow",
            rule_id="us-410-32-b-3-ii",
            reason="Direct supervision may be met by real-time two-way audio and video.",
            citation="42 CFR 410.32(b)(3)(ii)",
            version="2026-01-01",
        ),
        LayerResult(
            layer="state_practice",
            result=result,
            rule_id="us-oh-demo",
            reason="A licensed responder is on site.",
            citation="demo row",
            version="2026-07-01",
        ),
    )
    return VerdictEvidence(
        result=result,
        layers=layers,
        assumed=("technologist_certificate",),
        rulebook_hash="ab" * 32,
        rulebook_version="2026.11",
        evaluated_at=driver.now,
        valid_until=driver.now + LATER,
    )


def scheduled(driver: Driver) -> None:
    """An order arrived."""
    driver.do(
        HL7,
        c.ScheduleSession(
            organization_id="org-1",
            site_id="site-columbus",
            room_id="ct-1",
            planned_at=driver.now + dt.timedelta(minutes=10),
            order=Order(
                accession_number="ACC-20261123-7",
                placer_number="PL-881",
                filler_number="FL-552",
                procedure_code="74177",
                procedure_system="CPT",
                procedure_text="CT abdomen and pelvis with contrast",
                modality="CT",
                contrast_class="iodinated",
                ordering_provider="1888888873",
                hcpcs="74177",
            ),
            identity=PatientIdentity(
                mrn="MRN-4471",
                authority="COLUMBUS",
                family="Müller",
                given="Žofia",
                birth_date=dt.date(1968, 3, 9),
                sex="F",
            ),
            allergies=(Allergy(substance="penicillin", reaction="rash", severity="mild"),),
            allergies_source="order AL1",
            demo=True,
            site_state="OH",
            setting="idtf",
        ),
    )


SCREENING = Screening(
    prior_reaction="none",
    asthma="no",
    renal_risk="no",
    metformin="no",
    pregnancy="not_applicable",
    egfr_ml_min_173m2=Decimal("88"),
    egfr_on=dt.date(2026, 11, 20),
)


def screened(driver: Driver, screening: Screening = SCREENING) -> c.RecordScreening:
    """A screening with what the shipped pack says of it."""
    evidence = ask(pack(), driver.state_of(driver.session), screening, driver.now.date())
    return c.RecordScreening(screening=screening, evidence=evidence)


def prepared(driver: Driver, screening: Screening = SCREENING) -> None:
    """The room is prepared and asks for a physician."""
    driver.wait(300)
    driver.do(
        TECHNOLOGIST,
        c.StartPreparation(),
        screened(driver, screening),
        c.RecordWeight(weight_kg=amount("72.5"), method="scale"),
        c.CheckInResponder(responder_id="resp-1", evidence=responder(driver)),
        c.RecordKitChecked(
            kit_id="kit-ct-1",
            expires_on=dt.date(2027, 6, 30),
            epinephrine_present=True,
            oxygen_and_aed_checked=True,
        ),
        c.RequestSupervision(),
    )


def answered(driver: Driver) -> None:
    """The ring climbs one rung and is answered; the line is proven."""
    stream = Stream("ring", f"{driver.session_id}-1")
    ladder = (
        Rung(name="primary", people=(Candidate(person_id="phys-9"),)),
        Rung(name="backup", people=(Candidate(person_id="phys-1"),)),
    )
    started = ring.RingStarted(
        session_id=driver.session_id,
        organization_id="org-1",
        site_id="site-columbus",
        room_id="ct-1",
        cause="request",
        urgent=False,
        ladder=ladder,
        contact="Dana Reyes, coverage manager",
        first_rung=0,
    )
    driver.write(stream, POLICY, [started], ("ringing_primary",))
    driver.wait(30)
    raised = ring.RungRaised(rung=1, name="backup", due_at=driver.now, skipped=0, cause="due")
    driver.write(stream, TIMERS, [raised], ("ringing_backup",))
    driver.wait(8)
    taken = ring.RingAnswered(
        session_id=driver.session_id,
        physician_id="phys-1",
        coverage_id="cov-1",
        rung="backup",
        answered_after_s=Decimal("38"),
    )
    driver.write(stream, PHYSICIAN, [taken], ("answered",))
    driver.do(POLICY, c.AssignPhysician(physician_id="phys-1", ring_id=stream.id, evidence=physician(driver)))
    driver.do(MEDIA, c.ReportLineConnecting())
    driver.wait(4)
    driver.do(MEDIA, c.ReportLineVerified(evidence=proof()))


def proof() -> LineEvidence:
    """Packets and frames both ways."""
    return LineEvidence(
        technologist_audio_packets=151,
        technologist_video_frames=88,
        physician_audio_packets=149,
        physician_video_frames=90,
        window_s=Decimal("3"),
    )


def cleared(driver: Driver, born: dt.date = dt.date(1968, 3, 9)) -> None:
    """Identity, review, view, clearance and READY."""
    driver.wait(20)
    driver.do(
        TECHNOLOGIST,
        c.ConfirmIdentity(mrn="MRN-4471", family="Müller", given="Žofia", birth_date=born),
    )
    driver.wait(40)
    driver.do(
        PHYSICIAN,
        c.ReviewScreening(),
        c.ConfirmView(patient_visible=True, injection_site_visible=True),
        c.ClearForContrast(agent="iohexol"),
    )
    granted = c.GrantReady(verdict=verdict(driver), physician=physician(driver), responder=responder(driver))
    driver.do(TECHNOLOGIST, granted)


def contrast(driver: Driver) -> c.RecordContrastGiven:
    """80 mL of iohexol."""
    return c.RecordContrastGiven(
        agent="iohexol",
        contrast_class="iodinated",
        concentration="350 mgI/mL",
        volume_ml=amount("80"),
        route="IV",
        lot="DEMO-LOT-1",
        given_at=driver.now,
    )


def injected(driver: Driver) -> None:
    """Contrast under READY."""
    driver.wait(10)
    start = c.StartInjection(
        ready_token=driver.state.ready.token,
        verdict=verdict(driver),
        physician=physician(driver),
        responder=responder(driver),
    )
    driver.do(TECHNOLOGIST, start)
    driver.wait(45)
    driver.do(TECHNOLOGIST, contrast(driver), c.CompleteInjection())


def observed(driver: Driver) -> None:
    """The observation time passes and monitoring ends."""
    driver.wait(30 * 60)
    driver.do(TIMERS, TimerFired(name="observation", due_at=driver.now))
    driver.do(TECHNOLOGIST, c.CompleteMonitoring())


def signed(driver: Driver, who: Actor = PHYSICIAN) -> None:
    """Confirmed, attested, sealed."""
    driver.wait(60)
    driver.confirm(TECHNOLOGIST)
    driver.do(MEDIA, c.ReportLineClosed())
    driver.wait(30)
    driver.attest(who)
    driver.seal()


def line_lost(driver: Driver) -> None:
    """The line fails for 12 s and comes back."""
    driver.wait(90)
    driver.do(MEDIA, c.ReportLineLost(cause="no_packets_from_physician"))
    driver.do(
        TECHNOLOGIST, c.RecordGapAction(gap_number=1, action="physician called by phone, injection was over")
    )
    driver.wait(10)
    driver.do(MEDIA, c.ReportLineVerified(evidence=proof()))


_EPINEPHRINE = {
    "row_id": "epi-im-adult",
    "drug": "epinephrine",
    "route": "IM",
    "dose_mg": Decimal("0.5"),
    "concentration_mg_per_ml": Decimal("1"),
    "volume_ml": Decimal("0.5"),
    "amount_text": "0.5 mg = 0.5 mL of 1 mg/mL",
    "formula": "0.01 mg/kg × 72.5 kg = 0.725 mg, at most 0.5 mg",
    "counter": "epinephrine_im",
    "citation": "CONS-2025 table 2",
    "evidence": "V",
}


def _offers() -> tuple[OfferedStep, ...]:
    dose = OfferedDose(
        **_EPINEPHRINE,  # type: ignore[arg-type]
        form="ampoule",
        measured_ml=Decimal("0.5"),
        cap_applied=True,
        max_single_mg=Decimal("0.5"),
        repeat_min_s=300,
        repeat_max_s=900,
        fresh_order=True,
        dose_max_mg=None,
        condition="",
        waits_for="",
    )
    oxygen = "Oxygen by mask, 6-10 L/min"
    return (
        OfferedStep(
            step_id="oxygen",
            number=1,
            kind="action",
            text=oxygen,
            row_id="o2",
            citation="ACR 2024",
            evidence="V",
        ),
        OfferedStep(
            step_id="epinephrine",
            number=2,
            kind="drug",
            text="Epinephrine IM, lateral thigh",
            row_id="epi-im-adult",
            citation="CONS-2025 table 2",
            evidence="V",
            doses=(dose,),
            call_level="call",
        ),
    )


def reacted(driver: Driver) -> None:
    """A severe anaphylaxis: oxygen, two doses of epinephrine, EMS, emergency department."""
    driver.wait(100)
    driver.do(TECHNOLOGIST, c.ReportReaction())
    reaction_id = driver.state.reactions[-1]
    stream = Stream("reaction", reaction_id)
    opened = r.ReactionOpened(
        session_id=driver.session_id,
        organization_id="org-1",
        site_id="site-columbus",
        onset_at=driver.now,
        age_years=58,
        weight_kg=amount("72.5"),
        setting="idtf",
        modality="CT",
        agent="iohexol",
        demo=True,
        pack_id="acr-2026",
        pack_hash="cd" * 32,
    )
    driver.write(stream, POLICY, [opened], ("not_called", "suspected"))
    driver.wait(6)
    vitals = Vitals(at=driver.now, systolic_mmhg=82, diastolic_mmhg=44, heart_rate_bpm=118, spo2_percent=89)
    seen = r.SignsRecorded(
        signs=("S-1", "S-2", "S-3"), texts=("widespread hives", "wheeze", "low blood pressure")
    )
    suggested = r.SeveritySuggested(
        severity=Severity.SEVERE,
        rules=("hypotension",),
        reasons=("Systolic pressure below 90 mmHg.",),
        presentations=("anaphylaxis",),
    )
    driver.write(
        stream, TECHNOLOGIST, [r.VitalsRecorded(vitals=vitals), seen, suggested], ("not_called", "suspected")
    )
    driver.wait(9)
    graded = r.ReactionGraded(
        severity=Severity.SEVERE, was=None, suggested=Severity.SEVERE, presentation="anaphylaxis", reason=""
    )
    resolved = r.ProtocolResolved(pack_id="acr-2026", pack_hash="cd" * 32, steps=_offers(), superseded=())
    phases = ("not_called", "severe")
    driver.write(stream, PHYSICIAN, [graded, resolved], phases)
    _treated(driver, stream, phases)
    driver.wait(600)
    gone = r.ReactionDisposed(
        session_id=driver.session_id, disposition=Disposition.TRANSFERRED_BY_EMS, reason=""
    )
    driver.write(stream, TECHNOLOGIST, [r.ReactionImproving()], ("emergency_called", "improving"))
    driver.write(stream, PHYSICIAN, [gone], ("disposed", "emergency_called"))
    driver.do(POLICY, c.ReportReactionClosed(reaction_id=reaction_id))
    said = r.ReactionDocumented(
        session_id=driver.session_id, allergy_documented=True, instructions_given=True
    )
    driver.write(stream, TECHNOLOGIST, [said], ("documented", "emergency_called"))


def _treated(driver: Driver, stream: Stream, phases: tuple[str, ...]) -> None:
    dose = OrderedDose(**_EPINEPHRINE)  # type: ignore[arg-type]
    called = r.EmergencyCalled(service="EMS 911", called_at=driver.now)
    driver.wait(5)
    driver.write(stream, PHYSICIAN, [_order("oxygen", 1, None)], phases)
    driver.wait(3)
    driver.write(stream, TECHNOLOGIST, [r.StepDone(step_id="oxygen", order_number=1), called], phases)
    for number in (1, 2):
        driver.wait(4)
        driver.write(stream, PHYSICIAN, [_order("epinephrine", number, dose)], phases)
        driver.wait(4)
        driver.write(
            stream, TECHNOLOGIST, [r.StepReadBack(step_id="epinephrine", order_number=number)], phases
        )
        driver.wait(12)
        given = Medication(
            step_id="epinephrine",
            row_id="epi-im-adult",
            drug="epinephrine",
            route="IM",
            dose_mg=Decimal("0.5"),
            concentration_mg_per_ml=Decimal("1"),
            volume_ml=Decimal("0.5"),
            counter="epinephrine_im",
            given_at=driver.now,
            given_by="resp-1",
        )
        done = r.StepDone(step_id="epinephrine", order_number=number)
        driver.write(stream, TECHNOLOGIST, [r.MedicationGiven(medication=given, beyond=()), done], phases)
        driver.wait(300)


def _order(step_id: str, number: int, dose: OrderedDose | None) -> r.StepOrdered:
    return r.StepOrdered(step_id=step_id, order_number=number, order=dose, overrides=(), override_reason="")


def to_injected() -> Driver:
    """A session up to contrast given under READY."""
    driver = Driver()
    for passage in (scheduled, prepared, answered, cleared, injected):
        passage(driver)
    return driver


def uneventful() -> Driver:
    """A whole session in which nothing went wrong, sealed."""
    driver = to_injected()
    observed(driver)
    signed(driver)
    return driver


def severe() -> Driver:
    """A whole session with a gap in the line and a severe reaction, sealed."""
    driver = to_injected()
    line_lost(driver)
    reacted(driver)
    observed(driver)
    signed(driver)
    return driver
