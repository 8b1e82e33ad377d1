"""What every row of a pack has: an id, a source, how far to trust it, and who has reviewed it."""

from dataclasses import dataclass
from typing import Literal

#: How a drug goes in; what is not one of these is a slip of the pen.
Route = Literal["IM", "IV", "IV/IO", "PO", "SC", "SL", "inhaled", "mask"]
Population = Literal["adult", "child"]
SeverityName = Literal["mild", "moderate", "severe"]
BodySystem = Literal[
    "skin_mucosa", "upper_airway", "lower_airway", "circulation", "gastrointestinal", "neurologic", "limb"
]
Evidence = Literal["V", "D2", "D1", "L", "M", "project proposal", "UNSURE"]
Presentation = Literal[
    "hives",
    "diffuse_erythema",
    "bronchospasm",
    "laryngeal_edema",
    "hypotension",
    "hypotension_bradycardia",
    "hypotension_tachycardia",
    "anaphylaxis",
    "cardiac_arrest",
    "pulmonary_edema",
    "seizure",
    "hypertensive_crisis",
    "hypoglycemia",
    "anxiety",
    "vomiting",
    "rebound_prevention",
    "extravasation",
]
ALL_SEVERITIES: tuple[SeverityName, ...] = ("mild", "moderate", "severe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row of a pack has. `evidence_of` gives the tag of single fields that differ from the row's.

    `source_row` is the row of the clinical reference it comes from, where one source row became several here;
    `replaces` names the inherited row whose place it takes; `note` records a conflict or a gap for the reviewer.
    """

    id: str
    citation: str
    evidence: Evidence
    evidence_of: dict[str, Evidence] | None = None
    reviewer: str = ""
    source_row: str = ""
    replaces: str = ""
    note: str = ""

    @property
    def tags(self) -> str:
        """The evidence as shown: the row's tag, then the fields that have another one."""
        others = sorted((self.evidence_of or {}).items())
        return "; ".join([self.evidence, *(f"{name} {tag}" for name, tag in others)])
