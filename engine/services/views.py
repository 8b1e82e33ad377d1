"""States as the contract shows them: one message a machine, filled by field name.

Rule: the patient's identity is left out unless the caller was let to see it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from attend.v1 import (
    coverage_pb2,
    deliveries_pb2,
    directory_pb2,
    drills_pb2,
    reactions_pb2,
    rings_pb2,
    sessions_pb2,
)
from engine.kernel.ids import Stream
from engine.services.convert import Spelling, write

#: Left out of every view: the identity, unless it may be seen, and rosters, which are spelled row by row.
_ROWS = frozenset({"rosters"})
HIDDEN = _ROWS | {"identity"}

#: The message that shows each machine's state. Its field in a response is named after the machine.
VIEWS: Mapping[str, type[Message]] = {
    "session": sessions_pb2.Session,
    "ring": rings_pb2.Ring,
    "coverage": coverage_pb2.Coverage,
    "reaction": reactions_pb2.Reaction,
    "delivery": deliveries_pb2.Delivery,
    "message": deliveries_pb2.InboundMessage,
    "directory": directory_pb2.Directory,
    "drill": drills_pb2.Drill,
}


def view(machine: str, state: Any, *, identity: bool = False) -> Message:
    """Return a machine's state as a message, with the patient's identity only when `identity`."""
    descriptor: Any = VIEWS[machine].DESCRIPTOR
    shown = write(state, descriptor, _ROWS if identity else HIDDEN)
    if isinstance(shown, directory_pb2.Directory):
        for site_id, rungs in sorted(state.rosters.items()):
            for rung, people in rungs.items():
                shown.rosters.add(site_id=site_id, rung=rung, people=people)
    return shown


class LastViews:
    """The last view of each of so many streams: what a state still has of the one before is not spelled again."""

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._last: OrderedDict[Stream, Spelling] = OrderedDict()

    def __len__(self) -> int:
        """Return of how many streams a view is kept."""
        return len(self._last)

    def of(self, stream: Stream, state: Any) -> Message:
        """Return what `view` returns for a stream's state. The stream's next view changes it: copy it before."""
        if stream.machine == "directory":  # its rosters are no field of its state
            return view(stream.machine, state)
        if stream in self._last:
            self._last.move_to_end(stream)
        else:
            descriptor: Any = VIEWS[stream.machine].DESCRIPTOR
            self._last[stream] = Spelling(type(state), descriptor, HIDDEN)
            if len(self._last) > self._streams:
                self._last.popitem(last=False)
        return self._last[stream].of(state)


def redacted(message: Message) -> Message:
    """Return a copy without any field marked `debug_redact`: nothing of a patient is left in it."""
    copy = type(message)()
    copy.CopyFrom(message)
    _redact(copy)
    return copy


def _redact(message: Message) -> None:
    for field, value in message.ListFields():
        if field.GetOptions().debug_redact:
            message.ClearField(field.name)
        elif field.message_type is None:
            continue
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for inner in value.values():
                    _redact(inner)
        elif field.is_repeated:
            for inner in value:
                _redact(inner)
        else:
            _redact(value)
