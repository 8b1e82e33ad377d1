"""The ring's chart: it climbs by time, never ends unanswered by itself, and only a physician who may answers it."""

from statemachine import State, StateChart

from engine.kernel.machine import Facts

ANSWERING = ["not_on_this_ring", "physician_unlicensed", "physician_in_reaction", "physician_at_capacity"]


class RingChart(StateChart[None]):
    """One request's escalation ladder (DESIGN section 4)."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class ring(State.Compound):
        """From the first page to an answer."""

        unstarted = State(initial=True)
        ringing_primary = State()
        ringing_backup = State()
        ringing_bench = State()
        escalated = State()
        answered = State()
        withdrawn = State()

        start_ring = (
            unstarted.to(escalated, cond=["nobody_on_any_rung"])
            | unstarted.to(ringing_primary, cond=["primary_has_people"])
            | unstarted.to(ringing_backup, cond=["backup_has_people"])
            | unstarted.to(ringing_bench)
        )
        timer_fired = (
            ringing_primary.to(ringing_backup, cond=["rung_is_due", "backup_has_people"])
            | ringing_primary.to(ringing_bench, cond=["rung_is_due", "bench_has_people"])
            | ringing_primary.to(escalated, cond=["rung_is_due"])
            | ringing_backup.to(ringing_bench, cond=["rung_is_due", "bench_has_people"])
            | ringing_backup.to(escalated, cond=["rung_is_due"])
            | ringing_bench.to(escalated, cond=["rung_is_due"])
        )
        decline_ring = (
            ringing_primary.to(
                ringing_backup, cond=["nobody_left", "backup_has_people"], unless=["not_on_this_ring"]
            )
            | ringing_primary.to(
                ringing_bench, cond=["nobody_left", "bench_has_people"], unless=["not_on_this_ring"]
            )
            | ringing_primary.to(escalated, cond=["nobody_left"], unless=["not_on_this_ring"])
            | ringing_primary.to(None, unless=["not_on_this_ring"])
            | ringing_backup.to(
                ringing_bench, cond=["nobody_left", "bench_has_people"], unless=["not_on_this_ring"]
            )
            | ringing_backup.to(escalated, cond=["nobody_left"], unless=["not_on_this_ring"])
            | ringing_backup.to(None, unless=["not_on_this_ring"])
            | ringing_bench.to(escalated, cond=["nobody_left"], unless=["not_on_this_ring"])
            | ringing_bench.to(None, unless=["not_on_this_ring"])
            | escalated.to(None, unless=["not_on_this_ring"])
        )
        answer_ring = (
            ringing_primary.to(answered, unless=ANSWERING)
            | ringing_backup.to(answered, unless=ANSWERING)
            | ringing_bench.to(answered, unless=ANSWERING)
            | escalated.to(answered, unless=ANSWERING[1:])
            | answered.to(None, unless=["already_answered"])
        )
        withdraw_ring = (
            ringing_primary.to(withdrawn)
            | ringing_backup.to(withdrawn)
            | ringing_bench.to(withdrawn)
            | escalated.to(withdrawn)
        )

    record_page_sent = ring.to(None)
    record_page_failed = ring.to(None)
    timer_fired = ring.to(None)


def nobody_on_any_rung(f: Facts) -> bool:
    """Route: the ladder is empty, so the named human rings at once."""
    return not any(rung.people for rung in f.command.ladder)


def primary_has_people(f: Facts) -> bool:
    """Route: somebody is on the first rung."""
    return _people(f, 0)


def backup_has_people(f: Facts) -> bool:
    """Route: somebody is on the second rung."""
    return _people(f, 1)


def bench_has_people(f: Facts) -> bool:
    """Route: somebody is on the third rung."""
    return _people(f, 2)


def rung_is_due(f: Facts) -> bool:
    """Route: the timer is the rung's."""
    return bool(f.command.name == "rung")


def nobody_left(f: Facts) -> bool:
    """Route: the one who declines is the last who was rung."""
    return all(person.person_id == f.context.actor.person_id for person in f.state.ringing())


def not_on_this_ring(f: Facts) -> bool:
    """You are not on this ring; it is other physicians' turn."""
    evidence = getattr(f.command, "evidence", None)
    if evidence is not None and evidence.covers:  # their lease had lapsed when it began to ring
        return False
    return all(person.person_id != f.context.actor.person_id for person in f.state.ringing())


def physician_unlicensed(f: Facts) -> bool:
    """The physician holds no valid licence for this site's state; another physician must answer."""
    evidence = f.command.evidence
    return evidence is None or bool(evidence.problems)


def physician_in_reaction(f: Facts) -> bool:
    """The physician is treating a reaction elsewhere; another physician must answer."""
    evidence = f.command.evidence
    return evidence is not None and evidence.in_reaction_elsewhere


def physician_at_capacity(f: Facts) -> bool:
    """You supervise as many sessions as your window allows; another physician must answer."""
    evidence = f.command.evidence
    return evidence is not None and evidence.at_capacity and not f.state.urgent


def already_answered(f: Facts) -> bool:
    """Another physician was quicker: this ring is answered already."""
    return bool(f.state.answered_by != f.context.actor.person_id)


def _people(f: Facts, rung: int) -> bool:
    ladder = getattr(f.command, "ladder", None) or f.state.ladder
    return rung < len(ladder) and bool(ladder[rung].people)


GUARDS = {
    guard.__name__: guard
    for guard in (
        nobody_on_any_rung,
        primary_has_people,
        backup_has_people,
        bench_has_people,
        rung_is_due,
        nobody_left,
        not_on_this_ring,
        physician_unlicensed,
        physician_in_reaction,
        physician_at_capacity,
        already_answered,
    )
}

FOUND = {"already_answered": lambda f: {"answered_by": f.state.answered_by}}
