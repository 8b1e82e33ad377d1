"""The physicians of a clinic: they hold windows by heartbeats, answer rings, decline, or never answer at all.

Rule: whoever is rung decides once a ring; the highest rung is answered in the end by somebody who may.
"""

import datetime as dt
from collections.abc import Callable, Iterable

from engine.kernel.ids import Stream
from engine.runtime.executor import Outcome
from engine.simulation.clinic import Clinic, physician
from engine.simulation.life import LEASE_S
from engine.simulation.world import World
from engine.workflows.coverage import commands as c
from engine.workflows.coverage.state import CoverageState, RoomRef
from engine.workflows.ring.commands import AnswerRing, DeclineRing
from engine.workflows.ring.state import RingState

SHIFT = dt.timedelta(hours=3)
CAP = 3
LOOK_S = 9.0
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


def ignore(outcome: Outcome | None) -> None:
    """Somebody who sends a heartbeat does not care how it ended; the next one follows."""


class Window:
    """One physician's shifts and heartbeats."""

    def __init__(self, world: World, clinic: Clinic, person_id: str, going: Callable[[], bool]) -> None:
        self._world = world
        self._clinic = clinic
        self._person_id = person_id
        self._going = going
        self._rng = world.stream(f"window:{person_id}")
        self._shift = 0

    async def look(self) -> None:
        """Offer, hold or renew; sometimes lose the console for a while."""
        if not self._going():
            return
        w: CoverageState = await self._world.state(self._stream)
        who = physician(self._clinic.organization_id, self._person_id)
        pause = LEASE_S / 2.5
        if w.version == 0:
            await self._send(self._offer())
            pause = 1
        elif w.ends_at is not None and self._world.now >= w.ends_at and not w.sessions:
            await self._send(c.EndCoverage())
            self._shift += 1
            pause = 20
        elif "offered" in w.phases:
            await self._world.send(self._stream, c.HoldCoverage(), who, answered=ignore)
            pause = LEASE_S / 2.5 if self._rng.random() < 0.95 else 900
        elif self._rng.random() < 0.02:
            self._world.faults["heartbeat_loss"] += 1
            pause = LEASE_S * self._rng.uniform(1.1, 3)
        else:
            await self._world.send(self._stream, c.RenewLease(), who, answered=ignore)
        self._world.after(pause, self.look)

    @property
    def _stream(self) -> Stream:
        return Stream("coverage", f"{self._person_id}-w{self._shift}")

    async def _send(self, command: c.OfferCoverage | c.EndCoverage) -> None:
        who = physician(self._clinic.organization_id, self._person_id)
        await self._world.send(self._stream, command, who, answered=ignore)

    def _offer(self) -> c.OfferCoverage:
        places = self._rng.sample(self._clinic.places, 2)
        return c.OfferCoverage(
            organization_id=self._clinic.organization_id,
            physician_id=self._person_id,
            rooms=tuple(RoomRef(site_id=p.site_id, room_id=p.room_id) for p in places),
            starts_at=self._world.now,
            ends_at=self._world.now + SHIFT,
            cap=self._rng.randrange(1, CAP + 1),
        )


class Rings:
    """Everybody who is rung for the sessions of a clinic."""

    def __init__(
        self,
        world: World,
        clinic: Clinic,
        sessions: Callable[[], Iterable[str]],
        going: Callable[[], bool],
    ) -> None:
        self._world = world
        self._clinic = clinic
        self._sessions = sessions
        self._rng = world.stream(f"rings:{clinic.organization_id}")
        self._answers_at: dict[tuple[str, str], tuple[dt.datetime, bool]] = {}
        self._going = going

    async def look(self) -> None:
        """Let everybody who is rung decide, and do what they decided once it is time."""
        if not self._going():
            return
        for session_id in tuple(self._sessions()):
            s = await self._world.state(Stream("session", session_id))
            for number in range(max(1, s.requests - 3), s.requests + 1):
                stream = Stream("ring", f"{session_id}-{number}")
                r: RingState = await self._world.state(stream)
                if r.version and not {"answered", "withdrawn"} & set(r.phases):
                    await self._ring(stream, r)
        self._world.after(LOOK_S, self.look)

    async def _ring(self, stream: Stream, r: RingState) -> None:
        people = [one.person_id for one in r.ringing()]
        if "escalated" in r.phases and r.repeats >= 2:
            people = list(self._clinic.physicians)
        for person in people:
            at, willing = self._decision(stream.id, person, again=r.repeats)
            if at > self._world.now:
                continue
            self._answers_at[(stream.id, person)] = (NEVER, willing)
            command = AnswerRing() if willing else DeclineRing(reason="with another patient")
            who = physician(self._clinic.organization_id, person)
            await self._world.send(stream, command, who, session_id=r.session_id, answered=ignore)
            return

    def _decision(self, ring_id: str, person: str, *, again: int) -> tuple[dt.datetime, bool]:
        key = (ring_id, person)
        if key not in self._answers_at or (again >= 2 and self._answers_at[key][0] == NEVER):
            draw = self._rng.random()
            if draw < 0.2 and again < 2:
                self._world.faults["no_show_physician"] += 1
                self._answers_at[key] = (NEVER, False)
            else:
                delay = dt.timedelta(seconds=self._rng.uniform(4, 70))
                self._answers_at[key] = (self._world.now + delay, draw > 0.3 or again >= 2)
        return self._answers_at[key]
