"""HL7 in: keep the bytes, acknowledge, then make commands of them. Nothing is acknowledged before it is durable.

An AA says: stored and readable. What a message leads to comes after, from the log, so a crash between the two loses
nothing; trouble with our own maps is held on the worklist and replayed, never the sender's fault.
"""

import asyncio
import base64
import hashlib
import hmac
from dataclasses import dataclass

from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import Invalid, Rejected
from engine.kernel.events import Recorded
from engine.kernel.ids import Stream
from engine.runtime.executor import Executor
from engine.workflows.message.commands import (
    ReceiveMessage,
    RecordMessageApplied,
    RecordMessageHeld,
    RecordMessageUnused,
)
from engine.workflows.message.events import MessageReceived, MessageReplayed
from engine.workflows.session import commands as session
from engine.workflows.session.events import PatientAmended, SessionScheduled
from engine.workflows.session.state import CancelReason, Order, PatientIdentity, SessionState
from integrations.hl7_fhir.ack import ACCEPTED, Acknowledgement, refusal
from integrations.hl7_fhir.facts import allergies, hidden, readable, source
from integrations.hl7_fhir.faults import SenderFault
from integrations.hl7_fhir.inbound import Translation, translate
from integrations.hl7_fhir.listener import Peer
from integrations.hl7_fhir.profile import Profile
from integrations.hl7_fhir.values import (
    Held,
    Meaning,
    OrderMessage,
    Patient,
    PatientMessage,
    Unused,
)

LARGE_BYTES = 256 * 1024
ACTOR = Actor.system("hl7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One inbound feed: whose it is, how it is read, and whether its sessions are demonstrations."""

    feed_id: str
    organization_id: str
    profile: Profile
    demo: bool = False


class _HeldHere(Exception):
    """A meaning that needs a person: the reason word and what it is about."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.what = what


class Intake:
    """Takes messages of one feed. `key` keys the in-memory index of patients, so that it holds no identifiers."""

    def __init__(self, executor: Executor, feed: Feed, key: bytes) -> None:
        self._executor = executor
        self._feed = feed
        self._key = key
        self._sessions: dict[str, list[str]] = {}

    async def receive(self, raw: bytes, peer: Peer) -> Acknowledgement:
        """Store one message and answer it; the listener's handler."""
        try:
            translation = await self._read(raw)
        except SenderFault as fault:
            return refusal(fault)
        digest = hashlib.sha256(raw).hexdigest()
        sender = f"{translation.sender.application}|{translation.sender.facility}"
        name = f"{self._feed.feed_id}|{sender}|{translation.sender.control_id}|{digest}"
        message_id = "msg-" + hashlib.sha256(name.encode()).hexdigest()[:40]
        command = ReceiveMessage(
            feed_id=self._feed.feed_id,
            organization_id=self._feed.organization_id,
            site_id=self._feed.profile.site,
            sender=sender,
            control_id=translation.sender.control_id,
            message_type=translation.type,
            content_hash=digest,
            raw=base64.b64encode(raw).decode(),
        )
        await self._execute(f"hl7:{message_id}", Stream("message", message_id), command)
        return ACCEPTED

    async def handle(self, recorded: Recorded) -> None:
        """Make commands of a received or replayed message; keep the index of patients. A subscription's reader."""
        event = recorded.event
        if isinstance(event, SessionScheduled | PatientAmended) and event.identity is not None:
            found = self._sessions.setdefault(self._who(event.identity.authority, event.identity.mrn), [])
            if recorded.stream.id not in found:
                found.append(recorded.stream.id)
        if not isinstance(event, MessageReceived | MessageReplayed):
            return
        message = await self._executor.state(recorded.stream)
        if message.raw is None or message.feed_id != self._feed.feed_id:
            return
        translation = await self._read(base64.b64decode(message.raw))
        applied: list[str] = []
        verdict: Command | None = None
        for number, meaning in enumerate(translation.meanings):
            try:
                applied.extend(await self._apply(meaning, f"{recorded.id}:{number}"))
            except _HeldHere as held:
                verdict = RecordMessageHeld(reason=held.reason, what=held.what)
            except Rejected as refused:
                verdict = RecordMessageHeld(reason=refused.reason, what=refused.sentence)
            except Invalid as invalid:
                verdict = RecordMessageHeld(reason="INVALID", what=invalid.field)
        if verdict is None and all(isinstance(meaning, Unused) for meaning in translation.meanings):
            why = translation.meanings[0].why if isinstance(translation.meanings[0], Unused) else ""
            verdict = RecordMessageUnused(why=why)
        verdict = verdict or RecordMessageApplied(sessions=tuple(applied))
        await self._execute(f"hl7:outcome:{recorded.id}", recorded.stream, verdict)

    async def _read(self, raw: bytes) -> Translation:
        if len(raw) > LARGE_BYTES:
            return await asyncio.to_thread(translate, raw, self._feed.profile)
        return translate(raw, self._feed.profile)

    async def _apply(self, meaning: Meaning, cause: str) -> list[str]:
        if isinstance(meaning, OrderMessage):
            return [await self._order(meaning, cause)]
        if isinstance(meaning, PatientMessage):
            return await self._patient(meaning, cause)
        if isinstance(meaning, Held):
            raise _HeldHere(meaning.reason, meaning.what)
        return []

    async def _order(self, order: OrderMessage, cause: str) -> str:
        session_id = self._session_id(order)
        stream = Stream("session", session_id)
        state: SessionState = await self._executor.state(stream)
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
            await self._execute(f"{cause}:schedule", stream, self._schedule(order))
        else:
            self._same_patient(state, order.patient)
            amend = session.AmendOrder(order=_order(order), planned_at=order.planned_at, room_id=order.room)
            await self._execute(f"{cause}:amend", stream, amend)
        return session_id

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
        identity = _identity(message.patient)
        changed, differs = [], False
        for session_id in self._sessions.get(self._who(identity.authority, identity.mrn), []):
            stream = Stream("session", session_id)
            state: SessionState = await self._executor.state(stream)
            if state.in_phase("closing", "signed", "sealed", "cancelled", "declined"):
                continue
            unconfirmed = state.in_phase("scheduled", "preparing", "requested", "identifying")
            if state.identity != identity and unconfirmed:
                amend = session.AmendPatient(identity=identity)
                await self._execute(f"{cause}:{session_id}:patient", stream, amend)
            differs |= state.identity != identity and not unconfirmed
            origin, listed = source(message.allergies, "hl7"), allergies(message.allergies)
            if origin and (unconfirmed or listed != state.allergies):
                record = session.RecordAllergies(allergies=listed, source=origin)
                await self._execute(f"{cause}:{session_id}:allergies", stream, record)
            changed.append(session_id)
        if differs:
            raise _HeldHere(
                "PATIENT_CHANGED", "the demographics differ from those confirmed in a session under way"
            )
        return changed

    def _same_patient(self, state: SessionState, patient: Patient) -> None:
        """An order that changes its patient is never followed silently."""
        known, now = state.identity, _identity(patient)
        if known is None or (known.authority, known.mrn, known.birth_date) != (
            now.authority,
            now.mrn,
            now.birth_date,
        ):
            raise _HeldHere("PATIENT_MISMATCH", "PID-3 or PID-7 differ from the order's patient")

    def _session_id(self, order: OrderMessage) -> str:
        number = order.accession or order.filler or order.placer
        name = f"{self._feed.organization_id}|{order.site}|{number}"
        return "ses-" + hashlib.sha256(name.encode()).hexdigest()[:16]

    def _who(self, authority: str, mrn: str) -> str:
        return hmac.digest(self._key, f"{authority}|{mrn}".encode(), "sha256").hex()

    async def _execute(self, request_id: str, stream: Stream, command: Command) -> None:
        correlation = stream.id if stream.machine == "session" else ""
        await self._executor.execute(
            Request(
                request_id=request_id, stream=stream, command=command, actor=ACTOR, correlation=correlation
            )
        )


def _order(order: OrderMessage) -> Order:
    if hidden(order.accession, order.placer, order.filler, order.study_instance_uid):
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
    if hidden(first.value, first.authority, patient.family, patient.given):
        raise _HeldHere("HIDDEN_CHARACTERS", "PID-3 or PID-5")
    return PatientIdentity(
        mrn=first.value,
        authority=first.authority,
        family=patient.family,
        given=patient.given,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )
