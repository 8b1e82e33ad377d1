"""What the line's events write into the record: its proof, its intervals and its gaps, while presence is owed.

Rule: the record's line ends where presence is no longer owed, so hanging up after the exam changes no signed record.
"""

from engine.kernel.events import Event, Recorded
from engine.records.book import Book, plain
from engine.records.fold_session import Change, care_phase
from engine.workflows.session import events as e

_OVER = ("closing", "signed", "sealed", "declined", "cancelled")
_PROOFS = ("technologist_audio", "technologist_video", "physician_audio", "physician_video")
_PHASES = ("connecting", "verified", "degraded", "lost", "on_phone")
_CAUSED = e.LineDegraded | e.LineLost | e.LineOnPhone
_COUNTERS = ("packets", "frames", "packets", "frames")


def owed(r: Recorded) -> bool:
    """Return whether the line still belongs to the exam: care is not over, or a patient is reacting."""
    return care_phase(r.phases) not in _OVER or "active" in r.phases


def follow_line(b: Book, r: Recorded) -> None:
    """Keep the intervals in step with the line's phase after one session event; none while nothing is owed."""
    phase = next((phase for phase in r.phases if phase in _PHASES), "") if owed(r) else ""
    running = b.memory.get("interval")
    if (running["phase"] if running else "") == phase:
        return
    if running is not None:
        running["end"] = plain(r.at)
        b.source("line.intervals", r.id)
        del b.memory["interval"]
    if phase:
        cause = getattr(r.event, "cause", "") if isinstance(r.event, _CAUSED) else ""
        entry = {"phase": phase, "start": r.at, "end": None, "cause": cause}
        b.memory["interval"] = b.add("line.intervals", entry, r.id)


def _verified(b: Book, r: Recorded, v: e.LineVerified) -> None:
    if not owed(r):
        return
    counted = plain(v.evidence)
    b.add("line.evidence", {"at": r.at, **counted}, r.id)
    for proof, unit in zip(_PROOFS, _COUNTERS, strict=True):
        if counted[f"{proof}_{unit}"] > 0:
            b.first(f"times.{proof}", r.at, r.id)


def _gap_opened(b: Book, r: Recorded, v: e.GapOpened) -> None:
    gap = {
        "number": v.number,
        "start": v.start,
        "end": None,
        "cause": v.cause,
        "action": v.action,
        "closed_by": None,
    }
    b.memory[f"gap {v.number}"] = b.add("line.gaps", gap, r.id)


def _gap_action(b: Book, r: Recorded, v: e.GapActionRecorded) -> None:
    gap = b.memory.get(f"gap {v.number}")
    if gap is not None:
        gap["action"] = v.action
        b.source("line.gaps", r.id)


def _gap_closed(b: Book, r: Recorded, v: e.GapClosed) -> None:
    gap = b.memory.get(f"gap {v.number}")
    if gap is not None:
        gap.update(end=plain(v.end), closed_by=v.cause)
        b.source("line.gaps", r.id)


LINE: dict[type[Event], Change] = {
    e.LineVerified: _verified,
    e.GapOpened: _gap_opened,
    e.GapActionRecorded: _gap_action,
    e.GapClosed: _gap_closed,
}
