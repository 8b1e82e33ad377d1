"""One real server for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bad_input.room import Room, opened
from tests.soak.process import Server, start


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server on an empty data folder, ended in order after the last test."""
    running = await start(Path(tmp_path_factory.mktemp("bad")) / "data")
    yield running
    await running.stop()


@pytest_asyncio.fixture(loop_scope="package")
async def room(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """A scanner room with a session of its own."""
    async with opened(
        server, request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:80]
    ) as one:
        yield one
