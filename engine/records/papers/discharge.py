"""The discharge summary: what happened, what was given, and when to come back, for the patient to take home.

Source: clinical reference 10.3.
"""

from dataclasses import dataclass

from engine.records.papers import advice
from engine.records.papers.agent import exact
from engine.records.papers.facts import Facts
from engine.records.papers.parts import (
    NOT_IN_PLAN,
    UNKNOWN,
    Advice,
    Contrast,
    Course,
    Dose,
    Head,
    Patient,
    People,
)

KIND, TITLE = "discharge_summary", "After your contrast reaction"
_DROWSY = ("diphenhydramine",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeSummary:
    """What a patient takes home. `return_signs` are what to call 911 or come back for; `advice` everything else.

    `tryptase` is for whoever treats the patient next: whether it was drawn; `tryptase_advice` the pack's rows where the
    reaction calls for them. `contact_number` and `hospital` are the site's signed plan's, or say that it gives none.
    """

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
    tryptase: str
    tryptase_advice: tuple[Advice, ...]
    contact_number: str
    hospital: str


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
        return_signs=advice.take_home(
            facts.case.pack,
            "extravasation" if extravasation else "reaction",
            _whens(facts, course),
            signs=True,
        ),
        advice=_advice(facts, course),
        people=facts.people(),
        tryptase=facts.told().tryptase,
        tryptase_advice=advice.follow_up(facts.case.pack, "tryptase") if facts.calls_for_follow_up else (),
        contact_number=(facts.case.plan.patient_phone if facts.case.plan else "") or NOT_IN_PLAN,
        hospital=facts.case.hospital,
    )


def _whens(facts: Facts, course: Course) -> tuple[str, ...]:
    """Return which of the pack's conditions hold for this patient."""
    allergic = course.kind not in ("physiologic", "extravasation")
    severe = allergic and facts.entry("worst_severity") == "severe"
    sedated = any(dose.drug in _DROWSY for dose in facts.doses())
    held = {"always": True, "allergic": allergic, "severe": severe, "sedated": sedated}
    return tuple(when for when, holds in held.items() if holds)


def _advice(facts: Facts, course: Course) -> tuple[Advice, ...]:
    """Return the sentences that fit this reaction."""
    pack, whens = facts.case.pack, _whens(facts, course)
    document = "extravasation" if course.kind == "extravasation" else "reaction"
    said = advice.take_home(pack, document, whens, signs=False)
    if document == "extravasation" and "sedated" in whens:
        said += advice.take_home(pack, "reaction", ("sedated",), signs=False)
    screening = facts.of("screening.answers") or {}
    return said + advice.metformin(pack, screening, facts.text("contrast.contrast_class"))
