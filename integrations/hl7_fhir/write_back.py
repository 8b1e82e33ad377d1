"""HL7 and FHIR out: one sealed record to one destination, and what became of it as a fact on its delivery.

Rule: only sealed records leave. The sender's words never reach a log; the delivery keeps a short code.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, Protocol

from engine.kernel.clock import Clock
from engine.kernel.commands import Actor, Command, Request
from engine.kernel.errors import PeerError
from engine.kernel.ids import Stream
from engine.kernel.store import OutboxRow
from engine.reactions.state import ReactionState, Vitals
from engine.runtime.executor import Executor
from engine.workflows.delivery.commands import AttemptOutcome, RecordDeliveryAttempt, ReportDeliveryStarted
from engine.workflows.session.state import ContrastDose, SessionState
from integrations.hl7_fhir import codes
from integrations.hl7_fhir.fhir_resources import FhirNames, build
from integrations.hl7_fhir.fhir_writer import FhirWriter
from integrations.hl7_fhir.outbound import Destination, oru_r01
from integrations.hl7_fhir.result import (
    ContrastGiven,
    OrderNumbers,
    Reaction,
    SupervisionResult,
    Treatment,
    VitalSigns,
)
from integrations.hl7_fhir.sender import MllpSender
from integrations.hl7_fhir.values import Coded, Identifier, Patient, Provider

ACTOR: Final = Actor.system("write_back")
PHYSIOLOGIC: Final = "S-P"
_ROUTES: Final = {"inhaled": "INH"}
_WRITTEN: Final = ("created", "updated", "found", "absent", "not_accepted")


class SealedRecords(Protocol):
    """Gives the readable form of a sealed record, and since when it is sealed."""

    async def sealed_pdf(self, session_id: str) -> tuple[bytes, dt.datetime]:
        """Return the PDF and the moment of the seal."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Destination:
    """Where ORU^R01 messages go."""

    sender: MllpSender
    names: Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirDestination:
    """Where resources go."""

    writer: FhirWriter
    names: FhirNames


class WriteBack:
    """The outbox handlers of deliveries."""

    def __init__(
        self,
        executor: Executor,
        records: SealedRecords,
        clock: Clock,
        hl7: Hl7Destination | None,
        fhir: FhirDestination | None,
    ) -> None:
        self._executor = executor
        self._records = records
        self._clock = clock
        self._hl7 = hl7
        self._fhir = fhir

    def destinations(self, site_id: str) -> tuple[tuple[str, str], ...]:
        """Return (kind, destination) of every write-back configured here; every site has the same ones now."""
        found = []
        if self._hl7 is not None:
            found.append(("oru", "hl7"))
        if self._fhir is not None:
            found.append(("fhir", "fhir"))
        return tuple(found)

    async def oru(self, row: OutboxRow) -> None:
        """Send the ORU of a delivery and report the attempt."""
        await self._attempt(row, self._send_oru)

    async def resources(self, row: OutboxRow) -> None:
        """Write the FHIR resources of a delivery and report the attempt."""
        await self._attempt(row, self._write_fhir)

    async def _attempt(
        self, row: OutboxRow, send: Callable[[OutboxRow], Awaitable[tuple[AttemptOutcome, str]]]
    ) -> None:
        await self._report(row, "start", ReportDeliveryStarted())
        try:
            outcome, detail = await send(row)
        except PeerError as error:
            outcome = AttemptOutcome.REJECTED if error.permanent else AttemptOutcome.RETRY
            detail = "PEER_REFUSES" if error.permanent else "PEER_UNREACHABLE"
        await self._report(row, "attempt", RecordDeliveryAttempt(outcome=outcome, detail=detail))

    async def _report(self, row: OutboxRow, what: str, command: Command) -> None:
        request = Request(
            request_id=f"delivery:{what}:{row.key}",
            stream=Stream("delivery", row.body["delivery_id"]),
            command=command,
            actor=ACTOR,
            correlation=row.body["session_id"],
        )
        await self._executor.execute(request)

    async def _send_oru(self, row: OutboxRow) -> tuple[AttemptOutcome, str]:
        if self._hl7 is None:
            return AttemptOutcome.RETRY, "NO_DESTINATION"
        result = await self._result(row.body["session_id"])
        control_id = f"{result.session_id[-12:]}-{result.version}"
        raw = oru_r01(result, self._hl7.names, now=self._clock.now(), control_id=control_id)
        answer = await self._hl7.sender.send(raw)
        return AttemptOutcome(answer.kind), answer.code

    async def _write_fhir(self, row: OutboxRow) -> tuple[AttemptOutcome, str]:
        if self._fhir is None:
            return AttemptOutcome.RETRY, "NO_DESTINATION"
        result = await self._result(row.body["session_id"])
        delivery = await self._executor.state(row.stream)
        outcomes = await self._fhir.writer.write(
            build(result, self._fhir.names), first_attempt=delivery.attempts == 0
        )
        left = [one for one in outcomes if one.outcome not in _WRITTEN]
        if not left:
            return AttemptOutcome.ACCEPTED, f"{len(outcomes)}_RESOURCES"
        worst = (
            AttemptOutcome.RETRY if any(one.outcome == "retry" for one in left) else AttemptOutcome.REJECTED
        )
        return worst, f"{left[0].kind}_{left[0].outcome}".upper()

    async def _result(self, session_id: str) -> SupervisionResult:
        session: SessionState = await self._executor.state(Stream("session", session_id))
        reaction: ReactionState | None = None
        if session.reactions:
            reaction = await self._executor.state(Stream("reaction", session.reactions[-1]))
        pdf, sealed_at = await self._records.sealed_pdf(session_id)
        return supervision_result(session, reaction, pdf, sealed_at)


def supervision_result(
    session: SessionState, reaction: ReactionState | None, pdf: bytes, sealed_at: dt.datetime
) -> SupervisionResult:
    """Return what a sealed session tells a RIS or EHR. Raises PeerError when its identity was erased."""
    identity, order = session.identity, session.order
    if identity is None or order is None:
        raise PeerError("the patient's identity was erased; nothing can be written back", permanent=True)
    first = session.contrast[0].given_at if session.contrast else sealed_at
    return SupervisionResult(
        session_id=session.session_id,
        version=session.revision,
        patient=Patient(
            identifiers=(Identifier(identity.mrn, identity.authority, "MR"),),
            family=identity.family,
            given=identity.given,
            birth_date=identity.birth_date,
            sex=_sex(identity.sex),
        ),
        order=OrderNumbers(
            placer=order.placer_number,
            filler=order.filler_number,
            accession=order.accession_number,
            study_instance_uid=order.study_instance_uid,
        ),
        procedure=Coded(order.procedure_code, order.procedure_text, order.procedure_system),
        site=session.site_id,
        physician=_provider(session.physician.person_id if session.physician else "", session),
        technologist=Provider(id=session.technologist_id),
        started_at=session.injection_started_at or first,
        ended_at=sealed_at,
        sealed_at=sealed_at,
        verdict=_verdict(session),
        seal_hash=session.sealed_hash,
        contrast=tuple(_contrast(session, n, dose) for n, dose in enumerate(session.contrast, 1)),
        vitals=_vitals(reaction) if reaction else (),
        reaction=_reaction(reaction) if reaction and reaction.severity else None,
        pdf=pdf,
    )


def _sex(sex: str) -> Literal["female", "male", "other", "unknown"]:
    for known in ("female", "male", "other"):
        if sex.casefold() == known:
            return known
    return "unknown"


def _verdict(session: SessionState) -> Literal["allow", "needs_attestation", "deny"]:
    result = session.verdict.result if session.verdict else "needs_attestation"
    return "allow" if result == "allow" else "deny" if result == "deny" else "needs_attestation"


def _provider(person_id: str, session: SessionState) -> Provider:
    name = session.physician.name if session.physician else ""
    given, _, family = name.rpartition(" ")
    return Provider(id=person_id, family=family, given=given)


def _contrast(session: SessionState, number: int, dose: ContrastDose) -> ContrastGiven:
    agent = codes.AGENTS.get(dose.agent, Coded(text=dose.agent))
    return ContrastGiven(
        id=f"contrast-{number}",
        agent=agent,
        at=dose.given_at,
        volume_ml=dose.volume_ml,
        route=_route(dose.route),
    )


def _route(route: str) -> Coded:
    return codes.ROUTES.get(_ROUTES.get(route, route), Coded(text=route))


def _vitals(reaction: ReactionState) -> tuple[VitalSigns, ...]:
    return tuple(
        VitalSigns(id=f"vitals-{n}", at=one.at, values=_measured(one))
        for n, one in enumerate(reaction.vitals, 1)
    )


def _measured(one: Vitals) -> tuple[tuple[str, Decimal], ...]:
    found = {
        "systolic": one.systolic_mmhg,
        "diastolic": one.diastolic_mmhg,
        "heart_rate": one.heart_rate_bpm,
        "respiratory_rate": one.respiratory_rate_bpm,
        "oxygen_saturation": one.spo2_percent,
    }
    return tuple((name, Decimal(value)) for name, value in found.items() if value is not None)


def _reaction(reaction: ReactionState) -> Reaction:
    worst = reaction.worst or reaction.severity
    assert worst is not None
    physiologic = bool(reaction.signs) and all(sign.startswith(PHYSIOLOGIC) for sign in reaction.signs)
    treatments = tuple(
        Treatment(
            id=f"drug-{n}",
            at=given.given_at,
            what=codes.DRUGS.get(given.drug, Coded(text=given.drug)),
            dose=given.dose_mg,
            unit="mg" if given.dose_mg is not None else "",
            route=_route(given.route),
        )
        for n, given in enumerate(reaction.given, 1)
    )
    manifestation = codes.MANIFESTATIONS.get(
        {"hives": "urticaria"}.get(reaction.presentation, reaction.presentation),
        Coded(text=reaction.presentation),
    )
    return Reaction(
        id=reaction.reaction_id,
        kind="physiologic" if physiologic else "allergic_like",
        severity=worst.value,
        onset_at=reaction.onset_at or reaction.vitals[0].at,
        manifestations=(manifestation,),
        treatments=treatments,
        outcome=reaction.disposition.value if reaction.disposition else "",
        emergency_called=reaction.emergency_called_at is not None,
    )
