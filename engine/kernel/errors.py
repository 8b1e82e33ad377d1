"""The small tree of refusals; every error says whose fault it is and never carries patient data."""

from collections.abc import Mapping
from types import MappingProxyType


class AttendError(Exception):
    """Base of every error that Attend raises on purpose."""


class Rejected(AttendError):
    """A wish that the rules of a machine refuse in its present state.

    `reason` is a unique UPPER_SNAKE word that reaches the client unchanged; `sentence` is what a technologist
    reads; `facts` are short strings (never patient data) that say what was found.
    """

    def __init__(self, reason: str, sentence: str = "", facts: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{reason}: {sentence}" if sentence else reason)
        self.reason = reason
        self.sentence = sentence
        self.facts: Mapping[str, str] = MappingProxyType(dict(facts or {}))


class Invalid(AttendError):
    """Input of the wrong form: `field` names it, `why` says what to do."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class Forbidden(AttendError):
    """The caller may not do or see this."""


class Missing(AttendError):
    """The thing named does not exist."""


class Conflict(AttendError):
    """The stream moved on: the caller expected one version and the store holds another."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"expected version {expected}, found {actual}")
        self.expected = expected
        self.actual = actual


class Overloaded(AttendError):
    """A named limit is reached; the caller may try again later."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"limit reached: {limit}")
        self.limit = limit


class PeerError(AttendError):
    """A system outside failed. `permanent` says whether trying again can help."""

    def __init__(self, why: str, *, permanent: bool) -> None:
        super().__init__(why)
        self.permanent = permanent


class Unavailable(AttendError):
    """The store cannot make anything durable now (a full disk, a lost file); nothing was changed."""


class Corrupt(AttendError):
    """Stored bytes do not verify; the message names the stream and version, and the engine stops using them."""
