"""The inbound message's verbs."""

from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveMessage(Command):
    """Keep the received bytes (`raw`: base64) before anything is acknowledged."""

    creates: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    feed_id: str
    organization_id: str
    site_id: str
    sender: str
    control_id: str
    message_type: str
    content_hash: str
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMessageApplied(Command):
    """Report that the message became commands for these sessions; `notices` name each field that was not taken."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    sessions: tuple[str, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMessageHeld(Command):
    """Report that a person must act: `reason` is a word, `what` names the code or field, never patient data.

    `sessions` are those of the orders beside it that could be followed, and those that it concerns.
    """

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    reason: str
    what: str
    sessions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMessageUnused(Command):
    """Report that the engine makes nothing of this type."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayMessage(Command):
    """Work a held or dismissed message again, after the map was mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DismissMessage(Command):
    """Take a held message off the worklist, with a reason: the sender has sent it again, or it is of no use."""

    dismissal: str
