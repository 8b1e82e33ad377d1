"""Several machines side by side with the real policies between them: a small hospital without store, clock or network.

Rule: policies run on every event in the order of the log, as the runner does it; a refusal is kept, never hidden.
"""

import datetime as dt
from dataclasses import replace
from typing import Any

from msgspec import structs

from engine.kernel.commands import Actor, Command, TimerFired
from engine.kernel.errors import Rejected
from engine.kernel.events import Event, Recorded
from engine.people.view import RINGING, Seen
from engine.policies import POLICIES
from engine.workflows.coverage import commands as coverage
from engine.workflows.coverage.state import RoomRef
from engine.workflows.ring import commands as ring
from engine.workflows.ring.state import Candidate, RingEvidence, Rung
from engine.workflows.session import commands as session
from tests.workflows.machines import machine
from tests.workflows.play import START, SYSTEM, Play
from tests.workflows.session import stories as s

LADDER = (Rung(name="primary", people=(Candidate(person_id="md-1"), Candidate(person_id="md-2"))),)


class Hall:
    """Streams by name. `do` runs a command, then every policy until nothing follows any more."""

    def __init__(self) -> None:
        self.now = START
        self.plays: dict[str, Play] = {}
        self.refused: list[str] = []
        self.waiting: list[tuple[str, Recorded]] = []

    def play(self, machine_name: str, identifier: str) -> Play:
        """Return a stream, new if it is not there."""
        key = f"{machine_name}/{identifier}"
        if key not in self.plays:
            self.plays[key] = Play(machine(machine_name), identifier)
        return self.plays[key]

    def state(self, machine_name: str, identifier: str) -> Any:
        """Return a stream's state."""
        return self.play(machine_name, identifier).state

    def rings(self, session_id: str = "ses-1") -> list[str]:
        """Return the ids of a session's rings that ring."""
        return [
            play.stream.id
            for play in self.plays.values()
            if play.stream.machine == "ring"
            and play.state.session_id == session_id
            and RINGING & set(play.state.phases)
        ]

    def do(self, machine_name: str, identifier: str, command: Command, by: Actor = SYSTEM) -> None:
        """Run a command with its evidence, then what follows from it."""
        self._run(machine_name, identifier, command, by)
        self._follow()

    def race(self, *asked: tuple[str, str, Command, Actor]) -> None:
        """Run commands one after another before any policy comes to its turn."""
        for one in asked:
            self._run(*one)
        self._follow()

    def race_then_lapse(self, asked: tuple[str, str, Command, Actor], coverage_id: str) -> None:
        """Run a command, let a lease run out, and only then let the policies come to their turn."""
        self._run(*asked)
        due_at = self.play("coverage", coverage_id).timers["lease"]
        self.now = due_at
        self._run("coverage", coverage_id, TimerFired(name="lease", due_at=due_at), SYSTEM)
        self._follow()

    def again(self, machine_name: str, identifier: str, kind: type[Event]) -> None:
        """Handle a stream's first event of a kind again, as after a crash, though its outcomes were kept nowhere."""
        play = self.play(machine_name, identifier)
        old = next(recorded for recorded in play.log if isinstance(recorded.event, kind))
        correlation = identifier if machine_name == "session" else getattr(play.state, "session_id", "")
        self.waiting.append((correlation, structs.replace(old, correlation=correlation)))
        self._follow()

    def wait(self, seconds: float) -> None:
        """Let time pass second by second: every timer at its moment, what follows at once."""
        for _ in range(int(seconds)):
            self.now += dt.timedelta(seconds=1)
            for play in list(self.plays.values()):
                for name, due_at in sorted(play.timers.items()):
                    if due_at <= self.now and play.timers.get(name) == due_at:
                        fired = TimerFired(name=name, due_at=due_at)
                        self._run(play.stream.machine, play.stream.id, fired, SYSTEM)
            self._follow()

    def _run(self, machine_name: str, identifier: str, command: Command, by: Actor) -> None:
        play = self.play(machine_name, identifier)
        play.now = self.now
        before = len(play.log)
        play.do(self._enriched(play, command, by), by)
        correlation = identifier if machine_name == "session" else getattr(play.state, "session_id", "")
        self.waiting += [
            (correlation, structs.replace(recorded, correlation=correlation))
            for recorded in play.log[before:]
        ]

    def _follow(self) -> None:
        for _ in range(5000):
            if not self.waiting:
                return
            session_id, recorded = self.waiting.pop(0)
            for policy in POLICIES:
                for request in policy(recorded, self._view(session_id)):
                    try:
                        self._run(request.stream.machine, request.stream.id, request.command, request.actor)
                    except Rejected as refusal:
                        self.refused.append(f"{policy.__name__}:{refusal.reason}")
        raise AssertionError("policies go round in a circle")

    def _view(self, session_id: str) -> Seen:
        state = self.state("session", session_id) if session_id else None
        asked = (
            [self.state("ring", f"{session_id}-{n}") for n in range(1, state.requests + 1)] if state else []
        )
        rings = tuple(ring for ring in asked if not ring.version or RINGING & set(ring.phases))
        return Seen(session_id, state, rings, self._live(), lambda site: (("oru", "ris"),))

    def _live(self) -> dict[str, str]:
        return {
            play.state.physician_id: play.stream.id
            for play in self.plays.values()
            if play.stream.machine == "coverage" and play.state.live(self.now)
        }

    def _enriched(self, play: Play, command: Command, by: Actor) -> Command:
        if isinstance(command, ring.StartRing):
            return replace(command, ladder=LADDER, contact="cm-1")
        if isinstance(command, ring.AnswerRing):
            return replace(command, evidence=self._answering(play, by.person_id))
        if isinstance(command, session.AssignPhysician):
            who = s.DOC if command.physician_id == "md-1" else s.OTHER
            return replace(command, evidence=s.evidence(who))
        if isinstance(command, session.AcceptHandOff):
            return replace(command, evidence=s.evidence(s.DOC if by.person_id == "md-1" else s.OTHER))
        if isinstance(command, session.EvaluateRules):
            return replace(command, verdict=s.verdict())
        if isinstance(command, session.SealRecord):
            return replace(command, record_hash="h", key_id="k", public_key="p", signature="s")
        return command

    def _answering(self, play: Play, person: str) -> RingEvidence:
        window = self._live().get(person, "")
        state = self.state("coverage", window) if window else None
        return RingEvidence(
            person_id=person,
            coverage_id=window,
            in_reaction_elsewhere=bool(state and state.reaction_session not in {"", play.state.session_id}),
            at_capacity=bool(state and len(state.sessions) >= state.cap),
        )


def window(hall: Hall, who: Actor, cap: int = 2) -> str:
    """Give a physician a held window; return its id."""
    identifier = f"cov-{who.person_id}"
    hall.do(
        "coverage",
        identifier,
        coverage.OfferCoverage(
            organization_id="org-1",
            physician_id=who.person_id,
            rooms=(RoomRef(site_id="site-1", room_id="ct-1"),),
            starts_at=START,
            ends_at=START + dt.timedelta(hours=12),
            cap=cap,
        ),
    )
    hall.do("coverage", identifier, coverage.HoldCoverage(), who)
    return identifier


def beat(hall: Hall, *people: Actor, seconds: int) -> None:
    """Let time pass while these physicians' consoles keep their leases."""
    for _ in range(0, seconds, 5):
        for who in people:
            hall.do("coverage", f"cov-{who.person_id}", coverage.RenewLease(), who)
        hall.wait(5)


def up_to(hall: Hall, phase: str, session_id: str = "ses-1", who: Actor = s.DOC) -> None:
    """Bring a session the uneventful way to a phase, its ring answered by a physician."""
    for name, steps in s.WAY:
        if name == "closing":
            beat(hall, who, seconds=1800)
        if name == "identifying":
            (ring_id,) = hall.rings(session_id)
            hall.do("ring", ring_id, ring.AnswerRing(), who)
        for command, by in steps:
            if isinstance(command, session.AssignPhysician | session.SealRecord):
                continue
            asked = s.grant(physician=s.evidence(who)) if isinstance(command, session.GrantReady) else command
            hall.do("session", session_id, asked, who if by is s.DOC else by)
        if name == "injecting":
            token = hall.state("session", session_id).ready.token
            hall.do("session", session_id, s.start(token, physician=s.evidence(who)), s.TECH)
        if name == phase:
            return
