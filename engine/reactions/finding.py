"""One objection of the lint to a row of a pack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One objection: `rule` is a stable word, `row_id` the row, `sentence` what is wrong."""

    rule: str
    row_id: str
    sentence: str
