"""Time as an argument: the protocol every room reads time through, and the one clock that reads the machine's."""

import datetime as dt
from typing import Protocol


class Clock(Protocol):
    """Gives the present moment as a timezone-aware UTC datetime."""

    def now(self) -> dt.datetime:
        """Return the present moment, UTC."""
        ...


class SystemClock:
    """The wall clock of this machine."""

    def now(self) -> dt.datetime:
        """Return the machine's time, UTC."""
        return dt.datetime.now(dt.UTC)


class ManualClock:
    """A clock that stands still until it is moved; never moves backwards."""

    def __init__(self, start: dt.datetime) -> None:
        self._now = start

    def now(self) -> dt.datetime:
        """Return the moment it stands at."""
        return self._now

    def advance(self, by: dt.timedelta) -> None:
        """Move forward by `by`."""
        if by < dt.timedelta(0):
            raise ValueError("a clock is never moved backwards")
        self._now += by


class OffsetClock:
    """The clock of a demo: another clock plus an offset that a script may advance."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self._offset = dt.timedelta(0)

    def now(self) -> dt.datetime:
        """Return the base clock's time plus the offset."""
        return self._base.now() + self._offset

    def advance(self, by: dt.timedelta) -> None:
        """Move forward by `by`."""
        if by < dt.timedelta(0):
            raise ValueError("a clock is never moved backwards")
        self._offset += by


LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def later(at: dt.datetime, seconds: float) -> dt.datetime:
    """Return the moment so many seconds after another, the calendar's last one where it ends before.

    A time that somebody told can be any, the last day of the calendar too, and a fact is never refused for it.
    """
    try:
        return at + dt.timedelta(seconds=seconds)
    except OverflowError:
        return LAST


def end_of(day: dt.date, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """Return the moment a day is over in a time zone, in UTC, the last day of the calendar ("for ever") too."""
    try:
        return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(0), zone).astimezone(dt.UTC)
    except OverflowError:
        return LAST
