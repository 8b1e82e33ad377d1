"""What a session's events lead to in the record, field by field."""

import dataclasses
import datetime as dt
import itertools
import json
from dataclasses import replace

import pytest

from engine.kernel.commands import TimerFired
from engine.records.book import body_hash
from engine.records.document import EVENT_TYPES, codec, commitments, folded, render
from engine.records.fold import CHANGES, fold
from engine.records.sheet import sheet
from engine.records.slots import SLOTS
from engine.workflows.session import commands as c
from tests.records import stories
from tests.records.driver import Driver

_NOT_OF_THE_RECORD = {
    "LineConnecting": "an interval of the line, taken from the phase",
    "LineDegraded": "an interval of the line, taken from the phase",
    "LineLost": "an interval of the line, taken from the phase",
    "LineOnPhone": "an interval of the line, taken from the phase",
    "LineClosed": "an interval of the line, taken from the phase",
    "ObservationElapsed": "the end of monitoring says more",
    "KitUsed": "on the timeline; the doses are in the reaction",
    "ReactionAlarmRepeated": "on the timeline; the reaction it joined is in the record",
    "ReactionClosed": "the reaction's own disposition says more",
    "ReactionImproving": "on the timeline",
    "RepeatDue": "a reminder, not an act",
    "VitalsDue": "a reminder, not an act",
    "ObservationReached": "a reminder, not an act; the disposition says when the patient left",
    "DosesElsewhereKnown": "each dose stands in the reaction in which it was given",
    "RingRepeated": "the highest rung rings on",
    "PageSent": "single pages are not of the record",
    "PageFailed": "single pages are not of the record",
}


def test_every_event_is_folded_or_left_out_on_purpose() -> None:
    """No event type of the session's machines is forgotten by the record."""
    every = {kind.__name__ for kinds in EVENT_TYPES.values() for kind in kinds}
    folded_types = {kind.__name__ for kind in CHANGES}

    assert every - folded_types == set(_NOT_OF_THE_RECORD)


def test_every_value_names_its_events() -> None:
    """Each filled field has events it came from, all of them in the file; each empty one has none."""
    driver = stories.severe()
    there = {f"{row.stream}@{row.version}" for row in driver.rows}
    for path, one in driver.record.fields():
        assert bool(one.provenance) == (one.value is not None), path
        assert set(one.provenance) <= there, path


def test_it_holds_who_what_and_when() -> None:
    """Order, people, contrast and times of an uneventful session stand in their fields."""
    record = stories.uneventful().record

    assert record.value("order.accession_number") == "ACC-20261123-7"
    assert record.value("physician.npi") == "1999999984"
    assert record.value("responder.name") == "Ana Lund, RN"
    assert record.value("technologist.person_id") == "tech-1"
    assert record.value("contrast.volume_ml") == "80"
    assert record.value("rules.verdict") == "allow"
    assert record.value("session.outcome") == "completed"
    assert record.value("times.ringing") < record.value("times.accepted") < record.value("times.ready")
    assert record.value("times.ready") < record.value("times.injection_started")
    assert record.field("contrast.volume_ml").provenance == ("session/ses-1@19",)
    assert record.value("signatures.physician")["meaning"] == "supervised"


def test_a_ring_shows_its_rungs() -> None:
    """The ladder lists each rung with its time, who answered, on which rung and after how long."""
    ladder = stories.uneventful().record.value("rings.ladders")

    assert [rung["name"] for rung in ladder[0]["rungs"]] == ["primary", "backup"]
    assert (ladder[0]["answered_by"], ladder[0]["answered_on"], ladder[0]["answered_after_s"]) == (
        "phys-1",
        "backup",
        "38",
    )


def test_a_lost_line_is_an_interval_and_a_gap() -> None:
    """Verified, lost, verified again: three intervals without a hole, one gap with start, end, cause and action."""
    record = stories.severe().record
    intervals = record.value("line.intervals")
    gap = record.value("line.gaps")[0]

    assert [one["phase"] for one in intervals] == ["connecting", "verified", "lost", "verified"]
    assert all(one["end"] == after["start"] for one, after in itertools.pairwise(intervals))
    assert intervals[-1]["end"] == record.value("times.monitoring_ended")
    assert (gap["start"], gap["end"]) == (intervals[2]["start"], intervals[2]["end"])
    assert gap["cause"] == "no_packets_from_physician"
    assert gap["action"] == "physician called by phone, injection was over"


def test_hanging_up_after_the_exam_changes_nothing_that_was_signed() -> None:
    """The line's end after monitoring is not of the record, so technologist and physician sign the same content."""
    driver = stories.uneventful()
    signatures = driver.record

    assert (
        signatures.value("signatures.technologist")["record_hash"]
        == signatures.value("signatures.physician")["record_hash"]
        == body_hash(driver.record)
    )


def test_a_reaction_shows_orders_drugs_and_outcome() -> None:
    """Each dose stands with who ordered, read back, did, when, mg, mg/mL, mL, route, formula, row, citation and tag."""
    record = stories.severe().record
    directed = record.value("interventions.directed")
    drugs = record.value("interventions.medications")

    assert [(one["step_id"], one["order_number"]) for one in directed] == [
        ("oxygen", 1),
        ("epinephrine", 1),
        ("epinephrine", 2),
    ]
    assert (directed[1]["ordered_by"], directed[1]["read_back_by"], directed[1]["done_by"]) == (
        "phys-1",
        "tech-1",
        "tech-1",
    )
    assert directed[1]["ordered_at"] < directed[1]["read_back_at"] < directed[1]["done_at"]
    assert directed[1]["order"]["row_id"] == "epi-im-adult"
    assert directed[1]["citation"] == "CONS-2025 table 2"
    assert [drug["dose_mg"] for drug in drugs] == ["0.5", "0.5"]
    assert drugs[0]["formula"].startswith("0.01 mg/kg")
    assert record.value("reaction.severity") == {"ses-1-r1": "severe"}
    assert record.value("reaction.disposition")["ses-1-r1"]["disposition"] == "transferred_by_ems"
    assert record.value("reaction.emergency_call")["ses-1-r1"]["service"] == "EMS 911"


def test_a_bypassed_interlock_is_never_hidden() -> None:
    """Contrast without READY stands with its dose, as a bypass with what was missing, and as an unexpected fact."""
    driver = Driver()
    stories.scheduled(driver)
    driver.do(stories.TECHNOLOGIST, c.StartPreparation(), stories.contrast(driver))
    record = driver.record

    assert record.value("contrast.volume_ml") == "80"
    assert "line_verified" in record.value("exceptions.bypasses")[0]["missing"]
    assert "bypass" in record.value("exceptions.unexpected")[0]["flags"]


def test_a_time_that_cannot_be_stands_among_the_exceptions() -> None:
    """Contrast told for tomorrow is marked in the record, on its sheet and in the timeline."""
    driver = stories.to_injected()
    tomorrow = driver.now + dt.timedelta(days=1)
    driver.do(stories.TECHNOLOGIST, replace(stories.contrast(driver), given_at=tomorrow))
    record = driver.record

    assert record.value("exceptions.unexpected")[-1]["flags"] == ["bypass", "given_in_future"]
    shown = sheet(json.loads(render(driver.history, record)))
    assert any(line.endswith("given in future") for line in shown["exceptions"])
    assert any("given in future]" in str(line) for line in shown["timeline"])


@pytest.mark.hazard("H-06")
def test_contrast_that_was_not_cleared_or_not_ordered_stands_out() -> None:
    """Another agent than the physician cleared, or another class than was ordered, is kept and named."""
    driver = stories.to_injected()
    other = replace(stories.contrast(driver), agent="gadobutrol", contrast_class="gadolinium")
    driver.do(stories.TECHNOLOGIST, other)
    driver.do(stories.TECHNOLOGIST, replace(stories.contrast(driver), agent=" IOHEXOL "))
    record = driver.record

    odd = [one["flags"] for one in record.value("exceptions.unexpected") if one["type"] == "ContrastGiven"]
    assert odd == [["bypass", "agent_not_cleared", "class_not_ordered"], ["bypass"]]
    assert record.value("contrast.further_doses")[-2]["agent"] == "gadobutrol"


def test_a_hand_off_keeps_both_physicians() -> None:
    """After a hand-off the new physician stands as supervisor, and the presence of both without a hole."""
    driver = stories.to_injected()
    driver.do(
        stories.PHYSICIAN,
        c.OfferHandOff(
            to_physician_id="phys-2", evidence=stories.physician(driver, "phys-2", "Noor Haddad, MD")
        ),
    )
    taken = c.AcceptHandOff(evidence=stories.physician(driver, "phys-2", "Noor Haddad, MD"))
    driver.do(stories.RELIEF, taken)
    record = driver.record
    presence = record.value("physician.presence")

    assert record.value("physician.person_id") == "phys-2"
    assert record.value("hand_offs.changes")[0]["released"] == "phys-1"
    assert [one["person_id"] for one in presence] == ["phys-1", "phys-2"]
    assert presence[0]["until"] == presence[1]["from"]


@pytest.mark.hazard("H-36")
def test_a_late_entry_opens_a_second_revision() -> None:
    """A fact after sealing keeps the earlier signatures as earlier, asks for new ones and is visibly late."""
    driver = stories.uneventful()
    driver.wait(3600)
    driver.do(stories.TECHNOLOGIST, c.RecordVitals(systolic_mmhg=128, diastolic_mmhg=76))
    record = driver.record

    assert record.revision == 2
    assert [one["meaning"] for one in record.value("signatures.earlier")] == ["performed", "supervised"]
    assert record.value("signatures.physician") is None
    assert record.value("exceptions.late_entries")[0]["source"] == "RecordVitals"
    assert "late" in record.value("exceptions.unexpected")[-1]["flags"]

    stories.signed(driver)

    assert driver.record.value("signatures.physician")["record_hash"] == body_hash(driver.record)


@pytest.mark.hazard("H-40")
def test_accepting_early_is_not_being_there() -> None:
    """Accepted and proven on the line are two times, the second of each direction and of audio and video apart."""
    record = stories.uneventful().record
    proven = [
        record.value(f"times.{who}_{what}")
        for who in ("technologist", "physician")
        for what in ("audio", "video")
    ]

    assert all(record.value("times.accepted") < at for at in proven)


@pytest.mark.hazard("H-43")
def test_a_demo_is_marked_as_one() -> None:
    """A demo session says so in its record and on every printed page."""
    driver = stories.uneventful()

    assert driver.record.value("engine.demo") is True
    assert sheet(json.loads(driver.file()))["demo"] is True


@pytest.mark.hazard("H-10")
def test_a_reaction_names_its_pack() -> None:
    """The protocol pack that was worked, with its hash, stands in the record."""
    assert stories.severe().record.value("reaction.pack") == {
        "ses-1-r1": {"pack_id": "acr-2026", "pack_hash": "cd" * 32}
    }


def test_replaying_gives_the_same_record() -> None:
    """Folding the same history twice, or with the identity erased, gives the same record."""
    driver = stories.severe()
    again = stories.severe()
    first = driver.record
    driver.protected.clear()

    assert first.plain() == again.record.plain() == driver.record.plain()


def test_a_session_in_progress_has_a_record_too() -> None:
    """The record can be folded after every single event of a session."""
    driver = stories.severe()
    reader = codec()
    for end in range(1, len(driver.rows) + 1):
        rows = driver.rows[:end]
        record = fold([reader.decode(row, {}) for row in rows], commitments(rows))
        assert len(list(record.fields())) == len(SLOTS)


def test_a_cancelled_session_says_why() -> None:
    """Outcome and reason stand; nothing of contrast is required."""
    from engine.workflows.session.state import CancelReason

    driver = Driver()
    stories.scheduled(driver)
    driver.do(stories.TECHNOLOGIST, c.CancelSession(reason=CancelReason.PATIENT_NO_SHOW))

    assert driver.record.value("session.outcome") == "cancelled"
    assert driver.record.value("session.outcome_reason") == "patient_no_show"


def test_a_timer_that_came_too_late_changes_nothing() -> None:
    """A timer without an event leaves the record's bytes alone."""
    driver = stories.to_injected()
    before = folded(driver.history, codec())
    driver.do(stories.TIMERS, TimerFired(name="ready_expiry", due_at=driver.now))

    assert dataclasses.asdict(before) == dataclasses.asdict(driver.record)
