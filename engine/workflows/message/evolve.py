"""What each event changes in what the engine believes of an inbound message."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.kernel.events import Event, Recorded
from engine.workflows.message import events as e
from engine.workflows.message.state import MessageState


def _received(s: MessageState, v: e.MessageReceived) -> MessageState:
    return replace(
        s,
        feed_id=v.feed_id,
        organization_id=v.organization_id,
        site_id=v.site_id,
        message_type=v.message_type,
        control_id=v.control_id,
        content_hash=v.content_hash,
        raw=v.raw,
    )


_CHANGES: dict[type[Event], Callable[[MessageState, Any], MessageState]] = {
    e.MessageReceived: _received,
    e.MessageApplied: lambda s, v: replace(s, sessions=v.sessions, notices=v.notices, reason="", what=""),
    e.MessageReplayed: lambda s, v: replace(s, dismissal=""),
    e.MessageDismissed: lambda s, v: replace(s, dismissal=v.dismissal),
    e.MessageHeld: lambda s, v: replace(
        s, reason=v.reason, what=v.what, sessions=v.sessions, notices=v.notices
    ),
    e.MessageUnused: lambda s, v: replace(s, reason="UNUSED", what=v.why),
}


def fold_one(state: MessageState, recorded: Recorded) -> MessageState:
    """Fold one recorded event."""
    change = _CHANGES.get(type(recorded.event))
    return change(state, recorded.event) if change else state
