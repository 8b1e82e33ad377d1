"""Asks the protocols about a screening just before it is recorded, reviewed or cleared; the event shows the answer.

Rule: it gathers and asks; it refuses nothing. `questionnaire` is the one place where what a session knows becomes what
the rows are asked: a laboratory feed that brings an eGFR adds it to the session's facts, and to this function.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args, get_type_hints

from engine.kernel.clock import Clock
from engine.kernel.commands import Command, Request
from engine.people.registry import Registry
from engine.people.verdict import site_zone
from engine.reactions.care_rows import Question
from engine.reactions.pack import Pack
from engine.reactions.premedication import Offer
from engine.reactions.questionnaire import PriorReaction, Questionnaire, agents_named
from engine.reactions.screening import screen
from engine.reactions.weight import weight_doubt
from engine.runtime.executor import Enricher
from engine.workflows.session import commands as c
from engine.workflows.session.state import (
    Premedication,
    PremedicationDose,
    Screening,
    ScreeningEvidence,
    ScreeningFinding,
    SessionState,
    answer,
)

QUESTIONS: tuple[Question, ...] = get_args(Question)


class ScreeningEnrichers:
    """The enrichers that ask a pack. With `resolve_doses` off, premedication by weight stays a formula."""

    def __init__(self, registry: Registry, pack: Pack, clock: Clock, *, resolve_doses: bool = True) -> None:
        self._registry = registry
        self._pack = pack
        self._clock = clock
        self._resolve_doses = resolve_doses

    def all(self) -> Mapping[type[Command], Enricher]:
        """Return the enricher of each command that needs one."""
        return {
            c.RecordScreening: self.record,
            c.ReviewScreening: self.review,
            c.ClearForContrast: self.clear,
            c.RecordWeight: self.weight,
        }

    async def record(self, state: SessionState, command: c.RecordScreening, request: Request) -> Command:
        """Fill what the protocols say of the answers."""
        return replace(command, evidence=await self._ask(state, command.screening))

    async def review(self, state: SessionState, command: c.ReviewScreening, request: Request) -> Command:
        """Fill what they say now: days have passed, allergies or a weight may have come in."""
        return replace(command, evidence=await self._ask(state, state.screening))

    async def clear(self, state: SessionState, command: c.ClearForContrast, request: Request) -> Command:
        """Fill what they say of the agent that is to be cleared."""
        screening = replace(state.screening, agent=command.agent) if state.screening else None
        known = bool(agents_named(self._pack, command.agent))
        return replace(command, evidence=await self._ask(state, screening), agent_known=known)

    async def weight(self, state: SessionState, command: c.RecordWeight, request: Request) -> Command:
        """Fill what the weight known before has against a new one; a doubt that a feed brings stands."""
        doubt = command.doubt or weight_doubt(self._pack, command.weight_kg, state.weight_kg)
        return replace(command, doubt=doubt)

    async def _ask(self, state: SessionState, screening: Screening | None) -> ScreeningEvidence | None:
        if screening is None:
            return None
        directory = await self._registry.directory(state.organization_id)
        today = self._clock.now().astimezone(site_zone(directory, state.site_id)).date()
        return ask(self._pack, state, screening, today, resolve_doses=self._resolve_doses)


def ask(
    pack: Pack, state: SessionState, screening: Screening, today: dt.date, *, resolve_doses: bool = True
) -> ScreeningEvidence:
    """Return what a pack says of a session's screening on a day."""
    said = screen(pack, questionnaire(pack, state, screening), today, resolve_doses=resolve_doses)
    return ScreeningEvidence(
        findings=tuple(
            ScreeningFinding(
                outcome=one.outcome,
                row_id=one.row_id,
                sentence=one.sentence,
                citation=one.citation,
                evidence=one.evidence,
                unknown=one.unknown,
                lab_age_days=one.lab_age_days,
            )
            for one in said.findings
        ),
        premedication=tuple(_offered(one) for one in said.premedication),
        pack_id=pack.pack_id,
        pack_hash=pack.hash,
    )


def questionnaire(pack: Pack, state: SessionState, screening: Screening) -> Questionnaire:
    """Return what a session knows of its patient as the questionnaire that the rows are asked with.

    An allergy list that names an agent counts as an earlier reaction, whatever the screening says.
    """
    told = tuple(_prior(one) for one in screening.prior_reactions)
    answers: Any = {name: screening.answer(name) for name in QUESTIONS}
    return Questionnaire(
        **answers,
        prior_reactions=(*told, *_listed(pack, state, told)),
        egfr_ml_min_173m2=screening.egfr_ml_min_173m2,
        egfr_on=screening.egfr_on,
        age_years=state.age_years,
        weight_kg=state.weight_kg,
        contrast_class=state.order.contrast_class if state.order else "",
        agent=screening.agent,
        access=screening.access,
        setting=state.setting,
    )


_WORDS = {name: get_args(hint) for name, hint in get_type_hints(PriorReaction).items()}


def _word(field: str, said: str) -> Any:
    """Return a word of a prior reaction's field; anything else is unknown."""
    word = said.strip().lower()
    known = [one for part in _WORDS[field] for one in (get_args(part) or (part,))]
    return word if word in known else "unknown"


def _prior(one: Any) -> PriorReaction:
    return PriorReaction(
        contrast_class=_word("contrast_class", one.contrast_class),
        agent=one.agent,
        kind=_word("kind", one.kind),
        severity=_word("severity", one.severity),
        delayed=answer(one.delayed),
    )


def _listed(pack: Pack, state: SessionState, told: tuple[PriorReaction, ...]) -> Iterator[PriorReaction]:
    """Yield the reactions to agents of the pack that the allergy list names beyond what was told."""
    for allergy in state.allergies:
        severity = _word("severity", allergy.severity)
        for agent in agents_named(pack, allergy.substance):
            known = [prior for prior in told if agent in agents_named(pack, prior.agent)]
            if known and severity in ("unknown", *(prior.severity for prior in known)):
                continue
            yield PriorReaction(
                contrast_class=agent.contrast_class,
                agent=agent.generic,
                severity=severity,
                source=f"Allergy list of {state.allergies_source or 'an unnamed source'}",
            )


def _offered(offer: Offer) -> Premedication:
    return Premedication(
        row_id=offer.row_id,
        because=offer.because,
        premedicate=offer.premedicate,
        situation=offer.situation,
        text=offer.text,
        doses=tuple(
            PremedicationDose(
                drug=dose.drug,
                routes=dose.routes,
                dose_mg=dose.dose_mg,
                dose_max_mg=dose.dose_max_mg,
                hours_before=dose.hours_before,
                now=dose.now,
                every_h=dose.every_h,
                optional=dose.optional,
                either_or=dose.either_or,
                formula=dose.formula,
                text=dose.text,
            )
            for dose in offer.doses
        ),
        citation=offer.citation,
        evidence=offer.evidence,
    )
