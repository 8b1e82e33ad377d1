"""What a legal command of a reaction leads to: events out. The chart refused what had to be refused."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from engine.kernel.commands import Command, TimerFired
from engine.kernel.events import Event
from engine.kernel.machine import Context, Facts
from engine.reactions import commands as c
from engine.reactions import events as e
from engine.reactions import protocol
from engine.reactions.chart import overrides
from engine.reactions.dose import usable_weight
from engine.reactions.evolve import evolve
from engine.reactions.names import drug_named, fits, route_named
from engine.reactions.pack import Pack
from engine.reactions.react import OBSERVATION, REPEAT, VITALS
from engine.reactions.state import Medication, OfferedDose, OrderedDose, ReactionState, StepState, Vitals
from engine.reactions.weight import weight_doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What the machine is set up with: the pack in force, and whether suggestions are shown (decision (i)).

    `signed_by` is the medical director who signed it, "" for a demonstration. `earlier` are the versions that were in
    force before, by hash: a reaction keeps the one it started with. `drill_pack` is what drills practise with, signed
    or not (decision (h)); None: the one in force.
    """

    pack: Pack
    decision_support: bool = True
    signed_by: str = ""
    earlier: Mapping[str, Pack] = field(default_factory=dict)
    drill_pack: Pack | None = None

    def pack_for(self, *, drill: bool) -> Pack:
        """Return the pack that a new reaction starts with."""
        return self.drill_pack if drill and self.drill_pack is not None else self.pack

    def signer_of(self, pack: Pack) -> str:
        """Return who signed a pack that a new reaction starts with; "" for nobody."""
        return self.signed_by if pack.hash == self.pack.hash else ""

    def pack_of(self, state: ReactionState) -> Pack:
        """Return the pack of a reaction: its own; the one in force where that version was not kept."""
        return self.earlier.get(state.pack_hash, self.pack_for(drill=state.drill))


def _open(s: ReactionState, m: c.OpenReaction, x: Context) -> Iterator[Event]:
    pack: Pack = x.objectives.pack_for(drill=m.drill)
    yield e.ReactionOpened(
        session_id=m.session_id,
        organization_id=m.organization_id,
        site_id=m.site_id,
        onset_at=m.onset_at,
        age_years=m.age_years,
        weight_kg=m.weight_kg,
        weight_doubt=m.weight_doubt,
        setting=m.setting,
        modality=m.modality,
        agent=m.agent,
        demo=m.demo,
        drill=m.drill,
        pack_id=pack.pack_id,
        pack_hash=pack.hash,
        pack_signed_by=x.objectives.signer_of(pack),
    )
    yield from _elsewhere(s, m, x)


def _elsewhere(s: ReactionState, m: c.OpenReaction | c.ReportDosesElsewhere, x: Context) -> Iterator[Event]:
    if m.given_elsewhere != s.given_elsewhere:
        known = e.DosesElsewhereKnown(given=m.given_elsewhere)
        yield known
        yield from _watch_on(evolve(s, known, x.now), x)


def _signs(s: ReactionState, m: c.RecordSigns, x: Context) -> Iterator[Event]:
    known = {sign.id: sign.text for sign in x.objectives.pack_of(s).signs}
    recorded = e.SignsRecorded(
        signs=m.signs, texts=tuple(known.get(sign, sign) for sign in m.signs), offline=m.offline
    )
    yield recorded
    yield from _look(s, recorded, x)


def _vitals(s: ReactionState, m: c.RecordVitals, x: Context) -> Iterator[Event]:
    recorded = e.VitalsRecorded(
        vitals=Vitals(
            at=m.offline.at if m.offline else x.now,
            systolic_mmhg=m.systolic_mmhg,
            diastolic_mmhg=m.diastolic_mmhg,
            heart_rate_bpm=m.heart_rate_bpm,
            spo2_percent=m.spo2_percent,
            respiratory_rate_bpm=m.respiratory_rate_bpm,
            conscious=m.conscious,
            oxygen_l_per_min=m.oxygen_l_per_min,
            rhythm=m.rhythm,
            glucose_mg_per_dl=m.glucose_mg_per_dl,
            response=m.response,
        ),
        offline=m.offline,
    )
    yield recorded
    yield from _look(s, recorded, x)


def _look(s: ReactionState, recorded: Event, x: Context) -> Iterator[Event]:
    """Suggest a grade anew; a graded reaction that has become another one gets that one's steps."""
    pack: Pack = x.objectives.pack_of(s)
    after = evolve(s, recorded, x.now)
    yield from _suggest(after, x)
    if s.severity is not None and protocol.become(pack, s) != protocol.become(pack, after):
        yield _protocol(after, x)


def _suggest(s: ReactionState, x: Context) -> Iterator[Event]:
    """Suggest a grade when the rules give another one than last time."""
    if not x.objectives.decision_support:
        return
    suggestion = protocol.suggest(x.objectives.pack_of(s), s)
    now = (suggestion.severity, suggestion.rules, suggestion.physician_decides)
    if now == (s.suggested, s.suggested_rules, s.physician_decides):
        return
    yield suggestion
    if s.severity is None and suggestion.severity is not None and suggestion.presentations:
        yield _protocol(evolve(s, suggestion, x.now), x)


def _weight(s: ReactionState, m: c.RecordPatientWeight, x: Context) -> Iterator[Event]:
    recorded = e.PatientWeightRecorded(
        weight_kg=m.weight_kg, method=m.method, offline=m.offline, doubt=_doubt(s, m, x)
    )
    yield recorded
    if s.steps:
        yield _protocol(evolve(s, recorded, x.now), x)


def _doubt(s: ReactionState, m: c.RecordPatientWeight, x: Context) -> str:
    """Say what the weight known before has against a new one; "" where nothing."""
    return weight_doubt(x.objectives.pack_of(s), m.weight_kg, s.weight_kg)


def _grade(s: ReactionState, m: c.GradeReaction, x: Context) -> Iterator[Event]:
    graded = e.ReactionGraded(
        severity=m.severity,
        was=s.severity,
        suggested=s.suggested,
        presentation=m.presentation,
        also=tuple(name for name in dict.fromkeys(m.also) if name != m.presentation),
        reason=m.reason,
    )
    yield graded
    yield _protocol(evolve(s, graded, x.now), x)


def _protocol(s: ReactionState, x: Context) -> e.ProtocolResolved:
    """Resolve the steps anew; steps done or under way keep their place, the other ones are superseded."""
    pack: Pack = x.objectives.pack_of(s)
    offers = protocol.steps(pack, s)
    busy = {key for key, step in s.steps.items() if {"ordered", "read_back", "done"} & set(step.phases)}
    fresh = tuple(offer for offer in offers if offer.step_id not in busy)
    renewed = tuple(
        offer
        for offer in offers
        if offer.step_id in busy and offer.doses != s.steps[offer.step_id].offer.doses
    )
    wanted = {offer.step_id for offer in offers}
    gone = tuple(sorted(key for key in s.steps if key not in wanted))
    return e.ProtocolResolved(
        pack_id=pack.pack_id,
        pack_hash=pack.hash,
        steps=fresh,
        superseded=gone,
        reference=s.severity is None,
        renewed=renewed,
    )


def _order(s: ReactionState, m: c.OrderStep, x: Context) -> Iterator[Event]:
    step = s.steps[m.step_id]
    yield e.StepOrdered(
        step_id=m.step_id,
        order_number=step.orders + 1,
        order=protocol.order(x.objectives.pack_of(s), step.offer, m.row_id, m.dose_mg),
        overrides=overrides(Facts(state=s, command=m, context=x)),
        override_reason=m.override_reason,
    )


def _read_back(s: ReactionState, m: c.ReadBackStep, x: Context) -> Iterator[Event]:
    yield e.StepReadBack(step_id=m.step_id, order_number=s.steps[m.step_id].orders)


def _done(s: ReactionState, m: c.RecordStepDone, x: Context) -> Iterator[Event]:
    step = s.steps.get(m.step_id)
    yield e.StepDone(step_id=m.step_id, order_number=step.orders if step else 0, offline=m.offline)


def _given(s: ReactionState, m: c.RecordMedicationGiven, x: Context) -> Iterator[Event]:
    """Keep a dose as reported; name the caps it went past and on whose word it was given."""
    pack, told = x.objectives.pack_of(s), m
    m = _spelled(pack, m)
    step = _step_given(s, m)
    row = protocol.row_of(pack, s, step, m.drug, m.route)
    given_at = m.given_at or x.now
    counted = min(max(given_at, s.onset_at or given_at), x.now)
    medication = Medication(
        step_id=step.offer.step_id if step else m.step_id,
        row_id=row.id if row else "",
        drug=m.drug,
        route=m.route,
        dose_mg=protocol.amount_mg(m.dose_mg, m.volume_ml, m.concentration_mg_per_ml),
        concentration_mg_per_ml=m.concentration_mg_per_ml,
        volume_ml=m.volume_ml,
        counter=row.counter if row else protocol.counter(m.drug),
        given_at=given_at,
        given_by=m.given_by or x.actor.person_id,
        site=m.site,
        lot=m.lot,
        told_as="" if m == told else f"{told.drug} {told.route}",
        counted_from=counted if counted != given_at else None,
    )
    given = e.MedicationGiven(
        medication=medication,
        beyond=protocol.beyond(
            pack,
            medication,
            s,
            x.now,
            ordered=step.orders if step else 0,
            doses_mg=_doses_said(step, m),
        )
        + _differs(step, medication),
        authority=authority(pack, s, m),
        offline=m.offline,
    )
    yield given
    after = evolve(s, given, x.now)
    wrong = {"WRONG_PRODUCT", "WRONG_VOLUME"} & set(given.beyond)
    if step is not None and not wrong and _as_asked(step, medication):
        done = e.StepDone(step_id=step.offer.step_id, order_number=step.orders, offline=m.offline)
        yield done
        after = evolve(after, done, x.now)
    yield from _watch_on(after, x)


def _doses_said(step: StepState | None, m: c.RecordMedicationGiven) -> tuple[Decimal, ...]:
    """Return what the volume of a dose is said to hold: the dose reported, and the one of the order it answers."""
    order = step.order if step is not None and _ordered_now(step, m) else None
    return tuple(dose for dose in (m.dose_mg, order.dose_mg if order else None) if dose is not None)


def _differs(step: StepState | None, given: Medication) -> tuple[str, ...]:
    """Return what tells that another amount went in than was ordered: the cap does not know of too little."""
    order = step.order if step is not None else None
    if order is None or order.drug != given.drug or not fits(order.route, given.route):
        return ()
    known = order.dose_mg is not None and given.dose_mg is not None
    return ("NOT_AS_ORDERED",) if known and not _as_much(order, given) else ()


def _as_much(order: OrderedDose, given: Medication) -> bool:
    """Return whether the ordered amount went in: the exact one, or the one that is drawn up for it."""
    drawn = protocol.amount_mg(None, order.volume_ml, order.concentration_mg_per_ml)
    return given.dose_mg in (order.dose_mg, *(() if drawn is None else (drawn,)))


def _watch_on(s: ReactionState, x: Context) -> Iterator[Event]:
    """Resolve the steps anew where a dose asks for watching that does not stand yet (epinephrine: O-6, O-8)."""
    if s.steps:
        resolved = _protocol(s, x)
        stands = {offer.step_id for offer in s.watching}
        if any(offer.kind == "observe" and offer.step_id not in stands for offer in resolved.steps):
            yield resolved


def _step_given(s: ReactionState, m: c.RecordMedicationGiven) -> StepState | None:
    """Return the step a dose belongs to: the one named, or the one with an open order of that drug and route."""
    if m.step_id:
        return s.steps.get(m.step_id)
    return next((step for step in s.steps.values() if _ordered_now(step, m)), None)


def _spelled(pack: Pack, m: c.RecordMedicationGiven) -> c.RecordMedicationGiven:
    """Return a report with drug and route as the pack spells them: limits hold however a name is written."""
    return replace(m, drug=drug_named(pack, m.drug), route=route_named(pack, m.route))


def _ordered_now(step: StepState, m: c.RecordMedicationGiven) -> bool:
    open_now = bool({"ordered", "read_back"} & set(step.phases))
    order = step.order
    return open_now and order is not None and order.drug == m.drug and fits(order.route, m.route)


def authority(pack: Pack, s: ReactionState, m: c.RecordMedicationGiven) -> str:
    """Return on whose word a dose was given: `order`, `standing_order` or `none`.

    A standing order is what the pack marks as one, by the route of the step's first choice, while no physician is
    connected (clinical reference, decision (i)); never a dose that the physician has to confirm or that has no number
    yet (3.2). An order holds from when it was given.
    """
    m = _spelled(pack, m)
    step = _step_given(s, m)
    if step is None:
        return "none"
    if _ordered_now(step, m) and not _before(m.given_at, step.ordered_at):
        return "order"
    first = step.offer.doses[0] if step.offer.doses else None
    offered = any(
        dose.drug == m.drug and fits(dose.route, m.route) and protocol.settled(pack, s, dose)
        for dose in step.offer.doses
    )
    stands = step.offer.standing_order and first is not None and fits(first.route, m.route) and offered
    return "standing_order" if stands and not m.physician_connected else "none"


def _before(given_at: dt.datetime | None, ordered_at: dt.datetime | None) -> bool:
    """Return whether a dose went in before its order, to the minute: many write no seconds down."""
    return (
        given_at is not None
        and ordered_at is not None
        and given_at < ordered_at.replace(second=0, microsecond=0)
    )


def _as_asked(step: StepState, given: Medication) -> bool:
    """Return whether what went in is what the step asked for; a dose that differs is kept, and the step stays open.

    Without an order it is one of the drugs that the step offers; a step that offers none is not done by a drug.
    """
    asked: Iterable[OfferedDose | OrderedDose] = step.offer.doses if step.order is None else (step.order,)
    same = [one for one in asked if one.drug == given.drug and fits(one.route, given.route)]
    return bool(same) and (step.order is None or _as_much(step.order, given))


def _timer(s: ReactionState, m: TimerFired, x: Context) -> Iterator[Event]:
    if s.in_phase("disposed", "documented"):
        return
    if m.name == VITALS:
        yield e.VitalsDue(due_at=m.due_at)
    elif m.name == OBSERVATION:
        yield e.ObservationReached(due_at=m.due_at)
    elif m.name.startswith(REPEAT) and not s.in_phase("resolved"):
        yield e.RepeatDue(row_id=m.name.removeprefix(REPEAT), due_at=m.due_at)


def _improving(s: ReactionState, m: c.ReportImproving, x: Context) -> list[Event]:
    return [e.ReactionImproving(offline=m.offline)]


def _emergency(s: ReactionState, m: c.RecordEmergencyCalled, x: Context) -> list[Event]:
    return [
        e.EmergencyCalled(
            service=m.service, called_at=m.called_at or x.now, address=m.address, offline=m.offline
        )
    ]


def _dispose(s: ReactionState, m: c.DisposeReaction, x: Context) -> list[Event]:
    return [e.ReactionDisposed(session_id=s.session_id, disposition=m.disposition, reason=m.reason)]


def _document(s: ReactionState, m: c.DocumentReaction, x: Context) -> list[Event]:
    return [
        e.ReactionDocumented(
            session_id=s.session_id,
            allergy_documented=m.allergy_documented,
            instructions_given=m.instructions_given,
        )
    ]


def _offline(s: ReactionState, m: c.ReportOfflineEntries, x: Context) -> Iterator[Event]:
    """Take in a console's log fact by fact, each as if it had been reported then; one decision for all of it."""
    for fact in m.facts:
        for event in _told(s, fact, x):
            yield event
            s = evolve(s, event, x.now)


def _told(s: ReactionState, fact: c.OfflineFact, x: Context) -> Iterable[Event]:
    if isinstance(fact, c.Onset):
        return [e.OnsetReported(onset_at=fact.offline.at, offline=fact.offline)]
    if isinstance(fact, c.Note):
        return [e.NoteRecorded(text=fact.text, offline=fact.offline)]
    if isinstance(fact, c.ReadBack):
        return [
            e.ReadBackReported(
                step_id=fact.step_id,
                dose_mg=fact.dose_mg,
                concentration_mg_per_ml=fact.concentration_mg_per_ml,
                volume_ml=fact.volume_ml,
                route=fact.route,
                offline=fact.offline,
            )
        ]
    return HANDLERS[type(fact)](s, fact, x)


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.OpenReaction: _open,
    c.ReportDosesElsewhere: _elsewhere,
    c.RecordSigns: _signs,
    c.RecordVitals: _vitals,
    c.RecordPatientWeight: _weight,
    c.GradeReaction: _grade,
    c.OrderStep: _order,
    c.ReadBackStep: _read_back,
    c.RecordStepDone: _done,
    c.RecordMedicationGiven: _given,
    c.RefuseStep: lambda s, m, x: [e.StepRefused(step_id=m.step_id, reason=m.reason)],
    c.RecordEmergencyCalled: _emergency,
    c.ReportImproving: _improving,
    c.ReportResolved: lambda s, m, x: [e.ReactionResolved(offline=m.offline)],
    c.ReportOfflineEntries: _offline,
    c.DisposeReaction: _dispose,
    c.DocumentReaction: _document,
    c.RecordFollowUp: lambda s, m, x: [e.FollowUpRecorded(follow_up=m.follow_up)],
    TimerFired: _timer,
}


def flag(s: ReactionState, m: Command, x: Context) -> tuple[str, ...]:
    """Name what is unexpected about an accepted command."""
    flags = []
    if type(m).fact and s.in_phase("documented"):
        flags.append("late")
    if isinstance(m, c.RecordMedicationGiven) and authority(x.objectives.pack_of(s), s, m) == "none":
        flags.append("unordered")
    facts = m.facts if isinstance(m, c.ReportOfflineEntries) else (m,)
    if any(isinstance(one, c.RecordPatientWeight) and usable_weight(one.weight_kg) is None for one in facts):
        flags.append("weight_not_used")
    if any(isinstance(one, c.RecordPatientWeight) and _doubt(s, one, x) for one in facts):
        flags.append("weight_doubtful")
    doses = [one.given_at for one in facts if isinstance(one, c.RecordMedicationGiven) and one.given_at]
    if any(at > x.now for at in doses):
        flags.append("given_in_future")
    if s.onset_at is not None and any(at < s.onset_at for at in doses):
        flags.append("given_before_onset")
    if isinstance(m, c.RecordEmergencyCalled) and m.called_at is not None and m.called_at > x.now:
        flags.append("called_in_future")
    if isinstance(m, c.ReportOfflineEntries):
        flags.append("offline")
    return tuple(flags)
