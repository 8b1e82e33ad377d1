"""The readable form of an exported record: one file in, a PDF out, always the same bytes for the same file.

Rule: it shows what the file says and nothing it does not; data reaches the template as JSON, never as template text.
"""

import json
from pathlib import Path
from typing import Any

from engine.records import letters
from engine.records.sheet import sheet
from engine.records.strip import moment

_TEMPLATE = Path(__file__).with_name("record.typ")


def render_pdf(document: bytes) -> bytes:
    """Return the PDF of an exported record (1-3 pages), its date fixed to the last event's."""
    value: dict[str, Any] = json.loads(document)
    data = json.dumps(sheet(value), ensure_ascii=False)
    at = int(moment(value["events"][-1]["at"]).timestamp())
    return letters.printed(_TEMPLATE, {"record": data}, timestamp=at)
