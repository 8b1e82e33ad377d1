"""The field list of an incident report (clinical reference 10.2): what was told is there, the rest is not recorded."""

import datetime as dt
import json
from dataclasses import asdict, fields, replace
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.demo.network import SITE
from engine.kernel.canonical import canonical_bytes
from engine.kernel.ids import Stream
from engine.reactions import commands as rc
from engine.reactions.overlay import parse_overlay, plan_for
from engine.reactions.state import Disposition, FollowUp, Severity
from engine.records.papers.discharge import discharge_summary
from engine.records.papers.facts import Facts
from engine.records.papers.incident import incident_report
from engine.records.papers.parts import NOT_IN_MG, NOT_RECORDED
from engine.records.papers.render import paper
from engine.records.timeline import follow_up_line
from engine.settings import Settings
from engine.workflows.session import commands as c
from engine.workflows.session.state import PremedicationGiven, PriorReaction, Screening
from tests.records import stories
from tests.records.driver import Driver
from tests.records.papers import cases
from tests.records.papers.cases import REACTION, case
from tests.records.papers.test_pages import read

#: Every field of 10.2 that a paper can carry: where it stands in the report's JSON.
PLACES = {
    "exam, site, setting": ("exam.procedure", "exam.site", "exam.setting"),
    "contrast": (
        "contrast.0.contrast_class",
        "contrast.0.agent",
        "contrast.0.brand",
        "contrast.0.concentration",
        "contrast.0.volume_ml",
        "contrast.0.route",
        "contrast.0.rate_ml_per_s",
        "contrast.0.lot",
        "contrast.0.expires_on",
        "contrast.0.iv_site",
        "contrast.0.iv_gauge",
        "iv_access",
    ),
    "risk": (
        "risk.prior_reactions",
        "risk.asthma",
        "risk.atopy",
        "risk.egfr_ml_min_173m2",
        "risk.metformin",
        "risk.beta_blocker",
        "risk.earlier_contrast",
        "risk.premedication_given",
        "risk.agent_switched",
    ),
    "reaction": (
        "course.onset_at",
        "course.after_contrast",
        "course.signs.0.sign_id",
        "course.kind",
        "course.severity_now",
        "course.severity_worst",
        "anaphylaxis_criteria",
        "told.differential",
    ),
    "vitals": tuple(
        f"vitals.0.{name}"
        for name in (
            "heart_rate_bpm",
            "blood_pressure_mmhg",
            "respiratory_rate_bpm",
            "spo2_percent",
            "oxygen_l_per_min",
            "conscious",
            "rhythm",
            "glucose_mg_per_dl",
        )
    ),
    "treatment": tuple(
        f"doses.0.{name}"
        for name in (
            "drug",
            "dose_mg",
            "concentration_mg_per_ml",
            "volume_ml",
            "route",
            "site",
            "given_at",
            "given_by",
            "ordered_by",
            "lot",
            "response",
            "running_total_mg",
        )
    ),
    "people": ("people.responder", "people.technologist", "people.physician", "people.physician_licence"),
    "outcome and follow-up": (
        *(f"told.{field.name}" for field in fields(FollowUp) if "drawn" not in field.name),
        "told.tryptase",
        "outcome.disposition",
        "outcome.allergy_documented",
    ),
}
TIMERS = {
    "Contrast given",
    "Recognized: REACTION pressed",
    "Physician called",
    "Physician on video",
    "Epinephrine, dose 1",
    "Epinephrine, dose 2",
    "Emergency call",
    "EMS arrived",
    "Signs resolved",
    "Released: disposition decided",
}
VIALS = {
    "brand": "Omnipaque",
    "rate_ml_per_s": Decimal("3.5"),
    "expires_on": dt.date(2099, 6, 30),
    "iv_site": "left antecubital fossa",
    "iv_gauge": 20,
}


def send(driver: Driver, *commands: Any) -> None:
    """The technologist reports to the reaction."""
    driver.send(REACTION, stories.TECHNOLOGIST, *commands)


def give(driver: Driver, **change: Any) -> None:
    """Epinephrine into the thigh, as ordered by nobody."""
    dose = rc.RecordMedicationGiven(
        drug="epinephrine",
        route="IM",
        dose_mg=Decimal("0.3"),
        concentration_mg_per_ml=Decimal(1),
        volume_ml=Decimal("0.3"),
        given_by="resp-1",
    )
    send(driver, replace(dose, **change))


def follow_up(at: dt.datetime) -> FollowUp:
    """Everything that can be told."""
    return FollowUp(
        ems_arrived_at=at,
        tryptase_drawn=True,
        tryptase_drawn_at=at,
        differential="vasovagal reaction",
        referred_to_allergist=True,
        referrer_told_at=at,
        family_told_at=at,
        called_back_at=at,
        safety_event_number="SE-77",
        medwatch_reported=False,
        kit_restocked_at=at,
        debriefed_at=at,
        patient_class="outpatient",
        physician_location="reading room, Houston",
        extravasated_ml=Decimal(30),
        extravasation_exam="soft, perfused, fingers move",
        extravasation_notified="referrer, radiologist",
        photo_taken=True,
    )


def told() -> Driver:
    """A severe reaction in which somebody told everything that the field list asks for."""
    driver = cases.reacting()
    screening = Screening(
        prior_reaction="yes",
        prior_reactions=(PriorReaction(agent="iopromide", contrast_class="iodinated", severity="mild"),),
        asthma="no",
        atopy="yes",
        metformin="no",
        beta_blocker="no",
        egfr_ml_min_173m2=Decimal(88),
        earlier_contrast="CT in 2019",
        premedication_given=(
            PremedicationGiven(drug="prednisone", dose_mg=Decimal(50), route="PO", given_at=driver.now),
        ),
    )
    driver.do(stories.TECHNOLOGIST, c.RecordScreening(screening=screening))
    driver.do(stories.TECHNOLOGIST, replace(stories.contrast(driver), **VIALS))
    send(
        driver,
        rc.RecordSigns(signs=("S-A2-1", "S-A3-5")),
        rc.RecordVitals(
            systolic_mmhg=78,
            diastolic_mmhg=44,
            heart_rate_bpm=128,
            spo2_percent=91,
            respiratory_rate_bpm=24,
            conscious=True,
            oxygen_l_per_min=Decimal(8),
            rhythm="sinus tachycardia",
            glucose_mg_per_dl=101,
        ),
    )
    cases.grade(driver, Severity.SEVERE, "anaphylaxis")
    for number in (1, 2):
        give(driver, site="right anterolateral thigh", lot=f"EPI-{number}")
        driver.wait(300)
        send(driver, rc.RecordVitals(heart_rate_bpm=110, response=f"better after dose {number}"))
    send(driver, rc.RecordEmergencyCalled(service="911"))
    driver.wait(360)
    cases.end(driver, Disposition.TRANSFERRED_BY_EMS)
    send(driver, rc.RecordFollowUp(follow_up=follow_up(driver.now)))
    return driver


def at(document: Any, path: str) -> Any:
    """Return what stands at a path of a document; of contrast the newest."""
    for part in path.split("."):
        document = document[int(part)] if part.isdigit() else document[part]
    return document


def report(driver: Driver) -> Any:
    """The report's JSON, the contrast told last first."""
    made = json.loads(paper("incident_report", case(driver)).json)
    made["contrast"].reverse()
    return made


@pytest.mark.parametrize("group", PLACES)
def test_what_was_told_is_on_the_paper(group: str) -> None:
    """Every field of the group has a word of its own, and none says that it is not recorded or unknown."""
    made = report(told())
    said = {path: at(made, path) for path in PLACES[group]}

    assert {
        path: word for path, word in said.items() if "not recorded" in word or word in ("", "unknown")
    } == {}


def test_every_timer_has_its_moment() -> None:
    """The moments of 10.2 are all there, each with a time."""
    times = dict(report(told())["times"])

    assert times.keys() >= TIMERS
    assert {name for name, when in times.items() if when == NOT_RECORDED} == set()


def test_it_can_be_read_on_the_page() -> None:
    """The PDF prints what the JSON says."""
    text = read(paper("incident_report", case(told())).pdf)[1]
    wanted = (
        "Omnipaque",
        "20 G, left antecubital fossa",
        "prednisone 50 mg PO",
        "sinus tachycardia",
        "EPI-2",
    )
    wanted += ("right anterolateral thigh", "better after dose 2", "0.6 mg", "vasovagal reaction", "SE-77")

    assert [words for words in wanted if words not in text] == []


def test_nothing_is_left_to_write_by_hand() -> None:
    """What was told is not asked for again."""
    assert incident_report(Facts(case(told()))).by_hand == ()


def test_who_directed_unasked_is_named() -> None:
    """Nobody answered a ring; a physician of the site graded all the same, and the crew reads whom to call."""
    driver = cases.unknown()
    assert incident_report(Facts(case(driver))).people.physician == "unknown"
    cases.grade(driver, Severity.SEVERE, "anaphylaxis")
    people = incident_report(Facts(case(driver, names={"phys-1": "Ines Okafor, MD"}))).people

    assert (people.physician, people.physician_call_back) == ("Ines Okafor, MD", "+1 614 555 0100")


def test_an_extravasation_is_recorded_as_the_reference_wants_it() -> None:
    """E-12: volume, every examination, who was told, photograph; before anybody told them they are asked for."""
    driver = cases.unknown()
    grade = rc.GradeReaction(severity=Severity.MODERATE, presentation="extravasation")
    driver.send(REACTION, stories.PHYSICIAN, grade)
    asked = set(incident_report(Facts(case(driver))).by_hand)
    for exam in ("14:10 swollen, fingers move", "15:10 softer"):
        send(driver, rc.RecordFollowUp(follow_up=FollowUp(extravasation_exam=exam)))
    send(driver, rc.RecordFollowUp(follow_up=FollowUp(extravasated_ml=Decimal(30), photo_taken=False)))
    made = paper("incident_report", case(driver))
    text = read(made.pdf)[1]

    assert {"volume beside the vein", "examinations of the place", "photograph"} < asked
    assert json.loads(made.json)["told"]["extravasated_ml"] == "30"
    assert [one for one in ("30 mL", "14:10 swollen, fingers move", "15:10 softer") if one not in text] == []
    assert "examinations of the place" not in made.json.decode()


def test_what_nobody_told_is_not_recorded_and_never_none() -> None:
    """REACTION alone: no field of the list says none or no, and each is there to be completed by hand."""
    made = json.loads(paper("incident_report", case(cases.unknown())).json)
    untold = {path: at(made, path) for path in PLACES["outcome and follow-up"] if path.startswith("told.")}
    risk = {
        name: made["risk"][name] for name in ("earlier_contrast", "premedication_given", "agent_switched")
    }

    assert set(untold.values()) | set(risk.values()) == {NOT_RECORDED}
    assert (made["anaphylaxis_criteria"], made["iv_access"]) == (NOT_RECORDED, NOT_RECORDED)
    assert made["outcome"]["emergency_call"] == NOT_RECORDED
    assert dict(made["times"])["Epinephrine"] == dict(made["times"])["EMS arrived"] == NOT_RECORDED
    assert len(made["by_hand"]) > 12


def test_no_premedication_is_told_and_not_assumed() -> None:
    """Only somebody who says so makes it no; a drug told beside it counts."""
    driver = cases.unknown()
    driver.do(stories.TECHNOLOGIST, c.RecordScreening(screening=Screening(no_premedication=True)))
    drug = PremedicationGiven(drug="prednisone")
    no = incident_report(Facts(case(driver))).risk.premedication_given
    driver.do(
        stories.TECHNOLOGIST,
        c.RecordScreening(screening=Screening(no_premedication=True, premedication_given=(drug,))),
    )

    assert no == "no, as told"
    assert (
        incident_report(Facts(case(driver))).risk.premedication_given
        == "prednisone dose not recorded at a time not recorded"
    )


def test_the_site_of_a_dose_is_what_was_told_or_what_the_row_says() -> None:
    """A dose without a site is not recorded, with the row's own place beside it; it is never filled in from the row."""
    [first, *_] = incident_report(Facts(case(cases.severe()))).doses

    assert first.site == f"{NOT_RECORDED}; the row says: anterolateral thigh"


def test_a_response_is_of_every_dose_since_the_one_before() -> None:
    """Two drugs at once have one response; a second word without a dose between is of the newest dose."""
    driver = cases.begun()
    give(driver, drug="albuterol", route="inhaled")
    for word in ("less wheeze", "no wheeze"):
        driver.wait(60)
        send(driver, rc.RecordVitals(heart_rate_bpm=110, response=word))
    first, second = incident_report(Facts(case(driver))).doses

    assert first.response.endswith(": less wheeze")
    assert [word in second.response for word in ("less wheeze", "no wheeze")] == [True, True]


def test_a_response_belongs_to_the_dose_before_it() -> None:
    """What was seen after the first dose is not said of the second, nor of one that is given at the same time."""
    driver = cases.begun()
    driver.wait(60)
    send(driver, rc.RecordVitals(heart_rate_bpm=120, response="no change"))
    driver.wait(300)
    give(driver)
    first, second = incident_report(Facts(case(driver))).doses

    assert first.response.endswith(": no change")
    assert second.response == NOT_RECORDED


@given(st.lists(st.decimals("0.01", "1", places=2), min_size=1, max_size=4))
def test_the_running_total_is_the_sum_so_far(doses: list[Decimal]) -> None:
    """Dose by dose it is what went in up to then; the last one is the total."""
    driver = cases.reacting()
    for dose in doses:
        driver.wait(1)
        give(driver, dose_mg=dose)
    made = incident_report(Facts(case(driver)))

    assert [Decimal(one.running_total_mg) for one in made.doses] == [
        sum(doses[: number + 1], Decimal(0)) for number in range(len(doses))
    ]
    assert made.doses[-1].running_total_mg == made.totals[0].total_mg


def test_a_dose_of_unknown_size_keeps_the_total_open() -> None:
    """The sum says that it is at least that; a drug that is not counted in mg has none."""
    driver = cases.severe()
    give(driver, dose_mg=None, volume_ml=None, concentration_mg_per_ml=None)
    doses = incident_report(Facts(case(driver))).doses

    assert doses[-1].running_total_mg == "at least 0.6: a dose is unknown"
    assert next(one for one in doses if "saline" in one.drug).running_total_mg == NOT_IN_MG


FOLLOW_UPS = st.builds(
    FollowUp,
    ems_arrived_at=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
    tryptase_drawn=st.none() | st.booleans(),
    differential=st.sampled_from(("", "vasovagal", "panic")),
    medwatch_reported=st.none() | st.booleans(),
    extravasation_exam=st.sampled_from(("", "soft", "swollen")),
)


@given(st.lists(FOLLOW_UPS, max_size=5))
def test_what_was_said_last_of_each_thing_stands(said: list[FollowUp]) -> None:
    """In whatever parts it is told, each thing is what was said of it last, and nothing that was said goes away."""
    stands = FollowUp()
    for one in said:
        stands = stands.with_(one)

    for field in fields(FollowUp):
        told_of_it = [getattr(one, field.name) for one in said if getattr(one, field.name) not in (None, "")]
        if field.name == "extravasation_exam":
            wanted = "\n".join(told_of_it)
        else:
            wanted = told_of_it[-1] if told_of_it else field.default
        assert getattr(stands, field.name) == wanted


@pytest.mark.parametrize("name", ["begun", "severe", "unknown"])
def test_a_follow_up_is_accepted_in_every_phase(name: str) -> None:
    """Open, documented or not graded: it is a fact, kept and in the state."""
    driver = getattr(cases, name)()
    send(driver, rc.RecordFollowUp(follow_up=FollowUp(safety_event_number="SE-1")))
    send(driver, rc.RecordFollowUp(follow_up=FollowUp(tryptase_drawn=False)))

    assert driver.state_of(Stream("reaction", REACTION.id)).follow_up == FollowUp(
        safety_event_number="SE-1", tryptase_drawn=False
    )
    assert Facts(case(driver)).told().tryptase == "not drawn"


def test_the_timeline_says_what_was_told() -> None:
    """One line: moments in UTC, a no as no, numbers and words as they were told, nothing of what nobody said."""
    told_at = dt.datetime(2026, 3, 2, 9, 5, 7, 123, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    one = FollowUp(ems_arrived_at=told_at, tryptase_drawn=False, safety_event_number="20260302")
    wanted = "Follow-up: EMS arrived 2026-03-02 14:05:07 UTC; tryptase drawn no; safety event number 20260302"

    assert follow_up_line({"follow_up": asdict(one)}) == wanted
    assert (
        follow_up_line({"follow_up": json.loads(canonical_bytes(one))}).count("2026-03-02 14:05:07 UTC") == 1
    )


def test_a_transfer_takes_the_tryptase_line_along() -> None:
    """Whoever goes on treating reads whether it was drawn, and by which rows; after nausea nothing is said of it."""
    away, told_page = discharge_summary(Facts(case(cases.severe()))), discharge_summary(Facts(case(told())))
    text = read(paper("discharge_summary", case(told())).pdf)[1]

    assert away.tryptase == NOT_RECORDED
    assert {row.row_id for row in away.tryptase_advice} >= {"TR-1"}
    assert told_page.tryptase.startswith("drawn 20")
    assert f"Tryptase (blood test): {told_page.tryptase[:-6].replace('T', ' ')}" in text
    assert discharge_summary(Facts(case(cases.physiologic()))).tryptase_advice == ()


def test_the_agent_stands_in_large_letters_where_it_is_to_be_told() -> None:
    """The sentence about the exact name is followed by the name."""
    assert "is not enough. The name: iohexol" in read(paper("discharge_summary", case(cases.severe())).pdf)[1]


def test_the_demonstration_has_a_plan_with_telephone_and_hospital() -> None:
    """The demo's plan loads, is for its site and the pack it runs with, and gives what the discharge sheet asks for."""
    plan = parse_overlay("plan.toml", (files("engine.demo") / "plan.toml").read_text("utf-8"))

    assert plan_for({plan.site_id: plan}, SITE, Settings.model_fields["pack"].default) == plan
    assert plan.patient_phone and plan.hospital.name and plan.hospital.phone
