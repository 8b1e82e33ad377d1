"""`attend serve` is killed at random moments under load; what it acknowledged is there, what was due fires.

One store lives through every kill. `make soak` runs the full form: 100 kills under 50 sessions at once.
"""

import asyncio
import datetime as dt
import json
import os
import random  # noqa: TID251 - the moments of the kills, from a printed seed
from collections import Counter
from pathlib import Path

import pytest

from engine.demo.caller import Caller, Refused
from engine.keys import load_keys
from tests.soak.clinic import TREATING_ELSEWHERE, Clinic, Ledger, mllp
from tests.soak.process import Server, left_behind, rows, start, until, verified

WORKED_S = (0.3, 2.5)
FIRE_S = 60.0
A_DAY_S = 86400
CLIMBS = ("RungRaised", "RingEscalated", "RingRepeated")
PENDING = "SELECT stream, name, due_at, set_at_version FROM timers"


@pytest.mark.hazard("H-17")
async def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """After each of a few kills under a dozen sessions everything acknowledged is there and every timer fires."""
    await _survive(tmp_path, kills=4, sessions=12)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_a_hundred_kills_under_fifty_sessions_lose_nothing(tmp_path: Path) -> None:
    """The full form of the same proof, on one store."""
    await _survive(tmp_path, kills=100, sessions=50)


async def _survive(tmp_path: Path, *, kills: int, sessions: int) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")  # noqa: T201 - a failing run is told by it
    moments = random.Random(seed)
    data_dir = tmp_path / "data"
    counted: Counter[str] = Counter()
    server = await start(data_dir)
    try:
        for kill in range(kills):
            clinic = Clinic(server, f"k{kill:03d}")
            working = asyncio.create_task(clinic.work(sessions))
            await asyncio.wait([working], timeout=moments.uniform(*WORKED_S))
            await server.kill()
            await working
            left = left_behind(data_dir, tmp_path / "left")
            counted += await _hold_to(left, clinic.ledger)
            counted["chains"] += await verified(left, load_keys(data_dir).store)
            server = await start(data_dir)
            counted["kills"] += 1
            counted += await _repeated(server, clinic.ledger)
            counted += await _fired(server)
    finally:
        await server.stop()
    await verified(server.database, load_keys(data_dir).store)
    print(json.dumps(dict(counted)))  # noqa: T201 - the figures of the proof
    assert counted["acknowledged"] and counted["climbed"]


async def _hold_to(database: Path, ledger: Ledger) -> Counter[str]:
    """Hold the file a kill left to what was acknowledged before it: outcome and events, of every command."""
    kept = {
        request_id: (stream, version)
        for request_id, stream, version in rows(database, "SELECT request_id, stream, version FROM requests")
    }
    heads = dict(rows(database, "SELECT stream, MAX(version) FROM events GROUP BY stream"))
    for sent, version in ledger.acknowledged:
        stream, stored = kept[f"rpc:org-demo:{sent.request_id}"]
        assert stored == version, sent
        assert heads[stream] >= version, sent
    received = rows(database, "SELECT payload FROM events WHERE type = 'MessageReceived'")
    controls = {json.loads(payload)["control_id"] for (payload,) in received}
    assert {f"O{accession.removeprefix('ACC')}" for accession in ledger.orders} <= controls
    unseen = sum(f"rpc:org-demo:{sent.request_id}" in kept for sent in ledger.unanswered)
    return Counter(acknowledged=len(ledger.acknowledged), unanswered_but_stored=unseen)


async def _repeated(server: Server, ledger: Ledger) -> Counter[str]:
    """Ask everything again: what was acknowledged answers as before, what was not is done once or is refused."""
    people = {sent.person for sent, _ in ledger.acknowledged} | {sent.person for sent in ledger.unanswered}
    callers = {name: server.caller(name) for name in people}
    for sent, version in ledger.acknowledged:
        answer = await callers[sent.person].call(sent.rpc, sent.fields)
        assert (answer.repeated_request, answer.version) == (True, version), sent
    for sent in ledger.unanswered:
        try:
            first = await callers[sent.person].call(sent.rpc, sent.fields)
        except Refused as refusal:
            # A wish that was never taken: meanwhile another ring may have given the session its physician.
            assert sent.refused and refusal.reason in {*sent.refused, "WRONG_PHASE"}, (sent, refusal)
            continue
        again = await callers[sent.person].call(sent.rpc, sent.fields)
        assert again.repeated_request, sent
        assert again.version == first.version, sent
    for caller in callers.values():
        await caller.close()
    for raw in ledger.orders.values():
        assert b"MSA|AA" in await mllp(server.ports["mllp"], raw)
    await until(server, lambda: asyncio.to_thread(_all_scheduled, server.database, ledger), FIRE_S)
    return Counter(retried=len(ledger.unanswered), orders=len(ledger.orders))


def _all_scheduled(database: Path, ledger: Ledger) -> bool:
    """Return whether every order that was answered AA has its session; none may have two."""
    found = rows(database, "SELECT payload FROM events WHERE type = 'SessionScheduled'")
    times = Counter(json.loads(payload)["order"]["accession_number"] for (payload,) in found)
    assert not [number for number in ledger.orders if times[number] > 1]
    return all(times[number] for number in ledger.orders)


async def _fired(server: Server) -> Counter[str]:
    """Let the time of every pending timer come; each fires with the time it was due, and rings climb."""
    database = server.database
    operator, physician = server.caller("operator-1"), server.caller("physician-1")
    pending = await asyncio.to_thread(rows, database, PENDING)
    ringing = [stream for stream, name, *_ in pending if stream.startswith("ring/") and name == "rung"]
    before = await asyncio.to_thread(_climbs, database)
    if pending:
        await _advance_past(operator, max(dt.datetime.fromisoformat(due) for _, _, due, _ in pending))

    async def all_fired() -> bool:
        still = set(await asyncio.to_thread(rows, database, PENDING))
        return not still & set(pending)

    await until(server, all_fired, FIRE_S)
    kept = {one for (one,) in await asyncio.to_thread(rows, database, "SELECT request_id FROM requests")}
    fired = sum(_firing(*timer) in kept for timer in pending)
    after = await asyncio.to_thread(_climbs, database)
    climbed = [stream for stream in ringing if after[stream] > before[stream]]
    silent = await _answer(physician, [stream for stream in ringing if stream not in climbed])
    assert not silent, silent
    await _answer(physician, climbed)
    await operator.close()
    await physician.close()
    return Counter(timers=len(pending), fired=fired, climbed=len(climbed))


def _climbs(database: Path) -> Counter[str]:
    marks = ", ".join("?" for _ in CLIMBS)
    found = rows(database, f"SELECT stream FROM events WHERE type IN ({marks})", *CLIMBS)
    return Counter(stream for (stream,) in found)


def _firing(stream: str, name: str, due: str, version: int) -> str:
    """Return the id of the request that a timer fires with; it says when the timer was due."""
    return f"timer:{stream}:{name}:{dt.datetime.fromisoformat(due).isoformat()}:{version}"


async def _advance_past(operator: Caller, moment: dt.datetime) -> None:
    """Move the demo clock, which starts anew with each process, past a moment."""
    by_s = 1
    while by_s > 0:
        answer = await operator.call("DemoService.AdvanceClock", {"by": f"{by_s}s"})
        left = moment - answer.now.ToDatetime(tzinfo=dt.UTC)
        by_s = min(A_DAY_S, int(left.total_seconds()) + 1) if left > dt.timedelta(0) else 0


async def _answer(physician: Caller, streams: list[str]) -> list[str]:
    """Answer rings, unless the physician treats elsewhere; return those that still rang after their time to climb."""
    rang = []
    for stream in streams:
        ring_id = stream.partition("/")[2]
        ring = (await physician.call("RingService.GetRing", {"ring_id": ring_id})).ring
        if ring.answered_by or "WITHDRAWN" in str(ring):
            continue
        rang.append(stream)
        try:
            await physician.call(
                "RingService.AnswerRing", {"header": {"request_id": f"end-{ring_id}"}, "ring_id": ring_id}
            )
        except Refused as refusal:
            if refusal.reason == "WRONG_PHASE":  # the answer before this one withdrew it in between
                ring = (await physician.call("RingService.GetRing", {"ring_id": ring_id})).ring
                assert "WITHDRAWN" in str(ring), refusal
            else:
                assert refusal.reason in TREATING_ELSEWHERE, refusal
    return rang
