"""The index of who is where answers what reading every session would, whatever happened, and names no more."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.kernel.commands import Actor
from engine.kernel.errors import AttendError
from engine.kernel.ids import Stream
from engine.people.registry import CONNECTED, Registry
from engine.people.whereabouts import CARED, Whereabouts, directors_of
from engine.reactions.commands import GradeReaction
from engine.reactions.state import Severity
from engine.runtime.executor import Executor
from engine.workflows.directory import commands as d
from engine.workflows.ring.commands import AnswerRing
from engine.workflows.session import commands as c
from engine.workflows.session.state import CancelReason
from tests.people.test_called_in import requested, supervised
from tests.people.town import DOC, FAR, TECH, Town, town
from tests.workflows.session import stories as s

OTHER = Actor(person_id="md-2", role="physician")
PEOPLE = ("", DOC.person_id, OTHER.person_id, TECH.person_id)
SECOND = (
    d.RegisterPerson(person_id="md-2", name="Other", role="physician", sites=("site-1",)),
    d.RecordCredential(
        person_id="md-2",
        kind="licence",
        licence_type="MD",
        number="2",
        state="TX",
        expires_on=FAR,
        source="board",
        verified_by="o-1",
    ),
)
NAMES = ("ses-1", "ses-2", "ses-3")
STEPS = (
    "supervised",
    "reaction",
    "graded",
    "graded by another",
    "closed",
    "away",
    "lost",
    "verified",
    "cancelled",
    "asked",
    "answered by another",
)
Step = tuple[str, int]


async def scanned(executor: Executor) -> tuple[dict[str, list[str]], set[tuple[str, str]]]:
    """Read every session: who is there where somebody must be, and who treats elsewhere than in which session."""
    sessions = [await executor.state(one) for one in await executor.store.streams("session", "", 100)]
    there: dict[str, list[str]] = {person: [] for person in PEOPLE}
    treats: set[tuple[str, str]] = set()
    for one in sessions:
        if CARED.isdisjoint(one.phases):
            continue
        assigned = one.physician.person_id if one.physician else ""
        if one.physician_present:
            there[assigned].append(one.session_id)
        directors = await directors_of(executor, one)
        if "active" not in one.phases or one.drill:
            continue
        heard = bool(directors) or one.in_phase(*CONNECTED)
        busy = {assigned} if one.physician_present and heard else set()
        busy |= directors - {assigned} if not one.physician_present else set()
        treats |= {(person, name) for person in busy for name in NAMES if name != one.session_id}
    return there, treats


async def asked(registry: Registry) -> tuple[dict[str, list[str]], set[tuple[str, str]]]:
    """The same from the registry."""
    there = {one: [found.session_id for found in await registry.sessions_of(one)] for one in PEOPLE}
    treats = {(one, name) for one in PEOPLE for name in NAMES if await registry.treats_elsewhere(one, name)}
    return there, treats


async def step(room: Town, what: str, name: str) -> None:
    """Let one thing happen, as far as the session allows."""
    reaction = f"{name}-r1"
    signs = GradeReaction(severity=Severity.SEVERE, presentation="anaphylaxis", reason="told on the phone")
    commands: dict[str, tuple[str, str, Any, Actor]] = {
        "reaction": ("session", name, c.ReportReaction(), TECH),
        "graded": ("reaction", reaction, signs, DOC),
        "graded by another": ("reaction", reaction, signs, OTHER),
        "closed": ("session", name, c.ReportReactionClosed(reaction_id=reaction), TECH),
        "away": ("session", name, c.ReportPhysicianAway(physician_id=DOC.person_id, cause="relieved"), TECH),
        "lost": ("session", name, c.ReportLineLost(cause="frozen"), s.MEDIA),
        "verified": ("session", name, c.ReportLineVerified(evidence=s.FRAMES), s.MEDIA),
        "cancelled": ("session", name, c.CancelSession(reason=CancelReason.PATIENT_NO_SHOW), TECH),
        "answered by another": ("ring", f"{name}-1", AnswerRing(), OTHER),
    }
    try:
        if what == "supervised":
            await supervised(room, name)
        elif what == "asked":
            await requested(room, name)
        else:
            machine, identifier, command, by = commands[what]
            await room.do(machine, identifier, command, by)
    except AttendError:
        return


async def compared(steps: Sequence[Step]) -> int:
    """Let everything happen, ask after each step and again from the log; return how much was found."""
    found = 0
    async with town() as room:
        for command in SECOND:
            await room.do("directory", "org-1", command)
        for what, number in steps:
            await step(room, what, NAMES[number])
            expected = await scanned(room.executor)
            found += len(expected[1]) + sum(map(len, expected[0].values()))

            assert await asked(room.registry) == expected
        fresh = Registry(room.executor)
        await fresh.open()
        assert await asked(fresh) == await scanned(room.executor)
    return found


BUSY: list[Step] = [
    ("supervised", 0),
    ("supervised", 1),
    ("asked", 2),
    ("reaction", 2),
    ("graded by another", 2),
    ("reaction", 0),
    ("graded", 0),
    ("lost", 0),
    ("answered by another", 2),
    ("closed", 2),
    ("graded by another", 0),
    ("away", 0),
    ("closed", 0),
    ("reaction", 1),
]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), max_size=14))
@example(BUSY)
def test_the_index_answers_what_the_scan_answers(steps: list[Step]) -> None:
    """After each of any steps, for everybody, and for a registry that saw none of them."""
    asyncio.run(compared(steps))


def test_the_steps_find_somebody() -> None:
    """The comparison is of something: in the busy example people are there and treat."""
    assert asyncio.run(compared(BUSY)) > 20


async def test_only_what_concerns_a_person_is_looked_at() -> None:
    """Sessions where somebody must be there, but not this person, are none of them: the index is no scan."""
    async with town() as room:
        index = Whereabouts(room.executor)
        room.executor.listeners.append(
            lambda commit, done: (
                index.changed(commit.stream.id, done.events[-1].phases)
                if commit.stream.machine == "session" and done.events
                else None
            )
        )
        for name in NAMES:
            await supervised(room, name)

        assert await index.of(DOC.person_id) == list(NAMES)
        assert await index.of(DOC.person_id, reacting=True) == []
        assert await index.of(OTHER.person_id) == []
        await room.do("session", "ses-2", c.ReportReaction())
        assert await index.of(DOC.person_id, reacting=True) == ["ses-2"]


class Meanwhile:
    """An executor in which a session changes each time while it is read."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.index: Whereabouts | None = None

    async def state(self, stream: Stream) -> Any:
        """Return a state that is old already."""
        found = await self._executor.state(stream)
        if self.index is not None and stream.machine == "session":
            self.index.changed(stream.id, found.phases)
        return found


async def test_a_session_that_changes_while_it_is_read_is_looked_at() -> None:
    """Somebody who is there all the time is never missed because something else happened there just now."""
    async with town() as room:
        await supervised(room, "ses-1")
        busy = Meanwhile(room.executor)
        index = busy.index = Whereabouts(busy)  # type: ignore[arg-type]  # only what it reads with
        index.changed("ses-1", (await room.executor.state(Stream("session", "ses-1"))).phases)

        assert await index.of(DOC.person_id) == ["ses-1"]
        busy.index = None
        assert await index.of(OTHER.person_id) == []
        assert await index.of(DOC.person_id) == ["ses-1"]
