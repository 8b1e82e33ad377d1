"""Fills the evidence of commands that need to know about people, sites and rules, just before the decision.

Rule: it looks up and asks; it never refuses on clinical ground. A site or room that the directory does not have is a
mistake of form and named as one. What was found lands in the event, so an auditor sees what was known.
"""

from collections.abc import Mapping
from dataclasses import replace

from engine.kernel.clock import Clock
from engine.kernel.commands import Command, Request
from engine.people.evidence import physician_evidence, responder_evidence
from engine.people.registry import Registry
from engine.people.treatment import TreatmentEnrichers
from engine.people.verdict import Rules
from engine.runtime.executor import Enricher
from engine.workflows.coverage import commands as coverage
from engine.workflows.coverage.state import CoverageState, RoomRef
from engine.workflows.directory.chart import RUNGS
from engine.workflows.ring import commands as ring
from engine.workflows.ring.state import Candidate, RingEvidence, RingState, Rung
from engine.workflows.session import commands as session
from engine.workflows.session.state import CredentialEvidence, SessionState


class PeopleEnrichers:
    """The enrichers that look at people."""

    def __init__(self, registry: Registry, rules: Rules, clock: Clock, *, demo: bool = False) -> None:
        self._registry = registry
        self._rules = rules
        self._clock = clock
        self._demo = demo

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {
            session.ScheduleSession: self.site,
            session.AmendOrder: self.room,
            session.CheckInResponder: self.responder,
            session.AssignPhysician: self.physician,
            session.OfferHandOff: self.offer,
            session.AcceptHandOff: self.hand_off,
            session.RequestSupervision: self.reachable,
            session.EvaluateRules: self.verdict,
            session.GrantReady: self.ready,
            session.StartInjection: self.ready,
            ring.StartRing: self.ladder,
            ring.AnswerRing: self.answer,
            coverage.HoldCoverage: self.window,
            **TreatmentEnrichers(self._registry, self._clock).all(),
        }

    async def site(self, state: SessionState, command: session.ScheduleSession, request: Request) -> Command:
        """Fill state, setting, the room's modality and demo on a demo server. Raises Invalid for no such place."""
        site = await self._registry.site(command.organization_id, command.site_id)
        modality = await self._registry.modality(command.organization_id, command.site_id, command.room_id)
        return replace(
            command,
            site_state=site.state,
            setting=site.setting,
            room_modality=modality,
            demo=command.demo or self._demo,
        )

    async def room(self, state: SessionState, command: session.AmendOrder, request: Request) -> Command:
        """Let an order move to a room of its site only. Raises Invalid("room_id", …)."""
        modality = await self._registry.modality(state.organization_id, state.site_id, command.room_id)
        return replace(command, room_modality=modality)

    async def responder(
        self, state: SessionState, command: session.CheckInResponder, request: Request
    ) -> Command:
        """Fill what is known of the responder."""
        return replace(command, evidence=await self._responder(state, command.responder_id))

    async def physician(
        self, state: SessionState, command: session.AssignPhysician, request: Request
    ) -> Command:
        """Fill what is known of the physician who answered."""
        return replace(command, evidence=await self._physician(state, command.physician_id))

    async def offer(self, state: SessionState, command: session.OfferHandOff, request: Request) -> Command:
        """Fill what is known of the physician it is offered to."""
        return replace(command, evidence=await self._physician(state, command.to_physician_id))

    async def hand_off(
        self, state: SessionState, command: session.AcceptHandOff, request: Request
    ) -> Command:
        """Fill what is known of the physician who accepts."""
        person = request.actor.person_id
        window = await self._registry.live_window(person, self._clock.now())
        elsewhere = await self._treats_elsewhere(window, person, state.session_id)
        return replace(
            command, evidence=await self._physician(state, person), in_reaction_elsewhere=elsewhere
        )

    async def verdict(self, state: SessionState, command: session.EvaluateRules, request: Request) -> Command:
        """Ask the rules about the session as it stands."""
        physician = await self._physician(state, state.physician.person_id) if state.physician else None
        responder = await self._responder(state, state.responder.person_id) if state.responder else None
        directory = await self._registry.directory(state.organization_id)
        now = self._clock.now()
        return replace(command, verdict=self._rules.evaluate(state, directory, physician, responder, now))

    async def ready(
        self, state: SessionState, command: session.GrantReady | session.StartInjection, request: Request
    ) -> Command:
        """Look at both people again and ask the rules again."""
        asked = await self.verdict(state, session.EvaluateRules(), request)
        assert isinstance(asked, session.EvaluateRules)
        physician = await self._physician(state, state.physician.person_id) if state.physician else None
        responder = await self._responder(state, state.responder.person_id) if state.responder else None
        return replace(command, verdict=asked.verdict, physician=physician, responder=responder)

    async def reachable(
        self, state: SessionState, command: session.RequestSupervision, request: Request
    ) -> Command:
        """Fill whether the ring that follows would ring nobody, so that the room is told at once."""
        rungs, contact = await self._ladder(state)
        return replace(command, nobody_to_ring=not contact and not any(rung.people for rung in rungs))

    async def ladder(self, state: RingState, command: ring.StartRing, request: Request) -> Command:
        """Fill who is rung, and the named human above."""
        rungs, contact = await self._ladder(command)
        return replace(command, ladder=rungs, contact=contact)

    async def _ladder(self, where: SessionState | ring.StartRing) -> tuple[tuple[Rung, ...], str]:
        """Return who is rung: live windows that cover the room, then the site's roster, licensed people only."""
        now = self._clock.now()
        directory = await self._registry.directory(where.organization_id)
        site = directory.sites.get(where.site_id)
        roster = directory.rosters.get(where.site_id, {})
        windows = {window.physician_id: window for window in await self._registry.live_windows(now)}
        holders = tuple(
            person for person, window in windows.items() if _covers(window, where.site_id, where.room_id)
        )
        asked: set[str] = set()
        rungs = []
        for name in RUNGS:
            wanted = (*(holders if name == RUNGS[0] else ()), *roster.get(name, ()))
            people = []
            for person in dict.fromkeys(wanted):
                evidence = physician_evidence(directory, person, site.state if site else "", now)
                if person in asked or evidence.problems or _busy(windows.get(person)):
                    continue
                if await self._registry.treats_elsewhere(person, where.session_id):
                    continue
                asked.add(person)
                window = windows.get(person)
                people.append(Candidate(person_id=person, coverage_id=window.coverage_id if window else ""))
            rungs.append(Rung(name=name, people=tuple(people)))
        return tuple(rungs), site.coverage_manager_id if site else ""

    async def answer(self, state: RingState, command: ring.AnswerRing, request: Request) -> Command:
        """Fill what is known of the physician who answers."""
        now = self._clock.now()
        person = request.actor.person_id
        directory = await self._registry.directory(state.organization_id)
        site = directory.sites.get(state.site_id)
        found = physician_evidence(directory, person, site.state if site else "", now)
        window = await self._registry.live_window(person, now)
        evidence = RingEvidence(
            person_id=person,
            coverage_id=window.coverage_id if window else "",
            covers=window is not None and _covers(window, state.site_id, state.room_id),
            in_reaction_elsewhere=await self._treats_elsewhere(window, person, state.session_id),
            at_capacity=window is not None
            and state.session_id not in window.sessions
            and len(window.sessions) >= window.cap,
            problems=found.problems,
        )
        return replace(command, evidence=evidence)

    async def window(self, state: CoverageState, command: coverage.HoldCoverage, request: Request) -> Command:
        """Fill the physician's problems over every state that the window touches."""
        now = self._clock.now()
        directory = await self._registry.directory(state.organization_id)
        problems: list[str] = []
        for room in state.rooms:
            site = directory.sites.get(room.site_id)
            found = physician_evidence(directory, state.physician_id, site.state if site else "", now)
            problems.extend(found.problems)
        return replace(command, problems=tuple(dict.fromkeys(problems)))

    async def _treats_elsewhere(self, window: CoverageState | None, person_id: str, session_id: str) -> bool:
        """Return whether a physician treats a reaction of another session: by their window, or with none held."""
        if _busy(window) and window is not None and window.reaction_session != session_id:
            return True
        return await self._registry.treats_elsewhere(person_id, session_id)

    async def _physician(self, state: SessionState, person_id: str) -> CredentialEvidence:
        directory = await self._registry.directory(state.organization_id)
        return physician_evidence(directory, person_id, state.site_state, self._clock.now())

    async def _responder(self, state: SessionState, person_id: str) -> CredentialEvidence:
        directory = await self._registry.directory(state.organization_id)
        return responder_evidence(directory, person_id, state.site_state, self._clock.now())


def _covers(window: CoverageState, site_id: str, room_id: str) -> bool:
    return RoomRef(site_id=site_id, room_id=room_id) in window.rooms


def _busy(window: CoverageState | None) -> bool:
    return window is not None and "in_reaction" in window.phases
