"""A debriefed drill refreshes everybody who took part: due again in 6 months, over after 12."""

import calendar
import datetime as dt
from collections.abc import Iterator

from engine.kernel.commands import Request
from engine.kernel.events import Recorded
from engine.policies.ask import ask
from engine.policies.on import on
from engine.policies.view import View
from engine.workflows.directory.commands import RecordCredential
from engine.workflows.drill.events import DrillDebriefed

REFRESHER = "refresher"
#: Regulatory reference 2.3: what was learned lasts about 6 months and has faded by 9; a hard stop at 12.
DUE_AFTER_MONTHS = 6
OVER_AFTER_MONTHS = 12


@on(DrillDebriefed)
def debrief_refreshes(recorded: Recorded, view: View) -> Iterator[Request]:
    """A debriefed drill refreshes everybody who took part: due again in 6 months, over after 12."""
    event = recorded.event
    if not isinstance(event, DrillDebriefed):
        return
    today = recorded.at.date()
    for person_id in event.participants:
        refreshed = RecordCredential(
            person_id=person_id,
            kind=REFRESHER,
            issued_on=today,
            due_on=months_after(today, DUE_AFTER_MONTHS),
            expires_on=months_after(today, OVER_AFTER_MONTHS),
            source=str(recorded.stream),
            verified_by=recorded.actor.person_id,
        )
        yield ask("debrief_refreshes", "directory", event.organization_id, refreshed)


def months_after(day: dt.date, months: int) -> dt.date:
    """Return the same day some months later; the month's last day where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
