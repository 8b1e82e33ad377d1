"""One drill as its people live it: planned, called off, begun, missed, treated, handed over, broken off, debriefed.

Rule: like a room's people they look and act and hold nothing the engine should know; what they are told of a drill that
is over they keep, to see that it is told the same again.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from engine.kernel.commands import Actor, Command
from engine.kernel.ids import Stream
from engine.reactions.commands import RecordEmergencyCalled, RecordMedicationGiven
from engine.runtime.executor import Outcome
from engine.simulation.clinic import Clinic, Place, physician, technologist
from engine.simulation.reaction import Treatment
from engine.simulation.room import MEDIA, PROOF
from engine.simulation.world import World
from engine.workflows.drill import commands as c
from engine.workflows.drill.state import DrillState
from engine.workflows.session import commands as sc
from engine.workflows.session.state import SessionState

LONGEST = dt.timedelta(hours=3)
CRASH_WITHIN = 3


class Practice:
    """Drives one drill to its end."""

    def __init__(self, world: World, clinic: Clinic, place: Place, number: int) -> None:
        self._world = world
        self._clinic = clinic
        self._place = place
        self.drill_id = f"drill-{number}"
        self.session_id = f"{self.drill_id}-session"
        self.rng = world.stream(self.drill_id)
        self._technologist = technologist(place)
        self._director = self._staff("director", "medical_director")
        self._treatment = Treatment(world, self)
        self._waiting = False
        self._born: dt.datetime | None = None
        self._told = 0
        self._plan()
        self.over = False

    def _plan(self) -> None:
        """Draw how this drill will go."""
        draw = self.rng.random
        self._announced = draw() < 0.5
        self._called_off = draw() < 0.15
        self._broken_off = draw() < 0.2
        self._missed = draw() < 0.25
        self._skilled = draw() < 0.5
        self._hands_over = draw() < 0.5
        self._crashes = draw() < 0.4
        self._ends_early = draw() < 0.5
        self._debriefs = draw() < 0.8

    async def look(self) -> None:
        """Look at the drill, do one thing, and look again later."""
        if self._waiting:
            self._world.after(3, self.look)
            return
        began = self._born = self._born or self._world.now
        drill: DrillState = await self._world.state(self._stream)
        pause = await _STEPS[drill.phases[0]](self, drill)
        self.over = pause is None or self._world.now - began > LONGEST
        if pause is not None and not self.over:
            self._world.after(pause, self.look)

    async def say(self, command: Command, actor: Actor | None = None, stream: Stream | None = None) -> None:
        """Send one command and wait for its answer before doing anything else."""
        self._waiting = True

        def answered(outcome: Outcome | None) -> None:
            self._waiting = False

        where = stream or Stream("session", self.session_id)
        # What belongs to the session carries it, as a porch would; a drill belongs to none.
        belongs = "" if where == self._stream else self.session_id
        await self._world.send(
            where, command, actor or self._technologist, session_id=belongs, answered=answered
        )

    def supervisor(self, s: SessionState) -> Actor | None:
        """Return the physician who is in the drill, if one is."""
        if s.physician is None or not s.physician_present:
            return None
        return physician(self._place.organization_id, s.physician.person_id)

    @property
    def _stream(self) -> Stream:
        return Stream("drill", self.drill_id)

    def _staff(self, name: str, role: str) -> Actor:
        organization = self._place.organization_id
        return Actor(person_id=f"{organization}-{name}", role=role, organization_id=organization)

    async def _drill(self, command: Command) -> None:
        await self.say(command, self._director, self._stream)

    async def _unplanned(self, drill: DrillState) -> float | None:
        scenarios = self._world.life.executor.machines["drill"].objectives.scenarios
        due_at = (
            None if self._announced else self._world.now + dt.timedelta(seconds=self.rng.uniform(60, 600))
        )
        await self._drill(
            c.PlanDrill(
                organization_id=self._place.organization_id,
                site_id=self._place.site_id,
                room_id=self._place.room_id,
                scenario_id=self.rng.choice(sorted(scenarios)),
                announced=self._announced,
                due_at=due_at,
            )
        )
        return 30

    async def _planned(self, drill: DrillState) -> float | None:
        if self._called_off:
            await self._drill(c.CancelDrill(reason="the room is needed"))
        elif drill.announced:
            await self._drill(c.StartDrill())
        return 20

    async def _running(self, drill: DrillState) -> float | None:
        s: SessionState = await self._world.state(Stream("session", self.session_id))
        if s.version == 0:
            return 3
        if self._crashes and s.reactions and self._world.life.store.crash_in is None:
            self._crashes = False
            self._world.faults["crash_in_drill"] += 1
            self._world.life.store.crash_in = self.rng.randrange(CRASH_WITHIN)
        if drill.signs and not s.reactions:
            if self._missed:
                return 60  # nobody notices; the patient goes on by the script
            await self.say(sc.ReportReaction())
            return self.rng.uniform(3, 30)
        if s.reactions:
            return await self._treated(drill, s)
        return self.rng.uniform(10, 40)

    async def _treated(self, drill: DrillState, s: SessionState) -> float | None:
        if self._broken_off and self.rng.random() < 0.1:
            await self._drill(c.CancelDrill(reason="a patient needs the room"))
            return 20
        if self._ends_early and drill.stage == "improving" and self.rng.random() < 0.1:
            await self._drill(c.EndDrill())
            return 20
        if self._skilled:
            self._skilled = False
            await self._epinephrine(s)
        elif not (await self._line(s) or await self._hand_over(s)) and not await self._treatment.step(s):
            return 20
        return self.rng.uniform(4, 20)

    async def _epinephrine(self, s: SessionState) -> None:
        """The responder gives it at once, by standing order or on nobody's, and the technologist calls."""
        responder = Actor(
            person_id=self._place.responder_id,
            role="responder",
            organization_id=self._place.organization_id,
        )
        stream = Stream("reaction", s.reactions[-1])
        dose = RecordMedicationGiven(
            drug="epinephrine",
            route="IM",
            dose_mg=Decimal("0.3"),
            concentration_mg_per_ml=Decimal(1),
            volume_ml=Decimal("0.3"),
        )
        await self.say(dose, responder, stream)
        await self.say(RecordEmergencyCalled(service="ems"), None, stream)

    async def _line(self, s: SessionState) -> bool:
        """Bring the drill's line up while somebody is there; return whether something was done."""
        if not s.physician_present or s.in_phase("verified") or self.rng.random() < 0.5:
            return False
        up = s.in_phase("connecting", "degraded")
        await self.say(sc.ReportLineVerified(evidence=PROOF) if up else sc.ReportLineConnecting(), MEDIA)
        return True

    async def _hand_over(self, s: SessionState) -> bool:
        """Hand the drill to another physician; return whether something was done."""
        doctor = self.supervisor(s)
        if s.hand_off_to:
            await self.say(sc.AcceptHandOff(), physician(self._place.organization_id, s.hand_off_to))
            return True
        if not self._hands_over or doctor is None:
            return False
        self._hands_over = self.rng.random() < 0.5
        other = self.rng.choice([one for one in self._clinic.physicians if one != doctor.person_id])
        await self.say(sc.OfferHandOff(to_physician_id=other), doctor)
        return True

    async def _ended(self, drill: DrillState) -> float | None:
        """Keep what is told of it, twice with time between, then debrief."""
        made = await self._world.life.debriefings.of(drill)
        self._world.told.debriefings.setdefault(self.drill_id, []).append(made.document)
        self._told += 1
        if self._told < 2:
            return 120
        if not self._debriefs:
            return None
        await self._drill(c.DebriefDrill(notes="talked over"))
        return 30

    async def _over(self, drill: DrillState) -> float | None:
        return None


_STEPS: dict[str, Callable[[Any, DrillState], Awaitable[float | None]]] = {
    "unplanned": Practice._unplanned,
    "planned": Practice._planned,
    "running": Practice._running,
    "ended": Practice._ended,
    "debriefed": Practice._over,
    "cancelled": Practice._over,
}
