"""A console without a network, as small as can be: it knows an emergency pack's JSON and nothing of the engine."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

RANK = ("mild", "moderate", "severe")


class Console:
    """Reads one emergency pack."""

    def __init__(self, document: bytes) -> None:
        self.pack: Mapping[str, Any] = json.loads(document)

    def table(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a table as objects."""
        found = self.pack[name]
        return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]

    def path(self, presentation: str, severity: str) -> dict[str, Any]:
        """Return one path with its steps put together from the runs."""
        [row] = [
            row
            for row in self.table("protocols")
            if row["presentation"] == presentation and severity in row["severities"]
        ]
        keys = [key for run in row["runs"] for key in self.pack["runs"][run]]
        return {**row, "steps": [(key.partition("~")[0], self.step(key)) for key in keys]}

    def step(self, key: str) -> dict[str, Any]:
        """Return a step with its doses as objects."""
        step, columns = self.pack["steps"][key], self.pack["dose_columns"]
        doses = [dict(zip(columns, dose, strict=True)) for dose in step.get("doses", ())]
        conditions = self.pack["conditions"]
        return {**step, "doses": [{**dose, "condition": conditions[dose["condition"]]} for dose in doses]}

    def findings(self, vitals: Mapping[str, int]) -> set[str]:
        """Return what vital signs show by the table of limits; a later row of the same finding wins."""
        shown: dict[str, bool] = {}
        for row in self.table("thresholds"):
            measured = vitals.get(MEASURED[row["finding"]])
            if measured is not None:
                limit = Decimal(row["value"])
                shown[row["finding"]] = measured < limit if row["side"] == "below" else measured > limit
        return {name for name, hit in shown.items() if hit}

    def suggestion(self, signs: list[str], vitals: Mapping[str, int]) -> str | None:
        """Return the grade that the tables suggest."""
        seen = [row for row in self.table("signs") if row["id"] in signs]
        found = self.findings(vitals)
        grades = [row["severity"] for row in seen]
        grades += ["severe" for rule in self.table("severity_rules") if self._fires(rule, seen, found)]
        grades += ["severe"] if "hypoxia_severe" in found else []
        return max(grades, key=RANK.index, default=None)

    @staticmethod
    def _fires(rule: Mapping[str, Any], seen: list[dict[str, Any]], found: set[str]) -> bool:
        allergic = [row for row in seen if row["kind"] == "allergic"]
        if rule["rule"] == "two_systems":
            return len({row["system"] for row in allergic if row["severity"] == "moderate"}) >= rule["need"]
        if rule["rule"] == "anaphylaxis":
            met = {letter for row in seen for letter in row["criterion"]}
            met |= {letter for name, letter in CRITERION.items() if name in found}
            return len(met) >= rule["need"]
        low = "hypotension" in found
        return low and bool(
            allergic if rule["rule"] == "hypotension_with_allergic_sign" else "tachycardia" in found
        )


CRITERION = {"hypotension": "c", "hypoxia_severe": "b"}
MEASURED = {
    "hypotension": "systolic_mmhg",
    "bradycardia": "heart_rate_bpm",
    "tachycardia": "heart_rate_bpm",
    "hypertension_systolic": "systolic_mmhg",
    "hypertension_diastolic": "diastolic_mmhg",
    "hypoxia_flag": "spo2_percent",
    "hypoxia_severe": "spo2_percent",
}
