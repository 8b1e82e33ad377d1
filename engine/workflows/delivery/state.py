"""What the engine believes of one outbound message; folded from events."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """How often and how patiently a delivery is tried. Waits in seconds."""

    first_wait_s: int = 2
    longest_wait_s: int = 900
    max_attempts: int = 12


@dataclass(frozen=True, kw_only=True)
class DeliveryState:
    """One delivery. `version` 0 means it does not exist yet."""

    delivery_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    session_id: str = ""
    organization_id: str = ""
    site_id: str = ""
    kind: str = ""
    destination: str = ""
    record_hash: str = ""
    attempts: int = 0
    attempts_since_replay: int = 0
    last_detail: str = ""


def initial(stream_id: str, phases: tuple[str, ...]) -> DeliveryState:
    """Return the state of a delivery that does not exist yet."""
    return DeliveryState(delivery_id=stream_id, phases=phases)
