"""Rule rows as dated values, parsed from text; a book is the rows of every layer, with one hash.

Rule: a row that does not parse stops the book, and the error names file, row and field; an unknown word stops it too,
because a misspelt restriction would silently restrict nothing.
"""

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from engine.kernel.canonical import canonical_hash
from engine.kernel.errors import Invalid
from engine.rules.credentials import LICENCE_TYPES, WORDS

LAYERS = ("federal", "payer", "state", "accreditor", "facility")
PRESENCES = ("onsite_premises", "onsite_facility", "virtual_av", "virtual_readiness")
STATUSES = ("in_force", "pending", "unverified", "repealed")
EVIDENCE = ("S", "S-partial", "M", "V", "UNSURE")
SETTINGS = ("office", "idtf", "hopd")
INJECTORS = ("technologist", "nurse", "practitioner", "physician")
MODES = ("A", "B", "C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One dated row (regulatory reference 3.2). Empty tuples and None mean "whatever it is".

    `supervisor_roles_unread` are people whom the source may accept by a list that nobody has read: they need
    attestation. `recording_consent`, `review_due`, `source_text_hash`, `verified_by` and `verified_on` are kept for
    the reader and the signed pack; no verdict rests on them.
    """

    id: str
    layer: str
    version: str
    text: str
    citation: str
    evidence: str
    status: str
    presence: str
    supervisor_roles: tuple[str, ...]
    supervisor_roles_unread: tuple[str, ...] = ()
    supervisor_licence_in_state: bool = False
    supervisor_credentials: tuple[str, ...] = ()
    supervision_level: str = "direct"
    state: str = ""
    sites: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    injectors: tuple[str, ...] = ()
    agent_classes: tuple[str, ...] = ()
    payers: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    records_access_required: bool = False
    responder_required: bool = False
    responder_in_addition: bool = False
    responder_licences: tuple[str, ...] = ()
    responder_competency: bool = False
    responder_credentials: tuple[str, ...] = ()
    one_virtual_level: bool = False
    excluded_global_indicators: tuple[str, ...] = ()
    supervision_indicators: tuple[str, ...] = ()
    order_window_hours: int | None = None
    injector_certificates: tuple[str, ...] = ()
    training_minimums: tuple[str, ...] = ()
    onsite_response: str = ""
    recording_consent: str = ""
    effective_from: dt.date | None = None
    effective_to: dt.date | None = None
    source_text_hash: str = ""
    verified_by: str = ""
    verified_on: dt.date | None = None
    review_due: dt.date | None = None

    def in_effect(self, on: dt.date) -> bool:
        """Return whether the row applies on a date of service.

        A repealed row applies inside its own dates; a pending one only from a date it names, and then it does not
        allow, because nobody has confirmed that it became law.
        """
        if self.status == "pending" and self.effective_from is None:
            return False
        starts = self.effective_from is None or self.effective_from <= on
        return starts and (self.effective_to is None or on <= self.effective_to)

    @property
    def verified(self) -> bool:
        """Whether the row may allow: seen whole in its source, and in force (or in force then)."""
        return self.status in {"in_force", "repealed"} and self.evidence == "S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Every row of every layer. `hash` is over all of them; `version` names the files' versions."""

    rules: tuple[Rule, ...]
    hash: str
    version: str

    def of(self, layer: str) -> tuple[Rule, ...]:
        """Return the rows of one layer."""
        return tuple(rule for rule in self.rules if rule.layer == layer)


_WORDS: Mapping[str, tuple[str, ...]] = {
    "status": STATUSES,
    "presence": PRESENCES,
    "evidence": EVIDENCE,
    "supervision_level": ("general", "direct", "personal"),
    "recording_consent": ("one_party", "all_parties"),
    "settings": SETTINGS,
    "modalities": ("CT", "MR", "XA", "RF", "DX", "CR", "MG", "US", "NM", "PT"),
    "injectors": INJECTORS,
    "modes": MODES,
    "agent_classes": ("iodinated", "gadolinium", "ultrasound"),
    "supervisor_roles": LICENCE_TYPES,
    "supervisor_roles_unread": LICENCE_TYPES,
    "responder_licences": LICENCE_TYPES,
    "supervisor_credentials": tuple(WORDS),
    "responder_credentials": tuple(WORDS),
}
_FORMS: Mapping[str, tuple[str, str]] = {
    "state": (r"[A-Z]{2}", "write two capital letters, as CA"),
    "id": (r"[A-Za-z0-9][A-Za-z0-9.:_-]*", "write letters, digits and . : _ - only"),
    "excluded_global_indicators": (r"[A-Z0-9]{3}", "write indicators of three characters, as 010"),
    "supervision_indicators": (r"[1-9][0-9A-Z]?", "write indicators without leading zeros, as 2"),
}
_REQUIRED = ("id", "text", "citation", "evidence", "status", "presence", "supervisor_roles")
_DATES = ("effective_from", "effective_to", "verified_on", "review_due")
_GIVEN = ("layer", "version")


def _kind(written: Any) -> tuple[type, str]:
    """Return what TOML must hold for a field's type, and how to say so."""
    if written is bool:
        return bool, "write true or false"
    if written is str:
        return str, "write a text"
    if written == tuple[str, ...]:
        return list, "write a list of words"
    return (int, "write whole hours") if written == int | None else (dt.date, "write a date, as 2026-01-01")


_KINDS = {field.name: _kind(field.type) for field in fields(Rule) if field.name not in _GIVEN}


def parse_rulebook(texts: Mapping[str, str]) -> Rulebook:
    """Parse TOML files by name. Raises Invalid("file row field", …)."""
    rules: dict[str, Rule] = {}
    versions = []
    for name, text in sorted(texts.items()):
        layer, version, rows = _file(name, text)
        versions.append(f"{layer}:{version}")
        for row in rows:
            rule = _rule(name, layer, version, row)
            if rule.id in rules:
                raise Invalid(f"{name} {rule.id} id", "two rows have this id")
            rules[rule.id] = rule
    ordered = tuple(rules[key] for key in sorted(rules))
    return Rulebook(rules=ordered, hash=canonical_hash(ordered), version=" ".join(versions))


def _file(name: str, text: str) -> tuple[str, str, list[Mapping[str, Any]]]:
    """Return layer, version and rows of one file."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(name, f"it is not TOML: {error}") from None
    for key in sorted(set(written) - {"book", "rule"}):
        raise Invalid(f"{name} {key}", "a file has one [book] and any number of [[rule]]")
    head = written.get("book", {})
    if not isinstance(head, dict):
        raise Invalid(f"{name} book", "write [book] with layer and version")
    for key in sorted(set(head) - set(_GIVEN)):
        raise Invalid(f"{name} book {key}", "there is no such field")
    layer, version = head.get("layer"), head.get("version")
    if layer not in LAYERS:
        raise Invalid(f"{name} book layer", f"write one of {', '.join(LAYERS)}")
    if not isinstance(version, str) or not version:
        raise Invalid(f"{name} book version", "name the version of this file")
    rows = written.get("rule", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Invalid(f"{name} rule", "write at least one [[rule]]")
    return layer, version, rows


def _rule(name: str, layer: str, version: str, row: Mapping[str, Any]) -> Rule:
    place = f"{name} {row.get('id') or 'row without id'}"
    for field in _REQUIRED:
        if not row.get(field):
            raise Invalid(f"{place} {field}", "this field is needed")
    values: dict[str, Any] = {field: _value(place, field, value) for field, value in sorted(row.items())}
    rule = Rule(layer=layer, version=version, **values)
    _whole(place, rule)
    return rule


def _value(place: str, field: str, value: Any) -> Any:
    """Return one field's value, of its kind and in its words."""
    if field not in _KINDS:
        raise Invalid(f"{place} {field}", "there is no such field")
    kind, advice = _KINDS[field]
    wrong = isinstance(value, dt.datetime) or (kind is int and isinstance(value, bool))
    if not isinstance(value, kind) or wrong:
        raise Invalid(f"{place} {field}", advice)
    words = value if isinstance(value, list) else [value]
    if kind is list and not all(isinstance(word, str) and word for word in words):
        raise Invalid(f"{place} {field}", advice)
    known = _WORDS.get(field)
    if known and not set(words) <= set(known):
        raise Invalid(f"{place} {field}", f"write one of {', '.join(known)}")
    form = _FORMS.get(field)
    if form and not all(re.fullmatch(form[0], str(word)) for word in words):
        raise Invalid(f"{place} {field}", form[1])
    return tuple(words) if kind is list else value


def _whole(place: str, rule: Rule) -> None:
    """Refuse a row whose fields contradict each other."""
    if rule.layer == "state" and not rule.state:
        raise Invalid(f"{place} state", "a row of the state layer names its state")
    if rule.layer == "payer" and not rule.payers:
        raise Invalid(f"{place} payers", "a row of the payer layer names its payers")
    if rule.responder_required and not rule.responder_licences:
        raise Invalid(f"{place} responder_licences", "name the licences that a required responder may hold")
    needs = rule.responder_licences or rule.responder_competency or rule.responder_credentials
    if (needs or rule.responder_in_addition) and not rule.responder_required:
        raise Invalid(f"{place} responder_required", "what is asked of a responder needs responder_required")
    if rule.effective_from and rule.effective_to and rule.effective_to < rule.effective_from:
        raise Invalid(f"{place} effective_to", "a row cannot end before it starts")
    if rule.status == "repealed" and rule.effective_to is None:
        raise Invalid(f"{place} effective_to", "a repealed row says which day was its last")
    if rule.order_window_hours is not None and rule.order_window_hours < 1:
        raise Invalid(f"{place} order_window_hours", "write at least 1")
