"""What happened to an inbound message. Released types are never edited; a new shape is a new `schema`."""

from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.events import Event, declared


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Event):
    """The bytes are kept."""

    protected: ClassVar[tuple[str, ...]] = ("raw",)
    feed_id: str
    organization_id: str
    site_id: str
    sender: str
    control_id: str
    message_type: str
    content_hash: str
    raw: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageApplied(Event):
    """It became commands for these sessions; `notices` say what in it was not taken."""

    sessions: tuple[str, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHeld(Event):
    """A person must act; `sessions` are those of the orders beside it that were followed."""

    reason: str
    what: str
    sessions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnused(Event):
    """The engine makes nothing of it."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReplayed(Event):
    """It is to be worked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDismissed(Event):
    """A person took it off the worklist; why it was held stays."""

    dismissal: str


ALL = declared(vars())
