"""What is missing, for which session, and who must act."""

from collections.abc import Callable

import pytest

from engine.kernel.commands import TimerFired
from engine.records.book import body_hash
from engine.records.completeness import missing, missing_paths
from engine.records.slots import NEEDS, SLOTS
from engine.workflows.session import commands as c
from tests.records import stories
from tests.records.driver import Driver

Passage = Callable[[Driver], None]


def told(*passages: Passage) -> Driver:
    """A session after these passages."""
    driver = Driver()
    for passage in passages:
        passage(driver)
    return driver


UP_TO_INJECTION = (stories.scheduled, stories.prepared, stories.answered, stories.cleared, stories.injected)

TABLE: list[tuple[str, tuple[Passage, ...], set[str]]] = [
    ("an order that just arrived lacks nothing yet", (stories.scheduled,), set()),
    ("a prepared session lacks nothing yet", (stories.scheduled, stories.prepared), set()),
    ("a cleared session lacks nothing yet", UP_TO_INJECTION[:4], set()),
    ("after the injection, monitoring must end", UP_TO_INJECTION, {"times.monitoring_ended"}),
    ("an observed session may be signed", (*UP_TO_INJECTION, stories.observed), set()),
    (
        "a session with a gap and a reaction may be signed when both are over",
        (*UP_TO_INJECTION, stories.line_lost, stories.reacted, stories.observed),
        set(),
    ),
]


@pytest.mark.parametrize(("sentence", "passages", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_the_list_of_missing_items(sentence: str, passages: tuple[Passage, ...], expected: set[str]) -> None:
    """Each stage of a session lacks exactly this."""
    assert set(missing_paths(told(*passages).record)) == expected


def test_before_sealing_both_signatures_are_needed() -> None:
    """What may be signed is not yet what may be sealed."""
    driver = told(*UP_TO_INJECTION, stories.observed)

    assert missing_paths(driver.record, signatures=True) == (
        "signatures.technologist",
        "signatures.physician",
    )

    stories.signed(driver)

    assert missing_paths(driver.record, signatures=True) == ()


def test_a_reaction_asks_for_its_own_items() -> None:
    """A reported reaction without a physician's grade and disposition lacks them, each with who must act."""
    driver = stories.to_injected()
    driver.do(stories.TECHNOLOGIST, c.ReportReaction())
    items = {item.path: item.who for item in missing(driver.record)}

    assert items == {
        "times.monitoring_ended": "technologist",
        "reaction.severity.ses-1-r1": "physician",
        "reaction.presentation.ses-1-r1": "physician",
        "reaction.disposition.ses-1-r1": "physician",
        "reaction.pack.ses-1-r1": "engine",
    }


def test_an_open_gap_is_missing_its_end() -> None:
    """A gap that lasts keeps the record from being signed."""
    driver = stories.to_injected()
    driver.do(stories.MEDIA, c.ReportLineLost(cause="no_packets_from_physician"))

    assert "line.gaps.1.end" in missing_paths(driver.record)


def test_a_bypass_stands_in_for_the_proof_it_went_without() -> None:
    """After a bypassed interlock nothing unprovable is asked for, but the bypass is there for everybody to read."""
    driver = told(stories.scheduled)
    driver.do(stories.TECHNOLOGIST, c.StartPreparation(), stories.contrast(driver), c.CompleteInjection())
    driver.wait(1800)
    driver.do(stories.TIMERS, TimerFired(name="observation", due_at=driver.now))
    driver.do(stories.TECHNOLOGIST, c.CompleteMonitoring())

    assert missing_paths(driver.record) == ()
    assert driver.record.value("exceptions.bypasses")


def test_a_signature_over_another_content_does_not_count() -> None:
    """What changed after a signature must be signed again."""
    driver = told(*UP_TO_INJECTION, stories.observed)
    driver.confirm(stories.TECHNOLOGIST)
    signed = body_hash(driver.record)
    driver.do(stories.TECHNOLOGIST, c.RecordVitals(heart_rate_bpm=71))

    assert body_hash(driver.record) != signed
    assert "signatures.technologist" in missing_paths(driver.record, signatures=True)


def test_every_required_slot_says_who_and_why() -> None:
    """No item of the worklist is without a reason and somebody who must act."""
    assert all(slot.who and slot.why for slot in SLOTS if slot.need)
    assert {slot.need for slot in SLOTS} <= set(NEEDS)
