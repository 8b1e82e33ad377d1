"""What does not fit is taken and named: the room for another modality, an agent that nobody knows."""

from dataclasses import replace

import pytest

from engine.kernel.ids import Stream
from engine.workflows.directory.commands import RegisterRoom
from engine.workflows.session import commands as c
from tests.people.town import Town, town
from tests.workflows.play import START
from tests.workflows.session import stories as s


async def flags(room: Town) -> tuple[str, ...]:
    """Return the flags of the session's newest event."""
    return (await room.executor.history(Stream("session", "ses-1")))[-1].flags


@pytest.mark.hazard("H-08")
@pytest.mark.parametrize(("room_id", "named"), [("mr-1", True), ("ct-1", False), ("", False)])
async def test_an_order_in_a_room_of_another_modality_is_named(room_id: str, named: bool) -> None:
    """When it is scheduled there and when it is moved there; found out before the patient lies in the wrong room."""
    wanted = ("room_modality_mismatch",) if named else ()
    async with town() as room:
        mri = RegisterRoom(site_id="site-1", room_id="mr-1", name="MR 1", modality="MR")
        await room.do("directory", "org-1", mri)
        await room.schedule(room_id=room_id)
        assert await flags(room) == wanted
    async with town() as room:
        await room.do("directory", "org-1", mri)
        await room.schedule()
        order = replace(s.schedule().order, procedure_text="moved")
        await room.do("session", "ses-1", c.AmendOrder(order=order, planned_at=START, room_id=room_id))
        assert await flags(room) == wanted


@pytest.mark.hazard("H-47")
@pytest.mark.parametrize(
    ("agent", "known"), [("iohexol", True), ("Omnipaque 300", True), ("iohexel", False), ("dye", False)]
)
async def test_clearing_an_agent_that_the_pack_does_not_know_is_named(agent: str, known: bool) -> None:
    """The rows of an agent cannot be asked about a name that is none."""
    async with town() as room:
        await room.schedule()
        command = c.ClearForContrast(agent=agent)
        enriched = await room.executor.enrichers[c.ClearForContrast](
            await room.executor.state(Stream("session", "ses-1")), command, None
        )
    assert enriched.agent_known is known
