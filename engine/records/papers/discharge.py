"""The discharge summary: what happened, what was given, and when to come back, for the patient to take home.

Source: clinical reference 10.3.
"""

from dataclasses import dataclass

from engine.records.papers import advice
from engine.records.papers.agent import exact
from engine.records.papers.facts import Facts
from engine.records.papers.parts import UNKNOWN, Advice, Contrast, Course, Dose, Head, Patient, People

KIND, TITLE = "discharge_summary", "After your contrast reaction"
_DROWSY = ("diphenhydramine",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeSummary:
    """What a patient takes home. `return_signs` are what to call 911 or come back for; `advice` everything else."""

    head: Head
    draft: bool
    patient: Patient
    date: str
    site: str
    site_address: str
    contrast: tuple[Contrast, ...]
    course: Course
    doses: tuple[Dose, ...]
    exact_agent: str
    went: str
    return_signs: tuple[Advice, ...]
    advice: tuple[Advice, ...]
    people: People
    contact_number: str


def discharge_summary(facts: Facts) -> DischargeSummary:
    """Return the summary; while the reaction is open it is a draft and says so."""
    course, contrast = facts.course(), facts.contrast()
    agents = [agent for agent in dict.fromkeys(dose.agent for dose in contrast) if exact(agent)]
    extravasation = course.kind == "extravasation"
    return DischargeSummary(
        head=facts.head(KIND, "After contrast leaked beside the vein" if extravasation else TITLE),
        draft=facts.open,
        patient=facts.patient(),
        date=facts.day(facts.case.document["events"][0]["at"]),
        site=facts.case.place.name or facts.text("site.site_id"),
        site_address=facts.case.place.address or UNKNOWN,
        contrast=contrast,
        course=course,
        doses=facts.doses(),
        exact_agent=", ".join(agents) or UNKNOWN,
        went=facts.outcome().disposition,
        return_signs=advice.LIMB_RETURN_SIGNS if extravasation else advice.RETURN_SIGNS,
        advice=tuple(_advice(facts, course)),
        people=facts.people(),
        contact_number=UNKNOWN,
    )


def _advice(facts: Facts, course: Course) -> list[Advice]:
    """Return the sentences that fit this reaction."""
    said: list[Advice] = []
    if course.kind == "extravasation":
        said.extend(advice.LIMB)
    elif course.kind != "physiologic":
        said.extend((advice.COMES_BACK, advice.EXACT_AGENT))
        if facts.entry("worst_severity") == "severe":
            said.append(advice.ALLERGIST)
    if any(dose.drug in _DROWSY for dose in facts.doses()):
        said.append(advice.DROWSY)
    said.extend(advice.metformin(facts.of("screening.answers") or {}, facts.text("contrast.contrast_class")))
    return said
