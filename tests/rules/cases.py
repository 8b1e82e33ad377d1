"""People, circumstances and books that the tests of the rules start from, and the reader of the golden table."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.rules.rulebook import Rule, Rulebook, parse_rulebook
from engine.rules.verdict import Circumstances, Licence, Party, Verdict

PACKS = Path(__file__).parents[2] / "engine/rules/packs"
GOLDEN = Path(__file__).parent / "golden/verdicts.txt"
DAY = dt.date(2026, 5, 1)
FAR = dt.date(2099, 12, 31)


def shipped_texts() -> dict[str, str]:
    """Return the shipped packs by file name."""
    return {path.name: path.read_text("utf-8") for path in PACKS.glob("*.toml")}


def shipped() -> Rulebook:
    """Return the shipped book."""
    return parse_rulebook(shipped_texts())


def book(*rules: Rule) -> Rulebook:
    """Return a book of rows made by hand."""
    return Rulebook(rules=rules, hash="test", version="test")


def row(layer: str, **changes: Any) -> Rule:
    """Return a verified row that asks for nothing but a physician on audio and video."""
    plain: dict[str, Any] = {
        "id": f"{layer}-1",
        "layer": layer,
        "version": "1",
        "text": f"The {layer} row allows.",
        "citation": "test",
        "evidence": "S",
        "status": "in_force",
        "presence": "virtual_av",
        "supervisor_roles": ("MD", "DO"),
    }
    if layer == "state":
        plain["state"] = "CA"
    return Rule(**(plain | changes))


def four_layers(**changes: Rule) -> Rulebook:
    """Return a book that allows: one plain row in each layer that must have one, with the given ones replaced."""
    rows = {layer: row(layer) for layer in ("federal", "state", "accreditor", "facility")}
    return book(*(rows | changes).values())


def licensed(kind: str, *states: str, until: dt.date = FAR) -> Party:
    """Return somebody with one licence in each state and a competency that lasts."""
    licences = tuple(Licence(type=kind, state=state, expires_on=until) for state in states)
    return Party(licences=licences, competency_expires_on=FAR)


def circumstances(state: str = "CA", **changes: Any) -> Circumstances:
    """Return a technologist's CT injection that every fact speaks for."""
    good = Circumstances(
        on=DAY,
        state=state,
        setting="office",
        modality="CT",
        injector="technologist",
        media="av",
        mode="C",
        supervisor=licensed("MD", state),
        responder=licensed("RN", state),
        records_access=True,
    )
    return replace(good, **changes)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the golden table."""

    line: int
    facts: Circumstances
    verdict: str
    signs: str
    rule: str
    sentence: str


def golden_cases() -> Iterator[Case]:
    """Read the table: eight columns between bars; lines that start with # are for people."""
    for number, text in enumerate(GOLDEN.read_text("utf-8").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        date, state, setting, different, verdict, layers, rule, sentence = (
            part.strip() for part in text.split("|")
        )
        facts = circumstances(state, on=dt.date.fromisoformat(date), setting=setting)
        for change in filter(None, different.split(";")):
            facts = changed(facts, change.strip())
        yield Case(number, facts, verdict, layers, rule, sentence)


def signs(verdict: Verdict) -> str:
    """Return how federal, state, accreditor and facility answer, as the table writes it: + allow, ? attest, x deny."""
    mark = {"allow": "+", "needs_attestation": "?", "deny": "x"}
    results = {answer.layer: mark[answer.result] for answer in verdict.layers}
    return " ".join(results[layer] for layer in ("federal", "state", "accreditor", "facility"))


def changed(facts: Circumstances, change: str) -> Circumstances:
    """Apply one change as the table writes it."""
    what, _, value = change.partition("=")
    known = {"yes": True, "no": False, "unknown": None}
    match what:
        case "-":
            return facts
        case "supervisor":
            return replace(facts, supervisor=_person(value))
        case "responder":
            return replace(facts, responder=_person(value))
        case "competency until":
            assert facts.responder is not None
            until = None if value == "none" else dt.date.fromisoformat(value)
            return replace(facts, responder=replace(facts.responder, competency_expires_on=until))
        case "records":
            return replace(facts, records_access=known[value])
        case "technologist":
            assert value == "remote"
            return replace(facts, remote_technologist=True)
        case "global":
            return replace(facts, global_indicator=value)
        case "indicator":
            return replace(facts, supervision_indicator=value)
        case "media" | "mode" | "injector" | "modality":
            word: dict[str, Any] = {what: value}
            return replace(facts, **word)
    raise AssertionError(f"the table has no such change: {change}")


def _person(value: str) -> Party | None:
    """Read `none`, `MD NV` or `MD CA until 2026-04-30`."""
    if value == "none":
        return None
    kind, state, *rest = value.split()
    return licensed(kind, state, until=dt.date.fromisoformat(rest[1]) if rest else FAR)
