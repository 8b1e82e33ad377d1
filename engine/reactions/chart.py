"""The reaction's chart: its course and the emergency call side by side, and every guard that may refuse an order.

A guard's docstring is the sentence the room reads. Facts listen on the whole reaction: nothing that happened is ever
refused. The grade escalates in place; it goes down only with a reason.
"""

from statemachine import State, StateChart

from engine.kernel.errors import Rejected
from engine.kernel.machine import Facts
from engine.reactions import protocol
from engine.reactions.commands import RecordEmergencyCalled, ReportImproving, ReportResolved
from engine.reactions.names import fits, route_named
from engine.reactions.react import observed_until
from engine.reactions.state import Disposition, OrderedDose, ReactionState, Severity, StepState
from engine.reactions.step_chart import STEPPER

LIGHT = (Disposition.DISCHARGED_HOME, Disposition.RETURNED_TO_WARD)


GRADING = ["not_a_physician", "physician_unlicensed", "presentation_unknown"]
LOWERING = [*GRADING, "de_escalation_unexplained"]
DISPOSING = ["not_a_physician", "physician_unlicensed", "disposition_too_light", "observation_not_over"]
READING_BACK = ["step_unknown", "step_not_ordered", "order_outdated", "read_back_mismatch"]
ORDERING = [
    "not_a_physician",
    "physician_unlicensed",
    "step_unknown",
    "step_not_orderable",
    "dose_row_unknown",
    "weight_missing",
    "dose_undecided",
    "dose_over_cap",
    "cumulative_exceeded",
    "repeat_too_soon",
    "too_many_times",
    "dose_row_gone",
    "dose_not_positive",
    "pulse_unconfirmed",
    "order_open",
]


class ReactionChart(StateChart[None]):
    """One reaction (DESIGN section 4)."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class reaction(State.Parallel):
        """Everything about one reaction at once."""

        class course(State.Compound):
            """How it goes."""

            unopened = State(initial=True)
            suspected = State()

            class graded(State.Compound):
                """A physician set the grade; the grade's protocol is being worked."""

                mild = State(initial=True)
                moderate = State()
                severe = State()

            improving = State()
            resolved = State()
            disposed = State()
            documented = State()

            open_reaction = unopened.to(suspected)
            grade_reaction = (
                suspected.to(graded.mild, cond=["to_mild"], unless=GRADING)
                | suspected.to(graded.moderate, cond=["to_moderate"], unless=GRADING)
                | suspected.to(graded.severe, cond=["to_severe"], unless=GRADING)
                | graded.to(graded.mild, cond=["to_mild"], unless=LOWERING)
                | graded.to(graded.moderate, cond=["to_moderate"], unless=LOWERING)
                | graded.to(graded.severe, cond=["to_severe"], unless=GRADING)
                | improving.to(graded.mild, cond=["to_mild"], unless=LOWERING)
                | improving.to(graded.moderate, cond=["to_moderate"], unless=LOWERING)
                | improving.to(graded.severe, cond=["to_severe"], unless=GRADING)
                | resolved.to(graded.mild, cond=["to_mild"], unless=LOWERING)
                | resolved.to(graded.moderate, cond=["to_moderate"], unless=LOWERING)
                | resolved.to(graded.severe, cond=["to_severe"], unless=GRADING)
            )
            report_improving = graded.to(improving)
            report_resolved = suspected.to(resolved) | graded.to(resolved) | improving.to(resolved)
            report_offline_entries = (
                suspected.to(resolved, cond=["tells_resolved"])
                | graded.to(resolved, cond=["tells_resolved"])
                | improving.to(resolved, cond=["tells_resolved"])
                | graded.to(improving, cond=["tells_improving"])
            )
            dispose_reaction = (
                suspected.to(disposed, unless=DISPOSING)
                | graded.to(disposed, unless=DISPOSING)
                | improving.to(disposed, unless=DISPOSING)
                | resolved.to(disposed, unless=DISPOSING)
            )
            document_reaction = disposed.to(documented)
            order_step = (
                graded.to(None, unless=ORDERING)
                | improving.to(None, unless=ORDERING)
                | resolved.to(None, unless=ORDERING)
            )
            read_back_step = (
                graded.to(None, unless=READING_BACK)
                | improving.to(None, unless=READING_BACK)
                | resolved.to(None, unless=READING_BACK)
            )
            refuse_step = (
                graded.to(None, unless=["step_unknown", "step_not_refusable"])
                | improving.to(None, unless=["step_unknown", "step_not_refusable"])
                | resolved.to(None, unless=["step_unknown", "step_not_refusable"])
            )

        class emergency(State.Compound):
            """Whether EMS or the hospital's team was called."""

            not_called = State(initial=True)
            emergency_called = State()

            record_emergency_called = not_called.to(emergency_called)
            report_offline_entries = not_called.to(emergency_called, cond=["tells_call"])

    record_signs = reaction.to(None)
    record_vitals = reaction.to(None)
    record_patient_weight = reaction.to(None)
    record_step_done = reaction.to(None)
    record_medication_given = reaction.to(None)
    record_emergency_called = reaction.to(None)
    record_follow_up = reaction.to(None)
    report_doses_elsewhere = reaction.to(None)
    report_improving = reaction.to(None)
    report_resolved = reaction.to(None)
    report_offline_entries = reaction.to(None)
    timer_fired = reaction.to(None)


def to_mild(f: Facts) -> bool:
    """Route: the grade set is mild."""
    return bool(f.command.severity is Severity.MILD)


def to_moderate(f: Facts) -> bool:
    """Route: the grade set is moderate."""
    return bool(f.command.severity is Severity.MODERATE)


def to_severe(f: Facts) -> bool:
    """Route: the grade set is severe."""
    return bool(f.command.severity is Severity.SEVERE)


def tells_resolved(f: Facts) -> bool:
    """Route: the console's log says that every sign went, after the grade that is in force."""
    return _tells(f, ReportResolved)


def tells_improving(f: Facts) -> bool:
    """Route: the console's log says that the patient got better, after the grade that is in force, and no more."""
    return _tells(f, ReportImproving) and not _tells(f, ReportResolved)


def tells_call(f: Facts) -> bool:
    """Route: the console's log says that the emergency service was called."""
    return any(isinstance(fact, RecordEmergencyCalled) for fact in f.command.facts)


def _tells(f: Facts, kind: type[ReportResolved | ReportImproving]) -> bool:
    graded_at = f.state.graded_at
    told = [fact.offline for fact in f.command.facts if isinstance(fact, kind)]
    return any(graded_at is None or (one is not None and one.at >= graded_at) for one in told)


def not_a_physician(f: Facts) -> bool:
    """A physician sets the grade, orders drugs and decides where the patient goes."""
    return f.context.actor.role != "physician"


def physician_unlicensed(f: Facts) -> bool:
    """You hold no valid licence for this site's state; a licensed physician must direct treatment."""
    return bool(f.command.problems)


def presentation_unknown(f: Facts) -> bool:
    """The protocol pack holds no such presentation; choose one from the list."""
    pack = f.context.objectives.pack_of(f.state)
    return not all(protocol.knows(pack, name) for name in (f.command.presentation, *f.command.also))


def de_escalation_unexplained(f: Facts) -> bool:
    """Going below the present grade needs a reason."""
    worst = f.state.severity
    return worst is not None and f.command.severity.rank < worst.rank and not f.command.reason.strip()


def disposition_too_light(f: Facts) -> bool:
    """After a severe reaction or any epinephrine the patient goes to an emergency department; give a reason if not."""
    heavy = f.state.worst is Severity.SEVERE or f.state.epinephrine_given or f.state.help_needed
    return heavy and f.command.disposition in LIGHT and not f.command.reason.strip()


def observation_not_over(f: Facts) -> bool:
    """The pack's observation time is not over; watch on, or give a reason."""
    if f.command.disposition not in LIGHT or f.command.reason.strip():
        return False
    until = observed_until(f.state)
    return f.state.severity is not None and (until is None or f.context.now < until)


def step_unknown(f: Facts) -> bool:
    """The protocol in use has no such step."""
    return f.command.step_id not in f.state.steps


def step_not_orderable(f: Facts) -> bool:
    """This step belongs to an earlier grade; order one of the present protocol."""
    return _step_refuses(f, "order_step")


def step_not_ordered(f: Facts) -> bool:
    """There is no order to read back on this step."""
    return _step_refuses(f, "read_back_step")


def step_not_refusable(f: Facts) -> bool:
    """This step is over."""
    return _step_refuses(f, "refuse_step")


def dose_row_unknown(f: Facts) -> bool:
    """Say which of the step's doses is ordered."""
    step = _step(f)
    return (
        step is not None and bool(step.offer.doses) and protocol.offered(step.offer, f.command.row_id) is None
    )


def weight_missing(f: Facts) -> bool:
    """This dose goes by weight; record the weight in kilograms first, or order a dose in mg."""
    step = _step(f)
    return (
        step is not None and protocol.needs_weight(step.offer, f.command.row_id) and f.command.dose_mg is None
    )


def dose_undecided(f: Facts) -> bool:
    """The pack holds no dose here: the physician decides and gives it in mg."""
    step = _step(f)
    return step is not None and protocol.undecided(step.offer, f.command.row_id) and f.command.dose_mg is None


def dose_over_cap(f: Facts) -> bool:
    """The dose is above its row's single maximum; give a reason to override."""
    return "DOSE_OVER_CAP" in _problems(f) and not f.command.override_reason.strip()


def cumulative_exceeded(f: Facts) -> bool:
    """This would take the total above its maximum; give a reason to override."""
    return "CUMULATIVE_EXCEEDED" in _problems(f) and not f.command.override_reason.strip()


def repeat_too_soon(f: Facts) -> bool:
    """The repeat interval is not over; give a reason to override."""
    return "REPEAT_TOO_SOON" in _problems(f) and not f.command.override_reason.strip()


def too_many_times(f: Facts) -> bool:
    """This drug was given as often as its row allows; give a reason to override."""
    return "TOO_MANY_TIMES" in _problems(f) and not f.command.override_reason.strip()


def dose_not_positive(f: Facts) -> bool:
    """A dose is more than 0 mg; decide against the step instead."""
    return f.command.dose_mg is not None and f.command.dose_mg <= 0


def pulse_unconfirmed(f: Facts) -> bool:
    """Epinephrine into a vein is for a patient with a pulse: confirm the pulse with this order."""
    return not f.command.pulse_confirmed and protocol.pushed_epinephrine(_wanted(f))


def order_open(f: Facts) -> bool:
    """An order of this step is open: it must not be given twice; give a reason to replace it."""
    if not _is_open(f) or order_outdated(f) or f.command.override_reason.strip():
        return False
    order = _wanted(f)
    return order is None or not protocol.never_blocked(f.context.objectives.pack_of(f.state), order)


def dose_row_gone(f: Facts) -> bool:
    """The pack in force no longer has this row; grade again to see the present protocol."""
    return "DOSE_ROW_GONE" in _problems(f)


def order_outdated(f: Facts) -> bool:
    """The weight is another than when this was ordered: ask the physician to order it again."""
    step = _step(f)
    return step is not None and step.outdated


def read_back_mismatch(f: Facts) -> bool:
    """What was read back is not what was ordered; stop, ask the physician to repeat the order."""
    step = _step(f)
    order = step.order if step else None
    if order is None or order.dose_mg is None:
        return False
    route = route_named(f.context.objectives.pack_of(f.state), f.command.route)
    heard = (f.command.dose_mg, f.command.concentration_mg_per_ml, fits(order.route, route))
    drawn = f.command.volume_ml
    return heard != (order.dose_mg, order.concentration_mg_per_ml, True) or (
        drawn is not None and order.volume_ml is not None and drawn != order.volume_ml
    )


def _step(f: Facts) -> StepState | None:
    state: ReactionState = f.state
    return state.steps.get(f.command.step_id)


def _step_refuses(f: Facts, event: str) -> bool:
    step = _step(f)
    if step is None:
        return True
    try:
        STEPPER.step(step.phases, event, None)
    except Rejected:
        return True
    return False


def _wanted(f: Facts) -> OrderedDose | None:
    """Return the dose an order asks for; None for a step without one."""
    step = _step(f)
    if step is None:
        return None
    pack = f.context.objectives.pack_of(f.state)
    return protocol.order(pack, step.offer, f.command.row_id, f.command.dose_mg)


def _problems(f: Facts) -> tuple[str, ...]:
    """Return the reason codes that stand against an order."""
    order, pack = _wanted(f), f.context.objectives.pack_of(f.state)
    return protocol.problems(pack, order, f.state, f.context.now) if order else ()


def overrides(f: Facts) -> tuple[str, ...]:
    """Return the guards that an order with a reason goes past, for its event."""
    if not f.command.override_reason.strip():
        return ()
    return (*_problems(f), "ORDER_OPEN") if _is_open(f) else _problems(f)


def _is_open(f: Facts) -> bool:
    """Return whether an earlier order of a drug of this step was neither given nor decided against."""
    step = _step(f)
    return step is not None and step.order is not None and bool({"ordered", "read_back"} & set(step.phases))


GUARDS = {
    guard.__name__: guard
    for guard in (
        to_mild,
        to_moderate,
        to_severe,
        tells_resolved,
        tells_improving,
        tells_call,
        not_a_physician,
        physician_unlicensed,
        presentation_unknown,
        de_escalation_unexplained,
        disposition_too_light,
        observation_not_over,
        step_unknown,
        step_not_orderable,
        step_not_ordered,
        step_not_refusable,
        dose_row_unknown,
        weight_missing,
        dose_undecided,
        dose_over_cap,
        cumulative_exceeded,
        repeat_too_soon,
        too_many_times,
        dose_row_gone,
        dose_not_positive,
        pulse_unconfirmed,
        order_open,
        order_outdated,
        read_back_mismatch,
    )
}
