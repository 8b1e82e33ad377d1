"""`attend demo`: starts the far side, the engine and two client processes, tells the story and checks it.

Rule: what it starts it ends; what differs from the story is said and makes the exit code 1.
"""

import asyncio
import datetime as dt
import json
import os
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from engine.access.tokens import TokenIssuer
from engine.demo import order, peers
from engine.demo.caller import Caller
from engine.demo.folder import DOCUMENTS, Unplayable, claim, document_files
from engine.demo.narrate import Narrator
from engine.demo.network import LICENSED, ORGANIZATION, PEOPLE, ROOM, SITE
from engine.demo.script import Script
from engine.demo.tap import Tap
from engine.kernel.clock import SystemClock
from engine.kernel.errors import PeerError
from engine.keys import TOKEN_KEY_ID, load_keys
from engine.protocol_files import ProtocolFiles
from engine.reactions.overlay import parse_overlay
from engine.records.verify_cli import verify_command
from engine.runtime.ids import RandomIds

PORTS = {"grpc": 50051, "http": 8080, "mllp": 2575}
START_S = 40.0
#: How this very command was called, to be typed again.
ATTEND = shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "attend" else "attend"
STORY_S = 180.0
DELIVERY_S = 30.0
COVERAGE = "cov-demo-1"


@dataclass(slots=True)
class Stage:
    """Everything one playing needs."""

    script: Script
    out: Path
    headless: bool
    console: Console
    run: str
    data_dir: Path
    events: list[Any] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    session_id: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    fhir: peers.FhirPeer | None = None
    tap: Tap | None = None
    narrator: Narrator = field(init=False)

    def __post_init__(self) -> None:
        """Everything that is told goes through one narrator."""
        self.narrator = Narrator(self.console)

    @property
    def target(self) -> str:
        """The engine's gRPC address."""
        return f"127.0.0.1:{self.ports['grpc']}"

    def token(self, person_id: str) -> str:
        """Sign somebody of the demo network in."""
        issuer = TokenIssuer(load_keys(self.data_dir).token, TOKEN_KEY_ID, SystemClock())
        return issuer.issue(
            person_id=person_id,
            role=PEOPLE[person_id][1],
            organization_id=ORGANIZATION,
            sites=(SITE,),
            token_id=RandomIds().name("tok"),
        )

    def say(self, words: str, style: str = "dim") -> None:
        """Write one line of our own."""
        self.console.print(words, style=style, soft_wrap=True, highlight=False)


async def play(script: Script, *, headless: bool, leave: bool, out: Path) -> int:
    """Play a story; return 0 when everything went as it says, 1 when something differs."""
    data_dir = out / "data"
    if not headless:
        _check_ports()
    claimed = await asyncio.to_thread(claim, out)
    console = Console(force_terminal=False if headless else None)
    now = SystemClock().now()
    stage = Stage(script, out, headless, console, f"demo-{now:%Y%m%d%H%M%S}", data_dir)
    stage.say(f"{script.name}: {script.summary}", "bold")
    async with AsyncExitStack() as stack:
        stack.callback(os.close, claimed)
        try:
            await _far_side(stage, stack)
        except PeerError as error:
            raise Unplayable(f"the far side did not start: {error}") from None
        await _engine(stage, stack)
        await _story(stage)
        if not stage.problems:
            await _papers(stage)
            _compare(stage)
        _conclude(stage)
        if not leave:
            await _serve_on(stage)
    return 1 if stage.problems else 0


def _check_ports() -> None:
    for name, port in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Unplayable(
                    f"port {port} ({name}) is taken; stop what uses it, or run with --headless, which takes free ports"
                ) from None


async def _far_side(stage: Stage, stack: AsyncExitStack) -> None:
    """Start the FHIR server and the HL7 receiver, and tell the EHR about the patient."""
    stage.say("starting the far side: a FHIR server and an HL7 receiver that nobody here wrote")
    blocking = ExitStack()
    stack.push_async_callback(asyncio.to_thread, blocking.close)
    work = await asyncio.to_thread((stage.out / "far-side").resolve)
    stage.fhir = await asyncio.to_thread(blocking.enter_context, peers.sekmet(work / "fhir"))
    authorities = {order.AUTHORITY: order.FHIR_SYSTEM}
    receiver = await asyncio.to_thread(
        blocking.enter_context, peers.mllp_receiver(work / "hl7", authorities=authorities)
    )
    stage.tap = Tap(receiver.port)
    await stage.tap.start()
    stack.push_async_callback(stage.tap.stop)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        made = await client.post(f"{stage.fhir.base_url}/Patient", json=order.fhir_patient())
        made.raise_for_status()
        allergy = order.fhir_allergy(made.json()["id"])
        (await client.post(f"{stage.fhir.base_url}/AllergyIntolerance", json=allergy)).raise_for_status()


async def _engine(stage: Stage, stack: AsyncExitStack) -> None:
    """Start `attend serve` as a process and wait until it listens."""
    assert stage.fhir is not None and stage.tap is not None
    plan = (files("engine.demo") / "plan.toml").read_text("utf-8")
    ProtocolFiles(stage.data_dir).keep_overlay(parse_overlay("plan.toml", plan), plan)
    ready = stage.out / "ports.json"
    ports = dict.fromkeys(PORTS, 0) if stage.headless else PORTS
    command = [sys.executable, "-m", "engine", "serve", "--demo", "--data-dir", str(stage.data_dir)]
    command += ["--ready-file", str(ready), "--hl7-destination", f"127.0.0.1:{stage.tap.port}"]
    command += ["--fhir-base-url", stage.fhir.base_url]
    command += ["--fhir-authority", f"{order.AUTHORITY}={order.FHIR_SYSTEM}"]
    for name, port in ports.items():
        command += [f"--{name}-port", str(port)]
    log = (stage.out / "engine.log").open("wb")
    stack.callback(log.close)
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    stack.push_async_callback(_end, process)
    async with asyncio.timeout(START_S):
        while not ready.exists() or not ready.read_text():
            if process.returncode is not None:
                raise Unplayable(f"the engine did not start; see {stage.out / 'engine.log'}")
            await asyncio.sleep(0.1)
    stage.ports = json.loads(ready.read_text())
    stage.say(
        f"engine up: gRPC {stage.ports['grpc']}, HTTP {stage.ports['http']}, MLLP {stage.ports['mllp']}"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(15):
                await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


async def _story(stage: Stage) -> None:
    """Send the order, let both people play, and tell what happens."""
    number = stage.run.removeprefix("demo-")[-8:]
    now = SystemClock().now()
    messages = [order.patient_message(now, number), order.order_message(now, number)]
    answers = await asyncio.to_thread(peers.mllp_send, messages, stage.ports["mllp"], stage.out / "far-side")
    taken = answers.count("MSA|AA")
    stage.say(f"HL7 sent over MLLP: ADT^A04 and ORM^O01, {taken} of 2 acknowledged AA")
    if taken != len(messages):
        stage.problems.append(f"the engine acknowledged {taken} of {len(messages)} messages")
        return
    manager = Caller(stage.target, stage.token("manager-1"))
    stage.session_id = await _scheduled(manager)
    await _offer_coverage(manager, now)
    watching = asyncio.create_task(_watch(stage))
    roles = [("technologist", "tech-1", "")]
    if stage.script.physician:
        roles.append(("physician", "physician-1", COVERAGE))
    await _cast(stage, roles)
    if stage.script.sealed and not stage.problems:
        await _delivered(stage)
    await asyncio.sleep(0.3)
    watching.cancel()
    await manager.close()


async def _cast(stage: Stage, roles: Sequence[tuple[str, str, str]]) -> None:
    """Let everybody play; when one cannot go on, the others stop waiting."""
    playing = [asyncio.create_task(_person(stage, *role)) for role in roles]
    for finished in asyncio.as_completed(playing):
        problem = await finished
        if problem:
            stage.problems.append(problem)
            for task in playing:
                task.cancel()
            break
    await asyncio.gather(*playing, return_exceptions=True)


async def _scheduled(manager: Caller) -> str:
    async with asyncio.timeout(START_S):
        while True:
            found = await manager.call("SessionService.ListSessions", {})
            if found.sessions:
                return str(found.sessions[0].session_id)
            await asyncio.sleep(0.1)


async def _offer_coverage(manager: Caller, now: dt.datetime) -> None:
    fields = {
        "header": {"request_id": "demo-offer-1"},
        "coverage_id": COVERAGE,
        "organization_id": ORGANIZATION,
        "physician_id": next(iter(LICENSED)),
        "rooms": [{"site_id": SITE, "room_id": ROOM}],
        "starts_at": now.isoformat(),
        "ends_at": (now + dt.timedelta(hours=12)).isoformat(),
        "cap": 4,
    }
    await manager.call("CoverageService.OfferCoverage", fields)


async def _watch(stage: Stage) -> None:
    caller = Caller(stage.target, stage.token("auditor-1"))
    try:
        async for event in caller.watch(stage.session_id):
            async with stage.changed:
                stage.events.append(event)
                stage.changed.notify_all()
            stage.narrator.tell(event)
    finally:
        await caller.close()


async def _person(stage: Stage, role: str, person_id: str, coverage_id: str) -> str:
    """Run one person's process; return what differed, empty when nothing did."""
    orders = {
        "role": role,
        "script": stage.script.name,
        "target": stage.target,
        "token": stage.token(person_id),
        "clock_token": stage.token("operator-1"),
        "responder_token": stage.token("responder-1"),
        "session_id": stage.session_id,
        "run": stage.run,
        "coverage_id": coverage_id,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine.demo.person",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(STORY_S):
            said, wrong = await _follow(stage, person_id, process, orders)
    except TimeoutError:
        return f"the {role} did not finish in {STORY_S:.0f} s"
    finally:
        await _end(process)
    if process.returncode == 0:
        return ""
    return said.decode().strip() or f"the {role}'s process failed: {wrong.decode()[-800:]}"


async def _follow(
    stage: Stage, person_id: str, process: asyncio.subprocess.Process, orders: Mapping[str, str]
) -> tuple[bytes, bytes]:
    """Give a person their orders and narrate what is refused to them; return their last word and their errors."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(json.dumps(orders).encode() + b"\n")
    process.stdin.close()
    last = b""
    async for line in process.stdout:
        last = line
        if line.startswith(b"{"):
            told = json.loads(line)
            stage.narrator.refused(told.get("by") or person_id, told)
    wrong = await process.stderr.read()
    await process.wait()
    return last, wrong


async def _delivered(stage: Stage) -> None:
    """Wait until both write-backs are acknowledged."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DELIVERY_S):
            async with stage.changed:
                await stage.changed.wait_for(
                    lambda: sum(event.type == "DeliveryAcknowledged" for event in stage.events) >= 2
                )
            return
    stage.problems.append("the write-backs were not acknowledged in time")


async def _papers(stage: Stage) -> None:
    """Fetch the record, its PDF, the ORU on the wire and the resources at the FHIR server."""
    if not stage.script.sealed or not stage.session_id:
        return
    auditor = Caller(stage.target, stage.token("auditor-1"))
    fields = {"session_id": stage.session_id, "purpose": "demonstration", "include_pdf": True}
    record = await auditor.call("RecordService.GetRecord", fields)
    await _documents(stage, auditor)
    await auditor.close()
    (stage.out / "record.json").write_bytes(record.document)
    (stage.out / "record.pdf").write_bytes(record.pdf)
    if stage.tap is not None and stage.tap.messages:
        (stage.out / "oru.hl7").write_bytes(stage.tap.messages[-1])
    await _resources(stage)


async def _documents(stage: Stage, auditor: Caller) -> None:
    """Fetch the four documents of the story's reaction, if there was one."""
    for reaction_id in _reactions(stage.events)[:1]:
        for kind in DOCUMENTS:
            fields = {"reaction_id": reaction_id, "kind": f"REACTION_DOCUMENT_KIND_{kind.upper()}"}
            made = await auditor.call(
                "ReactionService.GetReactionDocument", {**fields, "purpose": "demonstration"}
            )
            name = kind.replace("_", "-")
            (stage.out / f"{name}.json").write_bytes(made.document)
            (stage.out / f"{name}.pdf").write_bytes(made.pdf)


def _reactions(events: Sequence[Any]) -> list[str]:
    """Return the ids of the reactions that were reported."""
    reported = (event for event in events if event.type == "ReactionReported")
    return [json.loads(event.summary_json)["reaction_id"] for event in reported]


async def _resources(stage: Stage) -> None:
    assert stage.fhir is not None
    folder = stage.out / "fhir"
    folder.mkdir(exist_ok=True)
    kinds = (
        "Patient",
        "ServiceRequest",
        "Procedure",
        "MedicationAdministration",
        "Observation",
        "DocumentReference",
    )
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        for kind in (*kinds, "AllergyIntolerance"):
            found = (await client.get(f"{stage.fhir.base_url}/{kind}")).json()
            for entry in found.get("entry", []):
                resource = entry["resource"]
                (folder / f"{kind}-{resource['id']}.json").write_text(json.dumps(resource, indent=2))


def _compare(stage: Stage) -> None:
    """Say everything that is not as the story says."""
    types = [event.type for event in stage.events]
    position = 0
    for milestone in stage.script.milestones:
        try:
            position = types.index(milestone, position)
        except ValueError:
            stage.problems.append(f"{milestone} did not happen in its place")
    stage.problems.extend(f"{kind} should not have happened" for kind in stage.script.absent if kind in types)
    facts = _facts(stage.events)
    for name, wanted in stage.script.expect.items():
        if facts.get(name) != wanted:
            stage.problems.append(f"{name} is {facts.get(name)}, the story says {wanted}")
    if stage.script.sealed:
        _compare_papers(stage)


def _compare_papers(stage: Stage) -> None:
    record = stage.out / "record.json"
    if not record.exists():
        stage.problems.append("there is no record")
        return
    if verify_command([record], as_json=False, console=stage.console) != 0:
        stage.problems.append("the record does not verify")
    if not (stage.out / "record.pdf").read_bytes().startswith(b"%PDF"):
        stage.problems.append("the PDF is not one")
    if not (stage.out / "oru.hl7").exists():
        stage.problems.append("no ORU went out")
    if not list((stage.out / "fhir").glob("DocumentReference-*.json")):
        stage.problems.append("the FHIR server holds no DocumentReference")
    for name in document_files() if _reactions(stage.events) else ():
        file = stage.out / name
        begins = b"%PDF" if file.suffix == ".pdf" else b'{"'
        if not file.exists() or not file.read_bytes().startswith(begins):
            stage.problems.append(f"there is no {name}")


def _facts(events: Sequence[Any]) -> dict[str, str]:
    """Return what the story's expectations may name."""
    fields = [(event.type, json.loads(event.summary_json)) for event in events]
    epinephrine = [
        Decimal(one["medication"]["dose_mg"])
        for kind, one in fields
        if kind == "MedicationGiven" and one["medication"]["drug"] == "epinephrine"
    ]
    facts = {
        "gaps": str(sum(kind == "GapOpened" for kind, _ in fields)),
        "ready_fell": str(sum(kind == "ReadyRevoked" for kind, _ in fields)),
        "reactions": str(sum(kind == "ReactionReported" for kind, _ in fields)),
        "epinephrine_mg_each": ", ".join(map(str, epinephrine)),
        "went_past": ", ".join(
            past for kind, one in fields if kind == "StepOrdered" for past in one["overrides"]
        ),
        "beyond": ", ".join(
            cap for kind, one in fields if kind == "MedicationGiven" for cap in one["beyond"]
        ),
        "epinephrine_mg": str(sum(epinephrine, Decimal(0))),
    }
    for kind, one in fields:
        if kind == "ReactionGraded":
            facts["severity"] = one["severity"]
        if kind == "ReactionDisposed":
            facts["disposition"] = one["disposition"]
    return facts


def _conclude(stage: Stage) -> None:
    if stage.problems:
        for problem in stage.problems:
            stage.say(f"differs: {problem}", "bold red")
        return
    stage.say(f"{stage.script.name}: everything went as the story says", "bold green")
    if stage.script.sealed:
        documents = [name for name in document_files() if (stage.out / name).exists()]
        papers = ", ".join(["record.json", "record.pdf", *documents, "oru.hl7", "fhir/"])
        stage.say(f"papers in {stage.out}: {papers}")
        file = shlex.quote(str(stage.out / "record.json"))
        stage.say(f"next: {ATTEND} verify {file}   (flip a byte and verify again)")
    else:
        stage.say("no record: nobody supervised and nothing was injected, so there is nothing to seal")
    more = ("demo --list", "simulate --sessions 200 --seed 7", "protocol list")
    stage.say("next: " + "   ".join(f"{ATTEND} {one}" for one in more))


async def _serve_on(stage: Stage) -> None:
    stage.say(
        f"still serving: http://127.0.0.1:{stage.ports['http']}/ and gRPC {stage.target}. Ctrl-C ends it.",
        "bold",
    )
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
