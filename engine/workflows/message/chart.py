"""The inbound message's chart: kept, then applied, held for a person, unused, or dismissed by one."""

from statemachine import State, StateChart

from engine.kernel.stepper import Guard


class MessageChart(StateChart[None]):
    """One inbound message."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class message(State.Compound):
        """From the wire to its meaning."""

        unreceived = State(initial=True)
        received = State()
        applied = State()
        held = State()
        unused = State()
        dismissed = State()

        receive_message = unreceived.to(received)
        record_message_applied = received.to(applied) | held.to(applied)
        record_message_held = received.to(held)
        record_message_unused = received.to(unused)
        replay_message = held.to(received) | dismissed.to(received)
        dismiss_message = held.to(dismissed)

    record_message_applied = message.to(None)
    record_message_held = message.to(None)
    record_message_unused = message.to(None)


GUARDS: dict[str, Guard] = {}
