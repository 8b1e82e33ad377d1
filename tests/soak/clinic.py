"""Scripted people without cameras: sessions worked over gRPC and MLLP, each acknowledgement remembered.

Rule: a command counts as acknowledged when its response has arrived, and as lost when the connection broke first.
"""

import asyncio
import datetime as dt
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from engine.demo.caller import Caller, Refused
from engine.demo.network import ORGANIZATION, ROOM, SITE
from engine.demo.order import order_message
from engine.demo.scripts.parts import KIT, SCREENING, contrast
from engine.kernel.clock import SystemClock
from integrations.hl7_fhir.framing import Frame, Framer, frame
from tests.soak.process import Server

LEASED_ROOM = "room-mr-1"
VITALS = {"systolic_mmhg": 84, "diastolic_mmhg": 50, "heart_rate_bpm": 120, "spo2_percent": 93}
BEATS = 20
TREATING_ELSEWHERE = frozenset({"NOT_ON_THIS_RING", "PHYSICIAN_IN_REACTION"})
NEWS_S = 40.0
BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Gone(Exception):
    """The server was killed under the caller."""


@dataclass(frozen=True)
class Sent:
    """One command as it was sent: by whom, which RPC, with which fields; `refused` is what it may be refused with."""

    person: str
    rpc: str
    fields: Mapping[str, Any]
    refused: frozenset[str] = frozenset()

    @property
    def request_id(self) -> str:
        return str(self.fields["header"]["request_id"])


@dataclass
class Ledger:
    """What was acknowledged (with its version), what was not, and every order answered AA over MLLP."""

    acknowledged: list[tuple[Sent, int]] = field(default_factory=list)
    unanswered: list[Sent] = field(default_factory=list)
    orders: dict[str, bytes] = field(default_factory=dict)


class News:
    """Follows the organization's log; lets a script wait for what concerns its session."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._seen: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._changed = asyncio.Condition()
        self._over = False

    async def follow(self) -> None:
        """Read until the connection breaks; one cut for being slow goes on where it was."""
        position = 0
        try:
            while True:
                position = await self._read(position)
        except grpc.aio.AioRpcError as error:
            if error.code() not in BROKEN:
                raise
        finally:
            async with self._changed:
                self._over = True
                self._changed.notify_all()

    async def _read(self, position: int) -> int:
        try:
            async for event in self._caller.watch("", position):
                position = event.position
                async with self._changed:
                    self._seen[(event.type, self._about(event))].append(str(event.stream))
                    self._changed.notify_all()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
        return position

    @staticmethod
    def _about(event: Any) -> str:
        """Return the session an event belongs to; of a scheduled one, its accession number."""
        if event.type == "SessionScheduled":
            return str(json.loads(event.summary_json)["order"]["accession_number"])
        return str(event.session_id)

    async def stream(self, kind: str, about: str) -> str:
        """Return the id of the stream of the first such event. Raises Gone when the server went before it."""
        async with asyncio.timeout(NEWS_S), self._changed:
            await self._changed.wait_for(lambda: self._seen[(kind, about)] or self._over)
            found = self._seen[(kind, about)]
            if not found:
                raise Gone
            return found[0].partition("/")[2]


class Clinic:
    """The people of one run of the server."""

    def __init__(self, server: Server, run: str) -> None:
        self._server = server
        self._run = run
        self._callers = {name: server.caller(name) for name in ("tech-1", "physician-1", "physician-2")}
        self._callers["manager-1"] = server.caller("manager-1")
        self._watching = server.caller("auditor-1")
        self._numbers = itertools.count(1)
        self.news = News(self._watching)
        self.ledger = Ledger()

    async def work(self, sessions: int) -> None:
        """Work so many sessions at once, one after another, until the server is gone."""
        following = asyncio.create_task(self.news.follow())
        scripts = [asyncio.create_task(self._one_by_one(lane)) for lane in range(sessions)]
        scripts.append(asyncio.create_task(self._lease()))
        try:
            await asyncio.gather(*scripts)
        finally:
            for task in (*scripts, following):
                task.cancel()
            await asyncio.gather(*scripts, following, return_exceptions=True)
            for caller in (*self._callers.values(), self._watching):
                await caller.close()

    async def _one_by_one(self, lane: int) -> None:
        with suppress(Gone):
            for number in itertools.count(lane):
                await self._session(f"{self._run}-{lane}-{number}", number % 4)

    async def _session(self, name: str, story: int) -> None:
        """Prepare a patient and ask for a physician; then treat, cancel or leave it ringing."""
        session_id = await (self._by_mllp(name) if story == 3 else self._by_grpc(name))
        here = {"session_id": session_id}
        await self._do("tech-1", "SessionService.StartPreparation", here)
        await self._do("tech-1", "SessionService.RecordScreening", {**here, **SCREENING})
        await self._do("tech-1", "SessionService.CheckInResponder", {**here, "responder_id": "responder-1"})
        await self._do("tech-1", "SessionService.RecordKitChecked", {**here, **KIT})
        await self._do("tech-1", "SessionService.RequestSupervision", here)
        if story == 0:
            await self._treat(here)
        elif story == 1:
            await self._do(
                "tech-1", "SessionService.CancelSession", {**here, "reason": "CANCEL_REASON_EQUIPMENT"}
            )
        else:
            await self._do("tech-1", "SessionService.RecordVitals", {**here, **VITALS})

    async def _treat(self, here: Mapping[str, Any]) -> None:
        """A physician answers unless they treat elsewhere; contrast is reported, then a reaction with its signs."""
        ring_id = await self.news.stream("RingStarted", here["session_id"])
        await self._do(
            "physician-1", "RingService.AnswerRing", {"ring_id": ring_id}, refused=TREATING_ELSEWHERE
        )
        given = contrast(_Now())
        await self._do("tech-1", "SessionService.RecordContrastGiven", {**here, **given})
        await self._do("tech-1", "SessionService.ReportReaction", here)
        reaction = {"reaction_id": await self.news.stream("ReactionOpened", here["session_id"])}
        await self._do("tech-1", "ReactionService.RecordSigns", {**reaction, "signs": ["S-A1-1"]})
        await self._do("tech-1", "ReactionService.RecordVitals", {**reaction, **VITALS})

    async def _by_grpc(self, name: str) -> str:
        await self._do("tech-1", "SessionService.ScheduleSession", schedule(f"ses-{name}"))
        return f"ses-{name}"

    async def _by_mllp(self, name: str) -> str:
        number = name.replace("-", "")
        raw = order_message(SystemClock().now(), number)
        answer = await mllp(self._server.ports["mllp"], raw)
        if b"MSA|AA" not in answer:
            assert not answer, answer
            raise Gone
        self.ledger.orders[f"ACC{number}"] = raw
        return await self.news.stream("SessionScheduled", f"ACC{number}")

    async def _lease(self) -> None:
        """One physician holds a window with a heartbeat, so that a lease's timer is always pending."""
        window = {"coverage_id": f"cov-{self._run}"}
        now = SystemClock().now()
        offer = {
            **window,
            "organization_id": ORGANIZATION,
            "physician_id": "physician-2",
            "rooms": [{"site_id": SITE, "room_id": LEASED_ROOM}],
            "starts_at": now.isoformat(),
            "ends_at": (now + dt.timedelta(hours=12)).isoformat(),
            "cap": 4,
        }
        with suppress(Gone):
            await self._do("manager-1", "CoverageService.OfferCoverage", offer)
            await self._do("physician-2", "CoverageService.HoldCoverage", window)
            for _ in range(BEATS):
                await self._do("physician-2", "CoverageService.RenewLease", window)

    async def _do(
        self, person: str, rpc: str, fields: Mapping[str, Any], *, refused: frozenset[str] = frozenset()
    ) -> None:
        header = {"request_id": f"{self._run}-request-{next(self._numbers)}"}
        sent = Sent(person, rpc, {"header": header, **fields}, refused)
        self.ledger.unanswered.append(sent)
        try:
            answer = await self._callers[person].call(rpc, sent.fields)
        except Refused as refusal:
            if refusal.reason not in sent.refused:
                raise
            self.ledger.unanswered.remove(sent)
            return
        except grpc.aio.AioRpcError as error:
            if error.code() not in BROKEN:
                raise
            raise Gone from None
        self.ledger.unanswered.remove(sent)
        self.ledger.acknowledged.append((sent, int(answer.version)))


class _Now:
    """Says the time to the demo's parts of a script."""

    def now(self) -> str:
        return SystemClock().now().isoformat()


def schedule(session_id: str, **change: Any) -> dict[str, Any]:
    """Return the fields that schedule a session in the demo's CT room."""
    return {
        "session_id": session_id,
        "organization_id": ORGANIZATION,
        "site_id": SITE,
        "room_id": ROOM,
        "planned_at": SystemClock().now().isoformat(),
        "order": {
            "accession_number": f"ACC-{session_id}",
            "procedure_code": "CTABDWC",
            "procedure_system": "DEMOPROC",
            "modality": "CT",
            "contrast_class": "iodinated",
        },
        "identity": {
            "mrn": "DEMO1001",
            "authority": "DEMO",
            "family": "DEMO",
            "given": "PATIENT",
            "birth_date": {"year": 1971, "month": 4, "day": 12},
            "sex": "F",
        },
        **change,
    }


async def mllp(port: int, raw: bytes) -> bytes:
    """Send one message and return its answer, empty when the connection ended without one."""
    framer = Framer(max_message_bytes=65536, max_drained_bytes=65536, max_junk_bytes=65536)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""
    try:
        writer.write(frame(raw))
        await writer.drain()
        while data := await reader.read(65536):
            for item in _frames(framer, data):
                return item
    except ConnectionError:
        return b""
    finally:
        writer.close()
    return b""


def _frames(framer: Framer, data: bytes) -> Iterator[bytes]:
    return (item.raw for item in framer.feed(data) if isinstance(item, Frame))
