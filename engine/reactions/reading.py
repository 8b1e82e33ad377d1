"""Packs from TOML text: a strict schema, inheritance resolved, and errors that name file, row and field.

A pack that breaks the schema does not load. Text comes in from outside; nothing here opens a file.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from itertools import chain
from typing import Any

import msgspec

from engine.kernel.errors import AttendError, Invalid
from engine.reactions import care_rows as care
from engine.reactions.pack import (
    TABLES,
    AgeCap,
    CallRow,
    ChildBand,
    Choice,
    DrugRow,
    LookAlike,
    ObservationRow,
    Pack,
    Progression,
    ProtocolRow,
    SeverityRule,
    Sign,
    StepRow,
    StepSet,
    SyringeMark,
    Threshold,
    Value,
    WeightBand,
    content_hash,
)
from engine.reactions.row import Row

ROWS: Mapping[str, type[Row]] = {
    "sign": Sign,
    "severity_rule": SeverityRule,
    "threshold": Threshold,
    "child_band": ChildBand,
    "value": Value,
    "syringe_mark": SyringeMark,
    "drug": DrugRow,
    "set": StepSet,
    "protocol": ProtocolRow,
    "observation": ObservationRow,
    "look_alike": LookAlike,
    "discriminator": care.Discriminator,
    "advice": care.Advice,
    "return_precaution": care.ReturnPrecaution,
    "weight_estimate": care.WeightEstimate,
    "reexposure": care.Reexposure,
    "regimen": care.Regimen,
    "agent_group": care.AgentGroup,
    "risk_factor": care.RiskFactor,
    "kidney_rule": care.KidneyRule,
    "gadolinium_group": care.GadoliniumGroup,
    "metformin_rule": care.MetforminRule,
    "pregnancy_rule": care.PregnancyRule,
    "agent": care.Agent,
    "kit_item": care.KitItem,
    "left_out": care.LeftOut,
}
NESTED: Mapping[str, type] = {
    "steps": StepRow,
    "choices": Choice,
    "calls": CallRow,
    "progressions": Progression,
    "dose_bands": WeightBand,
    "cumulative_by_age": AgeCap,
    "doses": care.RegimenDose,
}
HEADER = {"id", "version", "title", "disclaimer", "inherits"}
ROW_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A pack as written, before its parent's rows come in."""

    header: Mapping[str, str]
    file: str
    tables: Mapping[str, tuple[Row, ...]]
    files: Mapping[str, str]


def parse_packs(texts: Mapping[str, str]) -> Mapping[str, Pack]:
    """Parse every pack from `{"<pack id>/<file>.toml": text}` and resolve who inherits from whom.

    Raises Invalid: its field reads "file row field", its reason says what to write instead.
    """
    documents: dict[str, Mapping[str, Any]] = {}
    for path, text in sorted(texts.items()):
        try:
            documents[path] = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as broken:
            raise Invalid(path, f"not TOML: {broken}") from None
    return read_packs(documents)


def read_packs(documents: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Pack]:
    """Read every pack from what its files say, as `parse_packs` does from their text."""
    folders: dict[str, dict[str, Mapping[str, Any]]] = {}
    for path, document in sorted(documents.items()):
        folder, _, name = path.rpartition("/")
        if not folder or not name.endswith(".toml"):
            raise Invalid(path, "name a pack's file <pack id>/<name>.toml")
        folders.setdefault(folder, {})[path] = document
    drafts = {folder: _draft(folder, files) for folder, files in folders.items()}
    packs: dict[str, Pack] = {}
    for pack_id in drafts:
        _resolve(pack_id, drafts, packs, ())
    return packs


def _resolve(
    pack_id: str, drafts: Mapping[str, _Draft], packs: dict[str, Pack], waiting: tuple[str, ...]
) -> Pack:
    """Return one pack with its parent's rows, parents first."""
    if pack_id in packs:
        return packs[pack_id]
    draft = drafts[pack_id]
    parent_id = draft.header.get("inherits", "")
    if parent_id and parent_id not in drafts:
        raise Invalid(f"{draft.file} inherits", f"there is no pack {parent_id}")
    if parent_id in (*waiting, pack_id):
        raise Invalid(f"{draft.file} inherits", "packs inherit from each other in a circle")
    parent = _resolve(parent_id, drafts, packs, (*waiting, pack_id)) if parent_id else None
    packs[pack_id] = _merged(draft, parent)
    return packs[pack_id]


def _draft(folder: str, files: Mapping[str, Mapping[str, Any]]) -> _Draft:
    header: Mapping[str, str] | None = None
    header_file = ""
    found: dict[str, list[Row]] = {name: [] for name in ROWS}
    where: dict[str, str] = {}
    for path, document in files.items():
        if "pack" in document:
            if header is not None:
                raise Invalid(f"{path} pack", f"the pack's header is already in {header_file}")
            header, header_file = _header(path, folder, document["pack"]), path
        for table, rows in document.items():
            if table == "pack":
                continue
            for row in _rows(path, table, rows):
                if row.id in where:
                    raise Invalid(f"{path} {row.id} id", f"this id is already used in {where[row.id]}")
                where[row.id] = path
                found[table].append(row)
    if header is None:
        raise Invalid(folder, "no file of this pack has a [pack] header")
    return _Draft(
        header=header, file=header_file, tables={k: tuple(v) for k, v in found.items()}, files=where
    )


def _header(path: str, folder: str, header: Any) -> Mapping[str, str]:
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        raise Invalid(f"{path} pack", "the header holds text only")
    for name in sorted(HEADER - {"inherits"} - set(header)):
        raise Invalid(f"{path} pack {name}", "missing")
    for name in sorted(set(header) - HEADER):
        raise Invalid(f"{path} pack {name}", "the schema has no such field")
    if header["id"] != folder.rpartition("/")[2]:
        raise Invalid(f"{path} pack id", "must be the folder's name")
    return header


def _rows(path: str, table: str, rows: Any) -> Iterator[Row]:
    kind = ROWS.get(table)
    if kind is None:
        raise Invalid(f"{path} {table}", f"unknown table; the tables are {', '.join(ROWS)}")
    if not isinstance(rows, list):
        raise Invalid(f"{path} {table}", f"write rows as [[{table}]]")
    for number, written in enumerate(rows, start=1):
        row_id = written.get("id")
        name = row_id if isinstance(row_id, str) else f"{table} number {number}"
        yield _row(f"{path} {name}", kind, written)


def _unit_of(finding: str) -> str:
    """Return the one unit that a vital sign's limit is written in."""
    if finding in ("bradycardia", "tachycardia"):
        return "1/min"
    return "%" if finding.startswith("hypoxia") else "mmHg"


def _numbers(place: str, written: Mapping[str, Any], made: Any) -> None:
    """Refuse a number that was written as text: what is read from it may not be what was meant."""
    for name, value in written.items():
        got = getattr(made, name)
        if isinstance(value, str) and isinstance(got, Decimal | int):
            raise Invalid(f"{place} {name}", "write a number, not text")
        if isinstance(value, list):
            for inner, one in zip(value, got, strict=True):
                if isinstance(inner, Mapping):
                    _numbers(f"{place} {name}", inner, one)


def _row(place: str, kind: type[Row], written: Mapping[str, Any]) -> Row:
    _known_fields(place, kind, written)
    try:
        row = msgspec.convert(written, kind)
    except msgspec.ValidationError as broken:
        why, _, at = str(broken).partition(" - at `$")
        missing = re.search(r"missing required field `(\w+)`", why)
        field = at.strip("`").lstrip(".") or (missing.group(1) if missing else "")
        raise Invalid(f"{place} {field}".strip(), why) from None
    _numbers(place, written, row)
    if isinstance(row, Threshold) and row.unit != _unit_of(row.finding):
        raise Invalid(f"{place} unit", f"{row.finding} is measured in {_unit_of(row.finding)}")
    for name in _ids(row):
        if not ROW_ID.fullmatch(name):
            raise Invalid(f"{place} id", "use letters, digits, dots and dashes")
    for field in row.evidence_of or {}:
        if field not in {f.name for f in fields(kind)}:
            raise Invalid(f"{place} evidence_of.{field}", "the schema has no such field")
    if isinstance(row, DrugRow):
        _one_kind_of_dose(place, row)
    for amount in _amounts(row):
        if not amount.is_finite() or amount < 0:
            raise Invalid(place, "every number is finite and not below zero")
    return row


def _ids(row: Row) -> Iterator[str]:
    yield row.id
    if isinstance(row, ProtocolRow | StepSet):
        yield from (step.id for step in row.steps)


def _amounts(value: Any) -> Iterator[Decimal]:
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, tuple):
        yield from chain.from_iterable(_amounts(part) for part in value)
    elif is_dataclass(value):
        yield from chain.from_iterable(_amounts(getattr(value, f.name)) for f in fields(value))


def _known_fields(place: str, kind: type, written: Any) -> None:
    """Refuse a field that the schema does not have: a misspelt cap must not vanish."""
    if not isinstance(written, Mapping):
        raise Invalid(place, "write this as a table")
    known = {f.name for f in fields(kind)}
    for name, value in written.items():
        if name not in known:
            raise Invalid(f"{place} {name}", "the schema has no such field")
        inner = NESTED.get(name)
        if inner is not None and isinstance(value, list):
            for part in value:
                inside = part.get("id", name) if isinstance(part, Mapping) else name
                _known_fields(f"{place} {inside}", inner, part)


def _one_kind_of_dose(place: str, row: DrugRow) -> None:
    ways = [
        name
        for name in ("dose_mg", "dose_mg_per_kg", "dose_bands", "amount_per_kg")
        if getattr(row, name) not in (None, ())
    ]
    if len(ways) > 1:
        raise Invalid(f"{place} {ways[1]}", f"the row already has {ways[0]}; a row has one kind of dose")
    if row.dose_bands and (
        row.dose_bands[0].from_kg != 0
        or any(a.from_kg >= b.from_kg for a, b in zip(row.dose_bands, row.dose_bands[1:], strict=False))
    ):
        raise Invalid(f"{place} dose_bands", "start at 0 kg and rise")
    if (row.amount is not None or row.amount_per_kg is not None) and not row.unit:
        raise Invalid(f"{place} unit", "an amount needs its unit")


def _merged(draft: _Draft, parent: Pack | None) -> Pack:
    """Put a pack's own rows after its parent's, dropping what they replace."""
    own = [row for rows in draft.tables.values() for row in rows]
    inherited = {row.id: row for row in parent.rows()} if parent else {}
    replaced = dict(parent.replaced) if parent else {}
    for row in own:
        place = f"{draft.files[row.id]} {row.id}"
        target = row.replaces or (row.id if row.id in inherited else "")
        if not target:
            continue
        if target not in inherited:
            raise Invalid(f"{place} replaces", f"the inherited pack has no row {target}")
        if type(inherited[target]) is not type(row):
            raise Invalid(f"{place} replaces", f"{target} is a row of another table")
        if target in replaced.values() and target not in replaced:
            replaced = {old: row.id if new == target else new for old, new in replaced.items()}
        if target != row.id:
            replaced[target] = row.id
    gone = {row.replaces for row in own if row.replaces} | {row.id for row in own}
    tables: dict[str, Any] = {
        attribute: (
            *(row for row in (getattr(parent, attribute) if parent else ()) if row.id not in gone),
            *draft.tables[table],
        )
        for table, attribute in TABLES.items()
    }
    pack = Pack(
        pack_id=draft.header["id"],
        version=draft.header["version"],
        title=draft.header["title"],
        disclaimer=draft.header["disclaimer"],
        inherits=draft.header.get("inherits", ""),
        replaced=tuple(sorted(replaced.items())),
        **tables,
    )
    _references(pack, draft)
    return replace(pack, hash=content_hash(pack))


def _references(pack: Pack, draft: _Draft) -> None:
    """Refuse a row that points at one that is not there, and an id used twice over a whole pack."""
    counted = Counter(chain.from_iterable(_ids(row) for row in pack.rows()))
    for row in pack.rows():
        place = f"{draft.files.get(row.id, draft.file)} {row.id}"
        for name in _ids(row):
            if counted[name] > 1:
                raise Invalid(f"{place} {name}", "this id is used twice in the pack")
        if isinstance(row, DrugRow) and row.without_weight:
            _found(f"{place} without_weight", row.without_weight, (known.id for known in pack.drugs))
        if isinstance(row, ProtocolRow):
            for set_id in (*row.sets, *row.sets_after):
                _found(f"{place} sets", set_id, (known.id for known in pack.sets))
        if isinstance(row, ProtocolRow | StepSet):
            for step in row.steps:
                _choices(f"{place} {step.id}", step, row, pack)
    for set_id in ("ZONE", "WEIGHT"):
        _found(f"{draft.file} set", set_id, (known.id for known in pack.sets))
    for name in ("adult_from_years", "cumulative_epinephrine_mg"):
        if not any(value.name == name for value in pack.values):
            raise Invalid(f"{draft.file} value", f"the pack needs a value {name}")
    if not any(mark.up_to_ml is None for mark in pack.syringe_marks):
        raise Invalid(f"{draft.file} syringe_mark", "the last mark needs no up_to_ml: it is for any volume")


def _found(place: str, name: str, known: Iterable[str]) -> None:
    if name not in set(known):
        raise Invalid(place, f"the pack has no {name}")


def _choices(place: str, step: StepRow, row: Row, pack: Pack) -> None:
    offered = [choice.row for choice in step.choices]
    for choice in step.choices:
        try:
            drug = pack.drug(choice.row)
        except AttendError:
            raise Invalid(f"{place} choices", f"the pack has no drug row {choice.row}") from None
        if isinstance(row, ProtocolRow) and drug.population != row.population:
            raise Invalid(f"{place} choices", f"{choice.row} is not a row for a {row.population}")
        if choice.instead_of:
            _found(f"{place} choices", choice.instead_of, offered)
            if not choice.condition:
                raise Invalid(f"{place} choices", f"say when {choice.row} is given instead")
