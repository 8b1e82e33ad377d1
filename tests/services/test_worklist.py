"""The worklist names every record that is not sealed yet, down to the signatures it waits for."""

import datetime as dt

from engine.kernel.commands import TimerFired
from engine.kernel.ids import Stream
from engine.records.reader import RecordReader
from engine.services.copies import RecordCopies
from engine.workflows.session import commands as c
from tests.people.town import NURSE, town
from tests.workflows.session import stories as s


async def test_a_record_that_waits_only_for_signatures_is_on_the_worklist() -> None:
    """Nothing else is missing, and still somebody must act: both signatures, by whom."""
    async with town() as room:
        copies = RecordCopies(RecordReader(room.executor.store), room.executor, {})
        await room.do("session", "ses-1", s.schedule())
        await room.do("session", "ses-1", s.dose(), NURSE)
        await room.do("session", "ses-1", c.CompleteInjection())
        assert "signatures.physician" not in {item.field for item in await copies.missing("ses-1")}
        room.clock.advance(dt.timedelta(minutes=31))
        await room.do("session", "ses-1", TimerFired(name="observation", due_at=room.clock.now()), s.MEDIA)
        await room.do("session", "ses-1", c.CompleteMonitoring())

        assert (await room.executor.state(Stream("session", "ses-1"))).in_phase("closing")
        who = {item.field: item.who for item in await copies.missing("ses-1")}
        assert who["signatures.technologist"] == "technologist"
        assert who["signatures.physician"] == "physician"
