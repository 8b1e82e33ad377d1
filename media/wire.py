"""Spells the values of media.backend as messages of the contract and back, and errors as gRPC status and back.

Rule: only spelling; both the node and its client use it, so the two cannot drift apart.
"""

import datetime as dt

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from attend.v1 import media_node_pb2 as pb
from engine.kernel.errors import AttendError, Forbidden, Invalid, Missing, Overloaded, PeerError, Rejected
from media.backend import (
    CallId,
    Evidence,
    Kind,
    LegCause,
    LegChanged,
    LegId,
    LegState,
    LineCause,
    LineChanged,
    LineState,
    MediaEvent,
    Participant,
    Proof,
    ProofRow,
)

TOKEN_KEY = "attend-media-token"
TOKEN_VARIABLE = "ATTEND_MEDIA_TOKEN"
_WORD_KEY = "attend-word"
_CODES: dict[type[AttendError], grpc.StatusCode] = {
    Rejected: grpc.StatusCode.FAILED_PRECONDITION,
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    Missing: grpc.StatusCode.NOT_FOUND,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
}


def status_of(error: AttendError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """Return status code, details and trailing metadata that carry `error` to the client."""
    code = _CODES.get(type(error), grpc.StatusCode.UNAVAILABLE)
    if isinstance(error, Rejected):
        return code, error.sentence, ((_WORD_KEY, error.reason),)
    if isinstance(error, Invalid):
        return code, error.why, ((_WORD_KEY, error.field),)
    if isinstance(error, Overloaded):
        return code, str(error), ((_WORD_KEY, error.limit),)
    return code, str(error), ()


def error_of(error: grpc.aio.AioRpcError) -> AttendError:
    """Return the error that a failed call stands for; PeerError when the node was out of reach."""
    words = {str(key): str(value) for key, value in (error.trailing_metadata() or ())}
    word, details = words.get(_WORD_KEY, ""), error.details() or ""
    match error.code():
        case grpc.StatusCode.FAILED_PRECONDITION:
            return Rejected(word, details)
        case grpc.StatusCode.INVALID_ARGUMENT:
            return Invalid(word, details)
        case grpc.StatusCode.NOT_FOUND:
            return Missing(details)
        case grpc.StatusCode.RESOURCE_EXHAUSTED | grpc.StatusCode.OUT_OF_RANGE:
            return Overloaded(word or "message_bytes")
        case grpc.StatusCode.PERMISSION_DENIED:
            return Forbidden(details)
        case code:
            return PeerError(f"the media node answered {code.name}", permanent=False)


def _time(moment: dt.datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _moment(stamp: Timestamp) -> dt.datetime:
    return stamp.ToDatetime(tzinfo=dt.UTC)


def _kind(kind: Kind | None) -> pb.MediaKind.ValueType:
    return pb.MediaKind.Value(f"MEDIA_KIND_{kind.name}") if kind else pb.MEDIA_KIND_UNSPECIFIED


def _kind_of(value: pb.MediaKind.ValueType) -> Kind | None:
    return Kind[pb.MediaKind.Name(value).removeprefix("MEDIA_KIND_")] if value else None


def to_wire(event: MediaEvent) -> pb.MediaNodeServiceWatchResponse:
    """Spell one observation."""
    response = pb.MediaNodeServiceWatchResponse(node_id=event.node_id, sequence=event.sequence)
    body = event.body
    if isinstance(body, LineChanged):
        response.line_changed.CopyFrom(_line(body))
    elif isinstance(body, LegChanged):
        response.leg_changed.CopyFrom(_leg(body))
    else:
        response.proof.CopyFrom(_proof(body))
    return response


def _line(body: LineChanged) -> pb.MediaLineChanged:
    return pb.MediaLineChanged(
        call_id=body.call_id,
        state=pb.MediaLineState.Value(f"MEDIA_LINE_STATE_{body.state.name}"),
        cause=pb.MediaLineCause.Value(f"MEDIA_LINE_CAUSE_{body.cause.name}"),
        participant=body.participant or "",
        kind=_kind(body.kind),
        change_time=_time(body.at),
        evidence=[
            pb.MediaEvidence(
                participant=e.participant,
                audio_packets=e.audio_packets,
                audio_frames=e.audio_frames,
                video_packets=e.video_packets,
                video_frames=e.video_frames,
            )
            for e in body.evidence
        ],
        window_ms=body.window_ms,
        silent_ms=body.silent_ms,
    )


def _leg(body: LegChanged) -> pb.MediaLegChanged:
    cause = pb.MEDIA_LEG_CAUSE_UNSPECIFIED
    if body.cause is not None:
        cause = pb.MediaLegCause.Value(f"MEDIA_LEG_CAUSE_{body.cause.name}")
    return pb.MediaLegChanged(
        call_id=body.call_id,
        leg_id=body.leg_id,
        participant=body.participant,
        state=pb.MediaLegState.Value(f"MEDIA_LEG_STATE_{body.state.name}"),
        cause=cause,
        change_time=_time(body.at),
    )


def _proof(body: Proof) -> pb.MediaProof:
    return pb.MediaProof(
        call_id=body.call_id,
        start_time=_time(body.starts_at),
        length_ms=body.length_ms,
        rows=[
            pb.MediaProofRow(
                leg_id=row.leg_id,
                participant=row.participant,
                kind=_kind(row.kind),
                packets=row.packets,
                bytes=row.bytes,
                frames=row.frames,
                lost_packets=row.lost_packets,
                jitter_us=row.jitter_us,
                longest_gap_ms=row.longest_gap_ms,
                sent_packets=row.sent_packets,
                delivered_packets=row.delivered_packets,
                round_trip_ms=row.round_trip_ms,
            )
            for row in body.rows
        ],
    )


def from_wire(response: pb.MediaNodeServiceWatchResponse) -> MediaEvent | None:
    """Read one observation; None for a heartbeat or for what a newer node may say."""
    body: LineChanged | LegChanged | Proof
    match response.WhichOneof("observation"):
        case "line_changed":
            body = _line_of(response.line_changed)
        case "leg_changed":
            body = _leg_of(response.leg_changed)
        case "proof":
            body = _proof_of(response.proof)
        case _:
            return None
    return MediaEvent(node_id=response.node_id, sequence=response.sequence, body=body)


def _line_of(message: pb.MediaLineChanged) -> LineChanged:
    return LineChanged(
        call_id=CallId(message.call_id),
        state=LineState[pb.MediaLineState.Name(message.state).removeprefix("MEDIA_LINE_STATE_")],
        cause=LineCause[pb.MediaLineCause.Name(message.cause).removeprefix("MEDIA_LINE_CAUSE_")],
        at=_moment(message.change_time),
        participant=Participant(message.participant) if message.participant else None,
        kind=_kind_of(message.kind),
        evidence=tuple(
            Evidence(
                participant=Participant(e.participant),
                audio_packets=e.audio_packets,
                audio_frames=e.audio_frames,
                video_packets=e.video_packets,
                video_frames=e.video_frames,
            )
            for e in message.evidence
        ),
        window_ms=message.window_ms,
        silent_ms=message.silent_ms,
    )


def _leg_of(message: pb.MediaLegChanged) -> LegChanged:
    cause = pb.MediaLegCause.Name(message.cause).removeprefix("MEDIA_LEG_CAUSE_")
    return LegChanged(
        call_id=CallId(message.call_id),
        leg_id=LegId(message.leg_id),
        participant=Participant(message.participant),
        state=LegState[pb.MediaLegState.Name(message.state).removeprefix("MEDIA_LEG_STATE_")],
        cause=LegCause[cause] if message.cause else None,
        at=_moment(message.change_time),
    )


def _proof_of(message: pb.MediaProof) -> Proof:
    return Proof(
        call_id=CallId(message.call_id),
        starts_at=_moment(message.start_time),
        length_ms=message.length_ms,
        rows=tuple(
            ProofRow(
                leg_id=LegId(row.leg_id),
                participant=Participant(row.participant),
                kind=_kind_of(row.kind) or Kind.AUDIO,
                packets=row.packets,
                bytes=row.bytes,
                frames=row.frames,
                lost_packets=row.lost_packets,
                jitter_us=row.jitter_us,
                longest_gap_ms=row.longest_gap_ms,
                sent_packets=row.sent_packets,
                delivered_packets=row.delivered_packets,
                round_trip_ms=row.round_trip_ms if row.HasField("round_trip_ms") else None,
            )
            for row in message.rows
        ),
    )
