"""Identifiers, amounts and clocks refuse what they cannot be, without repeating it."""

import datetime as dt
from decimal import Decimal

import pytest

from engine.kernel.clock import ManualClock, OffsetClock, SystemClock
from engine.kernel.commands import Actor, TimerFired, verb
from engine.kernel.errors import Invalid
from engine.kernel.ids import Stream, parse_id
from engine.kernel.quantities import amount, kg_from_lb

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def test_a_stream_is_written_and_parsed_the_same() -> None:
    """machine/id survives a round trip."""
    assert Stream("session", "ses-7") == Stream.parse(str(Stream("session", "ses-7")))


@pytest.mark.parametrize(
    "text", ["session", "/x", "Session/x", "session/", "session/a b", "session/" + "x" * 101]
)
def test_a_bad_stream_is_refused(text: str) -> None:
    """A stream of the wrong form names the field."""
    with pytest.raises(Invalid) as refused:
        Stream.parse(text)

    assert refused.value.field == "stream"


def test_an_identifier_never_comes_back_in_the_error() -> None:
    """The error says what to do and not what was sent."""
    with pytest.raises(Invalid) as refused:
        parse_id("mrn", "DEMO PATIENT")

    assert "DEMO" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "ten", "NaN", "Infinity", "-1", "301"])
def test_an_amount_outside_its_range_is_refused(text: str) -> None:
    """Not a number, not finite, too small or too large."""
    with pytest.raises(Invalid):
        amount("weight_kg", text, low=Decimal(0), high=Decimal(300))


def test_an_amount_keeps_its_digits() -> None:
    """0.30 stays 0.30."""
    assert str(amount("dose_mg", "0.30", low=Decimal(0), high=Decimal(1))) == "0.30"


def test_pounds_become_kilograms() -> None:
    """154 lb is 69.9 kg."""
    assert kg_from_lb(Decimal(154)) == Decimal("69.9")


def test_a_clock_only_goes_forward() -> None:
    """Both movable clocks refuse to go back, and the offset clock follows its base."""
    manual = ManualClock(NOON)
    demo = OffsetClock(manual)
    demo.advance(dt.timedelta(minutes=5))
    manual.advance(dt.timedelta(minutes=1))

    assert demo.now() == NOON + dt.timedelta(minutes=6)
    for clock in (manual, demo):
        with pytest.raises(ValueError, match="backwards"):
            clock.advance(dt.timedelta(seconds=-1))


def test_the_system_clock_is_utc() -> None:
    """Moments carry their zone."""
    assert SystemClock().now().tzinfo is dt.UTC


def test_a_verb_is_the_class_in_snake_case() -> None:
    """TimerFired listens as timer_fired; system actors are named."""
    assert verb(TimerFired) == "timer_fired"
    assert Actor.system("timers").person_id == "system:timers"
