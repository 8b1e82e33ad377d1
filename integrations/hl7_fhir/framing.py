"""MLLP framing without I/O: bytes in, frames and faults out; how the bytes were cut into chunks never matters.

A frame is VT, the message, FS, CR. Bytes before a VT are tolerated and counted. An FS followed by LF or by the next
VT also ends a frame; an FS followed by anything else belongs to the message, because ending there would let half
a message be acknowledged.
"""

import re
from dataclasses import dataclass

VT = b"\x0b"
FS = b"\x1c"
CR = b"\r"

HEAD_BYTES = 4096
"""How much of a refused message is kept: enough to find its MSH and answer it."""

_END = re.compile(rb"\x1c[\r\n\x0b]")
_RESTART = re.compile(rb"\x0b(?=MSH|FHS|BHS)")


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message, without its framing bytes."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Oversized:
    """A message longer than the limit, drained to its end: `head` is its beginning, `size_bytes` its true length."""

    head: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Runaway:
    """The stream cannot be followed any further (`limit` names the setting); the connection must be closed."""

    limit: str
    head: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """A message that was begun and never ended: it is not to be answered and the sender will send it again."""

    size_bytes: int


Framed = Frame | Oversized | Runaway | Truncated


def frame(raw: bytes) -> bytes:
    """Return `raw` with its framing bytes around it."""
    return VT + raw + FS + CR


class Framer:
    """Cuts one connection's byte stream into messages.

    `max_message_bytes`: a longer message is drained and given as Oversized. `max_drained_bytes`: one longer than
    this is given up as Runaway. `max_junk_bytes`: this many bytes outside frames, over the connection's life, is
    Runaway too (somebody speaks another protocol). After Runaway nothing more comes out.
    """

    def __init__(self, *, max_message_bytes: int, max_drained_bytes: int, max_junk_bytes: int) -> None:
        self._max_message = max_message_bytes
        self._max_drained = max(max_drained_bytes, max_message_bytes)
        self._max_junk = max_junk_bytes
        self._buffer = bytearray()
        self._inside = False
        self._searched = 0
        self._dropped = 0
        self._head = b""
        self._dead = False
        self.junk_bytes = 0

    @property
    def inside(self) -> bool:
        """Whether a message has begun and not yet ended."""
        return self._inside

    def feed(self, chunk: bytes) -> tuple[Framed, ...]:
        """Take the next bytes of the stream and return what they completed, in order."""
        if self._dead:
            return ()
        self._buffer += chunk
        out: list[Framed] = []
        while not self._dead and (self._step_inside(out) if self._inside else self._step_outside(out)):
            pass
        return tuple(out)

    def end(self) -> tuple[Framed, ...]:
        """Say that the stream has ended. A message that ends in a bare FS counts as truncated."""
        if self._dead or not self._inside:
            return ()
        self._dead = True
        return (Truncated(self._dropped + len(self._buffer)),)

    def _step_outside(self, out: list[Framed]) -> bool:
        start = self._buffer.find(VT)
        junk = self._buffer if start < 0 else self._buffer[:start]
        self.junk_bytes += len(junk) - junk.count(b"\r") - junk.count(b"\n")
        del self._buffer[: len(junk)]
        if self.junk_bytes > self._max_junk:
            self._die(out, "max_junk_bytes", b"")
            return False
        if start < 0:
            return False
        del self._buffer[:1]
        self._inside, self._searched, self._dropped, self._head = True, 0, 0, b""
        return True

    def _step_inside(self, out: list[Framed]) -> bool:
        end = _END.search(self._buffer, self._searched)
        length = self._dropped + (end.start() if end else max(0, len(self._buffer) - 1))
        if length > self._max_message and not self._head:
            self._head = bytes(self._buffer[: min(HEAD_BYTES, self._max_message)])
        if length > self._max_drained:
            self._die(out, "max_drained_bytes", self._head)
            return False
        if end is None:
            self._keep_only_what_matters()
            return False
        if self._head:
            out.append(Oversized(self._head, length))
        else:
            self._emit(bytes(self._buffer[: end.start()]), out)
        next_begins = self._buffer[end.end() - 1 : end.end()] == VT
        del self._buffer[: end.start() + (1 if next_begins else 2)]
        self._inside = False
        return True

    def _keep_only_what_matters(self) -> None:
        """Drop the bytes of a message already refused; remember how far was searched (a last FS must be seen again)."""
        kept = max(0, len(self._buffer) - 1)
        if self._head:
            del self._buffer[:kept]
            self._dropped += kept
            self._searched = 0
        else:
            self._searched = kept

    @staticmethod
    def _emit(body: bytes, out: list[Framed]) -> None:
        """Give out one body; a header that begins again inside it means that the part before was cut off."""
        begin = 0
        for restart in _RESTART.finditer(body):
            out.append(Truncated(restart.start() - begin))
            begin = restart.end()
        out.append(Frame(body[begin:]))

    def _die(self, out: list[Framed], limit: str, head: bytes) -> None:
        out.append(Runaway(limit, head))
        self._buffer.clear()
        self._dead, self._inside = True, False
