"""The memory store passes the contract."""

from collections.abc import AsyncIterator

import pytest

from engine.kernel.store import Store
from engine.store.memory import MemoryStore
from tests.store.contract import StoreContract


class TestMemoryStore(StoreContract):
    """Memory as a tenant: reopening is handing the same object on."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        store = MemoryStore()
        yield store
        await store.close()

    async def reopened(self, store: Store) -> Store:
        await store.close()
        return store
