"""Reaction documents as bytes: canonical JSON with its hash, and PDF/A of the same words.

Rule: the template prints the JSON and decides nothing; the same case gives the same bytes.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.kernel.canonical import canonical_bytes, digest
from engine.records import letters
from engine.records.papers import allergy, discharge, handover, incident
from engine.records.papers.facts import Facts
from engine.records.papers.parts import Case

_TEMPLATES = Path(__file__).parent

MAKERS: Mapping[str, Callable[[Facts], Any]] = MappingProxyType(
    {
        incident.KIND: incident.incident_report,
        discharge.KIND: discharge.discharge_summary,
        allergy.KIND: allergy.allergy_update,
        handover.KIND: handover.ems_handover,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One document: JSON, PDF, the SHA-256 of the JSON, and what it was made from."""

    json: bytes
    pdf: bytes
    content_hash: str
    position: int
    reaction_version: int


def paper(kind: str, case: Case) -> Paper:
    """Return a document of a kind of MAKERS. Raises KeyError for another one."""
    made = MAKERS[kind](Facts(case))
    content = canonical_bytes(made)
    return Paper(
        json=content,
        pdf=printed(kind, content, dt.datetime.fromisoformat(made.head.as_of)),
        content_hash=digest(content),
        position=made.head.position,
        reaction_version=made.head.reaction_version,
    )


def printed(kind: str, content: bytes, at: dt.datetime) -> bytes:
    """Return canonical JSON printed by its kind's template as PDF/A, dated at a moment."""
    return letters.printed(
        _TEMPLATES / f"{kind}.typ",
        {"document": content.decode(), "hash": digest(content)},
        root=str(_TEMPLATES),
        pdf_standards="a-2a",
        timestamp=int(at.timestamp()),
    )
