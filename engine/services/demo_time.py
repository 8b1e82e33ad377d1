"""Time in a demonstration: the clock jumps, leases do not lapse by it, and what became due fires.

Rule: a lease proves presence, which keeps wall time; every live window is renewed in the jump, before any timer looks.
"""

import datetime as dt

from engine.kernel.clock import OffsetClock
from engine.kernel.commands import Actor, Request
from engine.kernel.ids import Stream
from engine.people.registry import Registry
from engine.runtime.executor import Executor
from engine.runtime.ids import Ids
from engine.runtime.timers import Timers
from engine.workflows.coverage.commands import RenewLease

ACTOR = Actor.system("demo_time")


class DemoTime:
    """Moves a demo server's clock."""

    def __init__(
        self, clock: OffsetClock, executor: Executor, registry: Registry, timers: Timers, ids: Ids
    ) -> None:
        self._clock = clock
        self._executor = executor
        self._registry = registry
        self._timers = timers
        self._ids = ids

    async def advance(self, by: dt.timedelta) -> None:
        """Jump forward by `by`."""
        async with self._timers.gate:
            live = await self._registry.live_windows(self._clock.now())
            self._clock.advance(by)
            for window in live:
                stream = Stream("coverage", window.coverage_id)
                request_id = self._ids.name("demo-lease")
                await self._executor.execute(
                    Request(request_id=request_id, stream=stream, command=RenewLease(), actor=ACTOR)
                )
        self._timers.poke()
