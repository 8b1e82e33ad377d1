"""The verdict on a session: each layer's answer with its reason, the strictest wins, and nothing allows by default.

Rule: a missing or unverified row never allows. A row that requires presence on site denies a virtual session. An
other-payer layer without rows is silent; every other layer without a row needs attestation.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from engine.rules.rulebook import LAYERS, Rule, Rulebook

ALLOW, ATTEST, DENY = "allow", "needs_attestation", "deny"
_RANK = {ALLOW: 0, ATTEST: 1, DENY: 2}
ASSUMED = (
    "technologist certificates on file",
    "facility safety protocols on file",
    "supervisor enrolled and listed where the payer requires it",
)
SUPPORTED_MODES = ("C",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence as found: type (MD, RN, …), state, and its last day."""

    type: str
    state: str
    expires_on: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """The supervisor or the responder: licences that count today, and the last day of the competency, if any."""

    licences: tuple[Licence, ...]
    competency_expires_on: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Everything a verdict is made of. None means that nobody can say, which never helps."""

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
    payer: str = ""
    hcpcs: str = ""
    supervision_indicator: int | None = None
    global_indicator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAnswer:
    """One layer's answer in plain language."""

    layer: str
    result: str
    rule_id: str
    reason: str
    citation: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The strictest answer, every layer's, what was assumed, and the last day on which the facts used still hold."""

    result: str
    layers: tuple[LayerAnswer, ...]
    assumed: tuple[str, ...]
    facts_until: dt.date | None


def evaluate(book: Rulebook, facts: Circumstances) -> Verdict:
    """Judge one session. The order of rows does not matter."""
    layers = [answer for layer in LAYERS for answer in _layer(book, layer, facts)]
    result = max((answer.result for answer in layers), key=_RANK.__getitem__, default=ATTEST)
    return Verdict(result=result, layers=tuple(layers), assumed=ASSUMED, facts_until=_until(facts))


def _layer(book: Rulebook, layer: str, facts: Circumstances) -> Iterator[LayerAnswer]:
    rows = sorted((rule for rule in book.of(layer) if _applies(rule, facts)), key=lambda rule: rule.id)
    if not rows:
        if layer != "payer":
            yield LayerAnswer(
                layer=layer,
                result=ATTEST,
                rule_id="",
                reason=f"No {layer} rule is on file for this session; two people must attest.",
                citation="",
                version=book.version,
            )
        return
    answers = [_judge(rule, facts) for rule in rows]
    worst = max(_RANK[answer.result] for answer in answers)
    yield next(answer for answer in answers if _RANK[answer.result] == worst)


def _applies(rule: Rule, facts: Circumstances) -> bool:
    return (
        rule.in_effect(facts.on)
        and (not rule.state or rule.state == facts.state)
        and (not rule.settings or facts.setting in rule.settings)
        and (not rule.modalities or facts.modality in rule.modalities)
        and (not rule.injectors or facts.injector in rule.injectors)
        and (not rule.payers or facts.payer in rule.payers)
    )


def _judge(rule: Rule, facts: Circumstances) -> LayerAnswer:
    problem = next(_problems(rule, facts), None)
    if problem is not None:
        result, reason = problem
    elif not rule.verified:
        result, reason = ATTEST, f"This rule is not verified: {rule.text}"
    else:
        result, reason = ALLOW, rule.text
    return LayerAnswer(
        layer=rule.layer,
        result=result,
        rule_id=rule.id,
        reason=reason,
        citation=rule.citation,
        version=rule.version,
    )


def _problems(rule: Rule, facts: Circumstances) -> Iterator[tuple[str, str]]:
    """Yield what stands against a session under a row: denials first, then what nobody can say."""
    if facts.mode not in SUPPORTED_MODES or (rule.modes and facts.mode not in rule.modes):
        yield (
            DENY,
            f"Mode {facts.mode} is not supervised by this release; use a live session for each injection.",
        )
    if rule.presence in {"onsite_premises", "onsite_facility"}:
        yield DENY, rule.text
    if facts.media != "av":
        yield DENY, "Audio alone is not direct supervision; two-way audio and video is needed."
    if rule.one_virtual_level and facts.remote_technologist:
        yield DENY, "Only one level may be virtual: the technologist is remote too."
    yield from _supervisor_problems(rule, facts)
    yield from _responder_problems(rule, facts)
    if facts.global_indicator in rule.excluded_global_indicators:
        yield DENY, f"Services with global indicator {facts.global_indicator} cannot be supervised virtually."
    limit = rule.max_supervision_indicator
    if limit is not None and facts.supervision_indicator is not None and facts.supervision_indicator > limit:
        yield DENY, "This service needs personal supervision, in the room."
    if rule.records_access_required and facts.records_access is False:
        yield DENY, "The physician has no access to the patient's imaging records."
    if rule.records_access_required and facts.records_access is None:
        yield ATTEST, "Nobody has shown that the physician can open the patient's imaging records."


def _supervisor_problems(rule: Rule, facts: Circumstances) -> Iterator[tuple[str, str]]:
    if facts.supervisor is None:
        yield ATTEST, "No supervising physician is on this session yet."
        return
    held = [licence for licence in facts.supervisor.licences if licence.type in rule.supervisor_roles]
    if not held:
        yield DENY, f"The supervisor must be one of {', '.join(rule.supervisor_roles)}."
        return
    here = [licence for licence in held if licence.state == facts.state and licence.expires_on >= facts.on]
    if rule.supervisor_licence_in_state and not here:
        yield DENY, f"The supervisor holds no valid licence in {facts.state}."


def _responder_problems(rule: Rule, facts: Circumstances) -> Iterator[tuple[str, str]]:
    if not rule.responder_required:
        return
    if facts.responder is None:
        yield DENY, "No licensed responder is on site besides the technologist."
        return
    licensed = [
        licence
        for licence in facts.responder.licences
        if licence.type in rule.responder_licences
        and licence.state == facts.state
        and licence.expires_on >= facts.on
    ]
    if not licensed:
        yield (
            DENY,
            f"The responder holds no valid licence of {', '.join(rule.responder_licences)} in {facts.state}.",
        )
    until = facts.responder.competency_expires_on
    if rule.responder_competency and (until is None or until < facts.on):
        yield DENY, "The responder's competency is missing or lapsed."


def _until(facts: Circumstances) -> dt.date | None:
    """Return the first last-day among the facts a verdict rests on."""
    days = [
        licence.expires_on
        for party in (facts.supervisor, facts.responder)
        if party is not None
        for licence in party.licences
        if licence.state == facts.state and licence.expires_on >= facts.on
    ]
    if facts.responder is not None and facts.responder.competency_expires_on is not None:
        days.append(facts.responder.competency_expires_on)
    return min(days, default=None)
