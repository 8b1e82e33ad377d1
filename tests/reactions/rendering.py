"""Pages a physician can review: one per pack, presentation and population, each dose by weight.

Write them anew with `python -m tests.reactions.rendering`, and read the difference before it is committed.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from engine.reactions.dose import Dose, PhysicianDecides, Resolution, plain
from engine.reactions.pack import Pack
from engine.reactions.resolve import ResolvedProtocol, Situation, resolve_protocol
from engine.reactions.state import Severity
from tests.reactions.packs import shipped

GOLDEN = Path(__file__).parent / "golden"
CHILD_KG = tuple(map(Decimal, ("3", "5", "7.5", "10", "15", "20", "25", "30", "40", "50")))
ADULT_KG = tuple(map(Decimal, ("40", "50", "70", "100")))
AGES = {"adult": 40, "child": 6}


def pages() -> Iterator[tuple[str, str]]:
    """Yield every page as (file name, text)."""
    for pack in shipped().values():
        for presentation in pack.presentations:
            for population in AGES:
                yield (
                    f"{pack.pack_id}_{presentation}_{population}.txt",
                    page(pack, presentation, population),
                )


def page(pack: Pack, presentation: str, population: str) -> str:
    """Render one page; severities with the same steps are not repeated."""
    title = f"{pack.pack_id} {pack.version}: {presentation}, {population}"
    lines = [title, "=" * len(title), pack.disclaimer, ""]
    for severity in Severity:
        lines += list(_severity(pack, presentation, population, severity))
    return "\n".join(lines).rstrip() + "\n"


def _severity(pack: Pack, presentation: str, population: str, severity: Severity) -> Iterator[str]:
    weights = CHILD_KG if population == "child" else ADULT_KG
    resolved = {
        weight: _resolve(pack, presentation, population, severity, weight) for weight in (None, *weights)
    }
    base = resolved[None]
    hospital = _resolve(pack, presentation, population, severity, None, setting="hopd")
    yield f"--- {severity}: {base.text} (row {base.row_id}, {base.presentation})"
    yield f"    emergency call: {base.emergency_call}; hospital outpatient: {hospital.emergency_call}"
    for place, step in enumerate(base.steps):
        condition = f" [{step.condition}]" if step.condition else ""
        standing = " (standing order)" if step.standing_order else ""
        yield f"{step.number:3}. {step.kind:8}{step.text}{condition}{standing}"
        yield f"             {step.step_id}; {step.citation}; evidence {step.evidence}"
        if step.physician_decides:
            yield f"             physician decides: {step.physician_decides}"
        for number, option in enumerate(step.options):
            instead = f" INSTEAD OF {option.instead_of}: {option.condition}" if option.instead_of else ""
            yield f"        - {option.row_id}: {option.dose.drug} {option.dose.route}{instead}"
            yield f"          {_limits(resolved[weights[-1]].steps[place].options[number].dose)}"
            seen = [
                (weight, resolved[weight].steps[place].options[number].dose) for weight in (None, *weights)
            ]
            if len({_words(dose) for _, dose in seen}) == 1:
                yield f"          any weight   {_words(seen[0][1])}"
                continue
            for weight, dose in seen:
                label = "unknown" if weight is None else f"{plain(weight)} kg"
                yield f"          {label:>8}   {_words(dose)}"
    yield ""


def _resolve(
    pack: Pack,
    presentation: str,
    population: str,
    severity: Severity,
    weight: Decimal | None,
    setting: str = "idtf",
) -> ResolvedProtocol:
    return resolve_protocol(
        pack,
        Situation(
            presentation=presentation,
            severity=severity,
            age_years=AGES[population],
            weight_kg=weight,
            setting=setting,
        ),
    )


def _limits(dose: Resolution) -> str:
    if not isinstance(dose, Dose):
        return f"{dose.citation}; evidence {dose.evidence}"
    parts = [f"{dose.citation}; evidence {dose.evidence}"]
    if dose.max_single_mg is not None:
        parts.append(f"single at most {plain(dose.max_single_mg)} mg")
    if dose.max_cumulative_mg is not None:
        parts.append(f"total at most {plain(dose.max_cumulative_mg)} mg")
    if dose.repeat_min_s is not None:
        parts.append(f"again after {dose.repeat_min_s}-{dose.repeat_max_s or ''} s")
    if dose.fresh_order:
        parts.append("a fresh order for each dose")
    if dose.read_back:
        parts.append(f"read back {dose.read_back}")
    return "; ".join(parts)


def _words(dose: Resolution) -> str:
    if isinstance(dose, Dose):
        confirm = f" ({dose.confirm})" if dose.confirm else ""
        return f"{dose.amount_text}   {dose.formula}{confirm}"
    if isinstance(dose, PhysicianDecides):
        return f"physician decides: {dose.why}"
    return f"weight needed: {dose.formula}"


if __name__ == "__main__":
    for name, text in pages():
        (GOLDEN / name).write_text(text, "utf-8")
