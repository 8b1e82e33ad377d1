"""What a patient and an ambulance crew are told afterwards: rows with citation and tag, in our own words.

Source: the rows of the reaction's own pack (clinical reference 10.3, 6A, 6B), and what no pack row says.
"""

from collections.abc import Collection, Mapping
from typing import Any

from engine.reactions.pack import Pack
from engine.reactions.row import Row
from engine.records.papers.parts import Advice

_UNTAGGED = "UNSURE"


def _row(row_id: str, text: str, citation: str, evidence: str = _UNTAGGED) -> Advice:
    return Advice(
        row_id=row_id, text=text, citation=citation, evidence=evidence, unsure=evidence == _UNTAGGED
    )


METFORMIN_ASK = _row(
    "RP-12",
    "Metformin: the kidney function is not recorded; the physician says whether to stop it.",
    "Clinical reference 7D",
)
NO_ROW = _row(
    "NO-ROW",
    "Whether it can come back: the pack of this reaction has no row; the physician says.",
    "no row in this pack",
)
NO_PACK = _row(
    "NO-PACK",
    "Ask the physician when to come back: the pack of this reaction is not at hand.",
    "no pack",
)
MEDWATCH = _row(
    "10.1-MEDWATCH",
    "Graded severe: decide whether to report it to FDA MedWatch.",
    "Clinical reference 10.1 (serious events)",
    "V",
)
_KIDNEYS_ML_MIN = 30


def take_home(pack: Pack | None, document: str, whens: Collection[str], *, signs: bool) -> tuple[Advice, ...]:
    """Return the pack's take-home sentences of a document that are for this patient: signs, or everything else.

    Without a pack nobody's words are at hand: the physician tells the patient.
    """
    if pack is None:
        return (NO_PACK,)
    return tuple(
        _of(row, row.text)
        for row in pack.return_precautions
        if row.document == document and row.sign == signs and row.when in whens
    )


def comes_back(pack: Pack | None) -> Advice:
    """Return the warning that it may come back: the pack's own row, or that the pack has none."""
    for row in pack.observations if pack else ():
        if row.situation == "biphasic" and row.default:
            return _of(row, row.text)
    return NO_ROW


def follow_up(pack: Pack | None, *topics: str) -> tuple[Advice, ...]:
    """Return the pack's rows on tryptase, referral or whichever topics; each says for which severity it holds."""
    rows = (row for row in (pack.advice if pack else ()) if row.topic in topics)
    return tuple(_of(row, row.text) for row in rows)


def _of(row: Row, text: str) -> Advice:
    return Advice(
        row_id=row.id, text=text, citation=row.citation, evidence=row.tags, unsure=_UNTAGGED in row.tags
    )


def metformin(pack: Pack | None, answers: Mapping[str, Any], contrast_class: str) -> tuple[Advice, ...]:
    """Return what to say about metformin after iodinated contrast, by the screening's answers."""
    if answers.get("metformin") != "yes" or contrast_class != "iodinated":
        return ()
    egfr = answers.get("egfr_ml_min_173m2")
    if egfr is None:
        return (METFORMIN_ASK,)
    low = float(egfr) < _KIDNEYS_ML_MIN
    return take_home(pack, "metformin", ("always",), signs=False) if low else ()
