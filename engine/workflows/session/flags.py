"""What is unexpected about an accepted command: each name is an exception of the record."""

import datetime as dt
from collections.abc import Iterator

from engine.kernel.commands import Command
from engine.kernel.machine import Context
from engine.workflows.session import commands as c
from engine.workflows.session.chart import folded
from engine.workflows.session.state import SessionState


def flag(s: SessionState, m: Command, x: Context) -> tuple[str, ...]:
    """Name what is unexpected about an accepted command."""
    flags = []
    if s.in_phase("signed", "sealed") and type(m).fact:
        flags.append("late")
    if isinstance(m, c.ReportOfflineLog):
        flags.append("offline")
        if any(entry.at > x.now for entry in m.entries):
            flags.append("device_clock_ahead")
    if isinstance(m, c.RecordContrastGiven):
        flags.extend(_odd_contrast(s, m, x.now))
    if isinstance(m, c.ReportReaction) and m.onset_at is not None and m.onset_at > x.now:
        flags.append("onset_in_future")
    if isinstance(m, c.RequestSupervision) and m.nobody_to_ring:
        flags.append("nobody_to_ring")
    if isinstance(m, c.StartInjection) and x.actor.person_id != s.technologist_id:
        flags.append("another_technologist")
    if isinstance(m, c.RecordWeight) and m.doubt:
        flags.append("weight_doubtful")
    if isinstance(m, c.ScheduleSession | c.AmendOrder) and _other_modality(m):
        flags.append("room_modality_mismatch")
    if isinstance(m, c.ClearForContrast) and not m.agent_known:
        flags.append("agent_unknown")
    if isinstance(m, c.ClearForContrast) and _outdated(s, m.agent):
        flags.append("premedication_outdated")
    return tuple(flags)


def _other_modality(m: c.ScheduleSession | c.AmendOrder) -> bool:
    """Return whether the room is one of another modality than the order's; unknown is none."""
    return bool(m.room_modality and m.order.modality) and m.room_modality != m.order.modality


def _outdated(s: SessionState, agent: str) -> bool:
    planned = s.order.contrast_class if s.order else ""
    return s.premedication is not None and s.premedication.at(agent, planned).outdated


def _odd_contrast(s: SessionState, m: c.RecordContrastGiven, now: dt.datetime) -> Iterator[str]:
    if not s.injecting:
        yield "bypass"
    if s.cleared_agent and folded(m.agent) != folded(s.cleared_agent):
        yield "agent_not_cleared"
    if s.order is not None and s.order.contrast_class not in ("", m.contrast_class):
        yield "class_not_ordered"
    if s.in_phase("closing", "cancelled", "declined"):
        yield "out_of_phase"
    if m.given_at > now:
        yield "given_in_future"
    if s.opened_at is not None and m.given_at < s.opened_at:
        yield "given_before_scheduled"
