"""What the engine believes of one coverage window; folded from events."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRef:
    """A room of a site that the window covers."""

    site_id: str
    room_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """How long a lease lives without a heartbeat, in seconds."""

    lease_s: int = 15


@dataclass(frozen=True, kw_only=True)
class CoverageState:
    """One physician's commitment to rooms for a time. `version` 0 means it does not exist yet."""

    coverage_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    organization_id: str = ""
    physician_id: str = ""
    rooms: tuple[RoomRef, ...] = ()
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    cap: int = 0
    leased_until: dt.datetime | None = None
    sessions: tuple[str, ...] = ()
    reaction_session: str = ""

    @property
    def site_id(self) -> str:
        """The first room's site: what scope checks look at."""
        return self.rooms[0].site_id if self.rooms else ""

    def live(self, now: dt.datetime) -> bool:
        """Return whether the lease holds at `now`."""
        held = bool({"held", "engaged", "in_reaction"} & set(self.phases))
        return held and self.leased_until is not None and now < self.leased_until


def initial(stream_id: str, phases: tuple[str, ...]) -> CoverageState:
    """Return the state of a window that does not exist yet."""
    return CoverageState(coverage_id=stream_id, phases=phases)
