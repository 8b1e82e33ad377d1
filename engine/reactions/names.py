"""Which drug and which route of a pack a word means, as people write them.

Rule: spelling only. A word that the pack does not know stays as it was told, and no word is ever taken for a drug that
it only ends in (norepinephrine is no epinephrine).
"""

import re

from engine.reactions.pack import Pack

EPINEPHRINE = "epinephrine"
AUTO_INJECTOR = f"{EPINEPHRINE} auto-injector"
# The United States name, the international one, the short one and the commonest device's: what the label says.
_EPINEPHRINE = re.compile(r"\b(?:epinephrine?|adrenaline?|epipen|epi)\b")
_DEVICE = re.compile(r"\bepipen|\b(?:epinephrine?|adrenaline?|epi)\b.*injector")
ROUTE_WORDS = {
    "intramuscular": "IM",
    "intravenous": "IV",
    "intraosseous": "IO",
    "subcutaneous": "SC",
    "subcut": "SC",
    "subq": "SC",
    "sublingual": "SL",
    "oral": "PO",
    "inhalation": "inhaled",
}


def is_epinephrine(drug: str) -> bool:
    """Return whether a drug is epinephrine by any of its names, alone or in something."""
    return _EPINEPHRINE.search(drug.casefold()) is not None


def drug_named(pack: Pack, told: str) -> str:
    """Return a drug as the pack spells it: what is told may go on after the name (salt, strength, form)."""
    word = " ".join(told.split()).casefold()
    if _DEVICE.search(word):
        return AUTO_INJECTOR
    if _EPINEPHRINE.match(word):
        return EPINEPHRINE
    known = {row.drug for row in pack.drugs}
    begins = [name for name in known if re.match(rf"{re.escape(name.casefold())}(?!\w)", word)]
    return max(begins, key=len, default=told)


def route_named(pack: Pack, told: str) -> str:
    """Return a route as the pack spells it."""
    word = told.strip().replace(".", "").casefold()
    word = ROUTE_WORDS.get(word, word)
    known = {part for row in pack.drugs for part in (row.route, *row.route.split("/"))}
    return next((route for route in sorted(known) if route.casefold() == word.casefold()), told)


def fits(route: str, told: str) -> bool:
    """Return whether a told route is the one of a row, or one of those it leaves open (IV/IO)."""
    return told in (route, *route.split("/"))
