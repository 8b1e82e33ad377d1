"""A verdict for people and for machines: plain lines, and the JSON of `attend rules explain --json`."""

from typing import Any

from engine.rules.verdict import Verdict

WORDS = {"allow": "allow", "needs_attestation": "needs-attestation", "deny": "deny"}


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return {"verdict", "layers": [{"layer", "result", "rule", "reason", "citation", "version"}], "assumed"}."""
    layers = [
        {
            "layer": answer.layer,
            "result": WORDS[answer.result],
            "rule": answer.rule_id,
            "reason": answer.reason,
            "citation": answer.citation,
            "version": answer.version,
        }
        for answer in verdict.layers
    ]
    return {"verdict": WORDS[verdict.result], "layers": layers, "assumed": list(verdict.assumed)}


def as_lines(verdict: Verdict) -> list[str]:
    """Return the verdict and who decides it, then each layer with its reason and source, then what was assumed."""
    lines = [f"verdict: {WORDS[verdict.result]}"]
    if verdict.result != "allow":
        lines[0] += f", decided by the {verdict.deciding.layer} layer"
    for answer in verdict.layers:
        source = "".join(f" [{part}]" for part in (answer.rule_id, answer.citation) if part)
        lines.append(f"  {answer.layer}: {WORDS[answer.result]}. {answer.reason}{source}")
    lines.extend(f"  assumed: {fact}" for fact in verdict.assumed)
    if verdict.facts_until is not None:
        lines.append(f"  holds through {verdict.facts_until}")
    return lines
