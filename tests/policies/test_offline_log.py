"""What a console wrote down without the network: taken once, by its own times, in whatever parts and order it comes."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions.state import Severity
from engine.workflows.session import events as happened
from engine.workflows.session.commands import ReportOfflineLog, ReportReaction
from engine.workflows.session.offline_log import OfflineEntry, OfflineKind
from tests.policies.hall import Hall, up_to, window
from tests.workflows.play import START
from tests.workflows.session import stories as s

REACTION = "ses-1-r1"
KIND = OfflineKind


def minutes(number: float) -> dt.datetime:
    """A moment of the device's clock."""
    return START + dt.timedelta(minutes=number)


def entry(name: str, kind: OfflineKind, at_min: float, **more: Any) -> OfflineEntry:
    return OfflineEntry(entry_id=f"entry-{name}", kind=kind, at=minutes(at_min), by="nurse-1", **more)


def epinephrine(name: str, at_min: float, mg: str = "0.3") -> OfflineEntry:
    return entry(
        name,
        KIND.MEDICATION,
        at_min,
        step_id="T-A-ANA.1",
        drug="epinephrine",
        route="IM",
        dose_mg=Decimal(mg),
    )


def log(*entries: OfflineEntry, **change: Any) -> ReportOfflineLog:
    return s.offline_log(entries=entries, **change)


STORY = (
    entry("onset", KIND.ONSET, 1),
    entry("signs", KIND.SIGNS, 2, signs=("S-A3-5",)),
    entry("vitals", KIND.VITALS, 3, systolic_mmhg=80, heart_rate_bpm=130),
    entry("weight", KIND.WEIGHT, 3.5, weight_kg=Decimal(70), weight_method="stated"),
    entry("said", KIND.READ_BACK, 4, step_id="T-A-ANA.1", dose_mg=Decimal("0.3"), route="IM"),
    epinephrine("dose", 5),
    entry("call", KIND.EMERGENCY_CALL, 6, service="EMS 911"),
    entry("done", KIND.STEP_DONE, 7, step_id="BASE.1"),
    entry("note", KIND.NOTE, 8, text="ambulance at the door"),
    entry("better", KIND.IMPROVING, 9),
    epinephrine("again", 10),
    entry("gone", KIND.RESOLVED, 12),
)


def hall(after_min: float = 60) -> Hall:
    """A session whose network went, an hour later."""
    made = Hall()
    up_to(made, "preparing")
    made.now = minutes(after_min)
    return made


def given_doses(made: Hall) -> list[tuple[dt.datetime, Decimal]]:
    return [(dose.given_at, dose.dose_mg) for dose in made.state("reaction", REACTION).given]


@pytest.mark.hazard("H-27", "H-33")
def test_a_reaction_that_was_only_known_offline_is_opened_with_all_that_happened() -> None:
    """Its onset, signs, doses, call and end stand with the device's times; a physician is rung; all of it is marked."""
    made = hall()
    made.do("session", "ses-1", log(*STORY), s.TECH)
    session, reaction = made.state("session", "ses-1"), made.state("reaction", REACTION)
    told = [one for one in made.play("reaction", REACTION).log if getattr(one.event, "offline", None)]

    assert (session.reactions, session.open_reactions) == ((REACTION,), {REACTION})
    assert made.rings()
    assert (reaction.onset_at, reaction.signs, reaction.weight_kg) == (minutes(1), ("S-A3-5",), Decimal(70))
    assert reaction.vitals[-1].at == minutes(3)
    assert given_doses(made) == [(minutes(5), Decimal("0.3")), (minutes(10), Decimal("0.3"))]
    assert reaction.given[0].given_by == "nurse-1"
    assert reaction.emergency_called_at == minutes(6)
    assert reaction.resolved_at == minutes(12)
    assert {"resolved", "emergency_called"} <= set(reaction.phases)
    assert len({one.event.offline.entry_id for one in told}) == len(STORY)
    assert [one.event.offline.at for one in told] == sorted(one.event.offline.at for one in told)
    assert all("offline" in one.flags for one in told)
    assert made.refused == []


def test_what_is_written_with_a_dose_or_vital_signs_comes_with_it() -> None:
    """Where on the body, the lot, oxygen, rhythm, glucose and the response are as written."""
    made = hall()
    measured = {
        "heart_rate_bpm": 120,
        "oxygen_l_per_min": Decimal(8),
        "rhythm": "sinus",
        "glucose_mg_per_dl": 101,
        "response": "better",
    }
    drug = {"drug": "epinephrine", "route": "IM", "site": "right anterolateral thigh", "lot": "EPI-1"}
    made.do(
        "session",
        "ses-1",
        log(STORY[0], entry("dose-2", KIND.MEDICATION, 5, **drug), entry("seen", KIND.VITALS, 9, **measured)),
        s.TECH,
    )
    reaction = made.state("reaction", REACTION)

    assert {name: getattr(reaction.vitals[-1], name) for name in measured} == measured
    assert {name: getattr(reaction.given[-1], name) for name in drug} == drug


def test_a_dose_given_alone_is_by_standing_order_or_none() -> None:
    """Nobody was on the line: what the pack marks as a standing order is one, the rest is on nobody's word."""
    made = hall()
    made.do(
        "session",
        "ses-1",
        log(*STORY, entry("mix", KIND.MEDICATION, 11, drug="atropine", route="IV")),
        s.TECH,
    )
    words = [
        (one.medication.drug, one.authority) for one in made.play("reaction", REACTION).of(e.MedicationGiven)
    ]

    assert words == [("epinephrine", "standing_order")] * 2 + [("atropine", "none")]


@given(st.lists(st.sets(st.sampled_from(range(len(STORY))), min_size=1), max_size=5), st.randoms())
def test_in_parts_again_and_out_of_order_it_is_the_same(parts: list[set[int]], random: Any) -> None:
    """Whatever overlapping parts come first, once the whole log is in everything stands as if it had come at once."""
    whole, broken = hall(), hall()
    whole.do("session", "ses-1", log(*STORY), s.TECH)
    for part in parts:
        entries = [STORY[number] for number in part]
        random.shuffle(entries)
        broken.do("session", "ses-1", log(*entries), s.TECH)
    broken.do("session", "ses-1", log(*STORY), s.TECH)
    once, often = whole.state("reaction", REACTION), broken.state("reaction", REACTION)

    facts = ("onset_at", "signs", "vitals", "weight_kg", "emergency_called_at", "resolved_at")
    assert [getattr(often, name) for name in facts] == [getattr(once, name) for name in facts]
    assert given_doses(broken) == given_doses(whole)
    assert broken.state("session", "ses-1").reactions == (REACTION,)
    before = [len(play.log) for play in broken.plays.values()]
    broken.do("session", "ses-1", log(*STORY), s.TECH)
    assert [len(play.log) for play in broken.plays.values()] == before


@given(
    st.lists(st.tuples(st.integers(1, 50), st.booleans(), st.integers(0, 3)), min_size=1, max_size=8),
    st.randoms(),
)
def test_any_interleaving_of_online_and_offline_ends_in_the_same_doses(
    doses: list[tuple[int, bool, int]], random: Any
) -> None:
    """Each dose told online or in any part of a log, in any order: the same doses in the same order, each once."""
    told = [(number, at, online, part) for number, (at, online, part) in enumerate(doses)]
    expected = sorted(
        ((minutes(at), Decimal(number + 1) / 10) for number, at, _, _ in told), key=lambda dose: dose[0]
    )
    made = hall()
    made.do("session", "ses-1", ReportReaction(), s.TECH)
    online = [("reaction", REACTION, given_online(at, number)) for number, at, live, _ in told if live]
    logs = []
    for part in {part for _, _, live, part in told if not live}:
        entries = [
            epinephrine(f"dose-{number}", at, str(Decimal(number + 1) / 10))
            for number, at, live, mine in told
            if not live and mine == part
        ]
        logs += [("session", "ses-1", log(*entries))] * 2
    everything = [*online, *logs]
    random.shuffle(everything)
    for one in everything:
        made.do(*one, s.TECH)

    assert sorted(given_doses(made)) == sorted(expected)
    assert [at for at, _ in given_doses(made)] == [at for at, _ in expected]


def given_online(at: int, number: int) -> c.RecordMedicationGiven:
    return c.RecordMedicationGiven(
        drug="epinephrine", route="IM", dose_mg=Decimal(number + 1) / 10, given_at=minutes(at)
    )


def test_what_is_older_than_what_is_known_changes_nothing_of_now() -> None:
    """Signs and weight of later, a grade after the signs went: the log is kept and does not turn them back."""
    made = hall(after_min=20)
    made.do("session", "ses-1", ReportReaction(onset_at=minutes(15)), s.TECH)
    made.do("reaction", REACTION, c.RecordSigns(signs=("S-A1-1",)), s.TECH)
    made.do("reaction", REACTION, c.RecordPatientWeight(weight_kg=Decimal(80), method="measured"), s.TECH)
    made.do("reaction", REACTION, c.GradeReaction(severity=Severity.MILD, presentation="hives"), s.DOC)
    made.do("session", "ses-1", log(*STORY, reaction_id=REACTION), s.TECH)
    reaction = made.state("reaction", REACTION)

    assert (reaction.signs, reaction.weight_kg) == (("S-A1-1",), Decimal(80))
    assert "mild" in reaction.phases and reaction.resolved_at is None
    assert reaction.onset_at == minutes(1)
    assert len(made.play("reaction", REACTION).of(e.SignsRecorded)) == 2
    assert len(reaction.given) == 2


def test_a_dose_that_is_reported_late_brings_no_repeat_forward() -> None:
    """The next dose is due after the newest one, whenever the older one is told."""
    made = hall(after_min=20)
    made.do("session", "ses-1", ReportReaction(), s.TECH)
    made.do(
        "reaction", REACTION, c.GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis"), s.DOC
    )
    made.do(
        "reaction",
        REACTION,
        c.RecordMedicationGiven(drug="epinephrine", route="IM", dose_mg=Decimal("0.3")),
        s.TECH,
    )
    due = made.play("reaction", REACTION).timers["repeat:A-EPI-IM"]
    made.do("session", "ses-1", log(epinephrine("older", 5)), s.TECH)

    assert (
        made.play("reaction", REACTION).timers["repeat:A-EPI-IM"] == due == made.now + dt.timedelta(minutes=5)
    )


@pytest.mark.hazard("H-36")
def test_after_sealing_it_reopens_the_record_once() -> None:
    """An addendum opens for what is new; the same log again opens none."""
    made = Hall()
    window(made, s.DOC)
    up_to(made, "sealed")
    made.do("session", "ses-1", log(*STORY), s.TECH)
    play = made.play("session", "ses-1")

    assert len(play.of(happened.AddendumOpened)) == 1
    assert "closing" in play.state.phases and "active" in play.state.phases
    assert "late" in play.log[-1].flags or any("late" in one.flags for one in play.log)
    events = len(play.log)
    made.do("session", "ses-1", log(*STORY, log_id="log-device-1"), s.TECH)
    assert len(play.log) == events


def test_a_log_of_known_entries_leaves_a_sealed_record_sealed() -> None:
    """What had come in as commands before the network went is no news."""
    made = Hall()
    window(made, s.DOC)
    up_to(made, "sealed")
    known = frozenset(one.entry_id for one in STORY)
    made.do("session", "ses-1", log(*STORY, sent_before=known), s.TECH)

    assert "sealed" in made.state("session", "ses-1").phases
    assert made.state("session", "ses-1").reactions == ()


def test_a_second_log_without_an_onset_goes_to_the_latest_reaction() -> None:
    """Another device's log joins what is open; a log that names its reaction stays with it."""
    made = hall()
    made.do("session", "ses-1", log(*STORY), s.TECH)
    made.do("session", "ses-1", log(epinephrine("other", 20), log_id="log-device-2"), s.TECH)
    made.do("session", "ses-1", log(entry("o2", KIND.ONSET, 21), log_id="log-device-3"), s.TECH)

    assert made.state("session", "ses-1").reactions == (REACTION,)
    assert len(made.state("reaction", REACTION).given) == 3


@pytest.mark.hazard("H-16")
def test_a_device_clock_ahead_is_marked_and_what_was_written_after_the_sign_in_too() -> None:
    """Times that cannot be are kept as told and flagged; entries beyond the sign-in say so."""
    made = hall(after_min=4)
    made.do("session", "ses-1", log(*STORY, signed_in_until=minutes(3)), s.TECH)
    play = made.play("session", "ses-1")
    reported = next(one for one in play.log if isinstance(one.event, happened.OfflineLogReported))
    told = made.play("reaction", REACTION).of(e.VitalsRecorded)[0].offline

    assert "device_clock_ahead" in reported.flags
    assert told is not None and not told.signed_in
    assert made.play("reaction", REACTION).of(e.SignsRecorded)[0].offline.signed_in  # type: ignore[union-attr]


def test_a_thousand_entries_are_one_decision() -> None:
    """As many as one call may carry: in the order of their times, each once."""
    made = hall()
    many = [epinephrine(f"n{number:04}", (number * 37 % 1000) / 60, "0.01") for number in range(999)]
    made.do("session", "ses-1", log(entry("onset", KIND.ONSET, 0), *many), s.TECH)
    doses = given_doses(made)

    assert len(doses) == 999
    assert doses == sorted(doses)
    assert len({one.version for one in made.play("reaction", REACTION).log}) == len(
        made.play("reaction", REACTION).log
    )
