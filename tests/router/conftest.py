from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from router.world import World, open_world


@pytest_asyncio.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A control plane, and whatever the test starts; all of it ends with the test. See `world.FAMILIES`."""
    async with AsyncExitStack() as stack:
        yield await open_world(stack, getattr(request, "param", "127.0.0.1"))
