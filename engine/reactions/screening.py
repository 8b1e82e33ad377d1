"""What the pack's rows say of a patient before contrast: findings, each with the row that fired, strictest first.

Rules: the rows decide, nobody is cleared here; an unknown answer is a finding that says so and weighs what yes would,
up to a physician's review; it is never milder than no. Source: clinical reference 6D and 7.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from engine.reactions.care_rows import (
    AgentGroup,
    ContrastClass,
    GadoliniumGroup,
    KidneyRule,
    MetforminRule,
    Outcome,
    Reexposure,
    RiskFactor,
)
from engine.reactions.dose import plain
from engine.reactions.pack import Pack
from engine.reactions.premedication import Offer, offers
from engine.reactions.questionnaire import PriorReaction, Questionnaire, agents_named
from engine.reactions.row import Row

STRICTNESS: tuple[Outcome, ...] = get_args(Outcome)
CLASSES: tuple[ContrastClass, ...] = get_args(ContrastClass)
REVIEW: Outcome = "physician_review"
SETTINGS = ("office", "idtf", "hopd")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningFinding:
    """What one row says. `unknown` names what nobody answered, `lab_age_days` how old the eGFR used is (None: none).

    `row_id` is "" where the pack has no row for the case; the physician decides then.
    """

    outcome: Outcome
    row_id: str
    sentence: str
    citation: str = ""
    evidence: str = ""
    unknown: tuple[str, ...] = ()
    lab_age_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """Everything that the rows say, strictest finding first, and the regimens a physician may choose from."""

    findings: tuple[ScreeningFinding, ...]
    premedication: tuple[Offer, ...]

    @property
    def outcome(self) -> Outcome:
        """The strictest finding's outcome; proceed where nothing fired."""
        return self.findings[0].outcome if self.findings else "proceed"


def strictest(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the strictest of outcomes, proceed for none."""
    return max(outcomes, key=STRICTNESS.index, default="proceed")


def screen(pack: Pack, q: Questionnaire, today: dt.date, *, resolve_doses: bool = True) -> Screened:
    """Return what the pack's rows say of a questionnaire on the patient's own day."""
    classes, open_class = _classes(pack, q)
    found = [*open_class]
    fired: list[Reexposure] = []
    found.extend(_risks(pack, q, classes))
    for prior, row, finding in _again(pack, q, classes):
        found.append(finding)
        if row is not None and prior is not None:
            fired.append(row)
    lab = _Lab(pack, q, today)
    if "iodinated" in classes:
        found.extend(_kidneys(pack, q, lab))
    if "gadolinium" in classes:
        found.extend(_gadolinium(pack, q, lab))
    for contrast_class in classes:
        found.extend(_metformin(pack, q, lab, contrast_class))
        found.extend(_pregnancy(pack, q, contrast_class))
    found.extend(lab.findings())
    ranked = sorted(dict.fromkeys(found), key=lambda one: -STRICTNESS.index(one.outcome))
    return Screened(findings=tuple(ranked), premedication=offers(pack, q, fired, resolve_doses=resolve_doses))


def _finding(
    row: Row | None,
    outcome: Outcome,
    sentence: str,
    unknown: Sequence[str] = (),
    lab_age_days: int | None = None,
) -> ScreeningFinding:
    asked = ", ".join(name.replace("_", " ") for name in unknown)
    return ScreeningFinding(
        outcome=outcome if row is not None else strictest((outcome, REVIEW)),
        row_id=row.id if row is not None else "",
        sentence=(f"Not known: {asked}. " if asked else "")
        + (
            sentence
            if row is not None
            else f"The pack has no row for this: the physician decides. {sentence}"
        ),
        citation=row.citation if row is not None else "",
        evidence=row.tags if row is not None else "",
        unknown=tuple(unknown),
        lab_age_days=lab_age_days,
    )


def _weighed(outcomes: Iterable[Outcome]) -> Outcome:
    """Return what an unknown answer weighs: as much as yes would, up to a physician's review."""
    return min(strictest(outcomes), REVIEW, key=STRICTNESS.index)


def _decided_in(pack: Pack, table: str) -> RiskFactor | None:
    return next((row for row in pack.risk_factors if row.decided_in == table), None)


def _topic(pack: Pack, topic: str) -> RiskFactor | None:
    return next((row for row in pack.risk_factors if row.topic == topic), None)


def _classes(pack: Pack, q: Questionnaire) -> tuple[tuple[ContrastClass, ...], list[ScreeningFinding]]:
    """Return the classes whose rows count: the planned one, or both while it is open or the agent contradicts it."""
    row = _topic(pack, "class_and_agent")
    planned = [name for name in CLASSES if name == q.contrast_class]
    of_agent = {agent.contrast_class for agent in agents_named(pack, q.agent)}
    if not planned:
        text = row.text if row else "Which class of contrast is planned?"
        return CLASSES, [_finding(row, REVIEW, text, ("contrast_class",))]
    if of_agent - set(planned):
        text = (
            f"{q.agent} is no {planned[0]} agent, which is what was ordered: the rows of either class count."
        )
        return CLASSES, [_finding(row, REVIEW, text)]
    return tuple(planned), []


def _risks(pack: Pack, q: Questionnaire, classes: Sequence[ContrastClass]) -> Iterator[ScreeningFinding]:
    """Yield what the questions say that no other table decides."""
    for row in pack.risk_factors:
        if row.decided_in or not set(row.contrast_classes) & set(classes):
            continue
        unknown = list(q.unknown(row.asks))
        text, applies = row.text, q.any_yes(row.asks)
        if row.topic == "access":
            said = q.access.strip()
            if said.lower() in ("", "unknown"):
                unknown.append("access")
            else:
                text, applies = f"Access: {said}. {text}", True
        if row.age_to_years is not None or row.age_above_years is not None:
            if q.age_years is None:
                unknown.append("age_years")
            else:
                applies = applies or _of_age(row, q.age_years)
        if applies or unknown:
            yield _finding(row, row.finding if applies else _weighed([row.finding]), text, unknown)


def _of_age(row: RiskFactor, age_years: int) -> bool:
    """Return whether an age in full years is within a row's limits."""
    return (row.age_to_years is None or age_years <= row.age_to_years) and (
        row.age_above_years is None or age_years > row.age_above_years
    )


Again = tuple[PriorReaction | None, Reexposure | None, ScreeningFinding]


def _again(pack: Pack, q: Questionnaire, classes: Sequence[ContrastClass]) -> Iterator[Again]:
    """Yield what earlier reactions mean, and what is mistaken for one."""
    same, other = _topic(pack, "same_class"), _topic(pack, "other_class")
    if not q.prior_reactions and q.prior_reaction != "no":
        unknown = ("prior_reaction",) if q.prior_reaction == "unknown" else ()
        details = ("contrast_class", "kind", "severity", "delayed", "agent")
        text = same.text if same else ""
        outcome = same.finding if same else REVIEW
        yield None, None, _finding(same, outcome, text, unknown or details)
    for prior in q.prior_reactions:
        if prior.contrast_class not in (*classes, "unknown"):
            outcome = other.finding if other else REVIEW
            yield None, None, _finding(other, outcome, other.text if other else "")
            continue
        for contrast_class in classes:
            if prior.contrast_class in (contrast_class, "unknown"):
                yield _same_class(pack, q, prior, contrast_class)
    for row in pack.reexposure:
        if row.contrast_class in classes and q.any_yes(row.answers):
            yield None, row, _finding(row, row.finding, row.text)


def _same_class(pack: Pack, q: Questionnaire, prior: PriorReaction, contrast_class: ContrastClass) -> Again:
    """Return what an earlier reaction to contrast of the same class means; an unknown kind counts as allergic-like."""
    history: str = prior.severity
    if prior.kind == "physiologic":
        history = "physiologic"
    elif prior.delayed == "yes":
        history = "delayed"
    row = next(
        (
            row
            for row in pack.reexposure
            if row.contrast_class == contrast_class and row.history == history and not row.answers
        ),
        None,
    )
    open_questions = [name for name in ("contrast_class", "kind") if getattr(prior, name) == "unknown"]
    if prior.kind != "physiologic":
        open_questions += [name for name in ("severity", "delayed") if getattr(prior, name) == "unknown"]
        open_questions += [] if agents_named(pack, prior.agent) else ["agent"]
    told = f"{prior.source}: " if prior.source else ""
    if row is None:
        risk = _topic(pack, "same_class")
        text = risk.text if risk else ""
        if history != "unknown":
            text = f"No row of the pack decides an earlier {history} reaction: the physician decides."
        return prior, None, _finding(risk, risk.finding if risk else REVIEW, told + text, open_questions)
    outcome = row.finding
    if row.hold_at and (q.setting in row.hold_at or q.setting not in SETTINGS):
        outcome = "hold"
    text = told + row.text + _another_agent(pack, q, prior, row)
    return prior, row, _finding(row, outcome, text, open_questions)


def _another_agent(pack: Pack, q: Questionnaire, prior: PriorReaction, row: Reexposure) -> str:
    """Say which agents the pack's groups offer instead, and that the planned one is the one reacted to."""
    if row.switch_agent == "no":
        return ""
    before = {agent.generic for agent in agents_named(pack, prior.agent)}
    planned = {agent.generic for agent in agents_named(pack, q.agent)}
    says = " The planned agent is the one reacted to." if before & planned else ""
    groups = [group for group in pack.agent_groups if group.contrast_class == row.contrast_class]
    of_prior = [group for group in groups if before & set(group.agents)] or [
        group for group in groups if group.group == "unknown"
    ]
    for group in of_prior:
        others = sorted(_agents_of(groups, group.switch_to))
        offered = f"; that is {', '.join(others)}" if others else ""
        says += f" Row {group.id} [{group.tags}]: {group.text.rstrip('.')}{offered}."
    return says


def _agents_of(groups: Iterable[AgentGroup], names: Iterable[str]) -> set[str]:
    wanted = set(names)
    return {agent for group in groups if group.group in wanted for agent in group.agents}


class _Lab:
    """The eGFR as a laboratory result: its age today, and whether any row leaned on it."""

    def __init__(self, pack: Pack, q: Questionnaire, today: dt.date) -> None:
        self.value, self.used = q.egfr, False
        self._pack, self._on = pack, q.egfr_on
        days = (today - q.egfr_on).days if q.egfr_on is not None else -1
        self.age_days = days if self.value is not None and days >= 0 else None

    def __str__(self) -> str:
        if self.value is None:
            return "No eGFR"
        age = "of unknown age"
        if self.age_days is not None:
            age = "of today" if self.age_days == 0 else f"{self.age_days} days old"
        elif self._on is not None:
            age = f"dated {self._on}, which is in the future"
        return f"eGFR {plain(self.value)} mL/min/1.73 m2, {age}"

    def on(
        self, row: Row | None, outcome: Outcome, text: str, unknown: Sequence[str] = ()
    ) -> ScreeningFinding:
        """Return a finding that leans on the eGFR, or on there being none."""
        self.used = self.used or self.value is not None
        return _finding(row, outcome, f"{self}. {text}", unknown, self.age_days)

    def findings(self) -> Iterator[ScreeningFinding]:
        """Yield that the physician judges how old a result may be, where a row leaned on one."""
        if self.used:
            row = next((row for row in self._pack.kidney_rules if row.state == "lab_age"), None)
            text = row.text if row else "How old may it be?"
            unknown = () if self.age_days is not None else ("egfr_on",)
            yield self.on(row, row.finding if row else REVIEW, text, unknown)


def _kidneys(pack: Pack, q: Questionnaire, lab: _Lab) -> Iterator[ScreeningFinding]:
    """Yield what the kidneys mean for iodinated contrast."""

    def state(name: str) -> KidneyRule | None:
        return next((row for row in pack.kidney_rules if row.state == name), None)

    def said(row: KidneyRule | None, unknown: Sequence[str] = ()) -> ScreeningFinding:
        return _finding(row, row.finding if row else REVIEW, row.text if row else "", unknown)

    unreliable = False
    if q.answer("acute_kidney_injury") == "yes":
        unreliable = True
        yield said(state("acute_injury"))
    if q.answer("dialysis") == "yes":
        unreliable = True
        left = q.answer("residual_function")
        yield said(
            state("dialysis_anuric" if left == "no" else "dialysis_residual"),
            ("residual_function",) if left == "unknown" else (),
        )
    if not unreliable:
        yield _egfr(pack, q, lab, state("who_needs_it"))
    risk = _decided_in(pack, "kidney")
    if risk is not None and (unknown := q.unknown(name for name in risk.asks if name != "residual_function")):
        yield _finding(risk, _weighed([risk.finding]), risk.text, unknown)


def _egfr(pack: Pack, q: Questionnaire, lab: _Lab, needed: KidneyRule | None) -> ScreeningFinding:
    """Return what the eGFR says, or whether one is needed."""
    if lab.value is not None:
        row = _band(pack.kidney_rules, lab.value)
        return lab.on(row, row.finding if row else REVIEW, row.text if row else "")
    if needed is None:
        return lab.on(None, REVIEW, "")
    missing = needed.finding_missing or REVIEW
    if q.any_yes(needed.needed_with):
        return lab.on(needed, missing, needed.text, ("egfr_ml_min_173m2",))
    unknown = q.unknown(needed.needed_with)
    return lab.on(needed, missing if unknown else needed.finding, needed.text, unknown)


def _band(rules: Iterable[KidneyRule], value: Decimal) -> KidneyRule | None:
    return next((row for row in rules if row.state == "stable" and _within(row, value)), None)


def _within(row: KidneyRule | MetforminRule, value: Decimal) -> bool:
    return (row.egfr_from is None or row.egfr_from <= value) and (
        row.egfr_below is None or value < row.egfr_below
    )


def _gadolinium(pack: Pack, q: Questionnaire, lab: _Lab) -> Iterator[ScreeningFinding]:
    """Yield what the kidneys mean for the planned gadolinium agent; without one that the groups know, for any."""
    agents = [agent for agent in agents_named(pack, q.agent) if agent.contrast_class == "gadolinium"]
    names = {agent.generic for agent in agents}
    groups = [group for group in pack.gadolinium_groups if names & set(group.agents)]
    if len(agents) == 1 and groups:
        yield from (_nsf(group, q, lab) for group in groups)
        return
    row = _topic(pack, "class_and_agent")
    weak = [group for group in pack.gadolinium_groups if _weak(group, q, lab) != "no"]
    if weak or not pack.gadolinium_groups:
        text = "Which gadolinium agent decides what the kidneys mean for it: its group is not known."
        yield lab.on(row, REVIEW, text, ("agent",))


def _weak(group: GadoliniumGroup, q: Questionnaire, lab: _Lab) -> Literal["yes", "no", "unknown"]:
    """Return whether the kidneys are weak by a group's row; nobody knows while the eGFR or an answer is missing."""
    if q.any_yes(group.also) or (lab.value is not None and lab.value < group.egfr_below):
        return "yes"
    return "unknown" if lab.value is None or q.unknown(group.also) else "no"


def _nsf(group: GadoliniumGroup, q: Questionnaire, lab: _Lab) -> ScreeningFinding:
    weak = _weak(group, q, lab)
    outcome: dict[str, Outcome] = {
        "yes": group.finding_below,
        "unknown": group.finding_unscreened,
        "no": "proceed",
    }
    unknown = q.unknown(group.also) if weak == "unknown" else ()
    if weak == "unknown" and lab.value is None:
        unknown = ("egfr_ml_min_173m2", *unknown)
    says: Callable[..., ScreeningFinding] = lab.on if group.renal_screening == "required" else _finding
    return says(group, outcome[weak], f"Group {group.group}. {group.text}", unknown)


def _metformin(
    pack: Pack, q: Questionnaire, lab: _Lab, contrast_class: ContrastClass
) -> Iterator[ScreeningFinding]:
    """Yield what is done about metformin; a question that nobody answered keeps its stricter row possible."""
    if q.metformin == "no":
        return
    rules = [row for row in pack.metformin_rules if row.contrast_class == contrast_class]
    hit = next((row for row in rules if q.any_yes(row.also) or _below(row, lab.value)), None)
    asked = [question for row in rules for question in row.also]
    by_egfr = any(row.egfr_from is not None or row.egfr_below is not None for row in rules)
    unknown = list(q.unknown(dict.fromkeys(asked)))
    if by_egfr and lab.value is None:
        unknown.insert(0, "egfr_ml_min_173m2")
    possible = [hit] if hit else [row for row in rules if unknown or _covers(row, lab.value)]
    outcome = strictest(row.finding for row in possible)
    says: Callable[..., ScreeningFinding] = lab.on if by_egfr else _finding
    risk = _decided_in(pack, "metformin")
    if q.metformin == "unknown":
        yield _finding(risk, _weighed([outcome]), risk.text if risk else "", ("metformin",))
    elif hit is None and unknown:
        yield says(risk, outcome, risk.text if risk else "", unknown)
    else:
        row = possible[0] if possible else None
        yield says(row, outcome, row.text if row else "")


def _below(row: MetforminRule, value: Decimal | None) -> bool:
    return value is not None and row.egfr_below is not None and value < row.egfr_below


def _covers(row: MetforminRule, value: Decimal | None) -> bool:
    return value is None or _within(row, value)


def _pregnancy(pack: Pack, q: Questionnaire, contrast_class: ContrastClass) -> Iterator[ScreeningFinding]:
    """Yield what pregnancy and breast-feeding mean."""
    risk = _decided_in(pack, "pregnancy")
    states = {"pregnancy": ("pregnant", "newborn"), "breast_feeding": ("lactating",)}
    open_rows = []
    for question, names in states.items():
        rows = [
            row
            for row in pack.pregnancy_rules
            if row.state in names and contrast_class in row.contrast_classes
        ]
        if getattr(q, question) == "yes":
            yield from (_finding(row, row.finding, row.text) for row in rows)
        elif getattr(q, question) == "unknown":
            open_rows.append((question, [row.finding for row in rows]))
    if open_rows:
        outcome = _weighed(outcome for _, outcomes in open_rows for outcome in outcomes)
        yield _finding(risk, outcome, risk.text if risk else "", [question for question, _ in open_rows])
