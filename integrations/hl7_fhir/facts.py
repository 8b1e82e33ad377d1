"""What both ways in make of an allergy list: the session's values, and a source that keeps unknown apart from none."""

from engine.workflows.session.state import Allergy
from integrations.hl7_fhir.values import Allergies


def allergies(found: Allergies) -> tuple[Allergy, ...]:
    """Return the active entries of a list."""
    return tuple(
        Allergy(
            substance=item.substance.text or item.substance.code,
            code=item.substance.code,
            system=item.substance.system,
            reaction=", ".join(item.reactions),
            severity=item.severity,
        )
        for item in found.items
        if item.active
    )


def source(found: Allergies, system: str) -> str:
    """Name where a list came from; empty when nothing was said, so that unknown never reads as none."""
    return {"listed": system, "none_known": f"{system}:none_known", "unknown": ""}[found.status]
