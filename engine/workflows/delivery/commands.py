"""The delivery's verbs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from engine.kernel.commands import Command


class AttemptOutcome(StrEnum):
    """What became of one attempt: taken, refused for good, or worth trying again."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDelivery(Command):
    """Send a sealed record somewhere: `kind` says how, `destination` where (by its configured name)."""

    creates: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    session_id: str
    organization_id: str
    site_id: str
    kind: str
    destination: str
    record_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDeliveryStarted(Command):
    """Report that it was taken up: what follows may have reached the far side, answered or not."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeliveryAttempt(Command):
    """Report one attempt. `detail` is a short code without patient data."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    outcome: AttemptOutcome
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayDelivery(Command):
    """Try a dead delivery again."""
