"""What must follow from an event: timers and outbound sends, as rows of the same transaction, never as calls."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Wake the stream at `due_at` with TimerFired(name); replaces a pending timer of the same name."""

    name: str
    due_at: dt.datetime


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the stream's pending timer of that name, if any."""

    name: str


@dataclass(frozen=True, slots=True)
class Send:
    """Hand `body` to the outbox handler `kind`, at least once; the receiver drops repeats by `key`."""

    kind: str
    key: str
    body: Mapping[str, str] = field(default_factory=dict)


Effect = SetTimer | CancelTimer | Send
