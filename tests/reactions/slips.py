"""Every number of the packs, the slips a hand makes with it, and the values of the reference that it is held to.

The check values (`check_values/`) are the reference's, in the reference's units, and are made from no pack: a slip in a
pack and the same slip here would be two.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from tests.reactions.packs import texts

VALUES = Path(__file__).with_name("check_values")
NUMBER = re.compile(r"\d+(?:\.\d+)?")

# Texts whose digits are no amount, limit or time for a patient, each with the reason.
LEFT_OUT = {
    "id": "names a row, and the list of the reference's ids holds it",
    "source_row": "names a row of the reference, and the list of its ids holds it",
    "sets": "names rows, and the loader finds them or refuses",
    "sets_after": "names rows, and the loader finds them or refuses",
    "row": "names a row, and the loader finds it or refuses",
    "inherits": "names a pack, and the loader finds it or refuses",
    "evidence": "a tag (D1, D2), one of the schema's",
    "evidence_of": "tags (D1, D2), each one of the schema's",
    "unit": "the 1 of 1/min: the schema has one unit for each limit, and the check values another word for it",
    "citation": "edition, table, page and year of a source; nothing is done by them",
    "note": "what other sources say, for the reviewer alone: no screen, step or document shows it",
    "version": "the pack's own version",
    "title": "year of an edition",
}

# What a field of a pack is written in, by the end of its name; an amount and a single value say their own unit.
UNITS = {
    "_mg_per_ml": "mg/mL",
    "_mg_per_kg": "mg/kg",
    "_ml_per_kg": "mL/kg",
    "_mmol_per_ml": "mmol/mL",
    "_mmol_per_kg": "mmol/kg",
    "_mg": "mg",
    "_ml": "mL",
    "_kg": "kg",
    "_s": "s",
    "_h": "h",
    "hours_before": "h",
    "_years": "y",
    "_days": "d",
    "_mmhg": "mmHg",
    "_bpm": "1/min",
    "egfr_from": "eGFR",
    "egfr_below": "eGFR",
    "max_times": "times",
    "need": "of",
    "par": "pieces",
}
FACTORS = {
    ("g", "mg"): Decimal(1000),
    ("mcg", "mg"): Decimal("0.001"),
    ("g/mL", "mg/mL"): Decimal(1000),
    ("min", "s"): Decimal(60),
    ("h", "s"): Decimal(3600),
}

Way = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A number of a pack's data: where it stands, what it is called, and for a text which number of it."""

    file: str
    path: Way
    name: str
    value: Any
    unit: str
    number: int | None = None

    @property
    def pack_id(self) -> str:
        """The pack that says it."""
        return self.file.partition("/")[0]

    @property
    def key(self) -> tuple[str, str]:
        """What its check value is found by."""
        return self.pack_id, self.name

    def slips(self) -> Iterator[Any]:
        """Yield the values a hand could have written instead: ten times, a tenth, one mark more."""
        if self.number is None:
            yield from (_as(self.value, slip) for slip in _slips(Decimal(self.value)))
            return
        found = list(NUMBER.finditer(self.value))[self.number]
        for slip in _slips(Decimal(found.group())):
            yield f"{self.value[: found.start()]}{slip:f}{self.value[found.end() :]}"


def _slips(value: Decimal) -> Iterator[Decimal]:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    for slip in (value * 10, value / 10, value + Decimal(1).scaleb(exponent)):
        if slip != value:
            yield slip


def _as(value: Any, slip: Decimal) -> int | Decimal:
    """Return a slip as TOML would: a whole number that was written as one stays one."""
    return int(slip) if isinstance(value, int) and slip == slip.to_integral_value() else slip


@cache
def documents() -> Mapping[str, Mapping[str, Any]]:
    """Return what the packs' files say, read once."""
    return {path: tomllib.loads(text, parse_float=Decimal) for path, text in texts().items()}


@cache
def places() -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Return every number of the packs: those that have a meaning, and those left out by `LEFT_OUT`."""
    every = [place for file, document in documents().items() for place in _places(file, document, (), "", "")]
    apart = [[place for place in every if _left_out(place) is gone] for gone in (False, True)]
    return tuple(apart[0]), tuple(apart[1])


def _left_out(place: Place) -> bool:
    return isinstance(place.value, str) and any(part in LEFT_OUT for part in place.path)


def _places(file: str, value: Any, path: Way, name: str, unit: str) -> Iterator[Place]:
    if isinstance(value, Mapping):
        if "id" in value:
            name = value["id"]
        unit = value.get("unit", unit)
    for inner_path, inner_name, inner in _parts(value, path, name):
        if isinstance(inner, int | Decimal) and not isinstance(inner, bool):
            yield Place(file=file, path=inner_path, name=inner_name, value=inner, unit=unit)
        elif isinstance(inner, str):
            for number, _ in enumerate(NUMBER.findall(inner)):
                yield Place(
                    file=file, path=inner_path, name=inner_name, value=inner, unit=unit, number=number
                )
        else:
            yield from _places(file, inner, inner_path, inner_name, unit)


def _parts(value: Any, path: Way, name: str) -> Iterator[tuple[Way, str, Any]]:
    if isinstance(value, Mapping):
        yield from (((*path, key), f"{name}.{key}", inner) for key, inner in value.items())
    elif isinstance(value, list):
        yield from (((*path, at), f"{name}[{at}]", inner) for at, inner in enumerate(value))


def changed_documents(place: Place, slip: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the packs' files with one number changed; the rest is shared."""
    return {**documents(), place.file: _with(documents()[place.file], place.path, slip)}


def _with(value: Any, path: Way, slip: Any) -> Any:
    if not path:
        return slip
    at, *rest = path
    if isinstance(value, list):
        return [_with(one, tuple(rest), slip) if n == at else one for n, one in enumerate(value)]
    return {**value, at: _with(value[at], tuple(rest), slip)}


@cache
def check_values() -> Mapping[tuple[str, str], str]:
    """Return the reference's quantity for each number and its words for each text, by pack and name."""
    found: dict[tuple[str, str], str] = {}
    for file in ("drugs.toml", "around.toml"):
        for pack_id, rows in tomllib.loads((VALUES / file).read_text("utf-8")).items():
            for row_id, row in rows.items():
                row.pop("from", None)
                _keep(found, (((pack_id, name), said) for name, said in _flat(row, row_id)))
    for pack_id, rows in tomllib.loads((VALUES / "words.toml").read_text("utf-8")).items():
        _keep(found, (((pack_id, name), row["states"]) for row in rows for name in row["in"]))
    return found


def _keep(found: dict[tuple[str, str], str], more: Iterator[tuple[tuple[str, str], str]]) -> None:
    for key, said in more:
        assert key not in found, f"{key} has two check values"
        found[key] = said


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
        return
    for _, inner_name, inner in _parts(value, (), name):
        yield from _flat(inner, inner_name)


def as_the_reference_says(place: Place, value: Any) -> bool:
    """Return whether a value in this place is the reference's; one without a check value is not."""
    said = check_values().get(place.key)
    if said is None:
        return False
    if isinstance(place.value, str):
        return [Decimal(n) for n in NUMBER.findall(value)] == [Decimal(n) for n in NUMBER.findall(said)]
    number, unit = said.split(" ")
    wanted = _unit(place)
    return (unit == wanted or (unit, wanted) in FACTORS) and value == Decimal(number) * FACTORS.get(
        (unit, wanted), Decimal(1)
    )


def _unit(place: Place) -> str:
    """Return the unit that a number of the pack is written in."""
    field = re.sub(r"\[\d+\]$", "", place.name).rpartition(".")[2]
    if field in ("value", "amount", "amount_max", "max_single_amount"):
        return place.unit
    if field in ("amount_per_kg", "amount_max_per_kg"):
        return f"{place.unit}/kg"
    return next(unit for end, unit in UNITS.items() if field.endswith(end))
