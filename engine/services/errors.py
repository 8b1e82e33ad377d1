"""Every error as a status: the one file for gRPC and Connect alike.

Rule: a status says whose fault it is and what to do, with a reason in UPPER_SNAKE; it never carries a value that a
caller sent, nor anything of a patient. A test holds the table complete.
"""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from engine.access.tokens import Unauthenticated
from engine.kernel.errors import (
    AttendError,
    Conflict,
    Corrupt,
    Forbidden,
    Invalid,
    Missing,
    Overloaded,
    PeerError,
    Rejected,
    Unavailable,
)
from engine.runtime.watchers import WatcherTooSlow
from engine.services.form import Malformed

DOMAIN = "attend"
DETAILS_KEY = "grpc-status-details-bin"
Code = grpc.StatusCode


class Draining(AttendError):
    """This server is going down: ask another one, or again in a moment."""


class TooLate(AttendError):
    """The deadline passed before the answer was ready."""


class Unexpected(AttendError):
    """A fault of the engine's own; `incident` is the name it is logged under."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"the engine failed; quote incident {incident}")
        self.incident = incident


class Refusal(Exception):
    """An error as it goes out: a google.rpc.Status."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC code."""
        return _BY_NUMBER[self.status.code]


_BY_NUMBER = {code.value[0]: code for code in Code}


def _rejected(error: Any) -> status_pb2.Status:
    return _status(Code.FAILED_PRECONDITION, error.reason, error.sentence or error.reason, error.facts)


def _malformed(error: Any) -> status_pb2.Status:
    bad = error_details_pb2.BadRequest()
    for field, why in error.violations:
        bad.field_violations.add(field=field, description=why)
    return _status(Code.INVALID_ARGUMENT, "INVALID_FIELD", str(error), {"field": error.field}, bad)


def _invalid(error: Any) -> status_pb2.Status:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field=error.field, description=error.why)
    return _status(Code.INVALID_ARGUMENT, "INVALID_FIELD", str(error), {"field": error.field}, bad)


def _conflict(error: Any) -> status_pb2.Status:
    facts = {"expected_version": str(error.expected), "actual_version": str(error.actual)}
    return _status(Code.ABORTED, "STALE_VERSION", "This has changed since you read it; read it again.", facts)


def _overloaded(error: Any) -> status_pb2.Status:
    sentence = f"The engine is at its limit ({error.limit}); try again in a moment."
    return _status(Code.RESOURCE_EXHAUSTED, "OVERLOADED", sentence, {"limit": error.limit})


def _too_slow(error: Any) -> status_pb2.Status:
    sentence = "This watch fell behind and was cut; watch again from last_position."
    facts = {"last_position": str(error.position), "limit": error.limit}
    return _status(Code.RESOURCE_EXHAUSTED, "WATCHER_TOO_SLOW", sentence, facts)


def _peer(error: Any) -> status_pb2.Status:
    code = Code.INTERNAL if error.permanent else Code.UNAVAILABLE
    return _status(code, "PEER_FAILED", "A system that the engine depends on failed.", {})


def _unavailable(error: Any) -> status_pb2.Status:
    sentence = (
        "Nothing can be stored at the moment and nothing was changed; try again with the same request id, "
        "go on by phone and on paper meanwhile, and call whoever runs the server."
    )
    return _status(Code.UNAVAILABLE, "STORE_UNAVAILABLE", sentence, {})


def _corrupt(error: Any) -> status_pb2.Status:
    return _status(Code.DATA_LOSS, "CORRUPT", f"Stored bytes do not verify: {error}", {})


def _unexpected(error: Any) -> status_pb2.Status:
    return _status(Code.INTERNAL, "UNEXPECTED", str(error), {"incident": error.incident})


def _plain(code: grpc.StatusCode, reason: str) -> Callable[[Any], status_pb2.Status]:
    return lambda error: _status(code, reason, str(error), {})


TABLE: Mapping[type[AttendError], Callable[[Any], status_pb2.Status]] = {
    Rejected: _rejected,
    Malformed: _malformed,
    Invalid: _invalid,
    Forbidden: _plain(Code.PERMISSION_DENIED, "FORBIDDEN"),
    Missing: _plain(Code.NOT_FOUND, "NOT_FOUND"),
    Unauthenticated: _plain(Code.UNAUTHENTICATED, "NOT_SIGNED_IN"),
    Conflict: _conflict,
    WatcherTooSlow: _too_slow,
    Overloaded: _overloaded,
    PeerError: _peer,
    Unavailable: _unavailable,
    Corrupt: _corrupt,
    Draining: _plain(Code.UNAVAILABLE, "DRAINING"),
    TooLate: _plain(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    Unexpected: _unexpected,
}


def refusal(error: AttendError) -> Refusal:
    """Return how an error goes out. A subclass that has no row goes out as its nearest base that has."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return Refusal(TABLE[kind](error))
    return Refusal(_status(Code.INTERNAL, "UNEXPECTED", "the engine failed", {}))


def _status(
    code: grpc.StatusCode, reason: str, sentence: str, facts: Mapping[str, str], *more: Any
) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=sentence)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=dict(facts)), *more):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
