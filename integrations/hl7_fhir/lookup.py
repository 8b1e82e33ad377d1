"""FHIR in: a scheduled session's patient and allergies, read from the EHR and reported as facts with their source.

Rule: "nobody knows the patient there" and "no allergy is on file" are not "no allergies": nothing is reported then,
and the physician sees it as unknown.
"""

from engine.kernel.commands import Actor, Request
from engine.kernel.errors import PeerError
from engine.kernel.ids import Stream
from engine.kernel.store import OutboxRow
from engine.runtime.executor import Executor
from engine.workflows.session.commands import RecordAllergies
from engine.workflows.session.state import SessionState
from integrations.hl7_fhir.facts import allergies, source
from integrations.hl7_fhir.fhir_reader import FhirReader
from integrations.hl7_fhir.fhir_resources import FhirNames

ACTOR = Actor.system("fhir")


class AllergyLookup:
    """The outbox handler of `lookup.allergies`. Without a reader there is nothing to look up."""

    def __init__(self, executor: Executor, reader: FhirReader | None, names: FhirNames | None) -> None:
        self._executor = executor
        self._reader = reader
        self._names = names

    async def handle(self, row: OutboxRow) -> None:
        """Read and report. A server that is down raises, and the outbox tries again."""
        session: SessionState = await self._executor.state(row.stream)
        if self._reader is None or self._names is None or session.identity is None:
            return
        system = self._names.authorities.get(session.identity.authority, session.identity.authority)
        try:
            patient = await self._reader.find_patient(system, session.identity.mrn)
            if patient is None:
                return
            if patient.patient.birth_date != session.identity.birth_date:
                raise PeerError("the EHR knows another birth date for this identifier", permanent=True)
            found = await self._reader.allergies(patient.id)
        except PeerError as error:
            if error.permanent:
                return
            raise
        origin = source(found, "fhir")
        if not origin:
            return
        command = RecordAllergies(allergies=allergies(found), source=origin)
        request = Request(
            request_id=f"lookup:{row.key}",
            stream=Stream("session", session.session_id),
            command=command,
            actor=ACTOR,
            correlation=session.session_id,
        )
        await self._executor.execute(request)
