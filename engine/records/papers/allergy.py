"""The allergy update: what to enter into the patient's allergy list after a reaction, or that nothing is to be entered.

Rule: it proposes; a person enters it. A physiologic reaction and an extravasation are not stored as allergies, and an
entry always carries the exact agent. Source: clinical reference 6C.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.records.papers.agent import exact
from engine.records.papers.facts import Facts
from engine.records.papers.parts import Contrast, Course, Dose, Head, Outcome, Patient, People

KIND, TITLE = "allergy_update", "Allergy update"
Action = Literal["store", "do_not_store", "ask_physician", "wait"]
_CITATION = "Clinical reference 6C; ACR/AAAAI consensus 2025, recommendation 1"
_NOT_STORED = "Clinical reference 6C, from a local policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllergyUpdate:
    """The proposal with its reason. `agent` is the exact agent; `review` are present entries that name none."""

    head: Head
    action: Action
    says: str
    why: str
    citation: str
    evidence: str
    agent: str
    patient: Patient
    contrast: tuple[Contrast, ...]
    course: Course
    doses: tuple[Dose, ...]
    outcome: Outcome
    people: People
    listed_before: str
    review: tuple[str, ...]


def allergy_update(facts: Facts) -> AllergyUpdate:
    """Return what to enter, by the reaction's kind and the agent recorded."""
    course, contrast = facts.course(), facts.contrast()
    agents = dict.fromkeys(dose.agent for dose in contrast)
    named = [agent for agent in agents if exact(agent)]
    agent = ", ".join(named) or "unknown: no exact agent is recorded"
    action, says, why = _proposal(facts, course, named, agent)
    stored = action != "do_not_store"
    return AllergyUpdate(
        head=facts.head(KIND, TITLE),
        action=action,
        says=says,
        why=why,
        citation=_CITATION if stored else _NOT_STORED,
        evidence="V" if stored else "L",
        agent=agent,
        patient=facts.patient(),
        contrast=contrast,
        course=course,
        doses=facts.doses(),
        outcome=facts.outcome(),
        people=facts.people(),
        listed_before=facts.allergies(),
        review=tuple(_review(facts, action)),
    )


def _review(facts: Facts, action: Action) -> Iterator[str]:
    """Yield what in the patient's list a person has to look at again."""
    for one in facts.of("screening.allergies") or []:
        if not exact(one["substance"]):
            yield f'The list holds "{one["substance"]}", which names no agent: find out which, or take it off.'
    stated = facts.entry("documentation")
    if action == "do_not_store" and stated and stated["allergy_documented"]:
        yield "An allergy was stated as entered after this reaction: take it off, unless the physician decided so."


def _proposal(facts: Facts, course: Course, named: list[str], agent: str) -> tuple[Action, str, str]:
    """Return action, headline and reason."""
    if course.kind == "physiologic":
        why = f"{course.kind_why} A physiologic reaction is no allergy; no premedication follows from it."
        return "do_not_store", "Store no allergy.", why
    if course.kind == "extravasation":
        return "do_not_store", "Store no allergy.", course.kind_why
    if course.kind == "unsure":
        return "ask_physician", "UNSURE: store nothing until the physician has decided.", course.kind_why
    if not named:
        why = "It was allergic-like, and an entry must carry the exact agent. Find out which it was first."
        return "ask_physician", "Find out the exact agent before anything is stored.", why
    if len(named) > 1:
        why = f"{course.kind_why} More than one agent was given; the physician says which is meant."
        return "ask_physician", f"Which agent? Given: {agent}.", why
    graded = facts.entry("worst_severity")
    if graded is None:
        return "ask_physician", f"Not graded yet: {agent}.", "A physician has not graded the reaction yet."
    entry = f"{agent}, allergic-like reaction, {graded}."
    if facts.open:
        return "wait", f"Not yet. So far: {entry}", "The reaction is still open, and its grade may change."
    return "store", f"Store: {entry}", course.kind_why
