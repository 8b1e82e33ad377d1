"""What holds of every book and session: order does not matter, restrictions restrict, nothing allows by default."""

import datetime as dt
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.rules.credentials import Credential
from engine.rules.rulebook import LAYERS, Rule
from engine.rules.verdict import Circumstances, Licence, Party, evaluate
from tests.rules.cases import DAY, book, row

RANK = {"allow": 0, "needs_attestation": 1, "deny": 2}
TOMORROW, YESTERDAY = DAY + dt.timedelta(days=1), DAY - dt.timedelta(days=1)
# Speed depends on the machine, so it fails nothing here.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

# Rows and sessions are drawn near an allow, a few differences away from it, so that one change more can be seen.
ROW_DIFFERENCES: list[dict[str, Any]] = [
    {"presence": "onsite_facility"},
    {"status": "unverified"},
    {"status": "pending"},
    {"status": "pending", "effective_from": DAY},
    {"evidence": "M"},
    {"supervisor_roles": ("MD",)},
    {"supervisor_roles": ("DO",)},
    {"supervisor_roles": ("NP",)},
    {"supervisor_roles": ("MD", "NP")},
    {"supervisor_roles_unread": ("NP",)},
    {"supervisor_licence_in_state": True},
    {"supervisor_credentials": ("board",)},
    {"settings": ("office",)},
    {"settings": ("idtf",)},
    {"modalities": ("CT",)},
    {"modalities": ("MR",)},
    {"agent_classes": ("iodinated",)},
    {"modes": ("C",)},
    {"records_access_required": True},
    {"responder_required": True, "responder_licences": ("RN", "NP")},
    {"responder_required": True, "responder_licences": ("NP",), "responder_competency": True},
    {"responder_required": True, "responder_licences": ("RN",), "responder_credentials": ("bls",)},
    {"one_virtual_level": True},
    {"excluded_global_indicators": ("010", "090")},
    {"supervision_indicators": ("1", "2")},
    {"effective_from": TOMORROW},
    {"effective_to": YESTERDAY},
    {"effective_to": DAY},
]


def party(*licences: tuple[str, str, dt.date], until: dt.date | None = DAY, **changes: Any) -> Party:
    """Return somebody with licences of (type, state, last day)."""
    held = tuple(Licence(type=kind, state=state, expires_on=last) for kind, state, last in licences)
    return Party(licences=held, competency_expires_on=until, **changes)


GOOD = party(("MD", "CA", DAY), ("RN", "CA", DAY))
PEOPLE = [
    GOOD,
    party(("MD", "CA", DAY), ("NP", "CA", TOMORROW), ("RN", "NV", DAY)),
    party(("MD", "NV", DAY), ("NP", "CA", DAY), ("RN", "CA", DAY)),
    party(("MD", "CA", YESTERDAY), ("DO", "CA", DAY), ("RN", "CA", YESTERDAY)),
    party(("NP", "CA", DAY), ("RT", "CA", DAY), until=None),
    party(("MD", "CA", DAY), ("RN", "CA", DAY), until=YESTERDAY, credentials=()),
    party(("MD", "CA", DAY), ("RN", "CA", DAY), credentials=(Credential(kind="bls", expires_on=DAY),)),
    party(("DO", "CA", DAY), ("RN", "CA", DAY), credentials=(Credential(kind="board", expires_on=DAY),)),
]
SESSION_DIFFERENCES: list[dict[str, Any]] = [
    {"state": "NV"},
    {"state": ""},
    {"setting": "idtf"},
    {"setting": ""},
    {"modality": "MR"},
    {"modality": ""},
    {"agent_class": ""},
    {"media": "audio"},
    {"mode": "A"},
    {"supervisor": None},
    {"responder": None},
    {"records_access": None},
    {"records_access": False},
    {"remote_technologist": True},
    {"payer": ""},
    {"payer": "other"},
    {"global_indicator": None},
    {"global_indicator": "010"},
    {"supervision_indicator": None},
    {"supervision_indicator": "03"},
    {"supervision_indicator": "09"},
    *({"supervisor": person} for person in PEOPLE),
    *({"responder": person} for person in PEOPLE),
]


def merged(differences: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for one in differences for key, value in one.items()}


def plain(layer: str, number: int = 0) -> Rule:
    return row(layer, id=f"{layer}-{number}", payers=("acme",) if layer == "payer" else ())


def rules(layers: tuple[str, ...] = LAYERS) -> st.SearchStrategy[Rule]:
    """Draw a row: a plain one with up to three differences."""
    return st.builds(
        lambda layer, number, differences: replace(plain(layer, number), **merged(differences)),
        st.sampled_from(layers),
        st.integers(1, 10**6),
        st.lists(st.sampled_from(ROW_DIFFERENCES), max_size=3),
    )


def allowing() -> tuple[list[Rule], Circumstances]:
    """Return rows and a session that allow."""
    session = Circumstances(
        on=DAY,
        state="CA",
        setting="office",
        modality="CT",
        injector="technologist",
        agent_class="iodinated",
        media="av",
        mode="C",
        supervisor=GOOD,
        responder=GOOD,
        records_access=True,
        payer="acme",
        global_indicator="000",
        supervision_indicator="02",
    )
    return [plain(layer) for layer in LAYERS], session


sessions = st.lists(st.sampled_from(SESSION_DIFFERENCES), max_size=3).map(
    lambda differences: replace(allowing()[1], **merged(differences))
)
some_rows = st.lists(rules(), max_size=4, unique_by=lambda rule: rule.id)
whole_books = st.builds(
    lambda base, more: [*base, *(rule for rule in more if rule.id not in {one.id for one in base})],
    st.tuples(*(st.one_of(st.just(plain(layer)), rules((layer,))) for layer in LAYERS)),
    some_rows,
)


TIGHTER: dict[str, list[Any]] = {
    "presence": ["onsite_premises", "onsite_facility"],
    "supervision_level": ["personal"],
    "supervisor_roles": [("DO",), ("MD",)],
    "supervisor_roles_unread": [()],
    "supervisor_licence_in_state": [True],
    "supervisor_credentials": [("board",), ("board", "npi")],
    "records_access_required": [True],
    "one_virtual_level": [True],
    "excluded_global_indicators": [("000", "010", "090")],
    "supervision_indicators": [("1", "2"), ("1",)],
    "modes": [("A",)],
}


def tightened(rule: Rule, field: str, value: Any) -> Rule:
    """Return the row with one field asked for more strictly than before; never less."""
    before = getattr(rule, field)
    if field == "supervisor_roles":
        value = tuple(kind for kind in before if kind in value) or before[:1]
    elif field in {"supervisor_credentials", "excluded_global_indicators"}:
        value = tuple(dict.fromkeys((*before, *value)))
    elif field in {"supervision_indicators", "modes"} and before:
        value = tuple(one for one in before if one in value) or before
    elif field == "presence" and before.startswith("onsite"):
        value = before
    return replace(rule, **{field: value})


def with_responder(rule: Rule) -> Rule:
    """Return the row asking for a responder and everything of one, of no licence that it did not accept before."""
    accepted = rule.responder_licences if rule.responder_required else ("RN", "NP")
    return replace(
        rule,
        responder_required=True,
        responder_in_addition=True,
        responder_licences=accepted[:1],
        responder_competency=True,
        responder_credentials=tuple(dict.fromkeys((*rule.responder_credentials, "bls"))),
    )


@pytest.mark.hazard("H-20")
@steady
@given(whole_books, sessions, st.sampled_from([*TIGHTER, "responder"]), st.data())
def test_a_tighter_row_never_makes_a_verdict_more_permissive(
    rows: list[Rule], session: Circumstances, field: str, data: st.DataObject
) -> None:
    """Whatever the book and the session, asking for more in one row gives the same verdict or a stricter one."""
    number = data.draw(st.integers(0, len(rows) - 1))
    if field == "responder":
        harder = with_responder(rows[number])
    else:
        harder = tightened(rows[number], field, data.draw(st.sampled_from(TIGHTER[field])))
    changed = [*rows[:number], harder, *rows[number + 1 :]]

    before, after = evaluate(book(*rows), session), evaluate(book(*changed), session)

    assert RANK[before.result] <= RANK[after.result]


@pytest.mark.hazard("H-20")
@steady
@given(some_rows, sessions, rules())
def test_one_more_row_never_helps_where_every_layer_has_one(
    rows: list[Rule], session: Circumstances, extra: Rule
) -> None:
    """Where each layer has a row that applies, one row more leaves the verdict or makes it stricter."""
    rows = [*allowing()[0], *rows]
    session = replace(session, state="CA")

    before, after = evaluate(book(*rows), session), evaluate(book(*rows, extra), session)

    assert RANK[before.result] <= RANK[after.result]


@pytest.mark.hazard("H-20")
@steady
@given(some_rows, sessions, rules())
def test_one_more_row_never_lifts_a_refusal(rows: list[Rule], session: Circumstances, extra: Rule) -> None:
    """A deny stays a deny whatever is added to the book, layers without rows included."""
    if evaluate(book(*rows), session).result == "deny":
        assert evaluate(book(*rows, extra), session).result == "deny"


WORSE: list[dict[str, Any]] = [
    {"media": "audio"},
    {"media": "none"},
    {"mode": "A"},
    {"mode": "B"},
    {"remote_technologist": True},
    {"responder_is_technologist": True},
    {"records_access": None},
    {"records_access": False},
    {"responder": None},
]


@pytest.mark.hazard("H-20")
@steady
@given(whole_books, sessions, st.sampled_from(WORSE))
def test_a_worse_fact_never_helps(rows: list[Rule], session: Circumstances, change: dict[str, Any]) -> None:
    """A lost camera, a remote technologist, a missing responder, an unshown access: no book makes them useful."""
    assume(not (change == {"records_access": None} and session.records_access is False))

    before, after = evaluate(book(*rows), session), evaluate(book(*rows), replace(session, **change))

    assert RANK[before.result] <= RANK[after.result]


@pytest.mark.hazard("H-19", "H-20")
@steady
@given(whole_books, sessions, st.sampled_from(["supervisor", "responder"]), st.integers(0, 2))
def test_losing_a_licence_never_helps(
    rows: list[Rule], session: Circumstances, who: str, number: int
) -> None:
    """Taking one licence of the supervisor or the responder away leaves the verdict or makes it stricter."""
    person: Party | None = getattr(session, who)
    assume(person is not None and number < len(person.licences))
    assert person is not None
    fewer: Any = replace(person, licences=person.licences[:number] + person.licences[number + 1 :])

    before, after = evaluate(book(*rows), session), evaluate(book(*rows), replace(session, **{who: fewer}))

    assert RANK[before.result] <= RANK[after.result]


@steady
@given(whole_books.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))), sessions)
def test_the_order_of_rows_does_not_matter(
    two: tuple[list[Rule], list[Rule]], session: Circumstances
) -> None:
    """Any order of the same rows gives the same verdict, to the sentence."""
    assert evaluate(book(*two[0]), session) == evaluate(book(*two[1]), session)


@pytest.mark.hazard("H-20")
@steady
@given(whole_books, sessions)
def test_an_allow_rests_on_a_verified_row_of_every_layer(rows: list[Rule], session: Circumstances) -> None:
    """An allow has in each layer a verified row, in effect, of the right state."""
    verdict = evaluate(book(*rows), session)

    if verdict.result == "allow":
        by_id = {rule.id: rule for rule in rows}
        assert {one.layer for one in verdict.layers} >= set(LAYERS) - {"payer"}
        for rule in (by_id[one.rule_id] for one in verdict.layers):
            assert rule.verified
            assert rule.in_effect(session.on)
            assert rule.state in ("", session.state)


@pytest.mark.hazard("H-20")
@steady
@given(whole_books, sessions, st.sampled_from(["federal", "state", "accreditor", "facility"]))
def test_nothing_allows_without_a_row_of_each_layer(
    rows: list[Rule], session: Circumstances, layer: str
) -> None:
    """Take the rows of one layer away from any book, the state's for one: the verdict is not allow."""
    without = [rule for rule in rows if rule.layer != layer]

    assert evaluate(book(*without), session).result != "allow"


@pytest.mark.hazard("H-20")
@steady
@given(whole_books, sessions, st.data())
def test_doubting_a_row_never_leaves_an_allow(
    rows: list[Rule], session: Circumstances, data: st.DataObject
) -> None:
    """An allowed session is no longer allowed when a row that spoke for it becomes unverified."""
    verdict = evaluate(book(*rows), session)
    assume(verdict.result == "allow")
    doubted = data.draw(st.sampled_from([one.rule_id for one in verdict.layers]))
    changed = [replace(rule, status="unverified") if rule.id == doubted else rule for rule in rows]

    assert evaluate(book(*changed), session).result == "needs_attestation"


def test_the_properties_are_not_empty() -> None:
    """The good session is allowed and each difference leaves a valid row; each tightening is of a real field."""
    rows, session = allowing()

    assert evaluate(book(*rows), session).result == "allow"
    assert set(TIGHTER) <= {field.name for field in fields(Rule)}
    assert {evaluate(book(*rows), replace(session, **one)).result for one in SESSION_DIFFERENCES} == set(RANK)
