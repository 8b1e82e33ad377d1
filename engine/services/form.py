"""The form of a request, as the contract declares it (protovalidate): checked before anything else looks at it.

Rule: a complaint names the field and the rule, never the value.
"""

from typing import Any

from google.protobuf.message import Message
from protovalidate import Validator

from engine.kernel.errors import Invalid

MAX_VIOLATIONS = 20


class Malformed(Invalid):
    """One or more fields of a request have the wrong form; `violations` are (field, what to do)."""

    def __init__(self, violations: tuple[tuple[str, str], ...]) -> None:
        super().__init__(*violations[0])
        self.violations = violations


class Form:
    """Checks requests against the rules in their descriptors."""

    def __init__(self) -> None:
        self._validator = Validator()

    def check(self, message: Message) -> None:
        """Raise Malformed when the message breaks a declared rule."""
        found = self._validator.collect_violations(message)
        if found:
            raise Malformed(tuple(_named(violation.proto) for violation in found[:MAX_VIOLATIONS]))


def _named(violation: Any) -> tuple[str, str]:
    return _path(violation.field), violation.message or "this field has the wrong form"


def _path(field: Any) -> str:
    if field is None:
        return "request"
    return ".".join(map(_element, field.elements)) or "request"


def _element(element: Any) -> str:
    """Spell one part of a path; one of many things is named by its place, from 0 on."""
    of_many = element.subscript is not None and element.subscript.field == "index"
    return f"{element.field_name}[{element.subscript.value}]" if of_many else f"{element.field_name}"
