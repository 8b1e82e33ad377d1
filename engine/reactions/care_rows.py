"""Rows of a pack around the treatment itself: screening before contrast, the kit beside it, what follows after it.

Rule: a row carries what its source states. A number that the source lacks is None; a finding that the source does not
decide is `physician_review`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from engine.reactions.row import Population, Route, Row

ContrastClass = Literal["iodinated", "gadolinium"]
Outcome = Literal["proceed", "physician_review", "alternative_study", "hold"]
Advised = Literal["no", "consider", "yes", "physician_decides"]
#: What is asked before contrast and answered yes, no or unknown.
Question = Literal[
    "prior_reaction",
    "iodine_or_shellfish",
    "atopy",
    "asthma",
    "asthma_active",
    "renal_risk",
    "acute_kidney_injury",
    "dialysis",
    "residual_function",
    "metformin",
    "renal_artery_emboli_possible",
    "pregnancy",
    "breast_feeding",
    "thyroid",
    "beta_blocker",
    "ace_inhibitor",
    "other_conditions",
    "recent_contrast",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminator(Row):
    """One feature that tells a vasovagal reaction from anaphylaxis."""

    feature: str
    vasovagal: str
    anaphylaxis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Row):
    """A fact or rule that is shown to people and computes nothing."""

    topic: Literal["severity", "treatment", "extravasation", "tryptase", "referral", "allergy_record"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPrecaution(Row):
    """A sentence of the written instructions that a patient takes home.

    `sign` rows are signs to come back for at once, to be listed. `when` says for whom the sentence is: everybody, after
    an allergic-like or a severe reaction, or after a drug that makes drowsy.
    """

    document: Literal["reaction", "extravasation", "metformin"]
    when: Literal["always", "allergic", "severe", "sedated"] = "always"
    sign: bool = False
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightEstimate(Row):
    """A weight to assume where none is known, by age or by length; the pack decides whether there is any.

    It holds from `at_least` on and below `below`, in whole years or in cm.
    """

    by: Literal["age_years", "length_cm"]
    at_least: Decimal
    below: Decimal
    weight_kg: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reexposure(Row):
    """What an earlier reaction means for contrast of the same class. `hold_at` are settings where it stops the exam.

    A row with `answers` is about what is not a reaction to contrast: any of them answered yes makes it apply.
    """

    contrast_class: ContrastClass
    history: Literal[
        "physiologic", "mild", "moderate", "severe", "unrelated", "asthma", "other_risk", "delayed"
    ]
    premedicate: Advised
    switch_agent: Advised
    finding: Outcome
    hold_at: tuple[Literal["office", "idtf", "hopd"], ...] = ()
    answers: tuple[Question, ...] = ()
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimenDose:
    """One drug of a premedication: a dose at each of `hours_before`, or `now` and every `every_h` until contrast.

    What the source does not give stays empty, for the physician to say.
    """

    drug: str
    routes: tuple[Route, ...] = ()
    dose_mg: Decimal | None = None
    dose_mg_per_kg: Decimal | None = None
    dose_max_mg_per_kg: Decimal | None = None
    max_single_mg: Decimal | None = None
    hours_before: tuple[Decimal, ...] = ()
    now: bool = False
    every_h: Decimal | None = None
    optional: bool = False
    either_or: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regimen(Row):
    """A premedication regimen, used only where the service chooses to premedicate.

    Doses with the same `either_or` are alternatives.
    """

    population: Population
    situation: Literal["elective", "no_oral", "accelerated", "emergency"]
    text: str
    doses: tuple[RegimenDose, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentGroup(Row):
    """Agents that react alike, and the groups that are tried after a reaction to one of them; not validated."""

    contrast_class: ContrastClass
    group: str
    agents: tuple[str, ...]
    switch_to: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFactor(Row):
    """A question before contrast. `decided_in` names the table that decides, "" when `finding` does.

    It applies when one of `asks` is answered yes or the age is within its limits in full years; unanswered, it weighs
    as much. `topic` is for what has no yes or no.
    """

    question: str
    text: str
    finding: Outcome
    asks: tuple[Question, ...] = ()
    topic: Literal["", "same_class", "other_class", "class_and_agent", "access"] = ""
    age_to_years: int | None = None
    age_above_years: int | None = None
    decided_in: Literal["", "reexposure", "kidney", "metformin", "pregnancy"] = ""
    contrast_classes: tuple[ContrastClass, ...] = ("iodinated", "gadolinium")


@dataclass(frozen=True, slots=True, kw_only=True)
class KidneyRule(Row):
    """What the kidneys mean for iodinated contrast. eGFR in mL/min/1.73 m2, from `egfr_from` on, below `egfr_below`.

    `needed_with` are the answers that ask for an eGFR; `finding_missing` holds while there is none and one is needed.
    """

    state: Literal[
        "stable", "acute_injury", "dialysis_anuric", "dialysis_residual", "who_needs_it", "lab_age"
    ]
    egfr_from: Decimal | None = None
    egfr_below: Decimal | None = None
    finding: Outcome
    needed_with: tuple[Question, ...] = ()
    finding_missing: Outcome | None = None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GadoliniumGroup(Row):
    """Gadolinium agents by their risk of NSF, and what weak kidneys mean for them.

    Kidneys are weak below `egfr_below` or with any answer of `also`; `finding_unscreened` holds while nobody knows.
    """

    group: Literal["I", "II", "III"]
    agents: tuple[str, ...]
    egfr_below: Decimal
    also: tuple[Question, ...] = ()
    finding_below: Outcome
    finding_unscreened: Outcome = "physician_review"
    renal_screening: Literal["required", "optional"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetforminRule(Row):
    """Whether metformin is held. `hold_h` None: it is not."""

    contrast_class: ContrastClass
    category: Literal["I", "II", ""] = ""
    egfr_from: Decimal | None = None
    egfr_below: Decimal | None = None
    also: tuple[Question, ...] = ()
    hold_h: Decimal | None = None
    recheck_kidneys: bool = False
    finding: Outcome
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PregnancyRule(Row):
    """What pregnancy, breast-feeding or a newborn mean for contrast."""

    state: Literal["pregnant", "lactating", "newborn"]
    contrast_classes: tuple[ContrastClass, ...]
    finding: Outcome
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Row):
    """A contrast agent with its usual forms; the exam's own protocol decides the volume.

    `strengths` in mgI/mL (iodinated); `concentration_mmol_per_ml` and doses for gadolinium.
    """

    generic: str
    brands: tuple[str, ...] = ()
    contrast_class: ContrastClass
    strengths: str = ""
    adult_use: str = ""
    child_use: str = ""
    structure: Literal["", "macrocyclic", "linear"] = ""
    concentration_mmol_per_ml: Decimal | None = None
    dose_mmol_per_kg: Decimal | None = None
    dose_ml_per_kg: Decimal | None = None
    nsf_group: Literal["", "I", "II", "III"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KitItem(Row):
    """An item of the emergency kit for a site without a code team. `par` is how many at least, None not stated.

    `expires` items carry an expiry date; `checked` ones are looked at on a schedule; `blocks_ready` ones take READY
    away when expired, missing, below par or overdue.
    """

    text: str
    required: Literal[
        "always", "children", "iv_staff", "trained_or_below_15_kg", "site_policy", "hospital_only"
    ]
    par: int | None = None
    drugs: tuple[str, ...] = ()
    expires: bool = False
    checked: bool = False
    blocks_ready: bool = False
    keep_apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut(Row):
    """A row of the reference that this pack leaves out on purpose; its id is the reference's."""

    reason: str
