"""What both ways in make of texts and allergy lists: the session's values, and a source that keeps unknown from none.

Rule: a peer's message is a fact, so text with marks that no screen shows is made readable; a name or number with such
marks is never guessed at (`hidden`), a person looks at it.
"""

import re
import unicodedata

from engine.workflows.session.state import Allergy
from integrations.hl7_fhir.values import Allergies

_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


_NOWHERE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Cs")


def unlike(*numbers: str) -> bool:
    """Return whether any number is not what it looks like: it holds marks nobody sees, or look-alikes of others."""
    return any(
        unicodedata.normalize("NFKC", number) != number
        or any(unicodedata.category(char) in _INVISIBLE for char in number)
        for number in numbers
    )


def hidden(*texts: str) -> bool:
    """Return whether any text holds control characters, marks that turn the writing round or that take no room."""
    return any(_HIDDEN.search(text) or _NOWHERE.search(text) for text in texts)


def readable(text: str) -> str:
    """Return free text on one line, each run of such marks as a blank."""
    return _HIDDEN.sub(" ", text).strip()


def allergies(found: Allergies) -> tuple[Allergy, ...]:
    """Return the active entries of a list."""
    return tuple(
        Allergy(
            substance=readable(item.substance.text or item.substance.code),
            code=item.substance.code,
            system=item.substance.system,
            reaction=readable(", ".join(item.reactions)),
            severity=item.severity,
        )
        for item in found.items
        if item.active
    )


def source(found: Allergies, system: str) -> str:
    """Name where a list came from; empty when nothing was said, so that unknown never reads as none."""
    return {"listed": system, "none_known": f"{system}:none_known", "unknown": ""}[found.status]
