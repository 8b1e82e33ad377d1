"""One open house for each test that asks for it."""

from collections.abc import AsyncIterator

import pytest

from tests.services.house import House, house


@pytest.fixture
async def home() -> AsyncIterator[House]:
    """A house with default limits, over plaintext on loopback."""
    async with house() as opened:
        yield opened
