"""What the engine believes of one ring; folded from events."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody who may answer: the physician and the coverage window they answer under (empty: none held)."""

    person_id: str
    coverage_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung of the ladder: its name (primary, backup, bench) and whom it adds."""

    name: str
    people: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RingEvidence:
    """What was found about the one who answers; `problems` are reason codes.

    `covers` says that their live window covers the room now, rung for or not.
    """

    person_id: str
    coverage_id: str = ""
    covers: bool = False
    in_reaction_elsewhere: bool = False
    at_capacity: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """How long each rung rings before the next, and how often the highest repeats. Service objectives, in seconds."""

    rung_s: tuple[int, int, int] = (30, 30, 30)
    repeat_s: int = 30


@dataclass(frozen=True, kw_only=True)
class RingState:
    """One ring. `version` 0 means it does not exist yet; `rung` counts from 0."""

    ring_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    session_id: str = ""
    organization_id: str = ""
    site_id: str = ""
    room_id: str = ""
    cause: str = ""
    urgent: bool = False
    drill: bool = False
    ladder: tuple[Rung, ...] = ()
    contact: str = ""
    rung: int = 0
    repeats: int = 0
    started_at: dt.datetime | None = None
    declined: tuple[str, ...] = ()
    answered_by: str = ""
    answered_after_s: Decimal | None = None
    pages_failed: int = 0

    @property
    def rung_phase(self) -> str:
        """The chart phase of the present rung."""
        return ("ringing_primary", "ringing_backup", "ringing_bench", "escalated")[self.rung]

    def rung_people(self, rung: int) -> tuple[Candidate, ...]:
        """Whom a rung adds; nobody when the ladder is shorter."""
        return self.ladder[rung].people if rung < len(self.ladder) else ()

    def ringing(self) -> tuple[Candidate, ...]:
        """Everybody the ring rings now: this rung and all earlier ones, without those who declined."""
        people = [person for rung in range(self.rung + 1) for person in self.rung_people(rung)]
        return tuple(person for person in people if person.person_id not in self.declined)


def initial(stream_id: str, phases: tuple[str, ...]) -> RingState:
    """Return the state of a ring that does not exist yet."""
    return RingState(ring_id=stream_id, phases=phases)
