"""What the four documents say: nothing blank, nothing invented, no erased name, no false allergy."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reactions.commands import RecordVitals
from engine.reactions.overlay import Contact, Hospital, SiteOverlay
from engine.records.papers.agent import exact
from engine.records.papers.allergy import allergy_update
from engine.records.papers.discharge import discharge_summary
from engine.records.papers.facts import Facts
from engine.records.papers.handover import ROWS, ems_handover
from engine.records.papers.incident import incident_report
from engine.records.papers.nature import nature_of
from engine.records.papers.parts import ERASED, NOT_IN_PLAN, UNKNOWN, Place
from engine.records.papers.render import MAKERS
from tests.reactions.packs import pack
from tests.records import stories
from tests.records.papers.cases import CASES, REACTION, case
from tests.records.papers.golden import FOLDER, shown

SIGNS = {row.id: row for row in pack().signs}
MAY_BE_NONE = {"biphasic"}


def facts(name: str, **change: object) -> Facts:
    """Return a case's facts, with parts of the case changed."""
    return Facts(case(CASES[name](), **change))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a JSON value with its path."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, path)
    else:
        yield path, value


@pytest.mark.parametrize("name", CASES)
def test_the_documents_say_what_was_read(name: str) -> None:
    """Every word of every case's documents is the golden one."""
    assert shown(name) == json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_blank(name: str) -> None:
    """What is missing is said to be missing: no empty text and no null anywhere."""
    blank = [
        path
        for path, leaf in leaves(shown(name))
        if leaf in ("", None) and path.rpartition(".")[2] not in MAY_BE_NONE
    ]

    assert blank == []


def test_an_erased_patient_is_erased() -> None:
    """No word of the identity is left; what the log itself holds (age, weight) stays."""
    patient = facts("erased").patient()

    assert {patient.name, patient.record_number, patient.born, patient.sex} == {ERASED}
    text = json.dumps(shown("erased"), ensure_ascii=False)
    assert not any(word in text for word in ("Müller", "Žofia", "MRN-4471", "1968-03-09"))


def test_an_unknown_weight_is_unknown() -> None:
    """No weight is made up, and no dose, agent or person either."""
    page = ems_handover(facts("unknown"))

    assert (page.patient.weight_kg, page.patient.weight_method) == (UNKNOWN, UNKNOWN)
    assert (page.doses, page.contrast, page.last_dose) == ((), (), "no drug given")
    assert (page.people.physician, page.people.physician_call_back) == (UNKNOWN, UNKNOWN)


def test_an_unknown_place_is_unknown() -> None:
    """Without a directory entry the page says so, and the times are UTC and say that."""
    page = ems_handover(facts("severe", place=Place(), names={}, call_backs={}))

    assert (page.site_address, page.ems_entrance, page.people.physician_call_back) == (UNKNOWN,) * 3
    assert page.head.as_of.endswith("+00:00")
    assert page.head.time_zone.startswith("UTC")


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", "America/New_York\0"])
def test_a_time_zone_that_does_not_exist_is_utc(zone: str) -> None:
    """A wrong entry of the directory never stops a page."""
    assert ems_handover(facts("open", place=Place(time_zone=zone))).head.as_of.endswith("+00:00")


def test_an_open_reaction_has_its_handover() -> None:
    """The page is there with the first dose in and nothing over, and says that it is as of a moment."""
    page = ems_handover(facts("open"))

    assert page.head.open
    assert "still open" in page.head.standing
    assert "0.3 mg · 1 mg/mL · 0.3 mL · IM" in page.last_dose
    assert page.outcome.emergency_call == "911"
    assert page.biphasic is not None and "72 hours" in page.biphasic.text


def test_a_handover_keeps_the_first_and_the_newest() -> None:
    """A long reaction keeps one page: the first set of vital signs and the newest, the rest counted."""
    driver = CASES["open"]()
    for number in range(30):
        driver.wait(20)
        driver.send(REACTION, stories.TECHNOLOGIST, RecordVitals(heart_rate_bpm=100 + number))
    page = ems_handover(Facts(case(driver)))

    assert len(page.vitals) == ROWS
    assert page.vitals_left_out == 31 - ROWS
    assert (page.vitals[0].heart_rate_bpm, page.vitals[-1].heart_rate_bpm) == ("128", "129")


def test_the_totals_count_what_went_in() -> None:
    """Two doses of 0.3 mg are 0.6 mg; a dose of unknown size makes it at least that."""
    one = facts("severe")
    known = {total.drug: total for total in one.totals()}
    given = one.of("interventions.medications")
    given[-1]["dose_mg"] = None
    unsure = {total.drug: total for total in one.totals()}

    assert (known["epinephrine"].doses, known["epinephrine"].total_mg) == ("2", "0.6")
    assert unsure["epinephrine"].total_mg == "at least 0.3: a dose is unknown"


def test_a_row_that_is_unsure_says_so() -> None:
    """A dose whose row a clinician has yet to confirm carries that, in every document that shows it."""
    one = facts("severe")
    one.of("interventions.medications")[0]["evidence"] = "D2; cap UNSURE"

    assert all(
        "UNSURE" in document.doses[0].note
        for document in (
            incident_report(one),
            discharge_summary(one),
            allergy_update(one),
            ems_handover(one),
        )
    )


def test_an_allergic_like_reaction_is_stored_with_its_agent() -> None:
    """Agent, signs and severity, by its exact name."""
    update = allergy_update(facts("severe"))

    assert (update.action, update.agent, update.course.severity_worst) == ("store", "iohexol", "severe")
    assert len(update.course.signs) == 3


@pytest.mark.hazard("H-46")
def test_a_physiologic_reaction_is_not_stored() -> None:
    """It says that nothing is to be stored and why, and finds an entry that was made all the same."""
    update = allergy_update(facts("physiologic"))
    one = facts("physiologic")
    one.entry("documentation")["allergy_documented"] = True

    assert update.action == "do_not_store"
    assert "physiologic" in update.why
    assert update.review == ()
    assert "take it off" in allergy_update(one).review[0]


@pytest.mark.hazard("H-46")
@pytest.mark.parametrize(
    "agent", ["", "iodine", "IV contrast dye", "Iodinated contrast medium", "gadolinium"]
)
def test_no_entry_without_the_exact_agent(agent: str) -> None:
    """A general word is never stored: the agent is to be found out first."""
    one = facts("severe")
    one.case.document["record"]["contrast"]["agent"]["value"] = agent
    update = allergy_update(one)

    assert update.action == "ask_physician"
    assert update.agent.startswith("unknown")
    assert "iodine" not in update.says
    assert discharge_summary(one).exact_agent == UNKNOWN


def test_an_open_reaction_is_not_stored_yet() -> None:
    """While it is open the grade may change: wait."""
    assert allergy_update(facts("open")).action == "wait"


def test_an_entry_that_names_no_agent_is_found() -> None:
    """A list with "iodine" in it is to be looked at, and the handover says that it names no agent."""
    assert "names no agent" in allergy_update(facts("unknown")).review[0]
    assert "names no agent" in ems_handover(facts("unknown")).allergies


@pytest.mark.parametrize(
    ("name", "is_exact"),
    [
        ("iohexol", True),
        ("Omnipaque 350", True),
        ("iodixanol (iodinated contrast)", True),
        ("gadoterate", True),
        ("penicillin", True),
        ("iodine", False),
        ("Iodine contrast", False),
        ("X-ray dye", False),
        ("non-ionic contrast media", False),
        ("", False),
        (None, False),
    ],
)
def test_which_names_are_exact(name: str | None, is_exact: bool) -> None:
    """A name is exact when it says more than that it was contrast."""
    assert exact(name) is is_exact


@pytest.mark.hazard("H-46")
@given(
    signs=st.sets(st.sampled_from(sorted(SIGNS)), max_size=6),
    presentation=st.sampled_from(("", *pack().presentations)),
)
def test_what_an_allergic_sign_leads_to(signs: set[str], presentation: str) -> None:
    """An allergic-like sign never ends as nothing to store, and physiologic signs alone never as an allergy."""
    nature = nature_of(pack(), signs, (presentation,) if presentation else ())
    kinds = {SIGNS[sign].kind for sign in signs}

    if "allergic" in kinds:
        assert nature.kind in ("allergic-like", "unsure")
    if kinds == {"physiologic"}:
        assert nature.kind in ("physiologic", "unsure")
    if not kinds and not presentation:
        assert nature.kind == "unsure"


def test_without_the_pack_nobody_guesses() -> None:
    """A reaction whose pack is not at hand is unsure, and the warning is still there."""
    one = facts("physiologic", pack=None)

    assert allergy_update(one).action == "ask_physician"
    assert ems_handover(one).biphasic is not None


def test_an_unheard_of_sign_is_unsure() -> None:
    """A sign that the pack does not know decides nothing."""
    assert nature_of(pack(), ["S-UNHEARD-OF"], ("vomiting",)).kind == "unsure"


def test_extravasation_has_its_own_page() -> None:
    """Contrast beside the vein: no allergy, its own return signs, no second wave."""
    one = facts("physiologic")
    one.entry("signs")[0].update(signs=[], texts=[])
    one.entry("grades")[-1]["presentation"] = "extravasation"
    summary = discharge_summary(one)

    assert allergy_update(one).action == "do_not_store"
    assert ems_handover(one).biphasic is None
    assert "fingers or wrist" in " ".join(row.text for row in summary.return_signs)


@pytest.mark.parametrize(("egfr", "rows"), [("25", {"10.3-11"}), ("30", set()), (None, {"RP-12"})])
def test_metformin_goes_by_the_kidneys(egfr: str | None, rows: set[str]) -> None:
    """Category II stops it, an unknown kidney function asks the physician, a sufficient one says nothing."""
    one = facts("severe")
    answers = one.of("screening.answers")
    answers.update(metformin="yes", egfr_ml_min_173m2=egfr)

    assert {row.row_id for row in discharge_summary(one).advice} & {"10.3-11", "RP-12"} == rows


def test_every_row_of_advice_has_its_source() -> None:
    """No sentence for a patient without citation and tag; an untagged one is marked as unsure."""
    summary = discharge_summary(facts("severe"))

    for row in (*summary.return_signs, *summary.advice):
        assert row.citation and row.evidence
        assert row.unsure == (row.evidence == "UNSURE")


def test_what_is_left_to_decide() -> None:
    """After a severe allergic-like reaction: MedWatch, tryptase, referral, from the pack; after nausea nothing."""
    rows = {row.row_id for row in incident_report(facts("severe")).follow_up}

    assert {"10.1-MEDWATCH", "TR-1", "TR-4"} <= rows
    assert incident_report(facts("physiologic")).follow_up == ()


def test_deviations_are_in_the_incident_report() -> None:
    """An override, a dose beyond its row and one without an order stand in the report."""
    one = facts("severe")
    mine = one.case.reaction_id
    past = {"at": one.case.document["events"][-1]["at"], "by": "phys-1", "reaction_id": mine}
    one.case.document["record"]["exceptions"]["overrides"]["value"] = [
        {**past, "guards": ["cumulative_cap_reached"], "step_id": "epinephrine", "reason": "still in shock"}
    ]
    one.of("interventions.medications")[0].update(ordered=False, authority="none")
    text = " ".join(incident_report(one).deviations)

    assert "cumulative cap reached" in text and "still in shock" in text
    assert "no order in the engine" in text


def test_another_reaction_stays_out() -> None:
    """Doses of the session's other reaction are in the totals and nowhere else."""
    one = facts("severe")
    given = one.of("interventions.medications")
    given[0]["reaction_id"] = "ses-1-r2"

    assert len(one.doses()) == len(given) - 1
    assert next(total for total in one.totals() if total.drug == "epinephrine").doses == "2"


def test_documents_are_values() -> None:
    """The same facts give equal documents, and a document cannot be changed."""
    for make in MAKERS.values():
        document = make(facts("severe"))

        assert document == make(facts("severe"))
        with pytest.raises(AttributeError):
            document.head = replace(document.head, title="")


def plan(**change: Any) -> SiteOverlay:
    """Return a site's plan with every telephone number it can hold."""
    one = SiteOverlay(
        site_id="site-columbus",
        pack_id="acr-2026",
        version="1",
        emergency_phone="9-911",
        ems_address="12 Example Road",
        ems_meeting_point="door D",
        kit_place="wall",
        hospital=Hospital(name="Demo Hospital", address="2 Demo Street", phone="555-0107"),
        contacts=(Contact(name="site lead", phone="555-0101"),),
        patient_phone="555-0188",
    )
    return replace(one, **change)


def test_telephone_and_hospital_are_the_plans() -> None:
    """Patients get the number made for them and never one of the staff's; the crew gets the staff's."""
    page, crew = discharge_summary(facts("severe", plan=plan())), ems_handover(facts("severe", plan=plan()))

    assert page.contact_number == "555-0188"
    assert page.hospital == crew.hospital == "Demo Hospital, 2 Demo Street, 555-0107"
    assert crew.ems_entrance == "12 Example Road, door D"
    assert crew.site_phones == "site lead 555-0101"
    assert "555-0101" not in repr(page)


def test_what_the_plan_does_not_give_is_not_made_up() -> None:
    """No plan, or none with a number: the page says so; the directory's number of a physician is not taken instead."""
    silent = plan(patient_phone="", contacts=(), hospital=Hospital(name="Demo", address="2 Demo Street"))
    page, crew = discharge_summary(facts("severe", plan=silent)), ems_handover(facts("severe", plan=silent))
    without = discharge_summary(facts("severe"))

    assert (page.contact_number, crew.site_phones) == (NOT_IN_PLAN, NOT_IN_PLAN)
    assert page.hospital == "Demo, 2 Demo Street"
    assert (without.contact_number, without.hospital) == (NOT_IN_PLAN, NOT_IN_PLAN)
    assert ems_handover(facts("severe")).ems_entrance == "12 Example Road, door C, ground floor"
