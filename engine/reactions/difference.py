"""What changed between two packs, row by row, in words a medical director reads before signing."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any

from engine.reactions.dose import plain
from engine.reactions.pack import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One change: `what` is added, removed or changed; `words` say it."""

    row_id: str
    what: str
    words: str


def differences(before: Pack, after: Pack) -> tuple[Difference, ...]:
    """Return every row that was added, removed or changed, by id; () means that both packs say the same."""
    old = {row.id: row for row in before.rows()}
    new = {row.id: row for row in after.rows()}
    return tuple(_differences(old, new))


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    for row_id in sorted({*old, *new}):
        if row_id not in old:
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
        was, now = getattr(old, one.name), getattr(new, one.name)
        if was != now:
            yield f"{one.name}: {_value(was)} → {_value(now)}"


def _said(row: Any) -> str:
    """Name a row by its text or its drug, with its source."""
    name = getattr(row, "text", "") or " ".join(
        part for part in (getattr(row, "drug", ""), getattr(row, "route", "")) if part
    )
    return f"{name or type(row).__name__} ({row.citation}, {row.tags})"


def _value(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(one)}" for key, one in sorted(value.items())) or "nothing"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if is_dataclass(value):
        said = (
            f"{one.name} {_value(getattr(value, one.name))}"
            for one in fields(value)
            if getattr(value, one.name)
        )
        return "{" + ", ".join(said) + "}"
    return str(value)
