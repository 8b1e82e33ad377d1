"""One scripted person as a process of their own: a gRPC client with a WebRTC peer that follows their part of a story.

Run as `python -m engine.demo.person`; reads one JSON line of orders on standard input, says `done` or what differed.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import grpc

from engine.demo.caller import Caller, Refused
from engine.demo.script import Advance, Await, Camera, Do, Step
from engine.demo.scripts.stories import STORIES
from media.peer import SyntheticPeer

AWAIT_S = 60.0
HEARTBEAT_S = 3.0
RETRIES = 5
AGAIN = frozenset({"RECORD_CHANGED", "RECORD_UNCONFIRMED", "LINE_UNVERIFIED"})
PLACES = {"technologist": "LINE_PARTICIPANT_TECHNOLOGIST", "physician": "LINE_PARTICIPANT_PHYSICIAN"}


class Differs(Exception):
    """Something did not go as the story says."""


class Seen:
    """What the person sees: the session's events, and what they look up when they need it."""

    def __init__(self, caller: Caller, session_id: str) -> None:
        self._caller = caller
        self.session_id = session_id
        self.events: list[Any] = []
        self.changed = asyncio.Condition()

    def last(self, kind: str) -> Any:
        """Return the newest event of a type."""
        for event in reversed(self.events):
            if event.type == kind:
                return event
        raise Differs(f"no {kind} was seen")

    def now(self) -> str:
        """Return the engine's time as far as the person knows it."""
        moment: str = self.events[-1].at.ToJsonString()
        return moment

    def ready_token(self) -> str:
        """Return the READY token on the screen."""
        token: str = json.loads(self.last("ReadyGranted").summary_json)["ready"]["token"]
        return token

    def ring_id(self) -> str:
        """Return the ring that rings."""
        return str(self.last("RingStarted").stream).partition("/")[2]

    def reaction_id(self) -> str:
        """Return the reaction that is open."""
        return str(self.last("ReactionOpened").stream).partition("/")[2]

    async def identifiers(self) -> Mapping[str, Any]:
        """Read name and birth date as the patient says them (here: as the order has them)."""
        fields = {"session_id": self.session_id, "include_identity": True, "purpose": "identify the patient"}
        found = (await self._caller.call("SessionService.GetSession", fields)).session.identity
        born = found.birth_date
        return {
            "family": found.family,
            "given": found.given,
            "birth_date": {"year": born.year, "month": born.month, "day": born.day},
        }

    async def record_hash(self) -> str:
        """Read the record and return the hash of what was read."""
        fields = {"session_id": self.session_id, "purpose": "read before signing"}
        content: str = (await self._caller.call("RecordService.GetRecord", fields)).body_hash
        return content

    async def _steps(self) -> list[Any]:
        found = await self._caller.call("ReactionService.GetReaction", {"reaction_id": self.reaction_id()})
        return sorted(found.reaction.steps.values(), key=lambda step: step.offer.number)

    async def offer(self, drug: str, route: str, **change: str) -> Mapping[str, Any]:
        """Return the order of a drug as the protocol offers it, of a range its lower end; with what is changed."""
        for step in await self._steps():
            for dose in step.offer.doses:
                if dose.drug == drug and route in ("", dose.route):
                    chosen = {"step_id": step.offer.step_id, "row_id": dose.row_id}
                    lower = {"dose_mg": dose.dose_mg} if dose.dose_max_mg else {}
                    return {**chosen, **lower, **change}
        raise Differs(f"the protocol offers no {drug} {route}")

    async def step(self, drug: str) -> Mapping[str, Any]:
        """Return the step of the protocol that gives a drug, to be reported as done."""
        for step in await self._steps():
            if any(dose.drug == drug for dose in step.offer.doses):
                return {"step_id": step.offer.step_id}
        raise Differs(f"no step gives {drug}")

    async def read_back(self, times: int = 1) -> Mapping[str, Any]:
        """Return the newest open order as the room repeats it; `times` makes a mistake."""
        step = await self._open("STEP_PHASE_ORDERED")
        order = step.order
        spoken: dict[str, Any] = {"step_id": step.offer.step_id, "route": order.route}
        if order.HasField("dose_mg"):
            spoken["dose_mg"] = str(Decimal(order.dose_mg) * times)
        if order.HasField("concentration_mg_per_ml"):
            spoken["concentration_mg_per_ml"] = order.concentration_mg_per_ml
        return spoken

    async def given(self) -> Mapping[str, Any]:
        """Return the order that was read back, as given where the protocol says on the body."""
        step = await self._open("STEP_PHASE_READ_BACK")
        order = step.order
        done: dict[str, Any] = {
            "step_id": step.offer.step_id,
            "drug": order.drug,
            "route": order.route,
            "given_at": self.now(),
            "site": next(dose.site for dose in step.offer.doses if dose.row_id == order.row_id),
        }
        for name in ("dose_mg", "concentration_mg_per_ml", "volume_ml"):
            if order.HasField(name):
                done[name] = getattr(order, name)
        return done

    async def _open(self, phase: str) -> Any:
        for step in await self._steps():
            names = [
                step.DESCRIPTOR.fields_by_name["phases"].enum_type.values_by_number[n].name
                for n in step.phases
            ]
            if phase in names and step.HasField("order"):
                return step
        raise Differs(f"no step is in {phase}")


class Person:
    """Follows one part of a script."""

    def __init__(
        self,
        role: str,
        caller: Caller,
        others: Mapping[str, Caller],
        session_id: str,
        run: str,
        coverage_id: str,
    ) -> None:
        self._role = role
        self._caller = caller
        self._others = others
        self._run = run
        self._coverage_id = coverage_id
        self._count = 0
        self._awaited = 0
        self._peer: SyntheticPeer | None = None
        self._leg = ""
        self.seen = Seen(caller, session_id)

    async def follow(self, steps: tuple[Step, ...]) -> None:
        """Do every step in order. Raises Differs naming the step that went otherwise."""
        tasks = [asyncio.create_task(self._watch())]
        if self._coverage_id:
            await self._call("CoverageService.HoldCoverage", {})
            tasks.append(asyncio.create_task(self._heartbeat()))
        try:
            for number, step in enumerate(steps, 1):
                try:
                    await self._step(step)
                except Differs as differs:
                    raise Differs(f"step {number} of the {self._role}, {step}: {differs}") from None
                except (Refused, grpc.aio.AioRpcError, TimeoutError) as error:
                    raise Differs(f"step {number} of the {self._role}, {step}: {error!r}") from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._peer is not None:
                await self._peer.leave()
            for one in (self._caller, *self._others.values()):
                await one.close()

    async def _step(self, step: Step) -> None:
        if isinstance(step, Do):
            await self._do(step)
        elif isinstance(step, Await):
            await self._await(step)
        elif isinstance(step, Camera):
            await self._camera(step.action)
        elif isinstance(step, Advance):
            await self._others["clock"].call("DemoService.AdvanceClock", {"by": f"{step.seconds}s"})

    async def _do(self, step: Do) -> None:
        for attempt in range(RETRIES):
            fields = step.fields(self.seen) if callable(step.fields) else step.fields
            if inspect.isawaitable(fields):
                fields = await fields
            wanted = {
                key: await value if inspect.isawaitable(value) else value for key, value in fields.items()
            }
            try:
                await self._call(step.rpc, wanted, step.by)
            except Refused as refused:
                if refused.reason == step.refused:
                    _tell(step, refused)
                    return
                if refused.reason not in AGAIN or attempt == RETRIES - 1:
                    raise
                await asyncio.sleep(1)
            else:
                if step.refused:
                    raise Differs(f"it should have been refused with {step.refused}")
                return

    async def _call(self, rpc: str, fields: Mapping[str, Any], by: str = "") -> Any:
        self._count += 1
        takes = self._caller.takes(rpc)
        full: dict[str, Any] = {}
        if "header" in takes:
            full["header"] = {"request_id": f"{self._run}-{self._role}-{self._count:03d}"}
        if "session_id" in takes:
            full["session_id"] = self.seen.session_id
        if "coverage_id" in takes:
            full["coverage_id"] = self._coverage_id
        if "reaction_id" in takes:
            full["reaction_id"] = self.seen.reaction_id()
        caller = self._others[by] if by else self._caller
        return await caller.call(rpc, {**full, **fields})

    async def _await(self, step: Await) -> None:
        async with asyncio.timeout(AWAIT_S), self.seen.changed:
            while True:
                for event in self.seen.events:
                    if event.type == step.event and event.position > self._awaited:
                        self._awaited = event.position
                        return
                await self.seen.changed.wait()

    async def _camera(self, action: str) -> None:
        if action == "join":
            self._peer = SyntheticPeer()
            await self._peer.join(self._exchange)
        elif action == "leave":
            fields = {"participant": PLACES[self._role], "leg_id": self._leg}
            await self._call("MediaService.LeaveLine", fields)
        elif self._peer is not None:
            self._peer.mute_video(action == "stop_video")

    async def _exchange(self, offer_sdp: str) -> str:
        fields = {"participant": PLACES[self._role], "offer_sdp": offer_sdp}
        joined = await self._call("MediaService.JoinLine", fields)
        self._leg = joined.leg_id
        answer: str = joined.answer_sdp
        return answer

    async def _watch(self) -> None:
        position = 0
        while True:
            try:
                async for event in self._caller.watch(self.seen.session_id, position):
                    position = event.position
                    async with self.seen.changed:
                        self.seen.events.append(event)
                        self.seen.changed.notify_all()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.2)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._call("CoverageService.RenewLease", {})


def _tell(step: Do, refused: Refused) -> None:
    """Say a refusal that the story expects, as a line for the narrator: nothing else of it is left anywhere."""
    told = {
        "rpc": step.rpc.partition(".")[2],
        "reason": refused.reason,
        "sentence": refused.sentence,
        "by": step.by,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def play(orders: Mapping[str, str]) -> None:
    """Play one part. `orders`: role, script, target, the three tokens, session_id, run, coverage_id."""
    story = STORIES[orders["script"]]
    steps = story.technologist if orders["role"] == "technologist" else story.physician
    caller = Caller(orders["target"], orders["token"])
    others = {name: Caller(orders["target"], orders[f"{name}_token"]) for name in ("clock", "responder")}
    person = Person(
        orders["role"], caller, others, orders["session_id"], orders["run"], orders.get("coverage_id", "")
    )
    await person.follow(steps)


def main() -> int:
    """Read orders, play, and say how it went."""
    orders = json.loads(sys.stdin.readline())
    try:
        asyncio.run(play(orders))
    except Differs as differs:
        sys.stdout.write(f"{differs}\n")
        return 1
    sys.stdout.write("done\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
