"""Typed identifiers, parsed once at the porch."""

import re

import msgspec

from engine.kernel.errors import Invalid

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_MACHINE = re.compile(r"[a-z][a-z_]{0,31}")


class Stream(msgspec.Struct, frozen=True, order=True):
    """One machine's history: `session/ses-7`, `ring/ses-7-1`. Written `machine/id`."""

    machine: str
    id: str

    def __str__(self) -> str:
        return f"{self.machine}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Stream":
        """Parse `machine/id`. Raises Invalid("stream", …)."""
        machine, slash, identifier = text.partition("/")
        if not slash or not _MACHINE.fullmatch(machine):
            raise Invalid("stream", "write it as machine/id")
        return cls(machine, parse_id("stream", identifier))


def parse_id(field: str, text: str) -> str:
    """Return `text` if it has the form of an identifier: 1-100 of A-Z a-z 0-9 . _ : -. Raises Invalid(field, …)."""
    if not _ID.fullmatch(text):
        raise Invalid(field, "give 1 to 100 letters, digits, dots, colons, dashes or underscores")
    return text
