"""In which sessions a person is there or directs treatment: the index behind the registry's lookups.

Rule: what is found is where to look, never an answer. A commit only marks its session; a lookup first reads the marked
ones, so it costs what changed since the last one and what the person is in, not every session where somebody must be.
"""

from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.workflows.session.state import SessionState

CARED = frozenset({"identifying", "reviewing", "cleared", "injecting", "monitoring", "active"})
"""Phases in which somebody must be there: presence is owed, or a reaction is open."""


async def directors_of(executor: Executor, session: SessionState) -> set[str]:
    """Return who directed last in each open reaction of a session."""
    reactions = [await executor.state(Stream("reaction", name)) for name in session.open_reactions]
    return {one.directed_by for one in reactions if one.directed_at is not None}


class Whereabouts:
    """The index. Told of every commit, it is read by `of`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._cared: dict[str, bool] = {}  # sessions where somebody must be there, and whether for a reaction
        self._marks: dict[str, object] = {}  # a new mark for each change of a session that was not read since
        self._sessions: dict[str, set[str]] = {}
        self._people: dict[str, frozenset[str]] = {}
        self._session_of: dict[str, str] = {}  # of open reactions
        self._reactions: dict[str, frozenset[str]] = {}

    def changed(self, session_id: str, phases: tuple[str, ...]) -> None:
        """Notice that a session changed and is in these phases now."""
        if CARED.isdisjoint(phases):
            self._cared.pop(session_id, None)
            self._marks.pop(session_id, None)
            self._put(session_id, frozenset(), frozenset())
        else:
            self._cared[session_id] = "active" in phases
            self._marks[session_id] = object()

    def directed(self, reaction_id: str) -> None:
        """Notice that a reaction changed. One whose session was not read since it began is marked through that."""
        session_id = self._session_of.get(reaction_id)
        if session_id is not None:
            self._marks[session_id] = object()

    async def of(self, person_id: str, *, reacting: bool = False) -> list[str]:
        """Return the sessions to look at for a person, by id; with `reacting` those with an open reaction alone.

        One that changed again while it was read is among them, whoever is there.
        """
        for session_id, mark in list(self._marks.items()):
            await self._read(session_id, mark)
        found = self._sessions.get(person_id, set()) | self._marks.keys()
        return sorted(name for name in found if self._cared.get(name, False) or not reacting)

    async def _read(self, session_id: str, mark: object) -> None:
        """Learn who is in a session, unless it changed again meanwhile or another lookup has read it."""
        session: SessionState = await self._executor.state(Stream("session", session_id))
        if self._marks.get(session_id) is not mark:
            return
        # From here on a commit of one of these reactions marks the session again.
        self._put(session_id, self._people.get(session_id, frozenset()), session.open_reactions)
        people = await directors_of(self._executor, session)
        if session.physician is not None and session.physician_present:
            people.add(session.physician.person_id)
        if self._marks.get(session_id) is mark:
            self._put(session_id, frozenset(people), session.open_reactions)
            del self._marks[session_id]

    def _put(self, session_id: str, people: frozenset[str], reactions: frozenset[str]) -> None:
        for gone in self._people.pop(session_id, frozenset()) - people:
            self._sessions[gone].discard(session_id)
            if not self._sessions[gone]:
                del self._sessions[gone]
        for gone in self._reactions.pop(session_id, frozenset()) - reactions:
            self._session_of.pop(gone, None)
        for person_id in people:
            self._sessions.setdefault(person_id, set()).add(session_id)
        self._session_of.update(dict.fromkeys(reactions, session_id))
        if people:
            self._people[session_id] = people
        if reactions:
            self._reactions[session_id] = reactions
