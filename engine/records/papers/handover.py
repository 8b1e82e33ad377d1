"""The EMS handover: one page for the crew that takes the patient, from what is known at this moment.

Rule: it is there while the reaction is open, and never waits for anything. Source: clinical reference 10.2, O-8.
"""

from dataclasses import dataclass
from typing import TypeVar

from engine.records.papers import advice
from engine.records.papers.facts import Facts
from engine.records.papers.parts import (
    NOT_IN_PLAN,
    UNKNOWN,
    Advice,
    Contrast,
    Course,
    Dose,
    Head,
    Measure,
    Outcome,
    Patient,
    People,
    Total,
    Vitals,
)

KIND, TITLE = "ems_handover", "EMS handover"
ROWS = 8
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmsHandover:
    """What a crew needs. `vitals` and `doses` hold at most `ROWS` each, the first and the newest; the rest is counted.

    `biphasic` None: the signs recorded are not of a kind that comes back.
    """

    head: Head
    patient: Patient
    allergies: str
    contrast: tuple[Contrast, ...]
    course: Course
    doses: tuple[Dose, ...]
    doses_left_out: int
    totals: tuple[Total, ...]
    last_dose: str
    measures: tuple[Measure, ...]
    vitals: tuple[Vitals, ...]
    vitals_left_out: int
    iv_access: str
    tryptase: str
    site: str
    site_address: str
    ems_entrance: str
    hospital: str
    site_phones: str
    people: People
    outcome: Outcome
    biphasic: Advice | None
    beta_blocker: str


def ems_handover(facts: Facts) -> EmsHandover:
    """Return the page as of the last thing recorded."""
    course, doses, vitals, place = facts.course(), facts.doses(), facts.vitals(), facts.case.place
    return EmsHandover(
        head=facts.head(KIND, TITLE),
        patient=facts.patient(),
        allergies=facts.allergies(),
        contrast=facts.contrast(),
        course=course,
        doses=_ends(doses),
        doses_left_out=max(len(doses) - ROWS, 0),
        totals=facts.totals(),
        last_dose=f"{doses[-1].given_at}: {doses[-1].what}" if doses else "no drug given",
        measures=facts.measures()[-ROWS:],
        vitals=_ends(vitals),
        vitals_left_out=max(len(vitals) - ROWS, 0),
        iv_access=facts.iv_access(),
        tryptase=facts.told().tryptase,
        site=place.name or facts.text("site.site_id"),
        site_address=place.address or UNKNOWN,
        ems_entrance=_entrance(facts),
        hospital=facts.case.hospital,
        site_phones=_phones(facts),
        people=facts.people(),
        outcome=facts.outcome(),
        biphasic=None
        if course.kind in ("physiologic", "extravasation")
        else advice.comes_back(facts.case.pack),
        beta_blocker=facts.screened("beta_blocker"),
    )


def _entrance(facts: Facts) -> str:
    """Return where the crew comes in: by the site's plan, else as the directory has it."""
    plan = facts.case.plan
    if plan is None:
        return facts.case.place.ems_address or UNKNOWN
    return ", ".join(part for part in (plan.ems_address, plan.ems_meeting_point) if part)


def _phones(facts: Facts) -> str:
    """Return whom the crew can call at the site."""
    contacts = facts.case.plan.contacts if facts.case.plan else ()
    return ", ".join(f"{one.name} {one.phone}" for one in contacts) or NOT_IN_PLAN


def _ends(rows: tuple[_Row, ...]) -> tuple[_Row, ...]:
    """Return at most ROWS rows: the first, and the newest."""
    return rows if len(rows) <= ROWS else (rows[0], *rows[1 - ROWS :])
