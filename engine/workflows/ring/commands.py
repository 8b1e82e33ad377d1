"""The ring's verbs."""

from dataclasses import dataclass
from typing import ClassVar

from engine.kernel.commands import Command
from engine.workflows.ring.state import RingEvidence, Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRing(Command):
    """Ring for a session. `ladder` and `contact` are filled by the engine from rosters and coverage windows."""

    creates: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    session_id: str
    organization_id: str
    site_id: str
    room_id: str
    cause: str
    urgent: bool
    drill: bool = False
    ladder: tuple[Rung, ...] = ()
    contact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRing(Command):
    """The physician (the actor) takes the session. `evidence` is filled by the engine."""

    evidence: RingEvidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineRing(Command):
    """The physician (the actor) cannot; when nobody of the rungs so far is left, the next rung rings at once."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawRing(Command):
    """The session no longer needs a physician."""

    internal: ClassVar[bool] = True
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPageSent(Command):
    """Report that a page left for a person over a channel."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    person_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPageFailed(Command):
    """Report that a page could not reach a person over a channel, and why."""

    fact: ClassVar[bool] = True
    internal: ClassVar[bool] = True
    person_id: str
    channel: str
    cause: str
