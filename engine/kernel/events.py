"""What happened: past-tense values, and the envelope the store keeps them in. Released types are never edited."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from engine.kernel.commands import Actor
from engine.kernel.ids import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of every event. The class name is its type on disk.

    `schema` counts shapes of the type. `protected` names the top-level fields that hold patient identifiers: the
    log keeps only a salted commitment to them, the value lives in the erasable table, and an erased one reads as
    None (so such a field's type allows None). `withheld` names fields that stand in the log and that no watch shows.
    """

    schema: ClassVar[int] = 1
    protected: ClassVar[tuple[str, ...]] = ()
    withheld: ClassVar[tuple[str, ...]] = ()


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the store gives it back.

    `version` counts from 1 in the stream, `position` from 1 in the whole log. `phases` is the chart's
    configuration after the decision it belongs to, as sorted leaf state ids. `flags` marks the unexpected:
    `stale_version`, `out_of_phase`, `bypass`, `late`, `given_in_future`, `given_before_scheduled`,
    `given_before_onset`, `called_in_future`, `onset_in_future`, `weight_not_used`, `weight_doubtful`,
    `room_modality_mismatch`, `agent_unknown`.
    """

    position: int
    stream: Stream
    version: int
    at: dt.datetime
    actor: Actor
    correlation: str
    causation: str
    phases: tuple[str, ...]
    flags: tuple[str, ...]
    event: Event
    hash: str
    prev_hash: str

    @property
    def type(self) -> str:
        """The event's type on disk."""
        return type(self.event).__name__

    @property
    def id(self) -> str:
        """The event's own name: `session/ses-7@12`."""
        return f"{self.stream}@{self.version}"


def declared(namespace: Mapping[str, Any]) -> tuple[type[Event], ...]:
    """Return the event types a module defines, in order: `ALL = declared(vars())` ends an events.py."""
    found = [v for v in namespace.values() if isinstance(v, type) and issubclass(v, Event) and v is not Event]
    return tuple(found)
