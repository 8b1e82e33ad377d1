"""Who read a session's patient data; folded from events."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DisclosureState:
    """One session's accounting of disclosures. `version` 0 means nobody read anything yet."""

    session_id: str
    version: int = 0
    phases: tuple[str, ...] = ()
    organization_id: str = ""
    site_id: str = ""
    reads: int = 0


def initial(stream_id: str, phases: tuple[str, ...]) -> DisclosureState:
    """Return the state before the first read."""
    return DisclosureState(session_id=stream_id, phases=phases)
