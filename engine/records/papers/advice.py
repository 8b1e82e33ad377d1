"""What a patient and an ambulance crew are told afterwards: rows with citation and tag, in our own words.

Source: clinical reference 10.3, 6A (O-8, O-10), 6B (TR-4), 7D. The reference gives most of 10.3 no tag; such a row says
UNSURE until a medical director confirms it. The biphasic row is the pack's where the pack has one.
"""

from collections.abc import Mapping
from typing import Any

from engine.reactions.pack import Pack
from engine.records.papers.parts import Advice

_CONTENT = "Clinical reference 10.3"
_UNTAGGED = "UNSURE"
_PROPOSED = "project proposal"


def _row(row_id: str, text: str, citation: str = _CONTENT, evidence: str = _UNTAGGED) -> Advice:
    return Advice(
        row_id=row_id, text=text, citation=citation, evidence=evidence, unsure=evidence == _UNTAGGED
    )


RETURN_SIGNS = (
    _row("RP-1", "trouble breathing"),
    _row("RP-2", "swollen lips or a swollen tongue"),
    _row("RP-3", "a tight throat, or trouble swallowing"),
    _row("RP-4", "a new rash, or a rash that spreads"),
    _row("RP-5", "feeling faint", evidence=_PROPOSED),
    _row("RP-6", "vomiting that does not stop", evidence=_PROPOSED),
)
COMES_BACK = _row(
    "RP-7",
    "It can come back: mostly within a day, but up to 72 hours later.",
    f"{_CONTENT}; O-8, ACR/AAAAI consensus 2025",
    "V",
)
DROWSY = _row(
    "RP-8",
    "After a medicine that makes drowsy: do not drive, and leave with somebody.",
    f"{_CONTENT}; O-10, ACR Manual 2026 Table 3",
    "D2",
)
EXACT_AGENT = _row(
    "RP-9",
    "Tell every doctor and every imaging centre the exact name of the contrast. A general word for it is not enough.",
    f"{_CONTENT}; ACR/AAAAI consensus 2025, recommendation 1",
    "V",
)
ALLERGIST = _row(
    "RP-10",
    "Ask about a visit to an allergist; tests are to be done within 6 months.",
    f"{_CONTENT}; TR-4, ACR/AAAAI consensus 2025",
    "V",
)
METFORMIN_STOP = _row(
    "RP-11",
    "Stop metformin now. Have the kidneys checked again at 48 hours; start it again only after that.",
    f"{_CONTENT}; 7D category II",
    "D2",
)
METFORMIN_ASK = _row(
    "RP-12",
    "Metformin: the kidney function is not recorded; the physician says whether to stop it.",
    "Clinical reference 7D",
)
LIMB = (
    _row("RP-20", "Keep the arm or leg raised."),
    _row("RP-21", "Compresses for 15 minutes, several times a day, for up to 3 days."),
)
LIMB_RETURN_SIGNS = (
    _row("RP-22", "pain or swelling that gets worse"),
    _row("RP-23", "numbness or tingling"),
    _row("RP-24", "fingers or wrist weaker or stiffer"),
    _row("RP-25", "a change of colour"),
    _row("RP-26", "firmness"),
    _row("RP-27", "a blister or an ulcer"),
)
MEDWATCH = _row(
    "10.1-MEDWATCH",
    "Graded severe: decide whether to report it to FDA MedWatch.",
    "Clinical reference 10.1 (serious events)",
    "V",
)
_KIDNEYS_ML_MIN = 30


def comes_back(pack: Pack | None) -> Advice:
    """Return the warning that it may come back: the pack's own row, ours where the pack has none."""
    for row in pack.observations if pack else ():
        if row.situation == "biphasic" and row.default:
            unsure = row.evidence == _UNTAGGED
            return Advice(
                row_id=row.id, text=row.text, citation=row.citation, evidence=row.evidence, unsure=unsure
            )
    return COMES_BACK


def follow_up(pack: Pack | None) -> tuple[Advice, ...]:
    """Return the pack's rows on tryptase and referral; each says for which severity it holds."""
    return tuple(
        Advice(
            row_id=row.id,
            text=row.text,
            citation=row.citation,
            evidence=row.tags,
            unsure=_UNTAGGED in row.tags,
        )
        for row in (pack.advice if pack else ())
        if row.topic in ("tryptase", "referral")
    )


def metformin(answers: Mapping[str, Any], contrast_class: str) -> tuple[Advice, ...]:
    """Return what to say about metformin after iodinated contrast, by the screening's answers."""
    if answers.get("metformin") != "yes" or contrast_class != "iodinated":
        return ()
    egfr = answers.get("egfr_ml_min_173m2")
    if egfr is None:
        return (METFORMIN_ASK,)
    return (METFORMIN_STOP,) if float(egfr) < _KIDNEYS_ML_MIN else ()
