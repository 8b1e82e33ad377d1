"""READY: lit only when every fact holds, gone the moment one falls, never good for another injection."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from engine.kernel.commands import Actor, Command
from engine.kernel.machine import Context, Facts
from engine.workflows.session import commands as c
from engine.workflows.session import events as e
from engine.workflows.session import readiness
from engine.workflows.session.chart import contrast_not_cleared, identity_unconfirmed
from engine.workflows.session.state import Allergy, Screening
from tests.workflows.play import START, SYSTEM, names
from tests.workflows.session import stories as s

#: What takes each fact of READY away by being reported. The others run out by time: see LAPSES.
FALLS: tuple[tuple[str, Command, Actor], ...] = (
    ("contrast_cleared", c.DeferContrast(reason="iv_lost"), s.DOC),
    ("line_verified", c.ReportLineLost(cause="no_packets"), s.MEDIA),
    ("line_verified", c.ReportLineDegraded(cause="low_bitrate"), s.MEDIA),
    ("line_verified", c.ReportOnPhone(cause="no_video"), s.TECH),
    ("line_verified", c.ReportLineClosed(), s.MEDIA),
    ("screening_reviewed", c.RecordScreening(screening=Screening(asthma="yes")), s.TECH),
    ("screening_reviewed", c.RecordAllergies(allergies=(), source="patient"), s.TECH),
    ("physician_present", c.ReportPhysicianAway(physician_id="md-1", cause="lease_lapsed"), SYSTEM),
    ("responder_present", c.ReportResponderLeft(), s.NURSE),
    ("view_confirmed", c.ConfirmView(patient_visible=True, injection_site_visible=False), s.DOC),
    ("kit_in_date", s.kit(START.date() - dt.timedelta(days=1)), s.NURSE),
    ("kit_in_date", s.kit(epinephrine_present=False), s.NURSE),
    ("kit_in_date", s.kit(oxygen_and_aed_checked=False), s.NURSE),
    ("kit_in_date", c.ReportKitUsed(drug="epinephrine", reaction_id="ses-1-r1"), s.NURSE),
    ("no_reaction_open", c.ReportReaction(), s.TECH),
    ("verdict_allows", c.EvaluateRules(verdict=s.verdict("deny")), SYSTEM),
    ("verdict_allows", c.EvaluateRules(verdict=s.verdict("needs_attestation")), SYSTEM),
    (
        "responder_credentialed",
        c.CheckInResponder(
            responder_id="rn-2", evidence=s.evidence(s.NURSE, until=START + dt.timedelta(seconds=1))
        ),
        s.NURSE,
    ),
)


@pytest.mark.hazard("H-02", "H-06", "H-21", "H-23", "H-28")
@pytest.mark.parametrize(("fact", "command", "who"), FALLS)
def test_ready_falls_with_each_of_its_facts(fact: str, command: Command, who: Actor) -> None:
    """The decision that takes a ground away takes READY away: no caller sees one without the other."""
    play = s.ready()
    token = play.state.ready.token
    if fact == "responder_credentialed":
        play.do(command, who)
        play.now += dt.timedelta(seconds=2)
        play.do(c.RecordVitals(systolic_mmhg=120), s.NURSE)
    else:
        play.do(command, who)

    assert play.state.ready is None
    revoked = play.of(e.ReadyRevoked)
    if not isinstance(command, c.DeferContrast):
        assert fact in revoked[-1].reasons
        assert revoked[-1].token == token
    assert play.refused(c.StartInjection(ready_token=token), s.TECH) in {"READY_ABSENT", "WRONG_PHASE"}


def test_all_twelve_facts_are_tried() -> None:
    """Every fact of READY falls in one of these tests; identity is the one that only a deferral takes back."""
    tried = {fact for fact, _, _ in FALLS} | {"physician_credentialed", "identity_confirmed"}

    assert tried == set(readiness.NAMES)
    assert len(readiness.NAMES) == 12


def test_a_deferral_takes_identity_and_clearance_back() -> None:
    """Whoever comes back later is identified, reviewed, seen and cleared again."""
    play = s.ready()
    play.do(c.DeferContrast(reason="iv_lost"), s.DOC)
    state = play.state

    assert not (state.identity_confirmed or state.screening_reviewed or state.view_confirmed or state.cleared)
    assert state.ready is None
    assert "ready_expiry" not in play.timers


@pytest.mark.hazard("H-06")
def test_ready_expires_by_its_timer_and_by_itself() -> None:
    """At its last second it still works, at the next it is refused; the timer records the moment it was due."""
    play = s.ready()
    ready = play.state.ready
    play.now = ready.expires_at - dt.timedelta(microseconds=1)
    late = s.ready()
    late.now = ready.expires_at
    play.do(s.start(ready.token), s.TECH)

    assert "injecting" in play.state.phases
    assert late.refused(c.StartInjection(ready_token=late.state.ready.token), s.TECH) == "READY_EXPIRED"
    expired = late.wait(0)
    assert names(expired) == ["ReadyExpired"]
    assert late.state.ready is None
    assert late.refused(c.StartInjection(ready_token=ready.token), s.TECH) == "READY_ABSENT"


@pytest.mark.hazard("H-19", "H-20", "H-22")
@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("PHYSICIAN_UNLICENSED", {"physician": s.evidence(s.DOC, "LICENCE_MISSING_IN_STATE")}),
        ("RESPONDER_NOT_QUALIFIED", {"responder": s.evidence(s.NURSE, "COMPETENCY_MISSING")}),
        ("VERDICT_DENIES", {"verdict_": s.verdict("deny")}),
        ("VERDICT_UNATTESTED", {"verdict_": s.verdict("needs_attestation")}),
        ("PHYSICIAN_UNLICENSED", None),
    ],
)
def test_what_changed_since_ready_was_lit_stops_the_injection(reason: str, found: Any) -> None:
    """READY is still lit, but licences and rules are looked at again: revoked since, denied now, or not looked up."""
    play = s.ready()
    token = play.state.ready.token
    asked = c.StartInjection(ready_token=token) if found is None else s.start(token, **found)
    assert play.refused(asked, s.TECH) == reason


@pytest.mark.parametrize(("person_id", "flags"), [("tech-1", ()), ("tech-7", ("another_technologist",))])
def test_another_technologist_who_injects_is_named_as_an_exception(
    person_id: str, flags: tuple[str, ...]
) -> None:
    """Whoever prepared the patient may be relieved; the record says that somebody else injected."""
    play = s.ready()
    play.do(s.start(play.state.ready.token), structs.replace(s.TECH, person_id=person_id))
    assert play.log[-1].flags == flags


def test_ready_is_good_for_its_own_word_only() -> None:
    """Another token, an older token and a token of another session are refused; a used one is gone."""
    play = s.ready()
    old = play.state.ready.token
    play.now += dt.timedelta(seconds=5)
    play.do(s.grant(), s.TECH)
    new = play.state.ready.token
    assert new != old
    assert play.refused(c.StartInjection(ready_token=old), s.TECH) == "READY_MISMATCH"
    assert play.refused(c.StartInjection(ready_token=""), s.TECH) == "READY_MISMATCH"
    play.do(s.start(new), s.TECH)

    assert play.state.ready is None
    assert play.refused(c.StartInjection(ready_token=new), s.TECH) == "WRONG_PHASE"


@pytest.mark.hazard("H-19", "H-22")
@pytest.mark.parametrize("who", ["physician", "responder", "verdict", "kit"])
def test_ready_ends_with_the_first_thing_it_rests_on(who: str) -> None:
    """A licence, a competency, a verdict or a kit that ends within two minutes ends READY that early, to the second."""
    play = s.at("cleared")
    soon = play.now + dt.timedelta(seconds=45)
    if who == "physician":
        play.do(s.offer(s.OTHER), s.DOC)
        play.do(c.AcceptHandOff(evidence=s.evidence(s.OTHER, until=soon)), s.OTHER)
        for command in (c.ReviewScreening(), s.SEE, c.ClearForContrast(agent="iohexol")):
            play.do(command, s.OTHER)
        play.do(s.grant(physician=s.evidence(s.OTHER, until=soon)), s.TECH)
    elif who == "responder":
        checked = s.evidence(s.NURSE, until=soon)
        play.do(c.CheckInResponder(responder_id="rn-1", evidence=checked), s.NURSE)
        play.do(s.grant(responder=checked), s.TECH)
    elif who == "verdict":
        play.do(s.grant(s.verdict(until=soon)), s.TECH)
    else:
        play.now = soon.replace(hour=23, minute=59, second=15)
        soon = play.now + dt.timedelta(seconds=45)
        play.do(s.kit(play.now.date()), s.NURSE)
        play.do(s.grant(), s.TECH)
    ready = play.state.ready

    assert ready.expires_at == soon
    assert {fact.name for fact in ready.facts} == set(readiness.NAMES)
    play.now = soon
    assert play.refused(c.StartInjection(ready_token=ready.token), s.TECH) == "READY_EXPIRED"


def test_ready_names_what_is_missing_in_the_rooms_order() -> None:
    """With nothing prepared every refusing guard is listed, clearance first."""
    play = s.at("cleared")
    play.do(c.ReportLineLost(cause="x"), s.MEDIA)
    assert play.refused(s.grant(), s.TECH) == "LINE_UNVERIFIED"
    play.do(c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA)
    play.do(c.ReportPhysicianAway(physician_id="md-1", cause="x"), SYSTEM)
    assert play.refused(s.grant(), s.TECH) == "PHYSICIAN_ABSENT"
    play.do(c.AssignPhysician(physician_id="md-1", ring_id="r", evidence=s.evidence(s.DOC)), SYSTEM)
    play.do(c.ReportResponderLeft(), s.NURSE)
    assert play.refused(s.grant(), s.TECH) == "RESPONDER_ABSENT"
    play.do(c.CheckInResponder(responder_id="rn-1", evidence=s.evidence(s.NURSE)), s.NURSE)
    play.do(s.kit(epinephrine_present=False), s.NURSE)
    assert play.refused(s.grant(), s.TECH) == "KIT_NOT_READY"
    play.do(s.kit(), s.NURSE)


@pytest.mark.hazard("H-06", "H-47")
@pytest.mark.parametrize(
    "told",
    [
        c.RecordScreening(screening=Screening(asthma="yes")),
        c.RecordAllergies(allergies=(Allergy(substance="iohexol"),), source="ehr"),
    ],
)
def test_what_is_told_after_the_clearance_is_reviewed_and_cleared_again(told: Command) -> None:
    """An answer or an allergy that comes late takes READY and the clearance back; the physician looks and clears."""
    play = s.ready()
    play.do(told, s.TECH)

    assert play.state.in_phase("reviewing") and play.state.ready is None
    assert play.state.identity_confirmed and not play.state.cleared
    assert play.refused(c.ClearForContrast(agent="iohexol"), s.DOC) == "SCREENING_UNREVIEWED"
    play.do(c.ReviewScreening(), s.DOC)
    play.do(c.ClearForContrast(agent="iohexol"), s.DOC)
    play.do(s.grant(), s.TECH)
    assert play.state.ready is not None


def test_facts_of_ready_that_the_phase_already_holds_are_asked_all_the_same() -> None:
    """Clearance and identity stand by phase; their guards still refuse a state in which they do not."""
    empty = s.MACHINE.initial("ses-1")
    facts = Facts(state=empty, command=s.grant(), context=Context(now=START, actor=s.TECH))
    assert contrast_not_cleared(facts)
    assert identity_unconfirmed(facts)
    assert readiness.missing(empty, START) == tuple(n for n in readiness.NAMES if n != "no_reaction_open")


@pytest.mark.hazard("H-06")
@pytest.mark.parametrize(
    "phase", ["scheduled", "preparing", "requested", "identifying", "reviewing", "cleared"]
)
def test_contrast_without_ready_is_kept_and_marked(phase: str) -> None:
    """Contrast that went in before READY is in the log with what was missing, flagged, and monitored all the same."""
    play = s.at(phase)
    play.do(s.dose(), s.TECH)
    (bypassed,) = play.of(e.InterlockBypassed)

    assert play.state.contrast[0].bypassed
    assert "bypass" in play.log[-1].flags
    assert bypassed.missing
    assert "injecting" in play.state.phases
    play.do(c.CompleteInjection(), s.TECH)
    assert "observation" in play.timers


def test_contrast_under_ready_is_not_marked() -> None:
    """The usual way leaves no mark."""
    play = s.at("monitoring")

    assert play.of(e.InterlockBypassed) == []
    assert not play.state.contrast[0].bypassed


def test_a_bypass_with_ready_lit_but_not_used_says_so() -> None:
    """READY was there, nobody started the injection under it: that is the thing missing."""
    play = s.ready()
    play.do(s.dose(), s.TECH)

    assert play.of(e.InterlockBypassed)[0].missing == ("start_injection",)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize(
    ("minutes", "flags"),
    [
        (1, ("given_in_future",)),
        (0, ()),
        (-30, ()),
        (-31, ("given_before_scheduled",)),
        (-525_600, ("given_before_scheduled",)),
    ],
)
def test_a_time_that_cannot_be_is_kept_and_marked(minutes: int, flags: tuple[str, ...]) -> None:
    """Contrast reported for later than now, or for before the session was opened, is kept as told and stands out."""
    play = s.at("injecting")
    play.now = START + dt.timedelta(minutes=30)
    given = replace(s.dose(), given_at=play.now + dt.timedelta(minutes=minutes))
    play.do(given, s.TECH)

    assert play.state.contrast[-1].given_at == given.given_at
    assert play.log[-1].flags == flags


@pytest.mark.hazard("H-06")
def test_no_ready_while_a_reaction_is_open() -> None:
    """REACTION takes READY away, and neither a new one nor an injection comes before the reaction is over."""
    play = s.ready()
    token = play.state.ready.token
    play.do(c.ReportReaction(), s.TECH)

    assert play.state.ready is None
    assert play.refused(s.grant(), s.TECH) == "REACTION_OPEN"
    assert play.refused(c.StartInjection(ready_token=token), s.TECH) == "READY_ABSENT"


@pytest.mark.hazard("H-06")
def test_a_second_dose_after_the_injection_went_past_the_interlock() -> None:
    """Contrast in monitoring has no READY of its own: kept, marked and flagged."""
    play = s.at("monitoring")
    happened = play.do(s.dose(), s.TECH)

    assert [type(event).__name__ for event in happened][:2] == ["ContrastGiven", "InterlockBypassed"]
    assert play.state.contrast[-1].bypassed
    assert "bypass" in play.log[-1].flags
