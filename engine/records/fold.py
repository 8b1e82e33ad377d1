"""The supervision record as a pure fold of one session's recorded events, in log order.

Rule: nothing but events (and the commitments that stand for protected values) goes in, so an auditor with the file
folds the same record. A field keeps the same bytes whether the patient's identity is still there or erased.
"""

from collections.abc import Iterable, Mapping

from engine.kernel.events import Event, Recorded
from engine.records.book import Book, Record
from engine.records.fold_line import LINE, follow_line
from engine.records.fold_reaction import REACTION
from engine.records.fold_ring import RING
from engine.records.fold_session import SESSION, Change, care_phase, outcome

CHANGES: Mapping[type[Event], Change] = {**SESSION, **LINE, **REACTION, **RING}
#: A flag that is no exception by itself: a console's log has a place of its own in the record.
OFFLINE = "offline"
MACHINES = ("session", "ring", "reaction")


def fold(history: Iterable[Recorded], commitments: Mapping[str, str]) -> Record:
    """Return the record that a session's history (session, ring and reaction streams, in log order) leads to.

    `commitments` maps `stream@version.field` of each protected field to its salted commitment.
    """
    book = Book(commitments=commitments)
    phases: tuple[str, ...] = ()
    for recorded in history:
        if recorded.stream.machine == "session":
            book.session_id = recorded.stream.id
            phases = recorded.phases
        change = CHANGES.get(type(recorded.event))
        if change is not None:
            change(book, recorded, recorded.event)
        if recorded.stream.machine == "session":
            follow_line(book, recorded)
        if set(recorded.flags) - {OFFLINE}:
            _flagged(book, recorded)
    return book.record(_needs(book, phases))


def _flagged(book: Book, r: Recorded) -> None:
    """An unexpected fact is kept and shown, by what was unexpected about it."""
    entry = {"event": r.id, "type": r.type, "at": r.at, "flags": list(r.flags)}
    book.add("exceptions.unexpected", entry, r.id)


def _needs(book: Book, phases: tuple[str, ...]) -> frozenset[str]:
    """Return which conditions of slots.NEEDS hold."""
    given = "contrast.given_at" in book.values
    bypassed = "exceptions.bypasses" in book.values
    verdict = book.values.get("rules.verdict")
    holds = {
        "always": bool(phases),
        "prepared": care_phase(phases) not in ("unscheduled", "scheduled", "cancelled"),
        "requested": "times.requested" in book.values,
        "cancelled": outcome(phases) in ("cancelled", "declined", "deferred"),
        "contrast": given,
        "injection": given and not bypassed,
        "attested": given and not bypassed and verdict == "needs_attestation",
        "monitored": given,
        "reaction": bool(book.memory.get("reactions")),
        "seal": outcome(phases) == "completed",
    }
    return frozenset(name for name, true in holds.items() if true)
