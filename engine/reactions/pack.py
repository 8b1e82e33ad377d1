"""A protocol pack as values: every row keeps its id, its citation, its evidence tag and its reviewer.

A pack is data that a medical director signs over `hash`. Amounts are exact; a number the source lacks is None, never
a guess. `engine.reactions.reading` makes packs from text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal, get_args

from engine.kernel.canonical import canonical_hash
from engine.kernel.errors import Missing
from engine.reactions import care_rows as care
from engine.reactions.row import (
    ALL_SEVERITIES,
    BodySystem,
    Evidence,
    Population,
    Presentation,
    Route,
    Row,
    SeverityName,
)

INJECTED = ("IM", "IV", "IV/IO", "SC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign(Row):
    """A sign to tap. `criterion` are the letters of the anaphylaxis rule that it meets; "" none."""

    text: str
    kind: Literal["allergic", "physiologic", "either", "extravasation"]
    severity: SeverityName
    system: BodySystem
    criterion: str = ""
    presentations: tuple[Presentation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeverityRule(Row):
    """A rule that lifts the suggestion beyond the worst sign. `need` is how many it takes."""

    rule: Literal["two_systems", "anaphylaxis", "hypotension_with_allergic_sign", "shock"]
    text: str
    need: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Row):
    """A vital-sign limit: the finding is there when the measurement is below (or above) `value`."""

    finding: Literal[
        "hypotension",
        "bradycardia",
        "tachycardia",
        "hypertension_systolic",
        "hypertension_diastolic",
        "hypoxia_flag",
        "hypoxia_severe",
    ]
    populations: tuple[Population, ...]
    side: Literal["below", "above"]
    value: Decimal
    unit: Literal["mmHg", "1/min", "%"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildBand(Row):
    """Age-normal vital signs: hypotension below `systolic_mmhg` + `systolic_per_year_mmhg` x age in years.

    `to_years` is exclusive, None has no end; `max_age_days` marks the newborn band.
    """

    text: str
    from_years: int
    to_years: int | None = None
    max_age_days: int | None = None
    systolic_mmhg: Decimal
    systolic_per_year_mmhg: Decimal = Decimal(0)
    heart_rate_low_bpm: int
    heart_rate_high_bpm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Value(Row):
    """A single number of the pack: the adult boundary, re-check intervals, tolerances."""

    name: Literal[
        "adult_from_years",
        "cumulative_epinephrine_mg",
        "vitals_recheck_mild_s",
        "vitals_recheck_s",
        "observation_routine_s",
        "weight_agreement_percent",
        "pounds_ratio_window_percent",
        "kit_alert_first_days",
        "kit_alert_second_days",
        "kit_alert_last_days",
    ]
    value: Decimal
    unit: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyringeMark(Row):
    """Graduation of a syringe: volumes up to `up_to_ml` (None: any larger) are read in steps of `step_ml`."""

    step_ml: Decimal
    up_to_ml: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBand:
    """A fixed dose from `from_kg` on, up to the next band."""

    from_kg: Decimal
    dose_mg: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeCap:
    """A cumulative cap from an age on."""

    from_years: int
    max_cumulative_mg: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DrugRow(Row):
    """A drug object: one product by one route for one population.

    The dose is exactly one of: fixed `dose_mg` (to `dose_max_mg` for a range), `dose_mg_per_kg` (to
    `dose_max_mg_per_kg`), `dose_bands` by weight, an `amount` in `unit`, `amount_per_kg`, or none (physician
    decides). A concentration that the source lacks is None and prints "see vial". `counter` is what is summed:
    every route of one drug, arrest doses apart. `first_amount` says which end of an amount's range is given first.
    `fresh_order` rows need an order for each dose. `without_weight` names the row with a fixed dose that is offered
    while the weight is not known. `never_blocked` rows (arrest) pass every guard.
    """

    population: Population
    drug: str
    form: str
    route: Route
    site: str = ""
    counter: str
    concentration_mg_per_ml: Decimal | None = None
    dose_mg: Decimal | None = None
    dose_max_mg: Decimal | None = None
    dose_mg_per_kg: Decimal | None = None
    dose_max_mg_per_kg: Decimal | None = None
    dose_bands: tuple[WeightBand, ...] = ()
    volume_ml: Decimal | None = None
    volume_max_ml: Decimal | None = None
    volume_ml_per_kg: Decimal | None = None
    amount: Decimal | None = None
    amount_max: Decimal | None = None
    amount_per_kg: Decimal | None = None
    amount_max_per_kg: Decimal | None = None
    first_amount: Literal["low", "high"] = "low"
    unit: str = ""
    rate: str = ""
    min_single_mg: Decimal | None = None
    max_single_mg: Decimal | None = None
    max_single_amount: Decimal | None = None
    max_cumulative_mg: Decimal | None = None
    max_single_ml: Decimal | None = None
    max_cumulative_ml: Decimal | None = None
    cumulative_over: Literal["counter", "row"] = "counter"
    cumulative_by_age: tuple[AgeCap, ...] = ()
    max_times: int | None = None
    repeat_min_s: int | None = None
    repeat_max_s: int | None = None
    repeat_text: str = ""
    fresh_order: bool = False
    read_back: str = ""
    confirm_below_kg: Decimal | None = None
    without_weight: str = ""
    needs_order: bool = True
    never_blocked: bool = False
    caution: str = ""

    @property
    def injected(self) -> bool:
        """Whether it goes in through a needle or a line as a measured drug."""
        return self.route in INJECTED and self.unit == ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A drug row offered by a step; an alternative names the row it is given instead of, and when."""

    row: str
    instead_of: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step as written; citation and evidence "" mean those of its protocol or set."""

    id: str
    kind: Literal["action", "drug", "call", "observe"]
    text: str
    condition: str = ""
    severities: tuple[SeverityName, ...] = ALL_SEVERITIES
    choices: tuple[Choice, ...] = ()
    physician_decides: str = ""
    standing_order: bool = False
    citation: str = ""
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSet(Row):
    """Steps that several protocols share, so that two presentations at once do not repeat them."""

    text: str
    steps: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """The emergency call level of a protocol at one severity."""

    severity: SeverityName
    level: Literal["none", "consider", "if_unremitting", "call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progression:
    """What a reaction has become when its row no longer covers it: the first one found takes over.

    `hypotension` and `respiratory_distress` are letters c and b of the anaphylaxis rule (1C), by sign or by
    measurement; `hypoxia_severe` is measured.
    """

    finding: Literal["hypotension", "respiratory_distress", "hypoxia_severe"]
    presentation: Presentation
    severity: SeverityName = "severe"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRow(Row):
    """One presentation for one population. `emergency_rows` severities escalate with the site's setting.

    At an office or IDTF such a row is `call`, at a hospital outpatient department `activate_team`. `nature` says
    what the reaction is: a physiologic one is not stored as an allergy and does not come back. `sets` come before
    its own steps, `sets_after` follow them. `progressions` say which row takes over when the patient gets worse.
    """

    presentation: Presentation
    population: Population
    text: str
    nature: Literal["allergic", "physiologic", "either", "extravasation"]
    severities: tuple[SeverityName, ...] = ALL_SEVERITIES
    calls: tuple[CallRow, ...] = ()
    emergency_severities: tuple[SeverityName, ...] = ()
    progressions: tuple[Progression, ...] = ()
    sets: tuple[str, ...] = ()
    steps: tuple[StepRow, ...] = ()
    sets_after: tuple[str, ...] = ()

    def level(self, severity: str) -> str:
        """Return the call level before the site's setting is looked at; none where the row states none."""
        return next((call.level for call in self.calls if call.severity == severity), "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationRow(Row):
    """How long to watch and where the patient goes. `minimum_s` None: no number, the physician decides.

    `default` marks the row in force; the other ones are shown as what other sources say. The time is counted from the
    onset or, where the row asks for time without symptoms, from their resolution.
    """

    text: str
    situation: Literal[
        "routine",
        "mild",
        "moderate",
        "severe",
        "epinephrine",
        "sedated",
        "biphasic",
        "extravasation",
        "any",
    ]
    default: bool = False
    counted_from: Literal["onset", "resolution"] = "resolution"
    minimum_s: int | None = None
    maximum_s: int | None = None
    disposition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike(Row):
    """A drug name that is mistaken for another."""

    drug: str
    mistaken_for: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A resolved pack: inherited rows first, replaced ones gone. `hash` covers everything but itself."""

    pack_id: str
    version: str
    title: str
    disclaimer: str
    inherits: str
    signs: tuple[Sign, ...]
    severity_rules: tuple[SeverityRule, ...]
    thresholds: tuple[Threshold, ...]
    child_bands: tuple[ChildBand, ...]
    values: tuple[Value, ...]
    syringe_marks: tuple[SyringeMark, ...]
    drugs: tuple[DrugRow, ...]
    sets: tuple[StepSet, ...]
    protocols: tuple[ProtocolRow, ...]
    observations: tuple[ObservationRow, ...]
    look_alikes: tuple[LookAlike, ...]
    discriminators: tuple[care.Discriminator, ...]
    advice: tuple[care.Advice, ...]
    return_precautions: tuple[care.ReturnPrecaution, ...]
    weight_estimates: tuple[care.WeightEstimate, ...]
    reexposure: tuple[care.Reexposure, ...]
    regimens: tuple[care.Regimen, ...]
    agent_groups: tuple[care.AgentGroup, ...]
    risk_factors: tuple[care.RiskFactor, ...]
    kidney_rules: tuple[care.KidneyRule, ...]
    gadolinium_groups: tuple[care.GadoliniumGroup, ...]
    metformin_rules: tuple[care.MetforminRule, ...]
    pregnancy_rules: tuple[care.PregnancyRule, ...]
    agents: tuple[care.Agent, ...]
    kit_items: tuple[care.KitItem, ...]
    left_out: tuple[care.LeftOut, ...]
    replaced: tuple[tuple[str, str], ...]
    hash: str = ""

    def rows(self) -> Iterator[Row]:
        """Yield every row with an id, table by table."""
        for name in TABLES.values():
            yield from getattr(self, name)

    def written(self, protocol: ProtocolRow) -> Iterator[tuple[Row, StepRow]]:
        """Yield a protocol's steps in order, each with the row that it stands in."""
        for shared in map(self.step_set, protocol.sets):
            yield from ((shared, step) for step in shared.steps)
        yield from ((protocol, step) for step in protocol.steps)
        for shared in map(self.step_set, protocol.sets_after):
            yield from ((shared, step) for step in shared.steps)

    def row_id(self, row_id: str) -> str:
        """Return the id now in the place of a row: a replaced id leads to its replacement."""
        return dict(self.replaced).get(row_id, row_id)

    def drug(self, row_id: str) -> DrugRow:
        """Return a drug row, following replacements. Raises Missing."""
        wanted = self.row_id(row_id) if self.replaced else row_id
        for row in self.drugs:
            if row.id == wanted:
                return row
        raise Missing(f"drug row {row_id}")

    def sign(self, sign_id: str) -> Sign:
        """Return a sign. Raises Missing."""
        for row in self.signs:
            if row.id == sign_id:
                return row
        raise Missing(f"sign {sign_id}")

    def step_set(self, set_id: str) -> StepSet:
        """Return a shared set of steps. Raises Missing."""
        for row in self.sets:
            if row.id == set_id:
                return row
        raise Missing(f"step set {set_id}")

    def value(self, name: str) -> Decimal:
        """Return a single number of the pack. Raises Missing."""
        for row in self.values:
            if row.name == name:
                return row.value
        raise Missing(f"value {name}")

    @property
    def presentations(self) -> tuple[str, ...]:
        """The presentations that the pack has a protocol for, in the order of the schema."""
        known = {protocol.presentation for protocol in self.protocols}
        return tuple(name for name in get_args(Presentation) if name in known)

    def protocol(self, presentation: str, population: str, severity: str) -> ProtocolRow | None:
        """Return the protocol for a patient, or None where the pack has none."""
        for row in self.protocols:
            if (row.presentation, row.population) == (
                presentation,
                population,
            ) and severity in row.severities:
                return row
        return None


TABLES = {
    "sign": "signs",
    "severity_rule": "severity_rules",
    "threshold": "thresholds",
    "child_band": "child_bands",
    "value": "values",
    "syringe_mark": "syringe_marks",
    "drug": "drugs",
    "set": "sets",
    "protocol": "protocols",
    "observation": "observations",
    "look_alike": "look_alikes",
    "discriminator": "discriminators",
    "advice": "advice",
    "return_precaution": "return_precautions",
    "weight_estimate": "weight_estimates",
    "reexposure": "reexposure",
    "regimen": "regimens",
    "agent_group": "agent_groups",
    "risk_factor": "risk_factors",
    "kidney_rule": "kidney_rules",
    "gadolinium_group": "gadolinium_groups",
    "metformin_rule": "metformin_rules",
    "pregnancy_rule": "pregnancy_rules",
    "agent": "agents",
    "kit_item": "kit_items",
    "left_out": "left_out",
}


def content_hash(pack: Pack) -> str:
    """Return the canonical hash of a resolved pack: the same rows give the same hash, whatever their file."""
    content = {f.name: getattr(pack, f.name) for f in fields(pack) if f.name != "hash"}
    for name in TABLES.values():
        content[name] = sorted(content[name], key=lambda row: str(row.id))
    return canonical_hash(content)


def written_hash(written: Mapping[str, Any]) -> str:
    """Return the same hash of a pack as it was written, which a field that the schema gained since does not change."""
    content = {name: value for name, value in written.items() if name != "hash"}
    for name in TABLES.values():
        if name in content:
            content[name] = sorted(content[name], key=lambda row: str(row["id"]))
    return canonical_hash(content)
