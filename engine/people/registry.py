"""Who and what an organization has, which coverage windows exist, who is where, what was given: lookups over streams.

Rule: nothing is decided here; a lookup that finds nothing says so. What a lookup answers it reads from the streams'
own states; `Whereabouts` only says which of them to read.
"""

import datetime as dt
from collections.abc import AsyncIterator, Iterable

from engine.kernel.errors import Invalid
from engine.kernel.ids import Stream
from engine.kernel.store import Commit, Committed
from engine.people.whereabouts import Whereabouts, directors_of
from engine.reactions.state import Medication, ReactionState
from engine.runtime.executor import Executor
from engine.workflows.coverage.state import CoverageState
from engine.workflows.directory.state import DirectoryState, Site
from engine.workflows.session.state import SessionState

PAGE = 500
CONNECTED = ("verified", "degraded", "on_phone")


class Registry:
    """Looks up directories and coverage windows. Call `open` once, before the first lookup."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._windows: dict[str, list[str]] = {}
        self._whereabouts = Whereabouts(executor)
        executor.listeners.append(self._noticed)

    async def open(self) -> None:
        """Learn which coverage windows exist and in which sessions somebody must be there."""
        async for stream in self._streams("coverage"):
            state: CoverageState = await self._executor.state(stream)
            self._know(state.physician_id, stream.id)
        position = 0
        while page := await self._executor.store.read(position, PAGE, machine="session"):
            for row in page:
                self._whereabouts.changed(row.stream.id, row.phases)
            position = page[-1].position

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

    async def modality(self, organization_id: str, site_id: str, room_id: str) -> str:
        """Return a room's modality, "" while it is not known.

        Raises Invalid("room_id", …) when a site has rooms and this is none of them; "" is not chosen yet.
        """
        rooms = {
            room_id: room
            for (site, room_id), room in (await self.directory(organization_id)).rooms.items()
            if site == site_id
        }
        if room_id and rooms and room_id not in rooms:
            raise Invalid(
                "room_id", "this site has no such room; choose one of its rooms or register it first"
            )
        return rooms[room_id].modality if room_id in rooms else ""

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

    async def sessions_of(self, physician_id: str) -> list[SessionState]:
        """Return the sessions that a physician is there for now, where somebody must be there."""
        return await self._with(physician_id, await self._whereabouts.of(physician_id))

    async def treats_elsewhere(self, physician_id: str, session_id: str) -> bool:
        """Return whether a physician treats a patient's reaction in another session than this one.

        Somebody there treats who can be heard there or whose treatment was directed; who is only on the way treats
        nobody. Somebody who directs without having been assigned treats until another physician is there; who was
        assigned and left treats no more.
        """
        for name in await self._whereabouts.of(physician_id, reacting=True):
            if name == session_id:
                continue
            session: SessionState = await self._executor.state(Stream("session", name))
            assigned = session.physician.person_id if session.physician else ""
            if session.drill or (session.physician_present and assigned != physician_id):
                continue
            directors = await directors_of(self._executor, session)
            heard = bool(directors) or session.in_phase(*CONNECTED)
            if (
                (heard and session.physician_present)
                if assigned == physician_id
                else physician_id in directors
            ):
                return True
        return False

    async def _with(self, physician_id: str, session_ids: Iterable[str]) -> list[SessionState]:
        """Return those of some sessions where a physician is there."""
        found = []
        for session_id in session_ids if physician_id else ():
            session: SessionState = await self._executor.state(Stream("session", session_id))
            who = session.physician.person_id if session.physician and session.physician_present else ""
            if who == physician_id:
                found.append(session)
        return found

    async def physician_connected(self, session_id: str) -> bool:
        """Return whether a session's physician is there: heard by the line or by phone, or directing treatment."""
        session: SessionState = await self._executor.state(Stream("session", session_id))
        return session.physician_present and bool(
            session.in_phase(*CONNECTED) or await directors_of(self._executor, session)
        )

    async def doses_of(self, session_id: str, *, but: str) -> tuple[Medication, ...]:
        """Return what was given in a session's reactions, without those of one reaction, by time."""
        session: SessionState = await self._executor.state(Stream("session", session_id))
        given: list[Medication] = []
        for reaction_id in session.reactions:
            if reaction_id != but:
                reaction: ReactionState = await self._executor.state(Stream("reaction", reaction_id))
                given.extend(reaction.given)
        return tuple(sorted(given, key=lambda dose: dose.given_at))

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
        elif commit.stream.machine == "session" and done.events:
            self._whereabouts.changed(commit.stream.id, done.events[-1].phases)
        elif commit.stream.machine == "reaction" and done.events:
            self._whereabouts.directed(commit.stream.id)

    def _know(self, physician_id: str, coverage_id: str) -> None:
        known = self._windows.setdefault(physician_id, [])
        if coverage_id not in known:
            known.append(coverage_id)
