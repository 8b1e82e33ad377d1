"""The table a compliance officer reads is what the shipped rules say, and every shipped row is held by a case."""

import datetime as dt
from dataclasses import replace

import pytest

from engine.rules.explain import WORDS
from engine.rules.rulebook import Rule
from engine.rules.verdict import evaluate
from tests.rules.cases import DAY, Case, book, circumstances, golden_cases, shipped, signs

CASES = list(golden_cases())


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"line-{case.line}")
def test_the_shipped_rules_say_what_was_reviewed(case: Case) -> None:
    """Verdict, each layer's answer, the deciding rule and its sentence are those of the table."""
    verdict = evaluate(shipped(), case.facts)
    deciding = verdict.deciding
    rule, sentence = deciding.rule_id or f"no {deciding.layer} row", deciding.reason
    if verdict.result == "allow":
        rule, sentence = "all", "-"

    assert (case.verdict, case.signs, case.rule, case.sentence) == (
        WORDS[verdict.result],
        signs(verdict),
        rule,
        sentence,
    )


def test_the_table_shows_each_verdict_often() -> None:
    """The table is not one-sided: every verdict is there many times."""
    for word in WORDS.values():
        assert sum(case.verdict == word for case in CASES) > 10


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("rule", shipped().rules, ids=lambda rule: rule.id)
def test_each_row_answers_for_its_layer(rule: Rule) -> None:
    """With the layer's other rows gone, a row gives attestation when unverified, a refusal when it wants presence."""
    others = tuple(one for one in shipped().rules if one.layer != rule.layer)
    on = rule.effective_from or rule.effective_to or DAY
    facts = circumstances(rule.state or "CA", on=on, setting=(rule.settings or ("office",))[0])

    answer = next(one for one in evaluate(book(rule, *others), facts).layers if one.layer == rule.layer)

    expected = "deny" if rule.presence.startswith("onsite") else "allow"
    assert (answer.rule_id, answer.result) == (rule.id, expected if rule.verified else "needs_attestation")
    assert (answer.citation, answer.version) == (rule.citation, rule.version)


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("rule", shipped().rules, ids=lambda rule: rule.id)
def test_a_row_is_silent_outside_its_dates(rule: Rule) -> None:
    """The day before a row begins and the day after it ends it does not answer."""
    day = dt.timedelta(days=1)
    outside = [
        *([rule.effective_from - day] if rule.effective_from else []),
        *([rule.effective_to + day] if rule.effective_to else []),
    ]

    for on in outside:
        facts = circumstances(rule.state or "CA", on=on, setting=(rule.settings or ("office",))[0])
        assert rule.id not in {one.rule_id for one in evaluate(book(rule), facts).layers}


@pytest.mark.parametrize("setting", ["office", "idtf"])
def test_the_federal_history_has_one_row_for_every_day(setting: str) -> None:
    """From before the emergency to today no date of service falls between two federal rows or under two."""
    rows = [one for one in shipped().of("federal") if setting in one.settings]
    first, last = dt.date(2020, 1, 1), dt.date(2026, 12, 31)
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]

    assert dict.fromkeys(days, 1) == {on: sum(one.in_effect(on) for one in rows) for on in days}


@pytest.mark.hazard("H-20")
def test_the_new_year_changes_the_federal_citation_and_the_reach() -> None:
    """On 2025-12-31 and 2026-01-01 federal law allows, by another rule; 010 and 090 are refused from 2026."""
    old, new = dt.date(2025, 12, 31), dt.date(2026, 1, 1)

    def federal(on: dt.date, indicator: str) -> tuple[str, str]:
        facts = circumstances("OH", on=on, global_indicator=indicator)
        one = next(one for one in evaluate(shipped(), facts).layers if one.layer == "federal")
        return one.result, one.rule_id

    assert federal(old, "000") == ("allow", "FED-410.32-2025")
    assert federal(new, "000") == ("allow", "FED-410.32-2026")
    for excluded in ("010", "090"):
        assert federal(old, excluded) == ("allow", "FED-410.32-2025")
        assert federal(new, excluded) == ("deny", "FED-410.32-2026")


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("state", sorted({one.state for one in shipped().of("state")}))
def test_no_state_allows_once_its_rows_are_gone(state: str) -> None:
    """A state whose rows were not loaded needs attestation, and the sentence says that there is no rule."""
    rest = book(*(one for one in shipped().rules if one.state != state))
    verdict = evaluate(rest, circumstances(state))

    assert verdict.result == "needs_attestation"
    assert verdict.deciding.reason == "No state rule is on file for this session; two people must attest."


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("status", ["unverified", "pending"])
def test_no_shipped_row_allows_once_it_is_doubted(status: str) -> None:
    """Doubting any of the four rows that allow in California takes the allow away."""
    rows = shipped().rules
    allowing = {one.rule_id for one in evaluate(shipped(), circumstances()).layers}

    assert len(allowing) == 4
    for rule in (one for one in rows if one.id in allowing):
        doubted = replace(rule, status=status)
        changed = book(*(doubted if one.id == rule.id else one for one in rows))
        assert evaluate(changed, circumstances()).result == "needs_attestation", rule.id
