"""What a ring's events write into the record: when it rang, each rung, who declined, who answered and after how long.

Rule: single pages are not of the record; they reach people at any time and must not change what was signed.
"""

from typing import Any

from engine.kernel.events import Event, Recorded
from engine.records.book import Book, plain
from engine.records.fold_session import Change
from engine.workflows.ring import events as e


def _started(b: Book, r: Recorded, v: e.RingStarted) -> None:
    first = v.ladder[v.first_rung].name if v.first_rung < len(v.ladder) else "escalated"
    ring = {
        "ring_id": r.stream.id,
        "cause": v.cause,
        "urgent": v.urgent,
        "contact": v.contact,
        "started_at": r.at,
        "rungs": [{"at": plain(r.at), "name": first}],
        "declined": [],
        "answered_by": None,
        "answered_at": None,
        "answered_after_s": None,
        "answered_on": None,
        "withdrawn": None,
    }
    b.memory[f"ring {r.stream.id}"] = b.add("rings.ladders", ring, r.id)
    b.first("times.ringing", r.at, r.id)


def _ring(b: Book, r: Recorded) -> dict[str, Any]:
    """Return the ring's entry; one that never started gets a throw-away page."""
    found: dict[str, Any] | None = b.memory.get(f"ring {r.stream.id}")
    if found is None:
        return {"rungs": [], "declined": []}
    b.source("rings.ladders", r.id)
    return found


def _raised(b: Book, r: Recorded, v: e.RungRaised) -> None:
    _ring(b, r)["rungs"].append({"at": plain(r.at), "name": v.name})


def _escalated(b: Book, r: Recorded, v: e.RingEscalated) -> None:
    _ring(b, r)["rungs"].append({"at": plain(r.at), "name": "escalated"})


def _declined(b: Book, r: Recorded, v: e.RingDeclined) -> None:
    _ring(b, r)["declined"].append({"at": plain(r.at), "person_id": v.person_id, "reason": v.reason})


def _answered(b: Book, r: Recorded, v: e.RingAnswered) -> None:
    _ring(b, r).update(
        answered_by=v.physician_id,
        answered_at=plain(r.at),
        answered_after_s=plain(v.answered_after_s),
        answered_on=v.rung,
    )


def _withdrawn(b: Book, r: Recorded, v: e.RingWithdrawn) -> None:
    _ring(b, r)["withdrawn"] = {"at": plain(r.at), "reason": v.reason}


RING: dict[type[Event], Change] = {
    e.RingStarted: _started,
    e.RungRaised: _raised,
    e.RingEscalated: _escalated,
    e.RingDeclined: _declined,
    e.RingAnswered: _answered,
    e.RingWithdrawn: _withdrawn,
}
