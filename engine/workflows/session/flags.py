"""What is unexpected about an accepted command: each name is an exception of the record."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.kernel.commands import Command
from engine.kernel.machine import Context
from engine.workflows.session import commands as c
from engine.workflows.session.chart import folded
from engine.workflows.session.state import SessionState


def flag(s: SessionState, m: Command, x: Context) -> tuple[str, ...]:
    """Name what is unexpected about an accepted command."""
    late = ("late",) if type(m).fact and s.in_phase("signed", "sealed") else ()
    odd = _ODD.get(type(m))
    return (*late, *odd(s, m, x)) if odd is not None else late


def _odd_order(s: SessionState, m: c.ScheduleSession | c.AmendOrder, x: Context) -> Iterator[str]:
    if _other_modality(m):
        yield "room_modality_mismatch"


def _odd_request(s: SessionState, m: c.RequestSupervision, x: Context) -> Iterator[str]:
    if m.nobody_to_ring:
        yield "nobody_to_ring"


def _odd_weight(s: SessionState, m: c.RecordWeight, x: Context) -> Iterator[str]:
    if m.doubt:
        yield "weight_doubtful"


def _odd_clearance(s: SessionState, m: c.ClearForContrast, x: Context) -> Iterator[str]:
    if not m.agent_known:
        yield "agent_unknown"
    if _outdated(s, m.agent):
        yield "premedication_outdated"


def _odd_start(s: SessionState, m: c.StartInjection, x: Context) -> Iterator[str]:
    if x.actor.person_id != s.technologist_id:
        yield "another_technologist"


def _odd_reaction(s: SessionState, m: c.ReportReaction, x: Context) -> Iterator[str]:
    if m.onset_at is not None and m.onset_at > x.now:
        yield "onset_in_future"


def _odd_log(s: SessionState, m: c.ReportOfflineLog, x: Context) -> Iterator[str]:
    yield "offline"
    if any(entry.at > x.now for entry in m.entries):
        yield "device_clock_ahead"


def _other_modality(m: c.ScheduleSession | c.AmendOrder) -> bool:
    """Return whether the room is one of another modality than the order's; unknown is none."""
    return bool(m.room_modality and m.order.modality) and m.room_modality != m.order.modality


def _outdated(s: SessionState, agent: str) -> bool:
    planned = s.order.contrast_class if s.order else ""
    return s.premedication is not None and s.premedication.at(agent, planned).outdated


def _odd_contrast(s: SessionState, m: c.RecordContrastGiven, x: Context) -> Iterator[str]:
    if not s.injecting:
        yield "bypass"
    if s.cleared_agent and folded(m.agent) != folded(s.cleared_agent):
        yield "agent_not_cleared"
    if s.order is not None and s.order.contrast_class not in ("", m.contrast_class):
        yield "class_not_ordered"
    if s.in_phase("closing", "cancelled", "declined"):
        yield "out_of_phase"
    if m.given_at > x.now:
        yield "given_in_future"
    if s.opened_at is not None and m.given_at < s.opened_at:
        yield "given_before_scheduled"


_ODD: Mapping[type[Command], Callable[[SessionState, Any, Context], Iterator[str]]] = {
    c.ScheduleSession: _odd_order,
    c.AmendOrder: _odd_order,
    c.RequestSupervision: _odd_request,
    c.RecordWeight: _odd_weight,
    c.ClearForContrast: _odd_clearance,
    c.StartInjection: _odd_start,
    c.RecordContrastGiven: _odd_contrast,
    c.ReportReaction: _odd_reaction,
    c.ReportOfflineLog: _odd_log,
}
