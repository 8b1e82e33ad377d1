"""What changed between two packs, row by row, in words a medical director reads before signing."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any

from engine.reactions.dose import plain
from engine.reactions.pack import Pack

NAMES = ("id", "replaces")
SAID = (*NAMES, "text", "citation", "evidence", "evidence_of", "source_row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One change: `what` is added, removed, replaced or changed; `words` say it."""

    row_id: str
    what: str
    words: str


def differences(before: Pack, after: Pack) -> tuple[Difference, ...]:
    """Return every row that was added, removed or changed, by id; () means that both packs say the same."""
    old = {row.id: row for row in before.rows()}
    new = {row.id: row for row in after.rows()}
    return tuple(_differences(old, new))


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    heirs = {row.replaces: row for row in new.values() if row.replaces in old and row.replaces not in new}
    for row_id in sorted({*old, *new} - {row.id for row in heirs.values()}):
        if row_id in heirs:
            heir = heirs[row_id]
            changes = "; ".join(_changes(old[row_id], heir))
            yield Difference(row_id=f"{row_id} → {heir.id}", what="replaced", words=changes)
        elif row_id not in old:
            yield Difference(row_id=row_id, what="added", words=_said(new[row_id]))
        elif row_id not in new:
            yield Difference(row_id=row_id, what="removed", words=_said(old[row_id]))
        elif old[row_id] != new[row_id]:
            changes = "; ".join(_changes(old[row_id], new[row_id]))
            yield Difference(row_id=row_id, what="changed", words=changes)


def _changes(old: Any, new: Any) -> Iterator[str]:
    if type(old) is not type(new):
        yield f"{_said(old)} → {_said(new)}"
        return
    for one in fields(old):
        if one.name in NAMES:
            continue
        was, now = getattr(old, one.name), getattr(new, one.name)
        if was != now:
            yield f"{one.name}: {in_words(was)} → {in_words(now)}"


def _said(row: Any) -> str:
    """Say a row by its text or its kind, all that it holds, and its source: who signs it reads every number."""
    told = {one.name: getattr(row, one.name) for one in fields(row) if one.name not in SAID}
    held = in_words({name: value for name, value in told.items() if value not in (None, "", (), {})})
    drug = [getattr(row, part, "") for part in ("drug", "route")]
    name = getattr(row, "text", "") or " ".join(filter(None, drug)) or type(row).__name__
    return f"{name}{': ' if held else ''}{held} ({row.citation}, {row.tags})"


def in_words(value: Any) -> str:
    """Say a value of a pack or of a site's plan."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(one)}" for key, one in sorted(value.items())) or "nothing"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(in_words(one) for one in value) + "]"
    if is_dataclass(value):
        said = (
            f"{one.name} {in_words(getattr(value, one.name))}"
            for one in fields(value)
            if getattr(value, one.name)
        )
        return "{" + ", ".join(said) + "}"
    return str(value)
