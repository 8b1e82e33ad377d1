"""What a pharmacist would strike out around the treatment: screening, premedication, kit and extravasation."""

import re
from collections.abc import Container, Iterator
from itertools import pairwise
from typing import get_args, get_type_hints

from engine.reactions.care_rows import ContrastClass, KidneyRule, Question, RiskFactor
from engine.reactions.finding import Finding
from engine.reactions.pack import Pack

MILLILITRES = re.compile(r"\d\s*mL\b", re.IGNORECASE)


def volume_gates(pack: Pack) -> Iterator[Finding]:
    """Extravasation is never judged by a number of mL (E-4)."""
    protocols = [row for row in pack.protocols if row.presentation == "extravasation"]
    shared = {set_id for row in protocols for set_id in (*row.sets, *row.sets_after)}
    texts = [(row.id, row.text) for row in pack.signs if row.kind == "extravasation"]
    steps = [step for known in pack.sets if known.id in shared for step in known.steps]
    steps += [step for row in protocols for step in row.steps]
    texts += [(step.id, f"{step.text} {step.condition}") for step in steps]
    for row_id, words in texts:
        if MILLILITRES.search(words):
            yield Finding(
                rule="volume_gate", row_id=row_id, sentence="a volume decides nothing here: take it out"
            )


def regimens(pack: Pack) -> Iterator[Finding]:
    """A child's premedication by weight has a cap, a range rises, and a dose has its time."""
    for row in pack.regimens:
        for dose in row.doses:
            if row.population == "child" and dose.dose_mg_per_kg is not None and dose.max_single_mg is None:
                yield Finding(rule="child_cap", row_id=row.id, sentence=f"{dose.drug} per kg needs a cap")
            low, high = dose.dose_mg_per_kg, dose.dose_max_mg_per_kg
            if high is not None and (low is None or low > high):
                yield Finding(
                    rule="caps", row_id=row.id, sentence=f"{dose.drug}: the range ends below its start"
                )
            if dose.every_h is not None and not dose.now:
                yield Finding(
                    rule="interval", row_id=row.id, sentence=f"{dose.drug} repeats without a first time"
                )


def agents(pack: Pack) -> Iterator[Finding]:
    """An agent stands in the NSF group that it names, and groups lead to groups that exist."""
    groups = {agent: row for row in pack.gadolinium_groups for agent in row.agents}
    for row in pack.agents:
        stands = groups[row.generic].group if row.generic in groups else ""
        if stands != row.nsf_group:
            yield Finding(rule="agent", row_id=row.id, sentence=f"{row.generic}: the NSF groups disagree")
        volume, mass = row.dose_ml_per_kg, row.dose_mmol_per_kg
        strength = row.concentration_mmol_per_ml
        if volume is not None and mass is not None and strength is not None and volume * strength != mass:
            yield Finding(rule="volume", row_id=row.id, sentence="mL/kg x mmol/mL is not the mmol/kg stated")
    for link in pack.agent_groups:
        known = {other.group for other in pack.agent_groups if other.contrast_class == link.contrast_class}
        if link.group in link.switch_to or not set(link.switch_to) <= known:
            yield Finding(
                rule="agent", row_id=link.id, sentence="leads to itself or to a group that is not there"
            )


def kidneys(pack: Pack) -> Iterator[Finding]:
    """Every eGFR of stable kidneys falls in one row, and metformin's rows meet without a gap."""
    stable = sorted(
        (row for row in pack.kidney_rules if row.state == "stable"), key=lambda row: row.egfr_from or 0
    )
    for lower, upper in pairwise(stable):
        if lower.egfr_below != upper.egfr_from:
            yield Finding(rule="egfr_band", row_id=upper.id, sentence=f"does not start where {lower.id} ends")
    if stable and stable[0].egfr_from is not None:
        yield Finding(rule="egfr_band", row_id=stable[0].id, sentence="nothing covers a lower eGFR")
    if stable and stable[-1].egfr_below is not None:
        yield Finding(rule="egfr_band", row_id=stable[-1].id, sentence="nothing covers a higher eGFR")
    metformin = [row for row in pack.metformin_rules if row.contrast_class == "iodinated"]
    for row in metformin:
        if row.egfr_from is not None and not any(other.egfr_below == row.egfr_from for other in metformin):
            yield Finding(rule="egfr_band", row_id=row.id, sentence="no row covers an eGFR below this one")
        if row.hold_h is not None and not row.recheck_kidneys:
            yield Finding(
                rule="metformin", row_id=row.id, sentence="held without a check before it starts again"
            )


def kit(pack: Pack) -> Iterator[Finding]:
    """A kit item names drugs of the pack; what takes READY away can run out or be overdue."""
    drugs = {row.drug for row in pack.drugs}
    for item in pack.kit_items:
        for name in item.drugs:
            if name not in drugs:
                yield Finding(rule="kit", row_id=item.id, sentence=f"{name} is no drug of this pack")
        if item.blocks_ready and not (item.expires or item.checked):
            yield Finding(rule="kit", row_id=item.id, sentence="blocks READY with neither expiry nor check")
        if item.drugs and not item.expires and "oxygen" not in item.drugs:
            yield Finding(rule="kit", row_id=item.id, sentence="a drug without an expiry date")
    if pack.kit_items and not any(
        "epinephrine" in " ".join(i.drugs) and i.blocks_ready for i in pack.kit_items
    ):
        yield Finding(rule="kit", row_id=pack.kit_items[0].id, sentence="no epinephrine item blocks READY")


def questions(pack: Pack) -> Iterator[Finding]:
    """Nothing that is answered before contrast is without a row: every question, topic, state and earlier reaction."""
    asked = {name for row in pack.risk_factors for name in row.asks}
    decided = {row.decided_in for row in pack.risk_factors} | {row.topic for row in pack.risk_factors}
    states = {row.state for row in pack.kidney_rules}
    wanted: list[tuple[str, str, Container[str]]] = [
        *(("risk_factor", name, asked) for name in get_args(Question)),
        *(("risk_factor", name, decided) for name in _literals(RiskFactor, "decided_in", "topic")),
        *(("kidney_rule", name, states) for name in _literals(KidneyRule, "state")),
    ]
    for contrast_class in get_args(ContrastClass):
        of_class = {row.history for row in pack.reexposure if row.contrast_class == contrast_class}
        held = {row.contrast_class for row in pack.metformin_rules}
        born = {row.state for row in pack.pregnancy_rules if contrast_class in row.contrast_classes}
        wanted += [("reexposure", name, of_class) for name in ("mild", "moderate", "severe")]
        wanted += [("metformin_rule", contrast_class, held)]
        wanted += [("pregnancy_rule", name, born) for name in ("pregnant", "lactating")]
    for table, name, known in wanted:
        if name not in known:
            yield Finding(
                rule="screening", row_id=table, sentence=f"no row for {name}: it would count as none"
            )


def _literals(kind: type, *names: str) -> list[str]:
    """Return the words that fields of a row may hold, the empty one left out."""
    hints = get_type_hints(kind)
    return [word for name in names for word in get_args(hints[name]) if word]


CARE_CHECKS = (volume_gates, regimens, agents, kidneys, kit, questions)
