"""Rule rows as dated values, parsed from text; a book is the rows of every layer, with one hash.

Rule: a row that does not parse stops the book, and the error names file, row and field.
"""

import datetime as dt
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from engine.kernel.canonical import canonical_hash
from engine.kernel.errors import Invalid

LAYERS = ("federal", "payer", "state", "accreditor", "facility")
PRESENCES = ("onsite_premises", "onsite_facility", "virtual_av", "virtual_readiness")
STATUSES = ("in_force", "pending", "unverified", "repealed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One dated row (regulatory reference 3.2). Empty tuples and None mean "whatever it is"."""

    id: str
    layer: str
    version: str
    text: str
    citation: str
    evidence: str
    status: str
    presence: str
    supervisor_roles: tuple[str, ...]
    state: str = ""
    settings: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    injectors: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    payers: tuple[str, ...] = ()
    supervisor_licence_in_state: bool = True
    records_access_required: bool = False
    responder_required: bool = False
    responder_licences: tuple[str, ...] = ()
    responder_competency: bool = False
    one_virtual_level: bool = False
    excluded_global_indicators: tuple[str, ...] = ()
    max_supervision_indicator: int | None = None
    effective_from: dt.date | None = None
    effective_to: dt.date | None = None
    verified_by: str = ""

    def in_effect(self, on: dt.date) -> bool:
        """Return whether the row applies on a date of service. A repealed row applies inside its own dates."""
        starts = self.effective_from is None or self.effective_from <= on
        ends = self.effective_to is None or on <= self.effective_to
        return starts and ends and (self.status != "repealed" or self.effective_to is not None)

    @property
    def verified(self) -> bool:
        """Whether the row may allow: seen in its source, and in force (or in force then)."""
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


_TUPLES = {
    "supervisor_roles",
    "settings",
    "modalities",
    "injectors",
    "modes",
    "payers",
    "responder_licences",
    "excluded_global_indicators",
}
_KNOWN = {f.name for f in fields(Rule)}
_REQUIRED = ("id", "text", "citation", "evidence", "status", "presence", "supervisor_roles")


def parse_rulebook(texts: Mapping[str, str]) -> Rulebook:
    """Parse TOML files by name. Raises Invalid("file row field", …)."""
    rules: list[Rule] = []
    versions = []
    for name, text in sorted(texts.items()):
        try:
            written = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Invalid(name, f"it is not TOML: {error}") from None
        head = written.get("book", {})
        layer, version = head.get("layer"), head.get("version")
        if layer not in LAYERS:
            raise Invalid(f"{name} book layer", f"write one of {', '.join(LAYERS)}")
        if not isinstance(version, str) or not version:
            raise Invalid(f"{name} book version", "name the version of this file")
        versions.append(f"{layer}:{version}")
        rules.extend(_rule(name, layer, version, row) for row in written.get("rule", []))
    _unique(rules)
    return Rulebook(
        rules=tuple(rules), hash=canonical_hash(sorted(rules, key=lambda r: r.id)), version=" ".join(versions)
    )


def _rule(name: str, layer: str, version: str, row: Mapping[str, Any]) -> Rule:
    place = f"{name} {row.get('id', 'row without id')}"
    for field in _REQUIRED:
        if not row.get(field):
            raise Invalid(f"{place} {field}", "this field is needed")
    unknown = sorted(set(row) - _KNOWN)
    if unknown:
        raise Invalid(f"{place} {unknown[0]}", "there is no such field")
    if row["status"] not in STATUSES:
        raise Invalid(f"{place} status", f"write one of {', '.join(STATUSES)}")
    if row["presence"] not in PRESENCES:
        raise Invalid(f"{place} presence", f"write one of {', '.join(PRESENCES)}")
    values: dict[str, Any] = {}
    for field, value in row.items():
        if field in _TUPLES:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise Invalid(f"{place} {field}", "write a list of words")
            values[field] = tuple(value)
        elif field in {"effective_from", "effective_to"}:
            if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
                raise Invalid(f"{place} {field}", "write a date, as 2026-01-01")
            values[field] = value
        else:
            values[field] = value
    return Rule(layer=layer, version=version, **values)


def _unique(rules: Iterable[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise Invalid(rule.id, "two rows have this id")
        seen.add(rule.id)
