"""A console's log beside what is known: which entries are new, and which reaction they are of.

Rule: a log never changes anything twice, in whatever parts and order it comes; nothing of it is refused here.
"""

from engine.workflows.session.commands import ReportOfflineLog
from engine.workflows.session.offline_log import OfflineEntry, OfflineKind
from engine.workflows.session.state import SessionState


def fresh(s: SessionState, m: ReportOfflineLog) -> tuple[OfflineEntry, ...]:
    """Return the entries that nobody has told yet, each once, in the order of the device's time."""
    known = frozenset[str]().union(*(log.entries for log in s.offline_logs))
    told = (entry for entry in m.entries if entry.entry_id not in m.sent_before)
    new = {entry.key: entry for entry in told if entry.key not in known}
    return tuple(sorted(new.values(), key=lambda entry: (entry.at, entry.key)))


def reaction_of(s: SessionState, m: ReportOfflineLog) -> str:
    """Return the reaction that a log is of, "" where it is to be opened.

    It is the one of the log's earlier parts, the one that the console names, or the one that is open. A log with an
    onset is of a new one when none of these is there; one without continues the latest.
    """
    earlier = [log.reaction_id for log in s.offline_logs if log.log_id == m.log_id]
    if earlier:
        return earlier[-1]
    if m.reaction_id in s.reactions:
        return m.reaction_id
    latest = next((name for name in reversed(s.reactions) if name in s.open_reactions), "")
    onset = any(entry.kind is OfflineKind.ONSET for entry in fresh(s, m))
    return latest or ("" if onset or not s.reactions else s.reactions[-1])


def opens(s: SessionState, m: ReportOfflineLog) -> bool:
    """Return whether a log begins a reaction that nobody here knows."""
    return bool(fresh(s, m)) and not reaction_of(s, m)
