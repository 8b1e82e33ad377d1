"""What kind of reaction it was, for what follows from it: an allergy entry, a warning that it may come back.

Rule: read from the pack's own columns, never from names. Where signs and presentation disagree, or a row is missing,
it is unsure and the physician decides. Source: clinical reference 1A (an unclear cause counts as allergic-like), 6C.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from engine.kernel.errors import Missing
from engine.reactions.pack import Pack

Kind = Literal["allergic-like", "physiologic", "extravasation", "unsure"]


@dataclass(frozen=True, slots=True)
class Nature:
    """The kind with the reason for it, as a sentence."""

    kind: Kind
    why: str


_NO_PACK = Nature("unsure", "The protocol pack of this reaction is not at hand; the physician decides.")
_UNHEARD_OF = Nature("unsure", "A sign was recorded that the pack does not know; the physician decides.")
_SIGNS_AGAINST = Nature(
    "unsure", "Allergic-like signs were recorded under a physiologic presentation; the physician decides."
)
_PRESENTATION_AGAINST = Nature(
    "unsure",
    "Only physiologic signs were recorded under an allergic-like presentation; the physician decides.",
)
_PHYSIOLOGIC_AGAINST = Nature(
    "unsure",
    "The sign recorded may be of either kind, the presentation is physiologic; the physician decides.",
)
_NOTHING_SAID = Nature("unsure", "No sign says what kind it was; the physician decides.")
_ALLERGIC_SIGN = Nature("allergic-like", "An allergic-like sign was recorded.")
_ALLERGIC_NAMED = Nature("allergic-like", "The presentation that the physician set is allergic-like.")
_UNCLEAR = Nature("allergic-like", "The cause is not clear, and an unclear cause counts as allergic-like.")
_PHYSIOLOGIC = Nature("physiologic", "Every sign recorded is physiologic.")
_PHYSIOLOGIC_NAMED = Nature("physiologic", "The presentation that the physician set is physiologic.")
_OUTSIDE_THE_VEIN = Nature(
    "extravasation", "Contrast outside the vein is an injury of the place, not an allergy."
)


def nature_of(pack: Pack | None, signs: Iterable[str], presentations: Iterable[str]) -> Nature:
    """Return the kind of a reaction by every sign seen in it and the presentations the physician set."""
    if pack is None:
        return _NO_PACK
    seen = {sign_kind(pack, sign) for sign in signs}
    named = {row.nature for row in pack.protocols if row.presentation in set(presentations)}
    if "allergic" in seen:
        return _SIGNS_AGAINST if named == {"physiologic"} else _ALLERGIC_SIGN
    if "unknown" in seen:
        return _UNHEARD_OF
    if "physiologic" in seen and "either" not in seen:
        return _PRESENTATION_AGAINST if "allergic" in named else _PHYSIOLOGIC
    if "allergic" in named:
        return _ALLERGIC_NAMED
    if "either" in seen:
        return _PHYSIOLOGIC_AGAINST if named == {"physiologic"} else _UNCLEAR
    if named == {"physiologic"}:
        return _PHYSIOLOGIC_NAMED
    if seen | named == {"extravasation"}:
        return _OUTSIDE_THE_VEIN
    return _NOTHING_SAID


def sign_kind(pack: Pack | None, sign_id: str) -> str:
    """Return a sign's kind in the pack; `unknown` when the pack has no such sign."""
    try:
        return pack.sign(sign_id).kind if pack else "unknown"
    except Missing:
        return "unknown"
