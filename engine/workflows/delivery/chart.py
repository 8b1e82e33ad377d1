"""The delivery's chart: pending until it is taken up, sent until acknowledged, dead only on a worklist, replayable."""

from statemachine import State, StateChart

from engine.kernel.machine import Facts


class DeliveryChart(StateChart[None]):
    """One outbound message (DESIGN section 4)."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class delivery(State.Compound):
        """From pending to acknowledged or dead."""

        uncreated = State(initial=True)
        pending = State()
        sending = State()
        retrying = State()
        acknowledged = State()
        dead = State()

        create_delivery = uncreated.to(pending)
        report_delivery_started = pending.to(sending)
        record_delivery_attempt = (
            pending.to(acknowledged, cond=["accepted"])
            | pending.to(dead, cond=["hopeless"])
            | pending.to(retrying)
            | sending.to(acknowledged, cond=["accepted"])
            | sending.to(dead, cond=["hopeless"])
            | sending.to(retrying)
            | retrying.to(acknowledged, cond=["accepted"])
            | dead.to(acknowledged, cond=["accepted"])
        )
        timer_fired = retrying.to(pending, cond=["retry_is_due"])
        replay_delivery = dead.to(pending)

    report_delivery_started = delivery.to(None)
    record_delivery_attempt = delivery.to(None)
    timer_fired = delivery.to(None)


def accepted(f: Facts) -> bool:
    """Route: the far side took it."""
    return bool(f.command.outcome == "accepted")


def hopeless(f: Facts) -> bool:
    """Route: refused for good, or tried as often as allowed."""
    tried = f.state.attempts_since_replay + 1 >= f.context.objectives.max_attempts
    return bool(f.command.outcome == "rejected") or tried


def retry_is_due(f: Facts) -> bool:
    """Route: the timer is the retry's."""
    return bool(f.command.name == "retry")


GUARDS = {guard.__name__: guard for guard in (accepted, hopeless, retry_is_due)}
