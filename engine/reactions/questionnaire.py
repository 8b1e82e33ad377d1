"""What is asked before contrast, as answered: yes, no or unknown. Unknown is an answer of its own and never none."""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from engine.reactions.care_rows import Agent, ContrastClass, Question
from engine.reactions.dose import usable_weight
from engine.reactions.pack import Pack

Answer = Literal["yes", "no", "unknown"]

#: A question that another answer settles: without asthma nobody wheezes from it, without dialysis nothing is left over.
_SETTLED: dict[str, Question] = {"asthma_active": "asthma", "residual_function": "dialysis"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorReaction:
    """An earlier reaction to contrast; `source` says who told, "" the screening itself."""

    contrast_class: ContrastClass | Literal["unknown"] = "unknown"
    agent: str = ""
    kind: Literal["allergic_like", "physiologic", "unknown"] = "unknown"
    severity: Literal["mild", "moderate", "severe", "unknown"] = "unknown"
    delayed: Answer = "unknown"
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questionnaire:
    """One patient before one exam; whatever nobody answered is unknown. eGFR in mL/min/1.73 m2, weight in kg.

    `contrast_class`, `agent` and `access` are "" while nobody said; `setting` is the site's.
    """

    prior_reaction: Answer = "unknown"
    prior_reactions: tuple[PriorReaction, ...] = ()
    iodine_or_shellfish: Answer = "unknown"
    atopy: Answer = "unknown"
    asthma: Answer = "unknown"
    asthma_active: Answer = "unknown"
    renal_risk: Answer = "unknown"
    acute_kidney_injury: Answer = "unknown"
    dialysis: Answer = "unknown"
    residual_function: Answer = "unknown"
    metformin: Answer = "unknown"
    renal_artery_emboli_possible: Answer = "unknown"
    pregnancy: Answer = "unknown"
    breast_feeding: Answer = "unknown"
    thyroid: Answer = "unknown"
    beta_blocker: Answer = "unknown"
    ace_inhibitor: Answer = "unknown"
    other_conditions: Answer = "unknown"
    recent_contrast: Answer = "unknown"
    egfr_ml_min_173m2: Decimal | None = None
    egfr_on: dt.date | None = None
    age_years: int | None = None
    weight_kg: Decimal | None = None
    contrast_class: str = ""
    agent: str = ""
    access: str = ""
    setting: str = ""

    def answer(self, question: Question) -> Answer:
        """Return an answer; where nobody gave one, no when another answer settles it."""
        given: Answer = getattr(self, question)
        if given == "unknown" and question in _SETTLED and self.answer(_SETTLED[question]) == "no":
            return "no"
        return given

    def any_yes(self, questions: Iterable[Question]) -> bool:
        """Return whether any of the questions is answered yes."""
        return any(self.answer(question) == "yes" for question in questions)

    def unknown(self, questions: Iterable[Question]) -> tuple[str, ...]:
        """Return those of the questions that nobody answered."""
        return tuple(question for question in questions if self.answer(question) == "unknown")

    @property
    def egfr(self) -> Decimal | None:
        """The eGFR, None for what cannot be one."""
        value = self.egfr_ml_min_173m2
        return value if value is not None and value.is_finite() and value >= 0 else None

    @property
    def plausible_kg(self) -> Decimal | None:
        """The weight, None for what cannot be one."""
        value = self.weight_kg
        return usable_weight(value)


def agents_named(pack: Pack, text: str) -> tuple[Agent, ...]:
    """Return the pack's agents that a text names by generic name or brand."""
    said = set(re.findall(r"[a-z]+", text.lower()))
    return tuple(row for row in pack.agents if said & {name.lower() for name in (row.generic, *row.brands)})
