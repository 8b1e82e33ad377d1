"""What a verdict does with what is missing, doubted, unknown or about to end."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from engine.rules.credentials import Credential
from engine.rules.rulebook import Rule, parse_rulebook
from engine.rules.verdict import ASSUMED, LayerAnswer, Licence, Party, Verdict, evaluate
from tests.rules.cases import DAY, FAR, book, circumstances, four_layers, licensed, row, shipped

TOMORROW = DAY + dt.timedelta(days=1)


def answer(verdict: Verdict, layer: str) -> LayerAnswer:
    """Return one layer's answer."""
    return next(one for one in verdict.layers if one.layer == layer)


@pytest.mark.hazard("H-20")
def test_an_empty_book_needs_attestation() -> None:
    """With no rule at all every layer but the other payer's says that it has none; nothing allows."""
    verdict = evaluate(parse_rulebook({}), circumstances())

    assert verdict.result == "needs_attestation"
    assert [one.layer for one in verdict.layers] == ["federal", "state", "accreditor", "facility"]
    assert {one.result for one in verdict.layers} == {"needs_attestation"}
    assert {one.rule_id for one in verdict.layers} == {""}


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize(
    ("changes", "layer", "rule", "sentence"),
    [
        ({"mode": "A"}, "facility", "ATTEND-MODE", "Mode A is not built; only mode C is"),
        ({"mode": "B"}, "facility", "ATTEND-MODE", "Mode B is not built; only mode C is"),
        ({"mode": ""}, "facility", "ATTEND-MODE", "A session without a mode is not built"),
        ({"media": "audio"}, "facility", "ATTEND-LIVE-LINE", "Audio alone is not direct supervision"),
        ({"media": "none"}, "facility", "ATTEND-LIVE-LINE", "There is no line"),
        ({"media": ""}, "facility", "ATTEND-LIVE-LINE", "There is no line"),
        (
            {"supervisor": licensed("MD", "NV")},
            "state",
            "ATTEND-LICENCE",
            "The supervisor holds no MD, DO, NP, PA, CNS, CRNA or CNM licence in CA.",
        ),
        (
            {"supervisor": licensed("MD", "CA", until=dt.date(2026, 4, 30))},
            "state",
            "ATTEND-LICENCE",
            "The supervisor's MD licence in CA expired on 2026-04-30.",
        ),
    ],
)
def test_some_refusals_need_no_row(changes: dict[str, Any], layer: str, rule: str, sentence: str) -> None:
    """Even with an empty book an unbuilt mode, a dead line and a missing licence are refused by name."""
    verdict = evaluate(book(), circumstances(**changes))

    assert verdict.result == "deny"
    assert (verdict.deciding.layer, verdict.deciding.rule_id) == (layer, rule)
    assert verdict.deciding.reason.startswith(sentence)


def test_an_unbuilt_mode_is_said_even_when_more_is_wrong() -> None:
    """Mode A and no responder: the facility's answer is the mode, which nobody on site can mend."""
    verdict = evaluate(shipped(), circumstances(mode="A", responder=None))

    assert answer(verdict, "facility").rule_id == "ATTEND-MODE"


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("layer", ["federal", "state", "accreditor", "facility"])
def test_a_missing_layer_needs_attestation(layer: str) -> None:
    """Four layers allow; with one of them gone the verdict is attestation and names that layer."""
    whole = four_layers()
    rest = book(*(rule for rule in whole.rules if rule.layer != layer))

    assert evaluate(whole, circumstances()).result == "allow"
    assert evaluate(rest, circumstances()).result == "needs_attestation"
    assert evaluate(rest, circumstances()).deciding.layer == layer


def test_another_payer_without_rows_is_silent() -> None:
    """A missing other-payer rule is no answer; one that is there for that payer counts, for another it does not."""
    rule = row("payer", payers=("acme",), records_access_required=True)
    facts = circumstances(payer="acme", records_access=False)

    assert [one.layer for one in evaluate(four_layers(), facts).layers].count("payer") == 0
    assert evaluate(four_layers(payer=rule), facts).deciding.layer == "payer"
    assert evaluate(four_layers(payer=rule), facts).result == "deny"
    assert evaluate(four_layers(payer=rule), replace(facts, payer="other")).result == "allow"


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize(
    ("scope", "fact"),
    [
        ({"payers": ("acme",)}, {"payer": ""}),
        ({"modalities": ("CT",)}, {"modality": ""}),
        ({"injectors": ("technologist",)}, {"injector": ""}),
        ({"agent_classes": ("iodinated",)}, {"agent_class": ""}),
        ({"sites": ("site-1",)}, {"site": ""}),
        ({"settings": ("office",)}, {"setting": ""}),
    ],
)
def test_a_restriction_that_may_apply_is_not_skipped(scope: dict[str, Any], fact: dict[str, Any]) -> None:
    """When nobody gave the fact a row's reach rests on, a row that would refuse needs attestation."""
    hard = row("payer", **({"payers": ("acme",)} | scope), records_access_required=True)
    if "payers" not in scope:
        fact = fact | {"payer": "acme"}
    refused = circumstances(**fact, records_access=False)
    met = circumstances(**fact, records_access=True)

    assert evaluate(four_layers(payer=hard), refused).result == "needs_attestation"
    assert evaluate(four_layers(payer=hard), refused).deciding.rule_id == "payer-1"
    assert evaluate(four_layers(payer=hard), met).result == "allow"


@pytest.mark.hazard("H-20")
def test_a_row_that_may_not_apply_does_not_fill_its_layer() -> None:
    """A layer whose only row may be about another modality still counts as having none."""
    verdict = evaluate(four_layers(state=row("state", modalities=("CT",))), circumstances(modality=""))

    assert (verdict.result, verdict.deciding.layer) == ("needs_attestation", "state")


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize("presence", ["virtual_av", "onsite_premises"])
@pytest.mark.parametrize(
    "doubt", [{"status": "unverified"}, {"evidence": "M"}, {"status": "pending", "effective_from": DAY}]
)
def test_an_unverified_row_gives_exactly_attestation(doubt: dict[str, Any], presence: str) -> None:
    """It neither allows nor refuses; what it would refuse is in the sentence."""
    verdict = evaluate(four_layers(state=row("state", presence=presence, **doubt)), circumstances())

    assert (verdict.result, verdict.deciding.layer) == ("needs_attestation", "state")
    assert verdict.deciding.reason.startswith("This rule is not verified, two people must attest:")
    assert ("If it holds, it refuses" in verdict.deciding.reason) == (presence == "onsite_premises")


@pytest.mark.parametrize(
    ("asked", "given", "result", "sentence"),
    [
        ({"modes": ("A",)}, {}, "deny", "Mode C is not among the modes A of this rule."),
        ({"supervision_level": "personal"}, {}, "deny", "The federal row allows."),
        ({"one_virtual_level": True}, {"remote_technologist": True}, "deny", "Only one level may be virtual"),
        ({"records_access_required": True}, {"records_access": False}, "deny", "The physician has no access"),
        (
            {"records_access_required": True},
            {"records_access": None},
            "needs_attestation",
            "Nobody has shown",
        ),
        ({}, {"supervisor": None}, "needs_attestation", "No supervising physician is on this session yet."),
        ({}, {"supervisor": licensed("NP", "CA")}, "deny", "The supervisor holds no MD or DO licence."),
        (
            {"supervisor_roles_unread": ("NP",)},
            {"supervisor": licensed("NP", "CA")},
            "needs_attestation",
            "Whether a supervisor of another kind (NP) may supervise is not verified.",
        ),
        (
            {"supervisor_licence_in_state": True},
            {"supervisor": licensed("MD", "NV")},
            "deny",
            "The supervisor holds no MD or DO licence in CA.",
        ),
        (
            {"supervisor_credentials": ("board",)},
            {"supervisor": replace(licensed("MD", "CA"), credentials=())},
            "deny",
            "The supervisor's board certification is not on file.",
        ),
        (
            {"responder_required": True, "responder_licences": ("RN",), "responder_in_addition": True},
            {"responder_is_technologist": True},
            "deny",
            "The responder must be somebody other than the technologist.",
        ),
        (
            {"responder_required": True, "responder_licences": ("NP",)},
            {},
            "deny",
            "The responder holds no NP licence in CA.",
        ),
        (
            {"excluded_global_indicators": ("090",)},
            {"global_indicator": "090"},
            "deny",
            "Services with global",
        ),
        (
            {"supervision_indicators": ("1", "2")},
            {"supervision_indicator": "03"},
            "deny",
            "This service needs",
        ),
        (
            {"supervision_indicators": ("1", "2")},
            {"supervision_indicator": "21"},
            "needs_attestation",
            "This rule does not speak of supervision indicator 21.",
        ),
    ],
)
def test_each_field_of_a_row_is_judged(
    asked: dict[str, Any], given: dict[str, Any], result: str, sentence: str
) -> None:
    """What a row asks for and the session does not meet is refused or needs attestation, in a sentence."""
    verdict = evaluate(four_layers(federal=row("federal", **asked)), circumstances(**given))

    assert answer(verdict, "federal").result == result
    assert answer(verdict, "federal").reason.startswith(sentence)
    assert verdict.result != "allow"


def test_all_that_is_wrong_at_the_worst_level_is_said_at_once() -> None:
    """Two refusals of one row are two sentences, so that nobody mends one and is refused by the next."""
    verdict = evaluate(shipped(), circumstances(responder=None, records_access=False))

    assert answer(verdict, "state").reason == (
        "No licensed responder is on site besides the technologist. "
        "The physician has no access to the patient's imaging records."
    )


@pytest.mark.hazard("H-19", "H-20")
def test_a_licence_of_another_kind_does_not_stand_in_where_the_patient_is() -> None:
    """A physician of another state who is a nurse practitioner here is not a licensed physician here."""
    both = Party(licences=(*licensed("MD", "NV").licences, *licensed("NP", "CA").licences))
    verdict = evaluate(four_layers(), circumstances(supervisor=both))

    assert (verdict.result, verdict.deciding.rule_id) == ("deny", "ATTEND-LICENCE")
    assert verdict.deciding.reason == "The supervisor holds no MD or DO licence in CA."


@pytest.mark.hazard("H-20")
def test_no_licence_serves_layers_that_accept_different_people() -> None:
    """Two layers that accept nobody in common refuse even somebody who holds both licences."""
    both = Party(licences=(*licensed("MD", "CA").licences, *licensed("NP", "CA").licences))
    rows = four_layers(
        federal=row("federal", supervisor_roles=("NP",)), facility=row("facility", supervisor_roles=("MD",))
    )

    assert evaluate(rows, circumstances(supervisor=both)).result == "deny"


@pytest.mark.hazard("H-20")
def test_a_row_that_may_not_apply_narrows_nobody() -> None:
    """A payer's wish for nurse practitioners does not refuse a physician while nobody has said who pays."""
    rule = row("payer", payers=("acme",), supervisor_roles=("NP",))
    verdict = evaluate(four_layers(payer=rule), circumstances())

    assert answer(verdict, "state").result == "allow"
    assert (verdict.result, verdict.deciding.rule_id) == ("needs_attestation", "payer-1")


@pytest.mark.hazard("H-20")
def test_people_of_an_unread_list_are_attested_and_not_refused() -> None:
    """Where every layer may accept a nurse practitioner, two people decide; the licence here still has to hold."""
    rows = book(*(replace(one, supervisor_roles_unread=("NP",)) for one in four_layers().rules))

    assert evaluate(rows, circumstances(supervisor=licensed("NP", "CA"))).result == "needs_attestation"
    assert evaluate(rows, circumstances(supervisor=licensed("NP", "NV"))).deciding.rule_id == "ATTEND-LICENCE"


def test_the_strictest_layer_comes_first_and_decides() -> None:
    """Deny before attestation before allow; layers of the same answer keep the order of the law."""
    layers = evaluate(shipped(), circumstances("NJ", on=dt.date(2025, 6, 1))).layers

    assert [(one.layer, one.result) for one in layers] == [
        ("state", "deny"),
        ("accreditor", "needs_attestation"),
        ("federal", "allow"),
        ("facility", "allow"),
    ]


def test_what_nobody_could_state_is_listed_as_assumed() -> None:
    """The indicators and certificates are assumed by name, once, and no longer when they are given."""
    silent = evaluate(shipped(), circumstances(assumed=("the caller's own",))).assumed
    assert silent[:3] == (*ASSUMED, "the caller's own")
    assert set(silent[3:]) == {
        "technologist: 10 hours of instruction and 10 supervised punctures",
        "supervisor's payer enrolment on file",
        "responder's basic life support certificate on file",
        "the service's global indicator is not 010 or 090",
        "the service's supervision indicator is 1 or 2",
    }
    enrolled = replace(licensed("MD", "CA"), credentials=(Credential(kind="enrolment", expires_on=FAR),))
    able = replace(licensed("RN", "CA"), credentials=(Credential(kind="bls", expires_on=FAR),))
    told = circumstances(
        supervisor=enrolled, responder=able, global_indicator="000", supervision_indicator="02"
    )

    assert evaluate(shipped(), told).result == "allow"
    assert evaluate(shipped(), told).assumed == (
        *ASSUMED,
        "technologist: 10 hours of instruction and 10 supervised punctures",
    )


def test_windows_and_responses_of_a_row_are_assumed_by_name() -> None:
    """What a row asks of the order and of the place, and no caller can state, is in the list."""
    rule = row("facility", order_window_hours=24, onsite_response="a physician can be there in 30 minutes")

    assert evaluate(four_layers(facility=rule), circumstances()).assumed == (
        *ASSUMED,
        "order or approval not older than 24 hours",
        "a physician can be there in 30 minutes",
    )


@pytest.mark.hazard("H-19", "H-22")
@pytest.mark.parametrize(
    ("changes", "until"),
    [
        ({}, None),
        ({"supervisor": licensed("MD", "CA", until=TOMORROW)}, TOMORROW),
        ({"responder": licensed("RN", "CA", until=TOMORROW)}, TOMORROW),
        ({"responder": replace(licensed("RN", "CA"), competency_expires_on=DAY)}, DAY),
        (
            {
                "supervisor": Party(
                    licences=(*licensed("MD", "CA", until=DAY).licences, *licensed("DO", "CA").licences)
                )
            },
            None,
        ),
        (
            {
                "supervisor": Party(
                    licences=(*licensed("MD", "NV", until=DAY).licences, *licensed("MD", "CA").licences)
                )
            },
            None,
        ),
    ],
    ids=["nothing ends", "licence", "responder", "competency", "a longer one serves", "another state"],
)
def test_a_verdict_ends_with_the_first_fact_it_rests_on(
    changes: dict[str, Any], until: dt.date | None
) -> None:
    """Only what was used counts: of two licences that serve the longer one, and none of another state."""
    assert evaluate(shipped(), circumstances(**changes)).facts_until == (until or FAR)


@pytest.mark.hazard("H-20")
@pytest.mark.parametrize(
    "changed",
    [
        row("facility", effective_to=DAY),
        row("facility", effective_from=TOMORROW, id="facility-2"),
    ],
    ids=["a row ends", "a row begins"],
)
def test_a_verdict_does_not_outlive_its_rows(changed: Rule) -> None:
    """The last day is the one before the rows that apply become others."""
    rules = (
        [*four_layers().rules, changed] if changed.effective_from else [*four_layers(facility=changed).rules]
    )

    assert evaluate(book(*rules), circumstances()).facts_until == DAY


def test_a_row_that_begins_today_ends_nothing() -> None:
    """A row already in effect on the date of service does not shorten the verdict."""
    begun = row("facility", effective_from=DAY)

    assert evaluate(four_layers(facility=begun), circumstances()).facts_until == FAR


@pytest.mark.hazard("H-19")
def test_a_longer_licence_elsewhere_lengthens_nothing() -> None:
    """The licence of the patient's state is the one that ends the verdict."""
    here, elsewhere = licensed("MD", "CA", until=TOMORROW), licensed("MD", "NV")
    both = Party(licences=(*here.licences, *elsewhere.licences))

    assert evaluate(shipped(), circumstances(supervisor=both)).facts_until == TOMORROW


@pytest.mark.hazard("H-19", "H-20")
def test_a_licence_counts_from_its_first_to_its_last_day() -> None:
    """The first and the last day are inside; the days before and after are refused and say why."""
    held = Licence(type="MD", state="CA", issued_on=DAY, expires_on=TOMORROW)
    day = dt.timedelta(days=1)

    def ask(on: dt.date) -> LayerAnswer:
        return evaluate(shipped(), circumstances(on=on, supervisor=Party(licences=(held,)))).deciding

    assert ask(DAY).result == ask(TOMORROW).result == "allow"
    assert ask(DAY - day).reason == "The supervisor's MD licence in CA begins on 2026-05-01."
    assert ask(TOMORROW + day).reason == "The supervisor's MD licence in CA expired on 2026-05-02."
