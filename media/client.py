"""The engine's side of a media node: starts the process, commands it, hears what it proves, and notices its death.

Rule: a MediaBackend like the relay itself. When the node dies, every open call is reported lost at once, the node is
started again and the calls are opened again, empty; participants then re-offer.
"""

import asyncio
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from attend.v1 import media_node_pb2 as pb
from attend.v1.media_node_pb2_grpc import MediaNodeServiceStub
from engine.kernel.clock import Clock
from engine.kernel.errors import AttendError, Invalid, PeerError
from media import wire
from media.backend import CallId, LegId, LineCause, LineChanged, LineState, MediaEvent, Participant, wall

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """How the engine runs its media node. Times in seconds."""

    bind: str = "127.0.0.1"
    control_port: int = 0
    start_s: float = 20.0
    call_s: float = 10.0
    stop_s: float = 3.0
    """After SIGTERM; then the process is killed."""
    restart: bool = True
    least_backoff_s: float = 0.2
    most_backoff_s: float = 5.0


@dataclass(slots=True)
class _Node:
    """One run of the process."""

    node_id: str
    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel
    stub: Any
    metadata: tuple[tuple[str, str], ...]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    calls_at_end: tuple[CallId, ...] = ()


class MediaNodeClient:
    """Runs one media node as a child process. Use it as an async context manager, or start() and stop()."""

    def __init__(self, options: NodeOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._calls: dict[CallId, tuple[Participant, ...]] = {}
        self._node: _Node | None = None
        self._up = asyncio.Event()
        self._stopping = False
        self._again = False
        self._keeper: asyncio.Task[None] | None = None
        self.restarts = 0

    async def __aenter__(self) -> "MediaNodeClient":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the node that runs, or None."""
        return self._node.process.pid if self._node is not None else None

    async def start(self) -> None:
        """Start the node and wait until it answers. Raises PeerError."""
        self._stopping = False
        self._up.clear()
        await self._spawn()
        await self._reopen()
        self._up.set()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """End the node, by SIGTERM and then by force, and every watch. Safe to call twice."""
        self._stopping = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        if self._node is not None:
            await self._end(self._node)
        # Every watch wakes up and finds that it is over.
        self._up.set()

    async def restart(self) -> None:
        """End the node and start another; open calls are reported lost and opened again, empty."""
        if self._keeper is None or self._keeper.done():
            await self.start()
            return
        self._again = True
        if self._node is not None:
            await self._end(self._node)
        async with asyncio.timeout(self._options.start_s):
            await self._up.wait()

    async def open_call(self, call_id: CallId, required: tuple[Participant, ...]) -> None:
        """See MediaBackend.open_call."""
        await self._ask("OpenCall", pb.OpenCallRequest(call_id=call_id, required_participants=required))
        self._calls[call_id] = required

    async def add_leg(self, call_id: CallId, leg_id: LegId, participant: Participant, offer_sdp: str) -> str:
        """See MediaBackend.add_leg."""
        try:
            request = pb.AddLegRequest(
                call_id=call_id, leg_id=leg_id, participant=participant, offer_sdp=offer_sdp
            )
        except (ValueError, TypeError) as error:
            raise Invalid("offer_sdp", "not text") from error
        response: pb.AddLegResponse = await self._ask("AddLeg", request)
        return response.answer_sdp

    async def remove_leg(self, call_id: CallId, leg_id: LegId) -> None:
        """See MediaBackend.remove_leg."""
        await self._ask("RemoveLeg", pb.RemoveLegRequest(call_id=call_id, leg_id=leg_id))

    async def close_call(self, call_id: CallId) -> None:
        """See MediaBackend.close_call. The call is not opened again after a restart, whatever the node answers."""
        self._calls.pop(call_id, None)
        await self._ask("CloseCall", pb.CloseCallRequest(call_id=call_id))

    async def drain(self) -> tuple[int, int]:
        """See MediaBackend.drain."""
        response: pb.MediaNodeServiceDrainResponse = await self._ask(
            "Drain", pb.MediaNodeServiceDrainRequest()
        )
        return response.calls, response.legs

    async def watch(self, after_sequence: int = 0) -> AsyncIterator[MediaEvent]:
        """See MediaBackend.watch. Goes on across restarts of the node; ends when the client is stopped.

        `after_sequence` is of the node that runs now. A node's death is told as one LineChanged(lost, node_down) per
        call that was open, with sequence 0.
        """
        seen, position = self._node, after_sequence
        while not self._stopping:
            await self._up.wait()
            node = self._node
            if node is None:
                continue
            if node is not seen:
                seen, position = node, 0
            async for event in self._follow(node, position):
                position = event.sequence
                yield event
            if self._stopping:
                return
            if node.ended.is_set():
                for call_id in node.calls_at_end:
                    yield self._lost(node, call_id)

    async def _follow(self, node: _Node, position: int) -> AsyncIterator[MediaEvent]:
        """Yield the events of one run of the node until the stream breaks."""
        request = pb.MediaNodeServiceWatchRequest(node_id=node.node_id, after_sequence=position)
        stream = node.stub.Watch(request, metadata=node.metadata)
        try:
            async for response in stream:
                event = wire.from_wire(response)
                if event is not None:
                    yield event
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise wire.error_of(error) from None
        except asyncio.CancelledError:
            # Closing the channel cancels the stream, which looks like a cancellation of this task and is none.
            task = asyncio.current_task()
            if not stream.cancelled() or (task is not None and task.cancelling()):
                raise
        finally:
            stream.cancel()
        # A stream that breaks nearly always means that the process ends; give the keeper time to see it.
        try:
            async with asyncio.timeout(self._options.stop_s):
                await node.ended.wait()
        except TimeoutError:
            _LOG.warning("the media node's watch broke although the process runs; watching again")

    def _lost(self, node: _Node, call_id: CallId) -> MediaEvent:
        body = LineChanged(
            call_id=call_id,
            state=LineState.LOST,
            cause=LineCause.NODE_DOWN,
            at=wall(self._clock.now()),
        )
        return MediaEvent(node_id=node.node_id, sequence=0, body=body)

    async def _ask(self, rpc: str, request: Any) -> Any:
        node = self._node
        if node is None:
            raise PeerError("the media node is not running", permanent=False)
        method: Callable[..., Awaitable[Any]] = getattr(node.stub, rpc)
        try:
            return await method(request, metadata=node.metadata, timeout=self._options.call_s)
        except grpc.aio.AioRpcError as error:
            raise wire.error_of(error) from None

    async def _spawn(self) -> None:
        token = secrets.token_urlsafe(24)
        arguments = ["--control-port", str(self._options.control_port), "--bind", self._options.bind]
        # Its own session: Ctrl-C reaches the engine alone, which then ends the node in order.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "media",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, wire.TOKEN_VARIABLE: token, "GRPC_ENABLE_FORK_SUPPORT": "0"},
            start_new_session=True,
        )
        try:
            ready = await self._ready(process)
        except BaseException:
            await self._kill(process)
            raise
        channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{ready['control_port']}",
            # A global subchannel pool would let a new node on an old port inherit a dead connection's back-off.
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)],
        )
        metadata = ((wire.TOKEN_KEY, token),)
        self._node = _Node(str(ready["node_id"]), process, channel, MediaNodeServiceStub(channel), metadata)

    async def _ready(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._options.start_s):
                line = await process.stdout.readline()
            ready = json.loads(line)
        except (TimeoutError, ValueError) as error:
            raise PeerError("the media node did not start", permanent=False) from error
        if not isinstance(ready, dict):
            raise PeerError("the media node did not start", permanent=False)
        return ready

    async def _end(self, node: _Node) -> None:
        if node.process.returncode is None:
            node.process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._options.stop_s):
                    await node.process.wait()
            except TimeoutError:
                _LOG.warning("the media node did not end in %.1f s and is killed", self._options.stop_s)
        await self._kill(node.process)
        await self._note_end(node)

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdin is not None:
            process.stdin.close()

    async def _note_end(self, node: _Node) -> None:
        if node.ended.is_set():
            return
        node.calls_at_end = tuple(self._calls)
        self._up.clear()
        self._node = None
        node.ended.set()
        await node.channel.close(grace=0)

    async def _keep(self) -> None:
        """Notice the node's end; start it again while that is wanted."""
        while not self._stopping:
            node = self._node
            if node is None:
                return
            code = await node.process.wait()
            await self._note_end(node)
            if self._stopping or not (self._options.restart or self._again):
                return
            self._again = False
            _LOG.warning("the media node ended with code %s; starting another", code)
            await self._spawn_again()

    async def _spawn_again(self) -> None:
        backoff_s = self._options.least_backoff_s
        while not self._stopping:
            try:
                await self._spawn()
                break
            except (PeerError, OSError) as error:
                _LOG.warning("the media node cannot be started: %s", error)
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, self._options.most_backoff_s)
        self.restarts += 1
        await self._reopen()
        self._up.set()

    async def _reopen(self) -> None:
        for call_id, required in list(self._calls.items()):
            try:
                await self.open_call(call_id, required)
            except AttendError as error:
                _LOG.warning("a call could not be opened again: %s", type(error).__name__)
