"""A reaction worked by the real machine with the shipped pack leads to a whole, complete record."""

from decimal import Decimal

import pytest

from engine.kernel.ids import Stream
from engine.reactions import commands as rc
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine
from engine.reactions.state import Disposition, Severity
from engine.records.completeness import missing_paths
from engine.records.verify import verify_file
from engine.workflows.session import commands as c
from tests.reactions.packs import pack
from tests.records import stories
from tests.records.driver import KEY, Driver

REACTION = Stream("reaction", "ses-1-r1")


@pytest.fixture
def driver() -> Driver:
    """A session in which a severe anaphylaxis was treated, with one drug nobody ordered."""
    driver = Driver(reaction=machine(Objectives(pack=pack())))
    for passage in (stories.scheduled, stories.prepared, stories.answered, stories.cleared, stories.injected):
        passage(driver)
    driver.do(stories.TECHNOLOGIST, c.ReportReaction())
    opened = rc.OpenReaction(
        session_id="ses-1",
        organization_id="org-1",
        site_id="site-columbus",
        onset_at=driver.now,
        age_years=58,
        weight_kg=Decimal("72.5"),
        setting="idtf",
        modality="CT",
        agent="iohexol",
        demo=True,
        alerted="phys-1",
    )
    driver.send(REACTION, stories.POLICY, opened)
    driver.send(REACTION, stories.TECHNOLOGIST, rc.RecordSigns(signs=("S-A2-1", "S-UNHEARD-OF")))
    graded = rc.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis", reason="as seen")
    driver.send(REACTION, stories.PHYSICIAN, graded)
    step_id, step = next(
        (name, step)
        for name, step in driver.state_of(REACTION).steps.items()
        if any(dose.drug == "epinephrine" for dose in step.offer.doses)
    )
    row = step.offer.doses[0]
    driver.send(REACTION, stories.PHYSICIAN, rc.OrderStep(step_id=step_id, row_id=row.row_id))
    heard = rc.ReadBackStep(
        step_id=step_id,
        dose_mg=row.dose_mg,
        concentration_mg_per_ml=row.concentration_mg_per_ml,
        route=row.route,
    )
    given = rc.RecordMedicationGiven(
        step_id=step_id,
        drug=row.drug,
        route=row.route,
        dose_mg=row.dose_mg,
        concentration_mg_per_ml=row.concentration_mg_per_ml,
        volume_ml=row.volume_ml,
        given_by="resp-1",
    )
    unordered = rc.RecordMedicationGiven(drug="diphenhydramine", route="IV", dose_mg=Decimal("80"))
    driver.send(
        REACTION, stories.TECHNOLOGIST, heard, given, unordered, rc.RecordEmergencyCalled(service="EMS")
    )
    driver.send(REACTION, stories.PHYSICIAN, rc.DisposeReaction(disposition=Disposition.TRANSFERRED_BY_EMS))
    driver.do(stories.POLICY, c.ReportReactionClosed(reaction_id=REACTION.id))
    stories.observed(driver)
    stories.signed(driver)
    return driver


def test_the_record_is_complete_and_sound(driver: Driver) -> None:
    """Nothing is missing, and the sealed file verifies."""
    assert missing_paths(driver.record, signatures=True) == ()
    assert verify_file(driver.file(), [KEY.key_id]).problems == ()


def test_each_drug_says_whether_it_was_ordered(driver: Driver) -> None:
    """The ordered dose has formula and citation; the unordered one is kept, cited and marked as beyond its row."""
    ordered, unordered = driver.record.value("interventions.medications")

    assert (ordered["ordered"], unordered["ordered"]) == (True, False)
    assert ordered["formula"] and ordered["citation"] and ordered["row_id"]
    assert unordered["citation"] and unordered["beyond"]
    assert driver.record.value("exceptions.beyond_caps")[0]["drug"] == "diphenhydramine"


def test_signs_stand_in_words(driver: Driver) -> None:
    """A sign is recorded with the pack's words, so that the record reads without the pack; an unknown one by its id."""
    assert driver.record.value("reaction.signs")["ses-1-r1"][0]["texts"] == [
        pack().sign("S-A2-1").text,
        "S-UNHEARD-OF",
    ]
