"""Requests that surely keep the rules of the contract, told without the library: its plain rules, compiled once.

Rule: it may doubt and never errs. What is not certain is the library's to say (`form`), and so is every complaint.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

Sure = Callable[[Any], bool]

#: Patterns that mean the same here as in the library: anchored, without alternatives, no escape but of a dot.
_PATTERN = re.compile(r"\^((?:[^\\|^$]|\\\.)*)\$")
#: A pattern for anything that is no blank.
_SOMETHING = r"\S"
#: A declared rule of ours against characters: `!this.matches(r'[…]')`.
_WITHOUT = re.compile(r"!rule \|\| !this\.matches\(r'(\[[^']*\])'\)")
#: A rule over a whole message: at least one of its fields is given.
_SOME = re.compile(r"has\(this\.\w+\)(?: \|\| has\(this\.\w+\))*")


@lru_cache(maxsize=1024)
def sure(message: Descriptor) -> Sure:
    """Return what tells whether a message of this type surely keeps every rule; False says nothing."""
    checks = {field: _field(field) for field in message.fields}
    plan = {field: (check, _needed(field, check)) for field, check in checks.items()}
    needed = sum(counts for _, counts in plan.values())
    whole = _every(_whole(message))
    unknown = (_doubt, False)

    def check(given: Any) -> bool:
        found = 0
        for field, value in given.ListFields():
            one, counts = plan.get(field, unknown)
            if not one(value):
                return False
            found += counts
        return found == needed and whole(given)

    return check


def _certain(value: Any) -> bool:
    return True


def _doubt(value: Any) -> bool:
    return False


def _every(checks: Iterable[Sure]) -> Sure:
    wanted = tuple(one for one in checks if one is not _certain)
    if len(wanted) > 1:
        return lambda value: all(one(value) for one in wanted)
    return wanted[0] if wanted else _certain


def _rules(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[validate_pb2.field]


def _needed(field: FieldDescriptor, check: Sure) -> bool:
    """Return whether a message is not surely well formed while a field is left out."""
    if _rules(field).required:
        return True
    if field.has_presence or _rules(field).ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    return not check(() if field.is_repeated else field.default_value)


def _field(field: FieldDescriptor) -> Sure:
    rules = _rules(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _doubt
    if not field.is_repeated:
        return _one(field, rules)
    if _named(rules) - {"required", "ignore", "repeated"} or _named(rules.repeated) - _REPEATED:
        return _doubt
    return _many(rules.repeated, _one(field, rules.repeated.items))


def _many(rules: Any, one: Sure) -> Sure:
    fewest, most = rules.min_items, rules.max_items if rules.HasField("max_items") else float("inf")
    return lambda values: fewest <= len(values) <= most and all(one(value) for value in values)


_REPEATED = {"min_items", "max_items", "items"}


def _one(field: FieldDescriptor, rules: Any) -> Sure:
    """Return the check of one value. Anything that is ruled in a way not known here is in doubt."""
    kind = rules.WhichOneof("type")
    if _named(rules) - {"required", "ignore", kind}:
        return _doubt
    if field.message_type is not None:
        nested = field.message_type
        return _doubt if kind else sure(nested)
    if kind is None:
        return _certain
    return _KINDS.get(kind, _unknown)(field, getattr(rules, kind))


def _unknown(field: FieldDescriptor, rules: Any) -> Sure:
    return _doubt


def _string(field: FieldDescriptor, rules: Any) -> Sure:
    return _every(
        _declared(rule, wanted) if rule.is_extension else _TEXT.get(rule.name, _doubted)(wanted)
        for rule, wanted in rules.ListFields()
    )


def _doubted(wanted: Any) -> Sure:
    return _doubt


def _pattern(wanted: str) -> Sure:
    known = _PATTERN.fullmatch(wanted)
    if known is None and wanted != _SOMETHING:
        return _doubt
    matches = re.compile(known[1], re.ASCII).fullmatch if known else re.compile(wanted, re.ASCII).search
    return lambda text: matches(text) is not None


def _declared(rule: FieldDescriptor, wanted: Any) -> Sure:
    """Return the check of a rule that the contract itself declares (`form.proto`)."""
    said = [one.expression for one in rule.GetOptions().Extensions[validate_pb2.predefined].cel]
    known = _WITHOUT.fullmatch(said[0]) if len(said) == 1 else None
    if known is None or wanted is not True:
        return _doubt
    found = re.compile(re.sub(r"\\x\{(\w{4})\}", r"\\u\1", known[1])).search
    return lambda text: found(text) is None


_TEXT: Mapping[str, Callable[[Any], Sure]] = {
    "min_len": lambda fewest: lambda text: len(text) >= fewest,
    "max_len": lambda most: lambda text: len(text) <= most,
    "pattern": _pattern,
}


def _int32(field: FieldDescriptor, rules: Any) -> Sure:
    if _named(rules) != {"gte", "lte"} or rules.gte > rules.lte:
        return _doubt
    least: int = rules.gte
    most: int = rules.lte

    def within(number: int) -> bool:
        return least <= number <= most

    return within


def _enum(field: FieldDescriptor, rules: Any) -> Sure:
    if _named(rules) - {"defined_only", "not_in"} or not rules.defined_only or field.enum_type is None:
        return _doubt
    allowed = frozenset(value.number for value in field.enum_type.values) - frozenset(rules.not_in)
    return lambda number: number in allowed


_KINDS: Mapping[str, Callable[[FieldDescriptor, Any], Sure]] = {
    "string": _string,
    "int32": _int32,
    "enum": _enum,
}


def _whole(message: Descriptor) -> Iterable[Sure]:
    """Yield the rules over a whole message."""
    rules = message.GetOptions().Extensions[validate_pb2.message]
    ruled = [one for one in message.oneofs if one.GetOptions().Extensions[validate_pb2.oneof].ListFields()]
    if _named(rules) - {"cel"} or ruled:
        yield _doubt
    for rule in rules.cel:
        names = re.findall(r"this\.(\w+)", rule.expression)
        known = _SOME.fullmatch(rule.expression) is not None
        present = known and all(message.fields_by_name[name].has_presence for name in names)
        yield _some(tuple(names)) if present else _doubt


def _some(names: tuple[str, ...]) -> Sure:
    return lambda given: any(map(given.HasField, names))


def _named(rules: Any) -> set[str]:
    """Return the names of what a message of rules says."""
    return {field.full_name if field.is_extension else field.name for field, _ in rules.ListFields()}
