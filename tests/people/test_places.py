"""Where a session is: only rooms that the site has."""

from collections.abc import AsyncIterator

import pytest

from engine.kernel.errors import Invalid
from engine.kernel.ids import Stream
from engine.workflows.directory import commands as d
from engine.workflows.session import commands as c
from tests.people.town import Town, town
from tests.workflows.play import START
from tests.workflows.session.stories import ORDER


@pytest.fixture
async def place() -> AsyncIterator[Town]:
    """A site with the rooms ct-1 and ct-2."""
    async with town() as made:
        yield made


@pytest.mark.hazard("H-08")
async def test_a_session_in_a_room_that_the_site_has_not_is_refused(place: Town) -> None:
    """A mistyped room is named as such and nothing is scheduled: EMS would be sent to the wrong door."""
    with pytest.raises(Invalid, match="no such room") as refused:
        await place.schedule(room_id="ct-9")

    assert refused.value.field == "room_id"
    assert (await place.executor.state(_SESSION)).version == 0
    assert (await place.schedule(room_id="ct-2")).room_id == "ct-2"


@pytest.mark.hazard("H-08")
async def test_an_order_moves_only_to_a_room_of_its_site(place: Town) -> None:
    """An amendment to an unknown room is refused and the session stays where it was."""
    before = await place.schedule()
    with pytest.raises(Invalid, match="no such room") as refused:
        await place.do("session", "ses-1", _moved("ct-9"))

    assert refused.value.field == "room_id"
    assert await place.executor.state(_SESSION) == before
    assert (await place.do("session", "ses-1", _moved("ct-2"))).room_id == "ct-2"


async def test_a_room_of_another_site_is_not_a_room_of_this_one(place: Town) -> None:
    """Room names are the site's own; a site without registered rooms takes any."""
    site = d.RegisterSite(
        site_id="site-2",
        name="Two",
        state="TX",
        setting="office",
        address="2 Way",
        ems_address="2 Way",
        ems_phone="911",
        time_zone="America/Chicago",
    )
    await place.do("directory", "org-1", site)
    assert (await place.schedule(site_id="site-2", room_id="mobile-unit")).room_id == "mobile-unit"

    await place.do(
        "directory", "org-1", d.RegisterRoom(site_id="site-2", room_id="mr-1", name="MR", modality="MR")
    )
    with pytest.raises(Invalid):
        await place.do("session", "ses-1", _moved("ct-1"))


_SESSION = Stream("session", "ses-1")


def _moved(room_id: str) -> c.AmendOrder:
    return c.AmendOrder(order=ORDER, planned_at=START, room_id=room_id)
