"""The network from a seed: invariants hold, every fault happens, and a seed is a seed."""

from collections import Counter

import pytest

from engine.simulation.run import Report, report_lines, simulate_network

FAULTS = {
    "clock_jump",
    "policies_lag",
    "crash_after_commit",
    "crash_before_commit",
    "crash_between",
    "crash_in_drill",
    "dropped_request",
    "duplicate_request",
    "heartbeat_loss",
    "line_loss",
    "lost_reply",
    "no_show",
    "no_show_physician",
    "store_away",
}
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [simulate_network(40, seed) for seed in SEEDS]


def test_three_seeds_hold_every_invariant(reports: list[Report]) -> None:
    """No checker finds anything, no caller met an error that nobody foresaw, no policy failed."""
    assert [report.violations for report in reports] == [[], [], []]


def test_every_kind_of_fault_was_injected(reports: list[Report]) -> None:
    """A run without its faults proves nothing, so the three seeds together hold each kind at least once."""
    faults = sum((report.faults for report in reports), Counter[str]())
    assert set(faults) == FAULTS


def test_the_network_lives(reports: list[Report]) -> None:
    """Sessions are sealed and cancelled, rings answered, reactions treated, and people refused: it is no quiet town."""
    for report in reports:
        assert report.sealed > 15
        assert report.unfinished == 0
        assert report.answers_by_rung.total() > 30
    every = sum((report.refused for report in reports), Counter[str]())
    assert every["PHYSICIAN_UNLICENSED"]
    assert every["VERDICT_DENIES"]
    assert sum(len(report.directive_s) for report in reports) > 5


def test_drills_go_every_way(reports: list[Report]) -> None:
    """Announced and not, called off, missed until the patient is worse, treated, handed over, ended, debriefed."""
    drills = sum((report.drills for report in reports), Counter[str]())
    ways = (
        "cancelled",
        "debriefed",
        "ended",
        "unannounced",
        "handed_over",
        "patient_treated",
        "patient_untreated",
    )
    assert [way for way in ways if not drills[way]] == []
    assert not {"planned", "running"} & set(drills)


def test_drills_are_counted_apart(reports: list[Report]) -> None:
    """No drill is among the sessions that were sealed, called off or left unfinished."""
    for report in reports:
        assert report.sealed + report.unfinished + report.cancelled.total() == report.sessions


def test_a_seed_is_a_seed(reports: list[Report]) -> None:
    """The same seed gives the same log, hash for hash; another seed another one."""
    again = simulate_network(40, SEEDS[0])
    assert again.digest == reports[0].digest
    assert again.faults == reports[0].faults
    assert len({report.digest for report in reports}) == len(SEEDS)


def test_the_report_has_what_is_promised(reports: list[Report]) -> None:
    """The JSON form names sessions, faults, violations, answers by rung and time to the first directive."""
    shown = reports[0].as_json()
    assert shown["sessions"] == 40
    assert shown["seed"] == SEEDS[0]
    assert shown["violations"] == []
    assert set(shown["onset_to_first_directive_s"]) == {"p50", "p95", "max", "count"}
    assert {
        "faults",
        "answers_by_rung",
        "sealed",
        "cancelled",
        "reactions",
        "drills",
        "events",
        "elapsed_s",
    } <= set(shown)
    assert report_lines(reports[0])[-1] == "  violations: 0"


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 105))
def test_two_thousand_sessions_hold_every_invariant(seed: int) -> None:
    """The long form: 2000 sessions a seed."""
    assert simulate_network(2000, seed).violations == []
