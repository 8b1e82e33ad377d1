"""A drill's debriefing: its score and its timeline, as values, as one JSON document and as PDF/A of the same words.

Rule: it only reads, and the same events give the same bytes. Every document says that it is a drill.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from engine.kernel.canonical import canonical_bytes, digest
from engine.kernel.commands import Command, Request
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.records.drill_score import Score, drilled, score
from engine.records.papers.render import printed
from engine.records.timeline import timeline
from engine.runtime.executor import Enricher, Executor
from engine.workflows.drill.commands import DebriefDrill
from engine.workflows.drill.events import PatientChanged
from engine.workflows.drill.scenario import FULL_MARKS
from engine.workflows.drill.state import DrillState
from engine.workflows.session.events import ReactionReported, SupervisionRequested

MARK = "DRILL: not a patient record"
FORMAT, TITLE = "attend-drill-debriefing/1", "Debriefing of a drill"

_LINKS = {ReactionReported: ("reaction", "reaction_id"), SupervisionRequested: ("ring", "ring_id")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Debriefing:
    """What a team talks over."""

    score: Score
    document: bytes

    @property
    def content_hash(self) -> str:
        """SHA-256 of the document; it is printed on the PDF."""
        return digest(self.document)

    def pdf(self) -> bytes:
        """Return the document printed; the same document gives the same bytes."""
        as_of = dt.datetime.fromisoformat(json.loads(self.document)["as_of"])
        return printed("drill_debriefing", self.document, as_of)


class Debriefings:
    """Makes debriefings of drills that are over, and fills what a debriefing keeps of them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {DebriefDrill: self.filled}

    async def of(self, drill: DrillState) -> Debriefing:
        """Return the debriefing of a drill as its events are now."""
        history = await self._history(drill)
        found = score(history)
        return Debriefing(score=found, document=document(drill, found, history))

    async def filled(self, state: DrillState, command: DebriefDrill, request: Request) -> Command:
        """Fill who took part and the points."""
        found = score(await self._history(state))
        return replace(command, participants=found.participants, points=found.points)

    async def _history(self, drill: DrillState) -> list[Recorded]:
        """Return the events of a drill, its session, and the session's reactions and rings, in log order."""
        found = await self._executor.history(Stream("drill", drill.drill_id))
        session = await self._executor.history(Stream("session", drill.session_id))
        for recorded in session:
            link = _LINKS.get(type(recorded.event))
            if link is not None:
                machine, name = link
                found += await self._executor.history(Stream(machine, getattr(recorded.event, name)))
        return sorted([*found, *session], key=lambda recorded: recorded.position)


def document(drill: DrillState, found: Score, history: Sequence[Recorded]) -> bytes:
    """Return the debriefing as canonical JSON: mark, script, points, times in seconds, checks, timeline."""
    scenario = drill.scenario
    assert scenario is not None
    told = list(drilled(history))
    return canonical_bytes(
        {
            "format": FORMAT,
            "title": TITLE,
            "as_of": told[-1].at,
            "mark": MARK,
            "drill_id": drill.drill_id,
            "session_id": drill.session_id,
            "scenario": {"id": scenario.id, "title": scenario.title, "notice": scenario.notice},
            "announced": drill.announced,
            "points": found.points,
            "out_of": FULL_MARKS,
            "times_s": {
                "onset_to_report": found.onset_to_report_s,
                "report_to_grade": found.report_to_grade_s,
                "onset_to_epinephrine_im": found.onset_to_epinephrine_im_s,
                "onset_to_emergency_call": found.onset_to_emergency_call_s,
            },
            "checks": [
                {"name": one.name, "worth": one.worth, "met": one.met, "findings": one.findings}
                for one in found.checks
            ],
            "participants": found.participants,
            "timeline": list(_timeline(told)),
        }
    )


def _timeline(told: Sequence[Recorded]) -> Iterator[dict[str, Any]]:
    """Yield the sentences of a drill with the seconds since the first sign, negative before it."""
    onset_at = next(
        (one.at for one in told if isinstance(one.event, PatientChanged) and one.event.signs), None
    )
    at = {one.id: one.at for one in told}
    for moment in timeline([_form(one) for one in told]):
        since = (at[moment.event_id] - onset_at).total_seconds() if onset_at is not None else None
        yield {
            "at": moment.at,
            "since_onset_s": None if since is None else round(since),
            "who": moment.who,
            "text": moment.text,
            "kind": moment.kind,
        }


def _form(recorded: Recorded) -> dict[str, Any]:
    """Return an event as the timeline reads it."""
    return {
        "stream": str(recorded.stream),
        "version": recorded.version,
        "type": recorded.type,
        "at": recorded.at.isoformat(),
        "flags": list(recorded.flags),
        "actor": {"person_id": recorded.actor.person_id, "role": recorded.actor.role},
        "payload": msgspec.to_builtins(recorded.event),
    }
