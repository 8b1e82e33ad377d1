"""What a scripted person does: steps as data, so that a script reads like the story it tells.

Rule: a script names RPCs and events, never internals; it runs in a client process that knows only the contract.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Do:
    """Call an RPC. `fields` may be a function of what the person sees. `refused` is the reason expected, if any.

    `by` is who does it when it is not the person whose part this is: the responder works beside the technologist.
    """

    rpc: str
    fields: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] = field(default_factory=dict)
    refused: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until an event of this type is seen that this person has not awaited before."""

    event: str
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Camera:
    """Do something with the call: `join`, `stop_video`, `resume_video`, `leave`."""

    action: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Let the demo clock run on by so many seconds (repeat windows, observation); the line keeps wall time."""

    seconds: int


Step = Do | Await | Camera | Advance


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One story: who does what, and what must be true at its end.

    `milestones` are event types that must all have happened, in this order. `absent` must not have happened.
    """

    name: str
    summary: str
    technologist: tuple[Step, ...]
    physician: tuple[Step, ...]
    milestones: tuple[str, ...]
    absent: tuple[str, ...] = ()
    sealed: bool = True
    expect: Mapping[str, str] = field(default_factory=dict)
