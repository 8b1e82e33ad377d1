"""HL7 in: keep the bytes, acknowledge, then make commands of them. Nothing is acknowledged before it is durable.

An AA says: stored and readable. What a message leads to comes after, from the log, so a crash between the two loses
nothing; trouble with our own maps is held on the worklist and replayed, never the sender's fault. What the sender must
mend is refused, and kept and held as well. What was not taken from a message that was followed is said in its notices.
"""

import asyncio
import base64
import datetime as dt
import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import Invalid, Rejected
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.runtime.subscriptions import in_order
from engine.workflows.message.commands import (
    ReceiveMessage,
    RecordMessageApplied,
    RecordMessageHeld,
    RecordMessageUnused,
)
from engine.workflows.message.events import MessageReceived, MessageReplayed
from engine.workflows.session import commands as session
from engine.workflows.session.events import OrderAmended, PatientAmended, SessionScheduled
from engine.workflows.session.state import CancelReason, Order, PatientIdentity, SessionState
from integrations.hl7_fhir.ack import ACCEPTED, Acknowledgement, header, refusal
from integrations.hl7_fhir.facts import allergies, hidden, readable, source, unlike
from integrations.hl7_fhir.faults import UNSUPPORTED_PROCESSING_ID, SenderFault
from integrations.hl7_fhir.identity_changes import may_change
from integrations.hl7_fhir.inbound import Translation, translate
from integrations.hl7_fhir.known import GONE, Known
from integrations.hl7_fhir.limits import too_long_in_allergies, too_long_in_order, too_long_in_patient
from integrations.hl7_fhir.listener import Peer
from integrations.hl7_fhir.profile import Profile
from integrations.hl7_fhir.values import (
    Allergies,
    Held,
    IdentityMessage,
    Meaning,
    OrderMessage,
    Patient,
    PatientMessage,
    Unused,
)

LARGE_BYTES = 256 * 1024
MAX_LABEL = 200
"""Characters kept of MSH-3 and MSH-4, MSH-9 and MSH-10 beside the bytes, which hold them whole."""

UNCONFIRMED = ("scheduled", "preparing", "requested", "identifying")
"""Phases in which nobody has confirmed who the patient is."""

PRODUCTION = ("", "P")
TAKEN_BACK = "Whoever sent this weight has taken it back: weigh the patient."
UNKNOWN = "unknown"
OVER = ("closing", "signed", "sealed", "cancelled", "declined")
ACTOR = Actor.system("hl7")
_SESSION = SessionScheduled | PatientAmended | OrderAmended
_HEARD = _SESSION | MessageReceived | MessageReplayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One inbound feed: whose it is, how it is read, and whether its sessions are demonstrations."""

    feed_id: str
    organization_id: str
    profile: Profile
    demo: bool = False


class _HeldHere(Exception):
    """A meaning that needs a person: the reason word, what it is about and which sessions it concerns."""

    def __init__(self, reason: str, what: str, sessions: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.what = what
        self.sessions = sessions


class Intake:
    """Takes messages of one feed. `key` keys the in-memory index of patients, so that it holds no identifiers."""

    def __init__(self, executor: Executor, feed: Feed, key: bytes) -> None:
        self._executor = executor
        self._feed = feed
        self._known = Known(executor, key)

    async def open(self) -> None:
        """Learn from the log which sessions go on and which numbers were merged away; once, and first."""
        await self._known.open(self._reread)

    async def receive(self, raw: bytes, peer: Peer) -> Acknowledgement:
        """Store one message and answer it, refused or not; the listener's handler."""
        answer = ACCEPTED
        try:
            await self._read(raw)
        except SenderFault as fault:
            answer = refusal(fault)
        digest = hashlib.sha256(raw).hexdigest()
        got = header(raw)
        sender = f"{got.component(3, 1)}|{got.component(4, 1)}"[:MAX_LABEL]
        control_id = got.field(10)[:MAX_LABEL]
        name = f"{self._feed.feed_id}|{sender}|{control_id}|{digest}"
        message_id = "msg-" + hashlib.sha256(name.encode()).hexdigest()[:40]
        command = ReceiveMessage(
            feed_id=self._feed.feed_id,
            organization_id=self._feed.organization_id,
            site_id=self._feed.profile.site,
            sender=sender,
            control_id=control_id,
            message_type="^".join(filter(None, (got.component(9, 1), got.component(9, 2))))[:MAX_LABEL],
            content_hash=digest,
            raw=base64.b64encode(raw).decode(),
        )
        await self._execute(f"hl7:{message_id}", Stream("message", message_id), command)
        return answer

    @staticmethod
    def keys(recorded: Recorded) -> tuple[Hashable, ...]:
        """Return the one key of what `handle` hears, in the order of the log, and none for what is not for it."""
        return in_order(recorded) if isinstance(recorded.event, _HEARD) else ()

    async def handle(self, recorded: Recorded) -> None:
        """Make commands of a received or replayed message; keep the index of patients. A subscription's reader."""
        event = recorded.event
        if isinstance(event, _SESSION):
            self._learn(await self._executor.state(recorded.stream))
        if not isinstance(event, MessageReceived | MessageReplayed):
            return
        message = await self._executor.state(recorded.stream)
        if message.raw is None or message.feed_id != self._feed.feed_id:
            return
        try:
            verdict = await self._work(await self._read(base64.b64decode(message.raw)), recorded.id)
        except SenderFault as fault:
            verdict = RecordMessageHeld(reason="REFUSED", what=f"{fault.field}: {fault.why}")
        await self._execute(f"hl7:outcome:{recorded.id}", recorded.stream, verdict)

    async def _work(self, translation: Translation, cause: str) -> Command:
        """Follow every meaning of a message, each by itself, and say what came of them together."""
        sessions: list[str] = []
        notices = list(translation.notes)
        held: list[_HeldHere] = []
        unused = [meaning.why for meaning in translation.meanings if isinstance(meaning, Unused)]
        if len(unused) == len(translation.meanings):
            return RecordMessageUnused(why=unused[0])
        for number, meaning in enumerate(translation.meanings):
            if isinstance(meaning, OrderMessage | PatientMessage):
                notices.extend(meaning.warnings)
            try:
                sessions.extend(await self._apply(meaning, f"{cause}:{number}"))
            except _HeldHere as here:
                held.append(here)
                sessions.extend(here.sessions)
            except Rejected as refused:
                held.append(_HeldHere(refused.reason, refused.sentence))
            except Invalid as invalid:
                held.append(_HeldHere("INVALID", invalid.field))
        said = tuple(dict.fromkeys((*notices, *unused, *(f"{one.reason}: {one.what}" for one in held[1:]))))
        if held:
            first = held[0]
            return RecordMessageHeld(
                reason=first.reason, what=first.what, sessions=tuple(sessions), notices=said
            )
        return RecordMessageApplied(sessions=tuple(sessions), notices=said)

    async def _read(self, raw: bytes) -> Translation:
        """Read a message. Raises SenderFault, also for one of a training or test system that is no demonstration's."""
        if len(raw) > LARGE_BYTES:
            read = await asyncio.to_thread(translate, raw, self._feed.profile)
        else:
            read = translate(raw, self._feed.profile)
        if not self._feed.demo and read.processing_id not in PRODUCTION:
            why = "only messages of a production system (P) are taken here"
            raise SenderFault("MSH", 11, UNSUPPORTED_PROCESSING_ID, why)
        return read

    async def _apply(self, meaning: Meaning, cause: str) -> list[str]:
        if isinstance(meaning, OrderMessage):
            return [await self._order(meaning, cause)]
        if isinstance(meaning, PatientMessage):
            return await self._patient(meaning, cause)
        if isinstance(meaning, IdentityMessage):
            return await self._identities(meaning)
        if isinstance(meaning, Held):
            raise _HeldHere(meaning.reason, meaning.what)
        return []

    async def _identities(self, message: IdentityMessage) -> list[str]:
        """Hold a merge, move or change of numbers of a session that goes on: which record is whose, a person says.

        One that touches none of ours changes nothing here; a number that it takes out of use opens no session later.
        """
        self._known.retire(message)
        if unlike(*(text for one in message.identifiers for text in (one.value, one.authority))):
            raise _HeldHere("HIDDEN_CHARACTERS", "PID-3 or MRG-1")
        concerned = [one for one in await self._known.concerned(message) if not one.in_phase(*GONE)]
        if concerned:
            what = f"{message.trigger}: {message.why}, and a session bears one of the numbers"
            raise _HeldHere(message.reason, what, [one.session_id for one in concerned])
        return []

    async def _reread(self, received: Recorded) -> IdentityMessage | None:
        """Return what a stored message of this feed changed of identities; nothing of an erased or refused one."""
        event = received.event
        if not isinstance(event, MessageReceived) or event.feed_id != self._feed.feed_id:
            return None
        message = await self._executor.state(received.stream) if may_change(event.message_type) else None
        if message is None or message.raw is None:
            return None
        try:
            read = await self._read(base64.b64decode(message.raw))
        except SenderFault:
            return None
        return next((one for one in read.meanings if isinstance(one, IdentityMessage)), None)

    async def _order(self, order: OrderMessage, cause: str) -> str:
        self._possible(order.patient, order.allergies, too_long_in_order(order, self._feed.profile))
        session_id = self._session_id(order)
        stream = Stream("session", session_id)
        state: SessionState = await self._executor.state(stream)
        if state.version:
            _same_order(state, order)
        if order.action == "cancel":
            if state.version == 0:
                raise _HeldHere("UNKNOWN_ORDER", "the order to cancel")
            await self._execute(
                f"{cause}:cancel", stream, session.CancelSession(reason=CancelReason.ORDER_CANCELLED)
            )
            return session_id
        if order.planned_at is None:
            raise _HeldHere("NO_PLANNED_TIME", "TQ1-7, OBR-27.4 or ORC-7.4")
        if state.version == 0:
            await self._new(order)
            await self._execute(f"{cause}:schedule", stream, self._schedule(order))
        else:
            _same_person(state, order.patient)
            # The allergy first: it reaches a session that is too far on for its order to change.
            await self._allergies(order.allergies, state, cause)
            amend = session.AmendOrder(order=_order(order), planned_at=order.planned_at, room_id=order.room)
            await self._execute(f"{cause}:amend", stream, amend)
            if order.weight_taken_back and state.weight_kg is not None and state.weight_method == "order":
                doubtful = session.RecordWeight(weight_kg=state.weight_kg, method="order", doubt=TAKEN_BACK)
                await self._execute(f"{cause}:weight", stream, doubtful)
            if order.weight_kg is not None and order.weight_kg != state.weight_kg:
                if state.weight_kg is not None and state.weight_method != "order":
                    raise _HeldHere("WEIGHT_DIFFERS", "OBX-5 differs from the weight taken in the room")
                weight = session.RecordWeight(weight_kg=order.weight_kg, method="order")
                await self._execute(f"{cause}:weight", stream, weight)
        return session_id

    async def _new(self, order: OrderMessage) -> None:
        """Neither a number that was merged away nor a second session of an order we have is taken silently."""
        first = order.patient.identifiers[0]
        if self._known.retired(first):
            raise _HeldHere("PATIENT_MERGED", "PID-3 was merged into another number by an earlier message")
        for other in await self._known.of_order(order.placer, order.filler):
            was, who = other.order, other.identity
            if was is None or who is None or other.in_phase(*GONE) or other.site_id != order.site:
                continue
            same = (who.authority, who.mrn) == (first.authority, first.value)
            if same and bool(was.accession_number) != bool(order.accession):
                raise _HeldHere("ORDER_MISMATCH", "ORC-2 or ORC-3 is of a session, the accession number not")

    def _schedule(self, order: OrderMessage) -> session.ScheduleSession:
        assert order.planned_at is not None
        return session.ScheduleSession(
            organization_id=self._feed.organization_id,
            site_id=order.site,
            room_id=order.room,
            planned_at=order.planned_at,
            order=_order(order),
            identity=_identity(order.patient),
            allergies=allergies(order.allergies),
            allergies_source=source(order.allergies, "hl7"),
            weight_kg=order.weight_kg,
            demo=self._feed.demo,
        )

    async def _patient(self, message: PatientMessage, cause: str) -> list[str]:
        """Bring demographics to the patient's sessions that are not yet confirmed, and allergies to all that go on.

        An allergy that was not known takes READY away, whatever the phase. Demographics that differ from those a room
        has confirmed are held: a person looks.
        """
        self._possible(message.patient, message.allergies)
        identity = _identity(message.patient)
        changed, differs = [], False
        for state in await self._known.of_patient(identity.authority, identity.mrn):
            session_id, stream = state.session_id, Stream("session", state.session_id)
            if state.in_phase(*OVER):
                continue
            unconfirmed = state.in_phase(*UNCONFIRMED)
            told = _filled(identity, state.identity)
            if state.identity != told and unconfirmed:
                amend = session.AmendPatient(identity=told)
                await self._execute(f"{cause}:{session_id}:patient", stream, amend)
            differs |= state.identity != told and not unconfirmed
            await self._allergies(message.allergies, state, f"{cause}:{session_id}")
            changed.append(session_id)
        if differs:
            raise _HeldHere(
                "PATIENT_CHANGED", "the demographics differ from those confirmed in a session under way"
            )
        return changed

    async def _allergies(self, told: Allergies, state: SessionState, cause: str) -> None:
        """Bring an allergy list to a session that goes on; nothing said changes nothing."""
        origin, listed = source(told, "hl7"), allergies(told)
        news = state.in_phase(*UNCONFIRMED) or listed != state.allergies
        if origin and news and not state.in_phase(*OVER):
            record = session.RecordAllergies(allergies=listed, source=origin)
            await self._execute(f"{cause}:allergies", Stream("session", state.session_id), record)

    def _possible(self, patient: Patient, told: Allergies, too_long: str = "") -> None:
        """Nothing longer than a person might type, and nobody who is yet to be born, makes or changes a session."""
        if too_long := too_long_in_patient(patient) or too_long_in_allergies(told) or too_long:
            raise _HeldHere("TOO_LONG", too_long)
        tomorrow = self._executor.clock.now().date() + dt.timedelta(days=1)
        if patient.birth_date is not None and patient.birth_date > tomorrow:
            raise _HeldHere("BIRTH_DATE_AHEAD", "PID-7 is a day that has not come")

    def _session_id(self, order: OrderMessage) -> str:
        name = f"{self._feed.organization_id}|{order.site}|{order.number}"
        return "ses-" + hashlib.sha256(name.encode()).hexdigest()[:16]

    def _learn(self, state: SessionState) -> None:
        self._known.learn(state.session_id, state.identity, state.order)

    async def _execute(self, request_id: str, stream: Stream, command: Command) -> None:
        correlation = stream.id if stream.machine == "session" else ""
        outcome = await self._executor.execute(
            Request(
                request_id=request_id, stream=stream, command=command, actor=ACTOR, correlation=correlation
            )
        )
        if isinstance(outcome.state, SessionState):
            # At once: the next message may stand in the log before the event of this command.
            self._learn(outcome.state)


def _same_order(state: SessionState, order: OrderMessage) -> None:
    """Neither another patient's message nor another order under the same accession number is followed silently."""
    known, first = state.identity, order.patient.identifiers[0]
    was = state.order
    if known is None or was is None or (known.authority, known.mrn) != (first.authority, first.value):
        raise _HeldHere("PATIENT_MISMATCH", "PID-3 differs from the order's patient")
    for place, old, new in (
        ("ORC-2", was.placer_number, order.placer),
        ("ORC-3", was.filler_number, order.filler),
    ):
        if old and new and old != new:
            raise _HeldHere("ORDER_MISMATCH", f"{place} differs from the session's order")


def _same_person(state: SessionState, patient: Patient) -> None:
    """What a cancellation may leave out, a changed order must agree with; one part of a name may have changed."""
    known, told = state.identity, _identity(patient)
    if known is None or known.birth_date != told.birth_date:
        raise _HeldHere("PATIENT_MISMATCH", "PID-7 differs from the order's patient")
    told = _filled(told, known)
    if UNKNOWN not in (known.sex, told.sex) and known.sex != told.sex:
        raise _HeldHere("PATIENT_MISMATCH", "PID-8 differs from the order's patient")
    if known.family and known.given and known.family != told.family and known.given != told.given:
        raise _HeldHere("PATIENT_MISMATCH", "PID-5 differs from the order's patient")


def _filled(told: PatientIdentity, known: PatientIdentity | None) -> PatientIdentity:
    """Return what a message tells over what is known: an empty field says nothing and takes nothing away."""
    if known is None:
        return told
    return replace(
        told,
        family=told.family or known.family,
        given=told.given or known.given,
        sex=known.sex if told.sex == UNKNOWN else told.sex,
    )


def _order(order: OrderMessage) -> Order:
    if unlike(order.accession, order.placer, order.filler, order.study_instance_uid):
        raise _HeldHere("HIDDEN_CHARACTERS", "a number of the order")
    return Order(
        accession_number=order.accession,
        placer_number=order.placer,
        filler_number=order.filler,
        study_instance_uid=order.study_instance_uid,
        procedure_code=order.procedure.code,
        procedure_system=order.procedure.system,
        procedure_text=readable(order.procedure.text),
        modality=order.modality,
        contrast_class=order.contrast,
        ordering_provider=readable(order.provider.id),
    )


def _identity(patient: Patient) -> PatientIdentity:
    if not patient.identifiers:
        raise _HeldHere("NO_ACCEPTED_IDENTIFIER", "PID-3")
    if patient.birth_date is None:
        raise _HeldHere("NO_BIRTH_DATE", "PID-7")
    first = patient.identifiers[0]
    if unlike(first.value, first.authority) or hidden(patient.family, patient.given):
        raise _HeldHere("HIDDEN_CHARACTERS", "PID-3 or PID-5")
    return PatientIdentity(
        mrn=first.value,
        authority=first.authority,
        family=patient.family,
        given=patient.given,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )
