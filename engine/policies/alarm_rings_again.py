"""An alarm that is pressed again while nobody is there rings once more, unless an urgent ring rings already."""

from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.session.commands import ReportAlarmUnheard
from engine.workflows.session.events import ReactionAlarmRepeated


@on(ReactionAlarmRepeated, urgent=True)
def alarm_rings_again(recorded: Recorded, view: View) -> Iterator[Request]:
    """An alarm that is pressed again while nobody is there rings once more, unless an urgent ring rings already."""
    event = recorded.event
    if not isinstance(event, ReactionAlarmRepeated) or event.alerted:
        return
    # What rings is asked of the rings themselves: one believed to ring that does not would leave the room alone.
    if not view.rings_of(recorded.stream.id, urgent=True):
        yield ask("alarm_rings_again", "session", recorded.stream.id, ReportAlarmUnheard())
