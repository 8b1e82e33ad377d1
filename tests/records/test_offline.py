"""What a console wrote down without the network stands in the record by its own times, told apart, and verifies."""

import datetime as dt
import json
from decimal import Decimal

import pytest

from engine.kernel.ids import Stream
from engine.policies.offline_log_merges import offline_log_merges
from engine.reactions import commands as rc
from engine.reactions.decide import Objectives
from engine.reactions.machine import machine
from engine.reactions.state import Offline
from engine.records.document import codec, render
from engine.records.papers.facts import Facts
from engine.records.papers.handover import ems_handover
from engine.records.papers.incident import incident_report
from engine.records.sheet import sheet
from engine.records.timeline import timeline
from engine.workflows.session import commands as c
from engine.workflows.session.events import OfflineLogReported
from engine.workflows.session.offline_log import OfflineEntry, OfflineKind
from tests.reactions.packs import pack
from tests.records import stories
from tests.records.driver import Driver
from tests.records.papers import cases

REACTION = Stream("reaction", "ses-1-r1")


@pytest.fixture
def driver() -> Driver:
    """A reaction that began and was treated while the network was gone; the log came in an hour later."""
    driver = Driver(reaction=machine(Objectives(pack=pack())))
    for passage in (stories.scheduled, stories.prepared, stories.answered, stories.cleared, stories.injected):
        passage(driver)
    began = driver.now
    told = {
        OfflineKind.ONSET: {},
        OfflineKind.SIGNS: {"signs": ("S-A3-5",)},
        OfflineKind.READ_BACK: {"step_id": "T-A-ANA.1", "dose_mg": Decimal("0.3"), "route": "IM"},
        OfflineKind.MEDICATION: {"drug": "epinephrine", "route": "IM", "dose_mg": Decimal("0.3")},
        OfflineKind.NOTE: {"text": "ambulance at the door"},
        OfflineKind.RESOLVED: {},
    }
    entries = tuple(
        OfflineEntry(
            entry_id=f"entry-{kind}",
            kind=kind,
            at=began + dt.timedelta(minutes=number),
            by="nurse-7",
            **more,
        )
        for number, (kind, more) in enumerate(told.items(), start=1)
    )
    driver.wait(3600)
    log = c.ReportOfflineLog(
        log_id="log-device-1",
        pack_hash=pack().hash,
        token="t",
        began_at=began,
        device_at=driver.now,
        entries=entries,
        written_by="nurse-7",
        signed_in_until=began + dt.timedelta(minutes=5),
    )
    driver.do(stories.TECHNOLOGIST, log)
    opened = rc.OpenReaction(
        session_id="ses-1",
        organization_id="org-1",
        site_id="site-columbus",
        onset_at=entries[0].at,
        age_years=58,
        weight_kg=Decimal("72.5"),
        setting="idtf",
        modality="CT",
        agent="iohexol",
        demo=True,
        alerted="phys-1",
    )
    driver.send(REACTION, stories.POLICY, opened)
    rows = [row for row in driver.rows if row.type == OfflineLogReported.__name__]
    reported = codec().decode(rows[0], {})
    [request] = offline_log_merges(reported, None)  # type: ignore[arg-type]  # it looks nothing up
    driver.send(REACTION, stories.POLICY, request.command)
    return driver


def test_the_log_has_a_place_of_its_own(driver: Driver) -> None:
    """Who wrote it, who sent it, from when to when, how much was written after the sign-in had run out."""
    [log] = driver.record.value("exceptions.offline_logs")

    assert (log["written_by"], log["sent_by"], log["entries"]) == ("nurse-7", "tech-1", 6)
    assert (log["after_sign_in"], log["reaction_id"]) == (2, "ses-1-r1")
    assert log["first_at"] < log["last_at"] < log["received_at"]


def test_facts_stand_by_their_own_times_and_people(driver: Driver) -> None:
    """Onset, dose, read-back, note and end are those of the device; the dose says that it was told offline."""
    record = driver.record
    [log] = record.value("exceptions.offline_logs")
    [dose] = record.value("interventions.medications")
    [said] = record.value("interventions.read_backs")

    assert record.value("reaction.onset_at") == {"ses-1-r1": log["first_at"]}
    assert record.value("reaction.resolved_at") == {"ses-1-r1": log["last_at"]}
    assert (dose["given_by"], dose["offline"], dose["recorded_by"]) == ("nurse-7", True, "nurse-7")
    assert dose["given_at"] < log["last_at"]
    assert (said["by"], said["dose_mg"]) == ("nurse-7", "0.3")
    assert record.value("reaction.notes")["ses-1-r1"][0]["text"] == "ambulance at the door"
    assert record.value("reaction.signs")["ses-1-r1"][0]["at"] < log["last_at"]
    unexpected = record.value("exceptions.unexpected") or []
    assert [one for one in unexpected if set(one["flags"]) == {"offline"}] == []


def test_lists_are_by_when_things_happened(driver: Driver) -> None:
    """A dose that was told on the line before the log came in stands after the one that went in before it."""
    later = OfflineEntry(
        entry_id="entry-early",
        kind=OfflineKind.MEDICATION,
        at=driver.now - dt.timedelta(minutes=59),
        by="nurse-7",
        drug="epinephrine",
        route="IM",
    )
    told = rc.RecordMedicationGiven(
        drug=later.drug,
        route=later.route,
        given_at=later.at,
        offline=Offline(entry_id=later.entry_id, at=later.at, by=later.by),
    )
    driver.send(REACTION, stories.POLICY, rc.ReportOfflineEntries(facts=(told,)))
    times = [dose["given_at"] for dose in driver.record.value("interventions.medications")]

    assert len(times) == 2
    assert times == sorted(times)


def test_the_timeline_tells_it_where_it_happened(driver: Driver) -> None:
    """What was written offline stands among what happened then, marked, with the person; its arrival comes after."""
    document = json.loads(render(driver.history, driver.record))
    moments = timeline(document["events"])
    times = [dt.datetime.fromisoformat(moment.at) for moment in moments]
    note = next(moment for moment in moments if moment.text.startswith("Note: ambulance"))
    arrived = next(
        moment for moment in moments if moment.text.startswith("Console's log received: 6 entries")
    )

    assert times == sorted(times)
    assert note.text.endswith("[offline]")
    assert "nurse-7" in note.who
    assert moments.index(note) < moments.index(arrived)
    assert "Note: ambulance" in str(sheet(document)["timeline"])


def test_the_papers_say_what_was_written_down_without_the_network(driver: Driver) -> None:
    """The dose carries the mark on the report and on the page for the crew; the report has the log and its notes."""
    facts = Facts(cases.case(driver))
    report = incident_report(facts)
    [dose] = report.doses
    log, note = report.offline

    assert "written down without the network" in dose.note
    assert "written down without the network" in ems_handover(facts).doses[0].note
    assert "6 entries" in log and "received" in log
    assert note.endswith("ambulance at the door")
    assert incident_report(Facts(cases.case(cases.begun()))).offline == ()
