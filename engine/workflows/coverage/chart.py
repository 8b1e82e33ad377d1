"""The coverage window's chart: held by a lease, debited by a reaction, never double-committed."""

from statemachine import State, StateChart

from engine.kernel.machine import Facts


class CoverageChart(StateChart[None]):
    """One physician's window (DESIGN section 4)."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class coverage(State.Compound):
        """From the offer to the end."""

        unoffered = State(initial=True)
        offered = State()
        held = State()
        engaged = State()
        in_reaction = State()
        lapsed = State()
        ended = State()

        offer_coverage = unoffered.to(offered, unless=["window_is_empty"])
        hold_coverage = offered.to(held, unless=["not_your_window", "window_is_over", "physician_unlicensed"])
        renew_lease = (
            held.to(None, unless=["not_your_window", "window_is_over"])
            | engaged.to(None, unless=["not_your_window"])
            | in_reaction.to(None, unless=["not_your_window"])
            | lapsed.to(held, unless=["not_your_window", "window_is_over"])
        )
        timer_fired = (
            held.to(lapsed, cond=["lease_is_over"])
            | engaged.to(lapsed, cond=["lease_is_over"])
            | in_reaction.to(lapsed, cond=["lease_is_over"])
        )
        engage_coverage = held.to(engaged)
        disengage_coverage = engaged.to(held, cond=["last_session"]) | in_reaction.to(
            held, cond=["last_session"]
        )
        enter_reaction = held.to(in_reaction) | engaged.to(in_reaction)
        leave_reaction = in_reaction.to(engaged, cond=["its_reaction", "still_engaged"]) | in_reaction.to(
            held, cond=["its_reaction"]
        )
        end_coverage = offered.to(ended) | held.to(ended) | lapsed.to(ended)

    timer_fired = coverage.to(None)
    engage_coverage = coverage.to(None)
    disengage_coverage = coverage.to(None)
    enter_reaction = coverage.to(None)
    leave_reaction = coverage.to(None)


def window_is_empty(f: Facts) -> bool:
    """A window needs rooms, a cap of at least one session, and an end after its start."""
    m = f.command
    return not m.rooms or m.cap < 1 or m.ends_at <= m.starts_at


def not_your_window(f: Facts) -> bool:
    """This window is another physician's."""
    return f.context.actor.person_id != f.state.physician_id and f.context.actor.role != "system"


def window_is_over(f: Facts) -> bool:
    """The window's time is over; ask for a new one."""
    return f.state.ends_at is None or f.context.now >= f.state.ends_at


def physician_unlicensed(f: Facts) -> bool:
    """The physician holds no valid licence for a state of this window."""
    return bool(f.command.problems)


def lease_is_over(f: Facts) -> bool:
    """Route: the timer is the lease's and no heartbeat has moved it."""
    until = f.state.leased_until
    return f.command.name == "lease" and until is not None and until <= f.context.now


def last_session(f: Facts) -> bool:
    """Route: no other session remains."""
    return set(f.state.sessions) <= {f.command.session_id}


def its_reaction(f: Facts) -> bool:
    """Route: the reaction that ends is the one that debits this window."""
    return bool(f.command.session_id == f.state.reaction_session)


def still_engaged(f: Facts) -> bool:
    """Route: the session goes on."""
    return bool(f.state.sessions)


GUARDS = {
    guard.__name__: guard
    for guard in (
        window_is_empty,
        not_your_window,
        window_is_over,
        physician_unlicensed,
        lease_is_over,
        last_session,
        its_reaction,
        still_engaged,
    )
}
