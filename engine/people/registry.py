"""Who and what an organization consists of, and which coverage windows exist: lookups over folded streams.

Rule: nothing is decided here; a lookup that finds nothing says so.
"""

import datetime as dt
from collections.abc import AsyncIterator

from engine.kernel.errors import Invalid
from engine.kernel.ids import Stream
from engine.kernel.store import Commit, Committed
from engine.runtime.executor import Executor
from engine.workflows.coverage.state import CoverageState
from engine.workflows.directory.state import DirectoryState, Site

PAGE = 500


class Registry:
    """Looks up directories and coverage windows. Call `open` once, before the first lookup."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._windows: dict[str, list[str]] = {}
        executor.listeners.append(self._noticed)

    async def open(self) -> None:
        """Learn which coverage windows exist."""
        async for stream in self._streams("coverage"):
            state: CoverageState = await self._executor.state(stream)
            self._know(state.physician_id, stream.id)

    async def directory(self, organization_id: str) -> DirectoryState:
        """Return an organization's directory (version 0 when there is none)."""
        found: DirectoryState = await self._executor.state(Stream("directory", organization_id))
        return found

    async def site(self, organization_id: str, site_id: str) -> Site:
        """Return a site. Raises Invalid("site_id", …) for an unknown one."""
        site = (await self.directory(organization_id)).sites.get(site_id)
        if site is None:
            raise Invalid("site_id", "no such site is registered for this organization")
        return site

    async def windows_of(self, physician_id: str) -> list[CoverageState]:
        """Return every window ever offered to a physician, newest first."""
        ids = reversed(self._windows.get(physician_id, []))
        return [await self._executor.state(Stream("coverage", identifier)) for identifier in ids]

    async def live_window(self, physician_id: str, now: dt.datetime) -> CoverageState | None:
        """Return the physician's window whose lease holds now."""
        for window in await self.windows_of(physician_id):
            if window.live(now):
                return window
        return None

    async def live_windows(self, now: dt.datetime) -> list[CoverageState]:
        """Return every window whose lease holds now, by physician."""
        found = [await self.live_window(physician_id, now) for physician_id in sorted(self._windows)]
        return [window for window in found if window is not None]

    async def _streams(self, machine: str) -> AsyncIterator[Stream]:
        after = ""
        while page := await self._executor.store.streams(machine, after, PAGE):
            for stream in page:
                yield stream
            after = page[-1].id

    def _noticed(self, commit: Commit, done: Committed) -> None:
        if commit.stream.machine == "coverage" and commit.expected_version == 0 and done.events:
            recorded = self._executor.codec.decode(done.events[0], {})
            self._know(getattr(recorded.event, "physician_id", ""), commit.stream.id)

    def _know(self, physician_id: str, coverage_id: str) -> None:
        known = self._windows.setdefault(physician_id, [])
        if coverage_id not in known:
            known.append(coverage_id)
