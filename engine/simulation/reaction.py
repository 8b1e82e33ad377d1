"""A reaction as room and physician treat it: signs, grade, orders, read-backs, doses, disposition; sometimes wrongly.

Rule: doses come from what the engine offers; a wrong one is that dose multiplied, to see that its limits hold.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from engine.kernel.commands import Actor, Command
from engine.kernel.ids import Stream
from engine.reactions import commands as c
from engine.reactions.state import Disposition, OfferedDose, ReactionState, Severity, StepState
from engine.workflows.session.commands import ReportPhysicianAway
from engine.workflows.session.state import SessionState

if TYPE_CHECKING:
    from engine.simulation.world import World

GRADES = (Severity.MILD, Severity.MILD, Severity.MODERATE, Severity.SEVERE)


class Team(Protocol):
    """Whose patient it is: a room's or a drill's people, as a treatment needs them."""

    @property
    def rng(self) -> Any:
        """Their stream of draws."""

    async def say(self, command: Command, actor: Actor | None = None, stream: Stream | None = None) -> None:
        """Send a command and wait for its answer."""

    def supervisor(self, s: SessionState) -> Actor | None:
        """Return the physician who is there."""


class Treatment:
    """Does the next thing for whichever reaction of a session is not documented yet."""

    def __init__(self, world: "World", room: Team) -> None:
        self._world = world
        self._room = room
        self._orders: dict[str, int] = {}

    async def step(self, s: SessionState) -> bool:
        """Do one thing; return whether there was one."""
        for reaction_id in s.reactions:
            stream = Stream("reaction", reaction_id)
            r: ReactionState = await self._world.state(stream)
            if r.version and not r.in_phase("documented"):
                return await self._treat(stream, s, r)
        return False

    async def _treat(self, stream: Stream, s: SessionState, r: ReactionState) -> bool:
        rng = self._room.rng
        doctor = self._room.supervisor(s)
        if r.in_phase("disposed"):
            await self._say(stream, c.DocumentReaction(allergy_documented=True, instructions_given=True))
        elif not r.signs:
            pack = self._world.base.pack
            signs = tuple(sign.id for sign in rng.sample(pack.signs, 2))
            await self._say(stream, c.RecordSigns(signs=signs))
        elif rng.random() < 0.15:
            await self._say(stream, _vitals(rng))
        elif doctor is None:
            return False
        elif (left := self._licence_over(s, doctor)) is not None:
            await self._room.say(left)
        elif r.severity is None:
            await self._grade(stream, r, doctor)
        else:
            await self._protocol(stream, r, doctor)
        return True

    def _licence_over(self, s: SessionState, doctor: Actor) -> Command | None:
        """Return what the technologist says when the physician may no longer direct: another one must come."""
        until = s.physician.valid_until if s.physician is not None else None
        if until is None or self._world.now < until:
            return None
        return ReportPhysicianAway(physician_id=doctor.person_id, cause="licence_over")

    async def _grade(self, stream: Stream, r: ReactionState, doctor: Actor) -> None:
        rng = self._room.rng
        grade = c.GradeReaction(
            severity=rng.choice(GRADES),
            presentation=rng.choice(self._world.base.pack.presentations),
            reason="as seen on the line",
        )
        await self._say(stream, grade, doctor)

    async def _protocol(self, stream: Stream, r: ReactionState, doctor: Actor) -> None:
        """Work on the protocol's steps for a while, then see the patient get well and go."""
        rng = self._room.rng
        done = self._orders.get(stream.id, 0)
        self._orders[stream.id] = done + 1
        open_steps = [s for s in r.steps.values() if {"ordered", "read_back"} & set(s.phases)]
        if open_steps:
            await self._carry_out(stream, open_steps[0], doctor)
        elif done == 6 and rng.random() < 0.2:
            await self._grade(stream, r, doctor)
        elif done < 14 and r.steps and not r.in_phase("resolved"):
            await self._order(stream, r, doctor)
        elif r.severity is Severity.SEVERE and r.emergency_called_at is None:
            await self._say(stream, c.RecordEmergencyCalled(service="ems"))
        elif not r.in_phase("resolved"):
            better = c.ReportResolved() if r.in_phase("improving") else c.ReportImproving()
            await self._say(stream, better)
        else:
            light = rng.random() < 0.5
            where = Disposition.DISCHARGED_HOME if light else Disposition.EMERGENCY_DEPARTMENT
            reason = "observed, well" if rng.random() < 0.7 else ""
            await self._say(stream, c.DisposeReaction(disposition=where, reason=reason), doctor)

    async def _order(self, stream: Stream, r: ReactionState, doctor: Actor) -> None:
        rng = self._room.rng
        in_force = [step for step in r.steps.values() if "superseded" not in step.phases]
        step: StepState = rng.choice(sorted(in_force, key=lambda one: one.offer.number))
        dose: OfferedDose | None = rng.choice(step.offer.doses) if step.offer.doses else None
        if dose is None:
            done: Command = c.RecordStepDone(step_id=step.offer.step_id)
            await self._say(
                stream, done if rng.random() < 0.7 else c.OrderStep(step_id=step.offer.step_id), doctor
            )
            return
        if dose.waits_for == "weight":
            weight = c.RecordPatientWeight(
                weight_kg=Decimal(rng.randrange(100, 1100)) / 10, method="estimated"
            )
            await self._say(stream, weight)
            return
        if dose.dose_mg is None:
            refuse = c.RefuseStep(step_id=step.offer.step_id, reason="the physician decides against it")
            await self._say(stream, refuse, doctor)
            return
        times = rng.choice((1, 1, 1, 1, 10)) if dose.dose_max_mg is None else 1
        amount = dose.dose_mg * times if times > 1 or dose.dose_max_mg is not None else None
        reason = "life at risk, no other way" if rng.random() < 0.15 else ""
        order = c.OrderStep(
            step_id=step.offer.step_id, row_id=dose.row_id, dose_mg=amount, override_reason=reason
        )
        await self._say(stream, order, doctor)

    async def _carry_out(self, stream: Stream, step: StepState, doctor: Actor) -> None:
        rng = self._room.rng
        order, name = step.order, step.offer.step_id
        if order is None:
            await self._say(stream, c.RecordStepDone(step_id=name))
        elif "ordered" in step.phases:
            heard = order.dose_mg
            if heard is not None and rng.random() < 0.1:
                heard *= 10
            await self._say(
                stream,
                c.ReadBackStep(
                    step_id=name,
                    dose_mg=heard,
                    concentration_mg_per_ml=order.concentration_mg_per_ml,
                    route=order.route,
                ),
            )
        elif rng.random() < 0.05:
            await self._say(stream, c.RefuseStep(step_id=name, reason="changed my mind"), doctor)
        else:
            await self._say(
                stream,
                c.RecordMedicationGiven(
                    step_id=name,
                    drug=order.drug,
                    route=order.route,
                    dose_mg=order.dose_mg,
                    concentration_mg_per_ml=order.concentration_mg_per_ml,
                    volume_ml=order.volume_ml,
                ),
            )

    async def _say(self, stream: Stream, command: Command, actor: Actor | None = None) -> None:
        await self._room.say(command, actor, stream)


def _vitals(rng: Any) -> c.RecordVitals:
    return c.RecordVitals(
        systolic_mmhg=rng.randrange(60, 160),
        diastolic_mmhg=rng.randrange(35, 95),
        heart_rate_bpm=rng.randrange(40, 150),
        spo2_percent=rng.randrange(82, 100),
        respiratory_rate_bpm=rng.randrange(8, 34),
        conscious=rng.random() < 0.95,
    )
