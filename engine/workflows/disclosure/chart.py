"""The disclosure log's chart: always open."""

from statemachine import State, StateChart

from engine.kernel.stepper import Guard


class DisclosureChart(StateChart[None]):
    """One session's accounting of disclosures."""

    allow_event_without_transition = False
    catch_errors_as_events = False

    class disclosure(State.Compound):
        """The log."""

        open = State(initial=True)

    record_patient_data_read = disclosure.to(None)


GUARDS: dict[str, Guard] = {}
