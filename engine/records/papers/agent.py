"""The exact agent: the only name an allergy entry may carry.

Rule: a general word (iodine, contrast, dye) names no agent and is never stored. Source: clinical reference 6C,
ACR/AAAAI consensus 2025 recommendation 1.
"""

import re

_GENERAL = re.compile(
    r"iodin\w*|iod|(non)?ionic|non|based|contrasts?|medi(um|a)|agents?|dyes?|materials?|iv|intravenous|ct|mri|x|rays?|xray"
    r"|gadolinium|radio\w*|allergy|unknown|none"
)


def exact(agent: str | None) -> bool:
    """Return whether a name says which agent it was."""
    said = re.findall(r"[a-z]+", (agent or "").lower())
    return any(not _GENERAL.fullmatch(word) for word in said)
