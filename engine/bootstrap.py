"""The one composition root: builds real parts from settings and wires them; decides nothing.

Rule: files are read here and handed on as values; nothing below this file opens a pack, a rule file or a key.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from engine.access.offline import OfflineEnrichers
from engine.access.scope import authorize
from engine.access.signing import check_approval
from engine.access.tokens import TokenVerifier
from engine.kernel.clock import Clock, OffsetClock, SystemClock
from engine.kernel.errors import Invalid
from engine.kernel.machine import Machine
from engine.keys import TOKEN_KEY_ID, Keys, load_keys
from engine.notify.pages import ConsoleChannel, Pager
from engine.people.drilling import DrillEnrichers
from engine.people.enrich import PeopleEnrichers
from engine.people.registry import Registry
from engine.people.screening import ScreeningEnrichers
from engine.people.verdict import Rules
from engine.people.view import Views
from engine.policies import POLICIES
from engine.protocol_files import ProtocolFiles, overlay_subject, pack_subject
from engine.reactions.decide import Objectives as ReactionObjectives
from engine.reactions.machine import machine as reaction_machine
from engine.reactions.overlay import SiteOverlay
from engine.reactions.pack import Pack
from engine.reactions.reading import parse_packs
from engine.records.debriefing import Debriefings
from engine.records.enrich import RecordEnrichers
from engine.records.reader import RecordReader
from engine.rules.rulebook import Rulebook, parse_rulebook
from engine.runtime.executor import Executor
from engine.runtime.ids import RandomIds
from engine.runtime.limits import Limits
from engine.runtime.outbox import Outbox
from engine.runtime.subscriptions import PolicyRunner, Subscription
from engine.runtime.timers import Timers
from engine.runtime.watchers import Watchers
from engine.services.copies import RecordCopies
from engine.services.demo_time import DemoTime
from engine.services.doors import Tls, check_doors, server_context
from engine.services.emergency import EmergencyPacks
from engine.services.interceptors import Pipeline
from engine.services.lines import Lines
from engine.services.ports import Ports
from engine.services.server import GrpcServer
from engine.services.servicers import Servicers
from engine.services.status import StatusBoard
from engine.services.web import WebServer
from engine.settings import VERSION, Settings
from engine.store.sqlite import SqliteStore
from engine.workflows import coverage, delivery, directory, disclosure, drill, message, ring, session
from engine.workflows.coverage.state import Objectives as CoverageObjectives
from engine.workflows.drill.scenario import Scenario, parse_scenarios
from engine.workflows.drill.state import Objectives as DrillObjectives
from engine.workflows.ring.state import Objectives as RingObjectives
from engine.workflows.session.state import Objectives as SessionObjectives
from integrations.hl7_fhir.fhir_http import FhirHttp
from integrations.hl7_fhir.fhir_reader import FhirReader
from integrations.hl7_fhir.fhir_resources import FhirNames
from integrations.hl7_fhir.fhir_writer import FhirWriter
from integrations.hl7_fhir.intake import Feed, Intake
from integrations.hl7_fhir.listener import Listener
from integrations.hl7_fhir.lookup import AllergyLookup
from integrations.hl7_fhir.outbound import Destination
from integrations.hl7_fhir.profile import parse_profile
from integrations.hl7_fhir.sender import MllpSender
from integrations.hl7_fhir.write_back import FhirDestination, Hl7Destination, WriteBack
from media.client import MediaNodeClient, NodeOptions

log = logging.getLogger(__name__)


def _texts(folder: Traversable, prefix: str = "") -> dict[str, str]:
    """Return every TOML file below a packaged folder by its path."""
    found: dict[str, str] = {}
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            found |= _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".toml"):
            found[f"{prefix}{entry.name}"] = entry.read_text()
    return found


def load_packs() -> Mapping[str, Pack]:
    """Read and parse the shipped protocol packs."""
    return parse_packs(_texts(files("engine.reactions") / "packs"))


def load_rulebook() -> Rulebook:
    """Read and parse the shipped rule rows."""
    return parse_rulebook(_texts(files("engine.rules") / "packs"))


def load_scenarios(own: Path | None = None) -> Mapping[str, Scenario]:
    """Read and parse the shipped drill scenarios, and the organization's own from a folder where there is one."""
    texts = _texts(files("engine.workflows.drill") / "scenarios")
    return parse_scenarios(texts | (_texts(own) if own is not None and own.is_dir() else {}))


def protocols(settings: Settings) -> ReactionObjectives:
    """Return the pack in force with what vouches for it. Raises Invalid for one that may not run live."""
    packs = load_packs()
    if settings.pack not in packs:
        raise Invalid("pack", f"choose one of {', '.join(sorted(packs))}")
    pack, kept = packs[settings.pack], ProtocolFiles(settings.data_dir)
    signed_by = _approved(settings, kept, pack_subject(pack), pack.hash)
    kept.keep(pack)
    drill_pack = packs.get(settings.drill_pack)
    if settings.drill_pack and drill_pack is None:
        raise Invalid("drill_pack", f"choose one of {', '.join(sorted(packs))}")
    if drill_pack is not None:
        kept.keep(drill_pack)
    return ReactionObjectives(
        pack=pack,
        decision_support=settings.decision_support,
        signed_by=signed_by,
        earlier=kept.versions(),
        drill_pack=drill_pack,
    )


def site_overlays(settings: Settings) -> Mapping[str, SiteOverlay]:
    """Return the sites' emergency plans by site. Raises Invalid for one that may not be used live."""
    kept = ProtocolFiles(settings.data_dir)
    found = kept.overlays()
    for overlay in found.values():
        _approved(settings, kept, overlay_subject(overlay), overlay.hash)
    return found


def _approved(settings: Settings, kept: ProtocolFiles, subject: str, content: str) -> str:
    """Return who approved content for live use; nobody has to for a demonstration. Raises Invalid."""
    if settings.demo:
        return ""
    return check_approval(
        subject,
        content,
        kept.approval(content),
        organization_id=settings.organization_id,
        signers=settings.protocol_signers,
    ).signer_id


def machines(settings: Settings, reactions: ReactionObjectives) -> tuple[Machine, ...]:
    """Assemble every machine with the settings' objectives."""
    return (
        session.machine(
            SessionObjectives(
                ready_s=settings.ready_s,
                observation_s=settings.observation_s,
                line_lost_ring_s=settings.line_lost_ring_s,
            )
        ),
        ring.machine(RingObjectives(rung_s=settings.rung_s, repeat_s=settings.ring_repeat_s)),
        coverage.machine(CoverageObjectives(lease_s=settings.lease_s)),
        reaction_machine(reactions),
        delivery.machine(),
        message.machine(),
        directory.machine(),
        disclosure.machine(),
        drill.machine(DrillObjectives(scenarios=load_scenarios(settings.data_dir / "scenarios"))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a started engine listens."""

    grpc: int
    http: int
    mllp: int


@dataclass(slots=True)
class Engine:
    """A built engine. `start` makes it listen, `stop` ends it in order."""

    settings: Settings
    executor: Executor
    demo_clock: OffsetClock | None
    timers: Timers
    outbox: Outbox
    policies: PolicyRunner
    registry: Registry
    media: MediaNodeClient
    lines: Lines
    grpc: GrpcServer
    web: WebServer
    listener: Listener
    intake: Intake
    senders: tuple[MllpSender, ...] = ()
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)

    async def start(self, prepare: Callable[[Executor], Awaitable[None]] | None = None) -> Listening:
        """Try every door, open the store, start what runs by itself, then listen; the doors open last.

        `prepare` is done to the open store while nobody can see it yet: a demonstration makes its organization there.
        Raises what keeps it from starting, with everything that was started ended again.
        """
        settings, tls = self.settings, _tls(self.settings)
        doors = {
            "--grpc-port": (settings.bind, settings.grpc_port),
            "--http-port": (settings.bind, settings.http_port),
            "--mllp-port": (settings.bind, settings.mllp_port),
            "--media-port": ("127.0.0.1", settings.media_port),
        }
        check_doors(doors, tls)
        await self.executor.open()
        await self.resume_time()
        if prepare is not None:
            await prepare(self.executor)
        try:
            return await self._opened(tls)
        except BaseException:
            await self.stop()
            raise

    async def resume_time(self) -> None:
        """Let a demonstration's clock go on from the newest event: its jumps are not forgotten by a restart."""
        head = self.executor.tail.head
        if self.demo_clock is None or not head:
            return
        [newest] = await self.executor.store.read(head - 1, 1)
        self.demo_clock.advance(max(newest.at - self.demo_clock.now(), dt.timedelta(0)))

    async def _opened(self, tls: Tls | None) -> Listening:
        settings = self.settings
        await self.registry.open()
        await self.intake.open()
        await self.lines.forget()
        await self.media.start()
        inbound = Subscription("hl7", self.executor, self.intake.handle, keys=self.intake.keys)
        self.subscriptions = [self.policies.subscription, inbound]
        loops = (
            self.timers.run(),
            self.outbox.run(),
            self.policies.subscription.run(),
            inbound.run(),
            self.lines.run(),
        )
        self.tasks = [asyncio.create_task(loop) for loop in loops]
        return Listening(
            grpc=await self.grpc.start(bind=settings.bind, port=settings.grpc_port, tls=tls),
            http=await self.web.start(bind=settings.bind, port=settings.http_port, tls=tls),
            mllp=await self.listener.start(settings.bind, settings.mllp_port),
        )

    async def stop(self) -> None:
        """Close the doors, let running calls end, save positions, then close the store."""
        await self.listener.stop()
        await self.web.stop()
        await self.grpc.stop()
        for task in self.tasks:
            task.cancel()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task
        for sender in self.senders:
            await sender.close()
        await self.media.stop()
        await self.executor.settle()
        for subscription in self.subscriptions:
            await subscription.save()
        await self.executor.store.close()


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Tls(certificate=settings.tls_certificate, key=settings.tls_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Core:
    """The corridor with everything that looks things up for it."""

    keys: Keys
    demo_clock: OffsetClock | None
    clock: Clock
    executor: Executor
    registry: Registry
    copies: RecordCopies
    emergency: EmergencyPacks
    verifier: TokenVerifier
    timers: Timers
    watchers: Watchers


def _core(settings: Settings) -> _Core:
    reactions = protocols(settings)
    overlays = site_overlays(settings)
    keys = load_keys(settings.data_dir)
    demo_clock = OffsetClock(SystemClock()) if settings.demo else None
    clock: Clock = demo_clock or SystemClock()
    executor = Executor(
        machines(settings, reactions),
        SqliteStore(settings.database, keys.store),
        clock,
        RandomIds(),
        fingerprint_key=keys.fingerprint,
        authorize=authorize,
        limits=Limits(commands_in_flight=settings.max_commands_in_flight, watchers=settings.max_watchers),
    )
    registry = Registry(executor)
    reader = RecordReader(executor.store)
    executor.enrichers.update(
        PeopleEnrichers(registry, Rules(load_rulebook()), clock, demo=settings.demo).all()
    )
    executor.enrichers.update(DrillEnrichers(registry).all())
    executor.enrichers.update(Debriefings(executor).all())
    executor.enrichers.update(
        ScreeningEnrichers(registry, reactions.pack, clock, resolve_doses=reactions.decision_support).all()
    )
    executor.enrichers.update(RecordEnrichers(reader, keys.seal, clock).all())
    # Sign-in keeps wall time, so that a demonstration's jumps sign nobody out.
    verifier = TokenVerifier({TOKEN_KEY_ID: keys.token.public_key()}, SystemClock())
    executor.enrichers.update(OfflineEnrichers(executor, verifier).all())
    return _Core(
        keys=keys,
        demo_clock=demo_clock,
        clock=clock,
        executor=executor,
        registry=registry,
        copies=RecordCopies(
            reader,
            executor,
            {
                **reactions.earlier,
                **{one.hash: one for one in (reactions.pack, reactions.drill_pack) if one is not None},
            },
            overlays,
        ),
        emergency=EmergencyPacks(
            executor, clock, keys.seal, reactions, overlays, life_s=settings.emergency_pack_s
        ),
        verifier=verifier,
        timers=Timers(executor),
        watchers=Watchers(executor),
    )


#: How long a call for something that is not there waits for the policies: longer than they take on a full machine.
FOLLOW_S = 2.0


def _pipeline(core: _Core, lines: Lines, policies: PolicyRunner) -> Pipeline:
    """Build what every call goes through, gRPC and Connect alike."""
    ids = RandomIds()
    demo = core.demo_clock
    jump = DemoTime(demo, core.executor, core.registry, core.timers, ids).advance if demo else None
    ports = Ports(
        executor=core.executor,
        watchers=core.watchers,
        clock=core.clock,
        ids=ids,
        records=core.copies,
        emergency=core.emergency,
        debriefings=Debriefings(core.executor),
        lines=lines,
        demo_clock=demo,
        advance=jump,
        follow=lambda: policies.subscription.follow(FOLLOW_S),
    )
    return Pipeline(Servicers(ports), core.verifier, lambda: ids.name("inc"))


def build(settings: Settings) -> Engine:
    """Build an engine over the settings' data folder. Raises Invalid or Unavailable with what to do."""
    core = _core(settings)
    executor = core.executor
    media = MediaNodeClient(NodeOptions(control_port=settings.media_port), SystemClock())
    lines = Lines(media, executor)
    write_back, lookup, senders = _far_side(settings, executor, core.copies, core.clock)
    handlers = {
        "page": Pager(executor, [ConsoleChannel(core.watchers)]).handle,
        "lookup.allergies": lookup.handle,
        "delivery.oru": write_back.oru,
        "delivery.fhir": write_back.resources,
    }
    views = Views(executor, core.registry, core.clock, write_back.destinations)
    policies = PolicyRunner(POLICIES, executor, views.of)
    pipeline = _pipeline(core, lines, policies)
    board = StatusBoard(
        executor.store,
        executor.limits,
        product={"attend": VERSION, "pack": settings.pack},
        demo=settings.demo,
        grpc_address=f"{settings.bind}:{settings.grpc_port}",
        running=lambda: {
            "events not followed yet": max(0, executor.tail.head - policies.subscription.done),
            "policy faults": policies.failed + policies.subscription.failed,
        },
    )
    intake = Intake(executor, _feed(settings), core.keys.fingerprint)
    ids = RandomIds()
    return Engine(
        settings=settings,
        executor=executor,
        demo_clock=core.demo_clock,
        timers=core.timers,
        outbox=Outbox(executor, handlers),
        policies=policies,
        registry=core.registry,
        media=media,
        lines=lines,
        grpc=GrpcServer(pipeline),
        web=WebServer(pipeline, board),
        listener=Listener(
            intake.receive,
            clock=core.clock,
            control_ids=lambda: ids.name("ack")[:20],
            tls=server_context(_tls(settings)),
        ),
        intake=intake,
        senders=senders,
    )


def _feed(settings: Settings) -> Feed:
    profile = parse_profile((files("integrations.hl7_fhir") / "profiles" / "demo.toml").read_text())
    return Feed(
        feed_id=profile.name, organization_id=settings.organization_id, profile=profile, demo=settings.demo
    )


def _far_side(
    settings: Settings, executor: Executor, copies: RecordCopies, clock: Clock
) -> tuple[WriteBack, AllergyLookup, tuple[MllpSender, ...]]:
    """Build what reads from and writes to the RIS and EHR, as far as it is configured."""
    hl7 = fhir = None
    reader = names = None
    senders: tuple[MllpSender, ...] = ()
    if settings.hl7_destination:
        host, _, port = settings.hl7_destination.rpartition(":")
        sender = MllpSender(host, int(port))
        senders = (sender,)
        hl7 = Hl7Destination(sender=sender, names=Destination("RIS", settings.organization_id))
    if settings.fhir_base_url:
        http = FhirHttp(settings.fhir_base_url)
        names = FhirNames(
            ours="urn:attend:session",
            authorities=settings.fhir_authorities,
            accession="urn:attend:accession",
            placer="urn:attend:placer",
            filler="urn:attend:filler",
        )
        reader = FhirReader(http)
        fhir = FhirDestination(writer=FhirWriter(http, create_theirs=settings.demo), names=names)
    return WriteBack(executor, copies, clock, hl7, fhir), AllergyLookup(executor, reader, names), senders
