"""Every error the engine knows has its one answer, and no answer is made up twice."""

import importlib
import pkgutil

import grpc
import pytest
from google.rpc import error_details_pb2

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
from engine.services.errors import DOMAIN, TABLE, refusal

CODE = grpc.StatusCode


def kinds(base: type[AttendError]) -> set[type[AttendError]]:
    return {one for child in base.__subclasses__() for one in ({child} | kinds(child))}


def test_every_error_of_the_engine_has_a_row() -> None:
    """Each AttendError of every room below the porches is in the table, by itself or by its base."""
    for room in (
        "kernel",
        "reactions",
        "rules",
        "store",
        "runtime",
        "records",
        "access",
        "people",
        "services",
    ):
        package = importlib.import_module(f"engine.{room}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"engine.{room}.{module.name}")
    ours = [kind for kind in kinds(AttendError) if kind.__module__.startswith("engine.")]
    unmapped = [kind.__name__ for kind in ours if not (set(kind.__mro__) & TABLE.keys())]
    direct = [kind for kind in ours if AttendError in kind.__bases__]

    assert unmapped == []
    assert [kind.__name__ for kind in direct if kind not in TABLE] == []


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (
            Rejected("LINE_UNVERIFIED", "Wait for the line.", {"phase": "cleared"}),
            CODE.FAILED_PRECONDITION,
            "LINE_UNVERIFIED",
        ),
        (Invalid("weight_kg", "write a number"), CODE.INVALID_ARGUMENT, "INVALID_FIELD"),
        (Forbidden("no"), CODE.PERMISSION_DENIED, "FORBIDDEN"),
        (Missing("no such session"), CODE.NOT_FOUND, "NOT_FOUND"),
        (Conflict(3, 5), CODE.ABORTED, "STALE_VERSION"),
        (Overloaded("watchers"), CODE.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (PeerError("x", permanent=False), CODE.UNAVAILABLE, "PEER_FAILED"),
        (PeerError("x", permanent=True), CODE.INTERNAL, "PEER_FAILED"),
        (Unavailable("disk full"), CODE.UNAVAILABLE, "STORE_UNAVAILABLE"),
        (Corrupt("session/ses-1@3"), CODE.DATA_LOSS, "CORRUPT"),
    ],
)
def test_an_error_goes_out_with_code_reason_and_sentence(
    error: AttendError, code: grpc.StatusCode, reason: str
) -> None:
    """The status carries an ErrorInfo of our domain with an UPPER_SNAKE reason, and words for a person."""
    answer = refusal(error)
    info = error_details_pb2.ErrorInfo()
    answer.status.details[0].Unpack(info)

    assert answer.code is code
    assert (info.domain, info.reason) == (DOMAIN, reason)
    assert answer.status.message


def test_a_subclass_without_a_row_answers_as_its_base() -> None:
    """A narrower refusal made elsewhere is still a refusal of its kind."""

    class Narrower(Missing):
        pass

    assert refusal(Narrower("gone")).code is CODE.NOT_FOUND


def test_a_peers_words_and_a_disks_stay_inside() -> None:
    """What a peer or the store said may hold anything, so it does not go out."""
    said = "patient DEMO at /var/lib"

    assert said not in refusal(PeerError(said, permanent=True)).status.message
    assert said not in refusal(Unavailable(said)).status.message
