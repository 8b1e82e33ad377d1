"""What a record still lacks, why that matters, and who must act. Pure: a record in, a worklist out.

Rule: an item is required only when the session needs it (slots.NEEDS); a bypassed interlock stands in the record in
place of the proof it went without, and is never hidden.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.records.book import Field, Record, body_hash
from engine.records.slots import BY_PATH, Slot


@dataclass(frozen=True, slots=True)
class Item:
    """One missing item: `path` names the field (and reaction or gap), `who` must act, `why` says what is missing."""

    path: str
    why: str
    who: str


def missing(record: Record, *, signatures: bool = False) -> tuple[Item, ...]:
    """Return what is missing before people may sign; with `signatures`, what is missing before sealing."""
    found: list[Item] = []
    for path, one in record.fields():
        slot = BY_PATH[path]
        if not one.required or (slot.need == "seal" and not signatures):
            continue
        found.extend(_reactions(record, slot, one) if slot.need == "reaction" else _single(slot, one))
    return (*found, *_gaps(record), *_orders(record), *(_overtaken(record) if signatures else ()))


def missing_paths(record: Record, *, signatures: bool = False) -> tuple[str, ...]:
    """Return the paths of `missing`, as the commands that sign and seal take them."""
    return tuple(item.path for item in missing(record, signatures=signatures))


def _single(slot: Slot, one: Field) -> Iterator[Item]:
    if one.value is None or (isinstance(one.value, list | dict) and not one.value):
        yield Item(slot.path, slot.why, slot.who)


def _reactions(record: Record, slot: Slot, one: Field) -> Iterator[Item]:
    for reaction_id in record.value("reaction.reported") or {}:
        if (one.value or {}).get(reaction_id) is None:
            yield Item(f"{slot.path}.{reaction_id}", slot.why, slot.who)


def _gaps(record: Record) -> Iterator[Item]:
    for gap in record.value("line.gaps") or ():
        if gap["end"] is None:
            yield Item(f"line.gaps.{gap['number']}.end", "the gap is still open", "technologist")
        if not gap["action"]:
            yield Item(f"line.gaps.{gap['number']}.action", "say what was done about the gap", "technologist")


def _overtaken(record: Record) -> Iterator[Item]:
    """A signature over an earlier content does not count for this one."""
    content = body_hash(record)
    for who in ("technologist", "physician"):
        signed = record.value(f"signatures.{who}")
        if signed is not None and signed["record_hash"] != content:
            yield Item(f"signatures.{who}", "it was made over another record than this one", who)


def _orders(record: Record) -> Iterator[Item]:
    """An ordered step must have an end: done, refused, or superseded by another grade or by disposal."""
    disposed = record.value("reaction.disposition") or {}
    for step in record.value("interventions.directed") or ():
        ended = step["done_at"] or step["refused_at"] or step["superseded_at"]
        if step["ordered_at"] and not ended and step["reaction_id"] not in disposed:
            path = f"interventions.directed.{step['reaction_id']}.{step['step_id']}.{step['order_number']}"
            yield Item(path, "the order was neither done nor refused", "technologist")
