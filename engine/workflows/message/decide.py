"""What a legal command of an inbound message leads to: events out."""

from collections.abc import Callable, Iterable, Iterator

from engine.kernel.commands import Command
from engine.kernel.events import Event
from engine.kernel.machine import Context
from engine.workflows.message import commands as c
from engine.workflows.message import events as e
from engine.workflows.message.state import MessageState


def _receive(s: MessageState, m: c.ReceiveMessage, x: Context) -> Iterator[Event]:
    yield e.MessageReceived(
        feed_id=m.feed_id,
        organization_id=m.organization_id,
        site_id=m.site_id,
        sender=m.sender,
        control_id=m.control_id,
        message_type=m.message_type,
        content_hash=m.content_hash,
        raw=m.raw,
    )


HANDLERS: dict[type[Command], Callable[..., Iterable[Event]]] = {
    c.ReceiveMessage: _receive,
    c.RecordMessageApplied: lambda s, m, x: [e.MessageApplied(sessions=m.sessions, notices=m.notices)],
    c.RecordMessageHeld: lambda s, m, x: [
        e.MessageHeld(reason=m.reason, what=m.what, sessions=m.sessions, notices=m.notices)
    ],
    c.RecordMessageUnused: lambda s, m, x: [e.MessageUnused(why=m.why)],
    c.ReplayMessage: lambda s, m, x: [e.MessageReplayed()],
    c.DismissMessage: lambda s, m, x: [e.MessageDismissed(dismissal=m.dismissal)],
}
