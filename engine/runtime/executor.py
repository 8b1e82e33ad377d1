"""The executor: load, fold, look up evidence, decide, make durable, then tell. The only way anything changes.

Rule: check, commit, act. Nothing is acknowledged before it is on disk, and a caller that goes away leaves no
half-known state behind.
"""

import asyncio
import hmac
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from engine.kernel.canonical import canonical_bytes
from engine.kernel.clock import Clock
from engine.kernel.commands import Command, Request, TimerFired
from engine.kernel.effects import CancelTimer, Effect, Send, SetTimer
from engine.kernel.errors import AttendError, Conflict, Invalid, Overloaded
from engine.kernel.events import Event, Recorded
from engine.kernel.ids import Stream
from engine.kernel.machine import Context, Decision, Machine
from engine.kernel.store import Commit, Committed, EventRow, OutboxRow, RequestRow, Store, TimerRow
from engine.runtime.ids import Ids
from engine.runtime.limits import Limits
from engine.runtime.pump import CommitPump
from engine.runtime.tail import Tail
from engine.store.chain import FIRST, event_hash, verify_chain
from engine.store.codec import Codec

log = logging.getLogger(__name__)

Enricher = Callable[[Any, Any, Request], Awaitable[Command]]
Authorize = Callable[[Any, Machine, Any, Command], None]
Listener = Callable[[Commit, Committed], None]


def allow_all(principal: Any, machine: Machine, state: Any, command: Command) -> None:
    """Refuse nobody: for tests and tools that run without people."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request: the stream's version after it, its events, the state now.

    `repeated` says that nothing happened now: the request id was known and this is its first outcome again (without
    its events), or the timer that fired had been set anew or cancelled meanwhile.
    """

    stream: Stream
    version: int
    events: tuple[Recorded, ...]
    state: Any
    repeated: bool = False


class _Known(msgspec.Struct, frozen=True):
    """A stream as the executor holds it: state and the hash to chain from."""

    state: Any
    hash: str


class _Draft(msgspec.Struct, frozen=True):
    """A decision on its way: what to make durable, its records without a position, the stream as it is afterwards."""

    commit: Commit
    recorded: tuple[Recorded, ...]
    after: _Known


class Executor:
    """Runs requests against machines over a store. One per process and store.

    `enrichers` fill in evidence fields of a command just before its decision; `authorize` may raise Forbidden once
    the stream's organization and site are known; `fingerprint_key` keys the hash that tells a repeated request from
    a reused id, so that stored fingerprints reveal nothing of a patient. `listeners` hear
    of each durable commit, in log order. Enrichers and listeners run while the stream is held: they may read any
    stream and must not execute on this one.
    """

    def __init__(
        self,
        machines: Iterable[Machine],
        store: Store,
        clock: Clock,
        ids: Ids,
        *,
        fingerprint_key: bytes,
        enrichers: Mapping[type[Command], Enricher] | None = None,
        authorize: Authorize = allow_all,
        limits: Limits | None = None,
    ) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self.codec = Codec({name: machine.events for name, machine in self.machines.items()})
        self.store = store
        self.clock = clock
        self.limits = limits or Limits()
        self.tail = Tail(store, self.codec, self.limits)
        self.listeners: list[Listener] = []
        self.listeners_failed = 0
        self.enrichers: dict[type[Command], Enricher] = dict(enrichers or {})
        self._ids = ids
        self._keyed = hmac.new(fingerprint_key, digestmod="sha256")
        self._authorize = authorize
        self._pump = CommitPump(store, self.limits)
        self._cache: OrderedDict[Stream, _Known] = OrderedDict()
        self._locks: WeakValueDictionary[Stream, asyncio.Lock] = WeakValueDictionary()
        self._running: dict[asyncio.Future[Outcome], asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Learn where the log stands; call once before the first request."""
        await self.tail.open()

    async def execute(self, request: Request, principal: Any = None) -> Outcome:
        """Run one request to its end, even when the caller is cancelled meanwhile; an emergency past every limit.

        Raises every error of DESIGN section 8: Rejected, Invalid, Missing, Forbidden, Conflict, Overloaded,
        Unavailable, Corrupt. After any of them nothing has changed.
        """
        if len(self._running) >= self.limits.commands_in_flight and not request.command.emergency:
            raise Overloaded("commands_in_flight")
        loop = self._pump.loop
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._running[answer] = loop.create_task(self._in_turn(request, principal, answer))
        return await answer

    async def state(self, stream: Stream) -> Any:
        """Return a stream's present state (version 0 when it does not exist)."""
        return (await self._known(stream)).state

    async def erase(self, refs: Iterable[str]) -> int:
        """Erase protected values, in the store and wherever this process holds them; return how many there were."""
        erased = 0
        for ref in refs:
            stream = Stream.parse(ref.partition("@")[0])
            async with self._turn(stream):
                erased += await self.store.erase([ref])
                self._cache.pop(stream, None)
                self.tail.forget()
        return erased

    async def history(self, stream: Stream) -> list[Recorded]:
        """Return a stream's verified history."""
        rows = await self.store.load(stream)
        verify_chain(rows)
        return await self.tail.decode(rows)

    async def settle(self) -> None:
        """Wait until no request is in flight."""
        while running := [task for task in self._running.values() if not task.done()]:
            await asyncio.wait(running)

    async def _in_turn(self, request: Request, principal: Any, answer: "asyncio.Future[Outcome]") -> None:
        """Run one request in its turn and answer it; a caller that went away has cancelled its answer."""
        try:
            async with self._turn(request.stream):
                outcome = await self._run(request, principal)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(outcome)
        finally:
            del self._running[answer]

    def _turn(self, stream: Stream) -> asyncio.Lock:
        """Return what holds a stream: one at a time, in the order of asking. It lives as long as somebody asks."""
        return self._locks.setdefault(stream, asyncio.Lock())

    async def _run(self, request: Request, principal: Any) -> Outcome:
        fingerprint = self._fingerprint(request)
        # The commit itself takes an id only once: looking here first spares a repeat the look at people and sites.
        if type(request.command) in self.enrichers:
            again = await self._again(request, principal, fingerprint)
            if again is not None:
                return again
        for _ in range(self.limits.conflict_retries):
            known = await self._known(request.stream)
            if not await self._still_set(request):
                version = known.state.version
                return Outcome(
                    stream=request.stream, version=version, events=(), state=known.state, repeated=True
                )
            request = _correlated(request, known.state)
            outcomes: list[Outcome] = []
            try:
                draft = await self._decide(request, principal, known, fingerprint)
                result = await self._pump.commit(
                    draft.commit,
                    lambda done: outcomes.append(self._told(request, draft, done)),  # noqa: B023
                    urgent=request.command.emergency,
                )
            except AttendError:
                again = await self._again(request, principal, fingerprint)
                if again is not None:
                    return again
                raise
            if isinstance(result, Committed):
                return outcomes[0]
            again = await self._again(request, principal, fingerprint)
            if again is not None:
                return again
            self._cache.pop(request.stream, None)
            lost = result
        raise Conflict(expected=lost.expected, actual=lost.actual)

    async def _still_set(self, request: Request) -> bool:
        """Return whether a timer that fires is the one pending: between its reading and its turn it may be set anew."""
        fired = request.command
        if not isinstance(fired, TimerFired) or not fired.set_at_version:
            return True
        pending = await self.store.timer(request.stream, fired.name)
        return pending is not None and pending.set_at_version == fired.set_at_version

    async def _again(self, request: Request, principal: Any, fingerprint: str) -> Outcome | None:
        """Return the first outcome of a request whose id is known, None for a new one. Raises Invalid for a reuse."""
        before = await self.store.request(request.request_id)
        if before is None:
            return None
        if before.fingerprint != fingerprint or before.stream != request.stream:
            raise Invalid("request_id", "this id was used for another request; choose a new one")
        state = await self.state(request.stream)
        self._authorize(principal, self.machines[request.stream.machine], state, request.command)
        return Outcome(stream=request.stream, version=before.version, events=(), state=state, repeated=True)

    async def _decide(self, request: Request, principal: Any, known: _Known, fingerprint: str) -> _Draft:
        machine, state, command = self.machines[request.stream.machine], known.state, request.command
        self._authorize(principal, machine, state, command)
        stale = request.expected_version is not None and request.expected_version != state.version
        if stale and not command.fact:
            raise Conflict(expected=request.expected_version or 0, actual=state.version)
        enrich = self.enrichers.get(type(command))
        if enrich is not None and state.version + command.creates > 0:
            command = await enrich(state, command, request)
        now = self.clock.now()
        decision = machine.decide(state, command, Context(now=now, actor=request.actor))
        if stale and decision.events:
            decision = replace(decision, flags=(*decision.flags, "stale_version"))
        return self._draft(request, machine, known, decision, now, fingerprint)

    def _draft(
        self,
        request: Request,
        machine: Machine,
        known: _Known,
        decision: Decision,
        now: Any,
        fingerprint: str,
    ) -> _Draft:
        rows: list[EventRow] = []
        records: list[Recorded] = []
        protected = []
        version, before = known.state.version, known.hash
        actor = canonical_bytes(request.actor).decode()
        effects: list[Effect] = []
        state = known.state
        for event in decision.events:
            version += 1
            payload, split = self.codec.encode(request.stream, version, event, self._ids.salt)
            row = EventRow(
                position=0,
                stream=request.stream,
                version=version,
                type=type(event).__name__,
                schema=type(event).schema,
                at=now,
                actor=actor,
                correlation=request.correlation,
                causation=request.causation or request.request_id,
                phases=decision.phases,
                flags=decision.flags,
                payload=payload,
                hash="",
                prev_hash=before,
            )
            before = event_hash(row)
            row = replace(row, hash=before)
            rows.append(row)
            protected.extend(split)
            recorded = _recorded(row, event, request)
            records.append(recorded)
            state = machine.apply(state, recorded)
            effects.extend(machine.react(state, recorded))
        sets, cancels, sends = _effects(request, effects, version)
        commit = Commit(
            stream=request.stream,
            expected_version=known.state.version,
            events=tuple(rows),
            request=RequestRow(
                request_id=request.request_id, fingerprint=fingerprint, stream=request.stream, version=version
            ),
            timers_set=sets,
            timers_cancelled=cancels,
            outbox=sends,
            protected=tuple(protected),
        )
        return _Draft(commit, tuple(records), _Known(state, before))

    def _told(self, request: Request, draft: _Draft, done: Committed) -> Outcome:
        """Hold what is durable now and tell the tail and the listeners; runs in log order."""
        commit, state = draft.commit, draft.after.state
        recorded = tuple(
            replace(one, position=row.position) for one, row in zip(draft.recorded, done.events, strict=True)
        )
        if recorded:
            self._remember(request.stream, draft.after)
        self.tail.append(recorded)
        for listener in self.listeners:
            try:
                listener(commit, done)
            except Exception as error:  # noqa: BLE001 - it is durable: no listener may change the caller's answer
                self.listeners_failed += 1
                log.error("a listener failed: %s", type(error).__name__)
        return Outcome(stream=request.stream, version=commit.request.version, events=recorded, state=state)

    async def _known(self, stream: Stream) -> _Known:
        machine = self.machines.get(stream.machine)
        if machine is None:
            raise Invalid("stream", "there is no such machine")
        if stream in self._cache:
            self._cache.move_to_end(stream)
            return self._cache[stream]
        rows = await self.store.load(stream)
        verify_chain(rows)
        state = machine.fold(stream.id, await self.tail.decode(rows))
        known = _Known(state, rows[-1].hash if rows else FIRST)
        newer = self._cache.get(stream)
        if newer is not None and newer.state.version > state.version:  # committed while this was being read
            return newer
        if rows:
            self._remember(stream, known)
        return known

    def _remember(self, stream: Stream, known: _Known) -> None:
        self._cache[stream] = known
        self._cache.move_to_end(stream)
        while len(self._cache) > self.limits.cached_streams:
            self._cache.popitem(last=False)

    def _fingerprint(self, request: Request) -> str:
        body = [str(request.stream), type(request.command).__name__, request.command, request.actor.person_id]
        keyed = self._keyed.copy()
        keyed.update(canonical_bytes(body))
        return keyed.hexdigest()


def _recorded(row: EventRow, event: Event, request: Request) -> Recorded:
    return Recorded(
        position=row.position,
        stream=row.stream,
        version=row.version,
        at=row.at,
        actor=request.actor,
        correlation=row.correlation,
        causation=row.causation,
        phases=row.phases,
        flags=row.flags,
        event=event,
        hash=row.hash,
        prev_hash=row.prev_hash,
    )


def _correlated(request: Request, state: Any) -> Request:
    """Return the request with the session it belongs to, when the stream knows it and the caller did not say."""
    session = getattr(state, "session_id", "")
    return request if request.correlation or not session else replace(request, correlation=session)


def _effects(
    request: Request, effects: Iterable[Effect], version: int
) -> tuple[tuple[TimerRow, ...], tuple[str, ...], tuple[OutboxRow, ...]]:
    """Turn effects into rows; the last word on a timer wins, and a timer that fired is gone."""
    timers: dict[str, SetTimer | None] = {}
    if isinstance(request.command, TimerFired):
        timers[request.command.name] = None
    sends = []
    for effect in effects:
        if isinstance(effect, SetTimer):
            timers[effect.name] = effect
        elif isinstance(effect, CancelTimer):
            timers[effect.name] = None
        else:
            sends.append(_send(request, effect))
    wanted = [timer for timer in timers.values() if timer is not None]
    sets = tuple(
        TimerRow(
            stream=request.stream,
            name=t.name,
            due_at=t.due_at,
            correlation=request.correlation,
            set_at_version=version,
        )
        for t in wanted
    )
    return sets, tuple(name for name, timer in timers.items() if timer is None), tuple(sends)


def _send(request: Request, effect: Send) -> OutboxRow:
    return OutboxRow(
        key=effect.key,
        kind=effect.kind,
        stream=request.stream,
        body=effect.body,
        correlation=request.correlation,
    )
