"""The form of a request, as the contract declares it (protovalidate): checked before anything else looks at it.

Rule: a complaint names the field and the rule, never the value.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from protovalidate import Validator

from engine.kernel.errors import Invalid
from engine.services.sure import sure

MAX_VIOLATIONS = 20
_ID = "letters, digits and . _ : -"
#: What each pattern of the contract asks for, in words.
WORDS: Mapping[str, str] = {
    "^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$": f"give 1 to 100 {_ID}, a letter or digit first",
    "^[A-Za-z0-9._:/-]{8,128}$": f"give 8 to 128 {_ID} /",
    "^[0-9]{1,6}(\\.[0-9]{1,4})?$": "give a decimal number from 0 to 999999, four decimals at most, as 72.5",
    "^[0-9]{1,6}(\\.[0-9]{1,10})?$": "give a decimal number from 0 to 999999, ten decimals at most, as 72.5",
    "^[0-9a-f]{64}$": "give the 64 digits of a SHA-256 hash, 0 to 9 and a to f",
    "^[A-Za-z0-9._=-]+$": "give the token as it was made",
    "\\S": "say it in words; spaces say nothing",
}


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
        if sure(message.DESCRIPTOR)(message):
            return
        found = self._validator.collect_violations(message)
        if found:
            raise Malformed(tuple(_named(violation) for violation in found[:MAX_VIOLATIONS]))


def _named(violation: Any) -> tuple[str, str]:
    said = violation.proto
    words = WORDS.get(violation.rule_value) if said.rule_id == "string.pattern" else said.message
    return _path(said.field), words or "this field has the wrong form"


def _path(field: Any) -> str:
    if field is None:
        return "request"
    return ".".join(map(_element, field.elements)) or "request"


def _element(element: Any) -> str:
    """Spell one part of a path; one of many things is named by its place, from 0 on."""
    of_many = element.subscript is not None and element.subscript.field == "index"
    return f"{element.field_name}[{element.subscript.value}]" if of_many else f"{element.field_name}"
