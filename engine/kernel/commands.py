"""What is asked or reported: a command is an imperative verb, a fact is a command that is never refused."""

import datetime as dt
import re
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import msgspec

from engine.kernel.ids import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Base of every command. The class name is the verb, the RPC's name and (in snake case) the chart's event.

    `fact` marks a report of what happened, accepted in every phase; `creates` marks a verb that may address a
    stream without events; `internal` marks a verb that no caller outside the engine may send; `emergency` one that
    waits behind nobody else's commit.
    """

    fact: ClassVar[bool] = False
    creates: ClassVar[bool] = False
    internal: ClassVar[bool] = False
    emergency: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Command):
    """A timer of the stream is due. Sent by the engine's timers; `due_at` is when it should have fired.

    `set_at_version` names the setting that fires: one that was set anew or cancelled meanwhile reaches no machine.
    0 stands for whatever is pending.
    """

    internal: ClassVar[bool] = True
    name: str
    due_at: dt.datetime
    set_at_version: int = 0


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a command. Engine parts act as `system:<part>` in the role `system`."""

    person_id: str
    role: str
    organization_id: str = ""

    @classmethod
    def system(cls, part: str) -> "Actor":
        """Return the actor for a part of the engine itself."""
        return cls(person_id=f"system:{part}", role="system")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command on its way: to which stream, from whom, how often, and seen at which version.

    `expected_version` None means "whatever it is". `correlation` is the session all of it belongs to; `causation`
    the event or request that led to it.
    """

    request_id: str
    stream: Stream
    command: Command
    actor: Actor
    expected_version: int | None = None
    correlation: str = ""
    causation: str = ""


_BOUNDARY = re.compile(r"(?<!^)(?=[A-Z])")


def verb(command: type[Command]) -> str:
    """Return the chart event of a command class: StartInjection → start_injection."""
    return _snake(command.__name__)


@cache
def _snake(name: str) -> str:
    return _BOUNDARY.sub("_", name).lower()
