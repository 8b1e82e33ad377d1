"""What the engine believes of its lines after a restart: nobody is on a line that nothing has counted since."""

from typing import Any

import pytest

from engine.kernel.ids import Stream
from engine.services.lines import Lines
from engine.workflows.session import commands as c
from tests.people.town import town
from tests.workflows.session import stories as s


@pytest.mark.hazard("H-02", "H-28")
async def test_a_line_that_was_up_before_a_restart_is_lost_after_it() -> None:
    """Verified in the log, no leg at the node: lost with its cause, a gap where presence was owed, said once."""
    nobody: Any = None
    async with town() as place:
        await place.schedule()
        await place.do("session", "ses-1", c.ReportLineConnecting(), s.MEDIA)
        before = await place.do("session", "ses-1", c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA)
        assert before.in_phase("verified")
        lines = Lines(nobody, place.executor)

        assert await lines.forget() == 1
        after = await place.executor.state(Stream("session", "ses-1"))
        assert after.in_phase("lost")
        assert await lines.forget() == 0
