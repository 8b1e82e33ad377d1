"""What the engine believes of one inbound message; folded from events."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MessageState:
    """One message as received. `raw` is base64 of the bytes, None once erased. `version` 0: it does not exist yet."""

    message_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    feed_id: str = ""
    organization_id: str = ""
    site_id: str = ""
    message_type: str = ""
    control_id: str = ""
    content_hash: str = ""
    raw: str | None = None
    reason: str = ""
    what: str = ""
    sessions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    dismissal: str = ""


def initial(stream_id: str, phases: tuple[str, ...]) -> MessageState:
    """Return the state of a message that was never received."""
    return MessageState(message_id=stream_id, phases=phases)
