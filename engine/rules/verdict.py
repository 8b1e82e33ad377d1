"""The verdict on a session: each layer's answer with its reason, the strictest wins, and nothing allows by default.

Rule: a missing row never allows, and an unverified one gives exactly needs-attestation. A verified row that requires
presence on site denies a virtual session. An other-payer layer without rows is silent; every other layer without a
row needs attestation. What nobody can say never helps: it is needs-attestation, or listed as assumed.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from engine.rules.credentials import (
    PHYSICIANS,
    PRACTITIONERS,
    Licence,
    Party,
    Requirement,
    assumed,
    either,
    lasts_until,
    problems,
)
from engine.rules.rulebook import LAYERS, Rule, Rulebook

__all__ = ["ASSUMED", "Circumstances", "LayerAnswer", "Licence", "Party", "Verdict", "evaluate"]

ALLOW, ATTEST, DENY = "allow", "needs_attestation", "deny"
_RANK = {ALLOW: 0, ATTEST: 1, DENY: 2}
ASSUMED = ("technologist certificates on file", "facility safety protocols on file")
SUPPORTED_MODES = ("C",)
ON_SITE = ("onsite_premises", "onsite_facility")
PERSONAL = "3"
_SCOPES = (
    ("sites", "site", "site"),
    ("settings", "setting", "setting"),
    ("modalities", "modality", "modality"),
    ("injectors", "injector", "injector's role"),
    ("agent_classes", "agent_class", "class of the agent"),
    ("payers", "payer", "payer"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything a verdict is made of, on one date of service (the site's own date).

    An empty word or None means that nobody can say. `state` is the patient's (the site's) in two capital letters,
    `setting` office, idtf or hopd, `modality` a DICOM code, `media` av, audio or none, `mode` A, B or C. The two
    indicators are those of the fee schedule. `assumed` names what the caller itself took for granted.
    """

    on: dt.date
    state: str
    setting: str
    modality: str
    injector: str
    media: str
    mode: str
    supervisor: Party | None
    responder: Party | None
    records_access: bool | None = None
    remote_technologist: bool = False
    responder_is_technologist: bool = False
    site: str = ""
    agent_class: str = ""
    payer: str = ""
    hcpcs: str = ""
    supervision_indicator: str | None = None
    global_indicator: str | None = None
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAnswer:
    """One layer's answer in plain language. `rule_id` is empty when the layer has no row."""

    layer: str
    result: str
    rule_id: str
    reason: str
    citation: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The strictest answer; every layer's, strictest first; what was assumed.

    `facts_until` is the last day on which the licences, credentials and rows used still hold; None when none ends.
    """

    result: str
    layers: tuple[LayerAnswer, ...]
    assumed: tuple[str, ...]
    facts_until: dt.date | None

    @property
    def deciding(self) -> LayerAnswer:
        """The layer that decides."""
        return self.layers[0]


@dataclass(frozen=True, slots=True)
class _Finding:
    """One thing that stands against a session."""

    result: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A row in effect, with the names of the facts that nobody gave to say whether it applies."""

    rule: Rule
    unknown: tuple[str, ...]


def evaluate(book: Rulebook, facts: Circumstances) -> Verdict:
    """Judge one session. The order of rows does not matter, and no book at all gives needs-attestation."""
    rows = tuple(_rows(book, facts))
    answers = [answer for layer in LAYERS if (answer := _layer(book, layer, rows, facts)) is not None]
    answers.sort(key=lambda answer: -_RANK[answer.result])
    return Verdict(
        result=answers[0].result,
        layers=tuple(answers),
        assumed=tuple(dict.fromkeys((*ASSUMED, *facts.assumed, *_assumed(rows, facts)))),
        facts_until=_until(book, rows, facts),
    )


def _rows(book: Rulebook, facts: Circumstances) -> Iterator[_Row]:
    for rule in sorted(book.rules, key=lambda one: one.id):
        unknown = _reach(rule, facts)
        if rule.in_effect(facts.on) and unknown is not None:
            yield _Row(rule, unknown)


def _reach(rule: Rule, facts: Circumstances) -> tuple[str, ...] | None:
    """Return None when the row is not about this session, else the names of what must be known to be sure."""
    if rule.state and rule.state != facts.state:
        return None
    unknown = []
    for scope, fact, name in _SCOPES:
        wanted: tuple[str, ...] = getattr(rule, scope)
        given: str = getattr(facts, fact)
        if wanted and not given:
            unknown.append(name)
        elif wanted and given not in wanted:
            return None
    return tuple(unknown)


def _layer(book: Rulebook, layer: str, rows: tuple[_Row, ...], facts: Circumstances) -> LayerAnswer | None:
    """Return the layer's strictest answer; of equally strict ones the first. None: the layer is silent."""
    mine = [row for row in rows if row.rule.layer == layer]
    answers = list(_not_built(book, layer, facts))
    answers.extend(answer for row in mine if (answer := _judge(row, facts)) is not None)
    answers.extend(_standing(book, layer, rows, facts))
    if layer != "payer" and all(row.unknown for row in mine):
        reason = f"No {layer} rule is on file for this session; two people must attest."
        answers.append(_answer(book, layer, ATTEST, "", reason, ""))
    return max(answers, key=lambda answer: _RANK[answer.result], default=None)


def _judge(row: _Row, facts: Circumstances) -> LayerAnswer | None:
    """Return a row's answer; None for a row that may not apply and would stand against nothing if it did."""
    rule = row.rule
    found = tuple(_findings(rule, facts))
    worst = max((one.result for one in found), key=_RANK.__getitem__, default=ALLOW)
    sentences = " ".join(dict.fromkeys(one.sentence for one in found if one.result == worst))
    if row.unknown and rule.verified:
        if not found:
            return None
        names = ", ".join(row.unknown)
        result, reason = ATTEST, f"This rule may apply; nobody has given the {names}. If it does: {sentences}"
    elif not rule.verified:
        refusal = f" If it holds, it refuses: {sentences}" if worst == DENY else ""
        result, reason = ATTEST, f"This rule is not verified, two people must attest: {rule.text}{refusal}"
    else:
        result, reason = worst, sentences or rule.text
    return LayerAnswer(
        layer=rule.layer,
        result=result,
        rule_id=rule.id,
        reason=reason,
        citation=rule.citation,
        version=rule.version,
    )


def _findings(rule: Rule, facts: Circumstances) -> Iterator[_Finding]:
    """Yield what stands against a session under a row."""
    if rule.presence in ON_SITE:
        yield _Finding(DENY, rule.text)
        return
    if rule.supervision_level == "personal":
        yield _Finding(DENY, rule.text)
    if rule.modes and facts.mode not in rule.modes:
        yield _Finding(
            DENY, f"Mode {facts.mode} is not among the modes {', '.join(rule.modes)} of this rule."
        )
    if facts.media != "av":
        yield _Finding(DENY, _media_sentence(facts))
    if rule.one_virtual_level and facts.remote_technologist:
        yield _Finding(DENY, "Only one level may be virtual: the technologist is remote too.")
    yield from _supervisor(rule, facts)
    yield from _responder(rule, facts)
    yield from _service(rule, facts)
    if rule.records_access_required and facts.records_access is False:
        yield _Finding(DENY, "The physician has no access to the patient's imaging records.")
    if rule.records_access_required and facts.records_access is None:
        yield _Finding(ATTEST, "Nobody has shown that the physician can open the patient's imaging records.")


def _media_sentence(facts: Circumstances) -> str:
    if facts.media == "audio":
        return "Audio alone is not direct supervision; two-way audio and video is needed."
    return "There is no line; two-way audio and video is needed."


def _supervisor(rule: Rule, facts: Circumstances) -> Iterator[_Finding]:
    if facts.supervisor is None:
        yield _Finding(ATTEST, "No supervising physician is on this session yet.")
        return
    read = _of_supervisor(rule, facts, rule.supervisor_roles)
    found = problems(facts.supervisor, facts.on, read)
    unread = _of_supervisor(rule, facts, rule.supervisor_roles_unread)
    if found and rule.supervisor_roles_unread and not problems(facts.supervisor, facts.on, unread):
        kinds = ", ".join(rule.supervisor_roles_unread)
        yield _Finding(
            ATTEST, f"Whether a supervisor of another kind ({kinds}) may supervise is not verified."
        )
        return
    yield from (_Finding(DENY, one.sentence) for one in found)


def _of_supervisor(rule: Rule, facts: Circumstances, types: tuple[str, ...]) -> Requirement:
    return Requirement(
        who="supervisor",
        licence_types=types,
        state=facts.state if rule.supervisor_licence_in_state else "",
        credentials=rule.supervisor_credentials,
    )


def _responder(rule: Rule, facts: Circumstances) -> Iterator[_Finding]:
    if not rule.responder_required:
        return
    if facts.responder is None:
        yield _Finding(DENY, "No licensed responder is on site besides the technologist.")
        return
    if rule.responder_in_addition and facts.responder_is_technologist:
        yield _Finding(DENY, "The responder must be somebody other than the technologist.")
    for one in problems(facts.responder, facts.on, _of_responder(rule, facts)):
        yield _Finding(DENY, one.sentence)


def _of_responder(rule: Rule, facts: Circumstances) -> Requirement:
    return Requirement(
        who="responder",
        licence_types=rule.responder_licences,
        state=facts.state,
        competency=rule.responder_competency,
        credentials=rule.responder_credentials,
    )


def _service(rule: Rule, facts: Circumstances) -> Iterator[_Finding]:
    """Judge the service by its indicators; an indicator that nobody gave is assumed, and listed."""
    if facts.global_indicator in rule.excluded_global_indicators:
        yield _Finding(
            DENY, f"Services with global indicator {facts.global_indicator} cannot be supervised virtually."
        )
    level = (facts.supervision_indicator or "").lstrip("0")
    if rule.supervision_indicators and level == PERSONAL:
        yield _Finding(DENY, "This service needs personal supervision, in the room.")
    elif rule.supervision_indicators and level and level not in rule.supervision_indicators:
        yield _Finding(ATTEST, f"This rule does not speak of supervision indicator {level}.")


def _not_built(book: Rulebook, layer: str, facts: Circumstances) -> Iterator[LayerAnswer]:
    """Yield the refusal of a mode that the engine cannot run; it is said before anything else."""
    if layer == "facility" and facts.mode not in SUPPORTED_MODES:
        named = f"Mode {facts.mode}" if facts.mode else "A session without a mode"
        reason = f"{named} is not built; only mode C is: a live session for each injection."
        yield _answer(book, layer, DENY, "ATTEND-MODE", reason, "Attend deployment modes")


def _standing(
    book: Rulebook, layer: str, rows: tuple[_Row, ...], facts: Circumstances
) -> Iterator[LayerAnswer]:
    """Yield the refusals that need no row: a line that is not live, no licence where the patient is."""
    if layer == "facility" and facts.media != "av":
        yield _answer(
            book, layer, DENY, "ATTEND-LIVE-LINE", _media_sentence(facts), "Attend deployment modes"
        )
    if layer == "state" and facts.state and facts.supervisor is not None:
        need = _where_the_patient_is(rows, facts)
        sentences = [one.sentence for one in problems(facts.supervisor, facts.on, need)]
        if not need.licence_types:
            sentences.append("No kind of licence is accepted by every layer.")
        if sentences:
            citation = "Medicine is practised where the patient is (Interstate Medical Licensure Compact)"
            yield _answer(book, layer, DENY, "ATTEND-LICENCE", " ".join(sentences), citation)


def _where_the_patient_is(rows: tuple[_Row, ...], facts: Circumstances) -> Requirement:
    """Require in the patient's state a licence of a kind that every layer accepts, not any licence at all."""
    kinds = {*PHYSICIANS, *PRACTITIONERS}
    for row in rows:
        if row.rule.verified and not row.unknown:
            kinds &= {*row.rule.supervisor_roles, *row.rule.supervisor_roles_unread}
    types = tuple(kind for kind in (*PHYSICIANS, *PRACTITIONERS) if kind in kinds)
    return Requirement(who="supervisor", licence_types=types, state=facts.state)


def _answer(book: Rulebook, layer: str, result: str, rule_id: str, reason: str, citation: str) -> LayerAnswer:
    return LayerAnswer(
        layer=layer, result=result, rule_id=rule_id, reason=reason, citation=citation, version=book.version
    )


def _assumed(rows: tuple[_Row, ...], facts: Circumstances) -> Iterator[str]:
    """Yield what the rows used ask for and nobody has a way to state."""
    for rule in (row.rule for row in rows):
        if rule.presence in ON_SITE:
            continue
        if facts.supervisor is not None:
            yield from assumed(facts.supervisor, _of_supervisor(rule, facts, rule.supervisor_roles))
        if facts.responder is not None:
            yield from assumed(facts.responder, _of_responder(rule, facts))
        if rule.excluded_global_indicators and facts.global_indicator is None:
            yield f"the service's global indicator is not {either(rule.excluded_global_indicators)}"
        if rule.supervision_indicators and not facts.supervision_indicator:
            yield f"the service's supervision indicator is {either(rule.supervision_indicators)}"
        yield from (f"technologist: {one}" for one in (*rule.injector_certificates, *rule.training_minimums))
        if rule.order_window_hours is not None:
            yield f"order or approval not older than {rule.order_window_hours} hours"
        if rule.onsite_response:
            yield rule.onsite_response


def _until(book: Rulebook, rows: tuple[_Row, ...], facts: Circumstances) -> dt.date | None:
    """Return the first day after which a fact used, or the set of rows that apply, is another one."""
    ends = [row.rule.effective_to for row in rows]
    for rule in book.rules:
        starts = rule.effective_from
        if starts is not None and starts > facts.on and _reach(rule, facts) is not None:
            ends.append(starts - dt.timedelta(days=1))
    needs = [_of_supervisor(row.rule, facts, row.rule.supervisor_roles) for row in rows]
    if facts.supervisor is not None:
        needs.append(_where_the_patient_is(rows, facts))
        ends.extend(lasts_until(facts.supervisor, facts.on, need) for need in needs)
    if facts.responder is not None:
        ends.extend(
            lasts_until(facts.responder, facts.on, _of_responder(row.rule, facts))
            for row in rows
            if row.rule.responder_required
        )
    return min((day for day in ends if day is not None), default=None)
