"""Builds the R4 resources of one session's result; each carries an identifier of ours, so writing twice is finding.

Pure: the same result gives the same JSON. References between them are `urn:uuid:` names that the writer replaces.
"""

import base64
import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from integrations.hl7_fhir import codes
from integrations.hl7_fhir.fhir_http import Resource
from integrations.hl7_fhir.result import ContrastGiven, Reaction, SupervisionResult, Treatment, VitalSigns
from integrations.hl7_fhir.values import NO_CODE, Coded, Provider

_NAMES: Final = uuid.UUID("6f1d3a52-5a0e-5c6c-9a3b-2f6f2c5d7e10")
_TERMS: Final = "http://terminology.hl7.org/CodeSystem"
_TYPES: Final = f"{_TERMS}/v2-0203"


@dataclass(frozen=True, slots=True)
class FhirNames:
    """How identifiers are spelled for one server: `ours` is the system of our own identifiers.

    `authorities` maps a v2 assigning authority to its FHIR system; one that is not in it must be a URI already.
    Order numbers without a system are not sent.
    """

    ours: str
    authorities: Mapping[str, str] = field(default_factory=dict)
    accession: str = ""
    placer: str = ""
    filler: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource to write. `theirs` are the server's own (patient, order): looked up, not written over.

    `url` is its `urn:uuid:` name, `revision` from 2 on says that a resource found there is to be updated.
    """

    url: str
    resource: Resource
    theirs: bool = False
    revision: int = 1

    @property
    def kind(self) -> str:
        """The resource's type."""
        return str(self.resource["resourceType"])

    @property
    def identifiers(self) -> tuple[tuple[str, str], ...]:
        """Its identifiers as (system, value)."""
        value = self.resource.get("identifier") or []
        every = value if isinstance(value, list) else [value]
        return tuple((str(one["system"]), str(one["value"])) for one in every)


def build(result: SupervisionResult, names: FhirNames) -> tuple[Entry, ...]:
    """Return every resource of the result, each after those it refers to, the document first among ours."""
    builder = _Builder(result, names)
    entries = [builder.patient()]
    if (order := builder.service_request()) is not None:
        entries.append(order)
    if result.pdf:
        entries.append(builder.document())
    entries.append(builder.procedure())
    entries += [builder.contrast(given) for given in result.contrast]
    entries += [entry for signs in result.vitals for entry in builder.vitals(signs)]
    if result.reaction is not None:
        entries += [builder.treatment(done) for done in result.reaction.treatments if done.is_drug]
        entries.append(builder.adverse_event(result.reaction))
        if result.reaction.kind == "allergic_like":
            entries.append(builder.allergy(result.reaction))
    return tuple(entries)


class _Builder:
    """The resources of one result; each method makes one."""

    def __init__(self, result: SupervisionResult, names: FhirNames) -> None:
        self._result = result
        self._names = names

    def patient(self) -> Entry:
        who = self._result.patient
        resource: Resource = {
            "resourceType": "Patient",
            "identifier": [
                _drop(
                    {
                        "type": _concept(Coded(one.type, "", _TYPES)) if one.type else None,
                        "system": self._names.authorities.get(one.authority, one.authority),
                        "value": one.value,
                    }
                )
                for one in who.identifiers
            ],
            "name": [_drop({"use": "official", "family": who.family, "given": who.given.split()})],
            "gender": who.sex,
            "birthDate": who.birth_date.isoformat() if who.birth_date else None,
        }
        return Entry(self._url("patient"), _drop(resource), theirs=True)

    def service_request(self) -> Entry | None:
        order, names = self._result.order, self._names
        numbers = [
            {"type": _concept(Coded(kind, "", _TYPES)), "system": system, "value": value}
            for kind, system, value in (
                ("ACSN", names.accession, order.accession),
                ("FILL", names.filler, order.filler),
                ("PLAC", names.placer, order.placer),
            )
            if system and value
        ]
        if not numbers:
            return None
        resource: Resource = {
            "resourceType": "ServiceRequest",
            "identifier": numbers,
            "status": "completed",
            "intent": "order",
            "code": _concept(self._result.procedure),
            "subject": self._ref("patient", "Patient"),
        }
        return Entry(self._url("order"), resource, theirs=True)

    def procedure(self) -> Entry:
        result = self._result
        performers = [
            {"function": {"text": role}, "actor": {"display": _person(who)}}
            for role, who in (
                ("Supervising physician", result.physician),
                ("Technologist", result.technologist),
            )
            if _person(who)
        ]
        return self._ours(
            "Procedure",
            "supervision",
            {
                "basedOn": self._based_on(),
                "status": "completed",
                "code": {"text": "Virtual supervision of contrast administration"},
                "subject": self._ref("patient", "Patient"),
                "performedPeriod": {"start": _at(result.started_at), "end": _at(result.ended_at)},
                "performer": performers,
                "note": [{"text": f"Verdict: {result.verdict}. Sealed record SHA-256: {result.seal_hash}"}],
            },
        )

    def contrast(self, given: ContrastGiven) -> Entry:
        dosage = {
            "dose": _quantity(given.volume_ml, "mL") if given.volume_ml is not None else None,
            "rateQuantity": _quantity(given.rate_ml_s, "mL/s") if given.rate_ml_s is not None else None,
        }
        return self._administration(f"contrast/{given.id}", given.agent, given.at, given.route, dosage)

    def treatment(self, done: Treatment) -> Entry:
        dosage = {"dose": _quantity(done.dose, done.unit) if done.dose is not None else None}
        return self._administration(f"treatment/{done.id}", done.what, done.at, done.route, dosage)

    def _administration(
        self, part: str, what: Coded, at: dt.datetime, route: Coded, dosage: Mapping[str, Any]
    ) -> Entry:
        amounts = _drop(dosage)
        if amounts and route != NO_CODE:
            # mad-1: a dosage has a dose or a rate, so a route alone cannot be said.
            amounts["route"] = _concept(route)
        return self._ours(
            "MedicationAdministration",
            part,
            {
                "partOf": [self._ref("supervision", "Procedure")],
                "status": "completed",
                "medicationCodeableConcept": _concept(what),
                "subject": self._ref("patient", "Patient"),
                "effectiveDateTime": _at(at),
                "dosage": amounts,
            },
        )

    def vitals(self, signs: VitalSigns) -> list[Entry]:
        values = dict(signs.values)
        pressures = [
            {"code": _concept(codes.VITALS[name][0]), "valueQuantity": _quantity(values.pop(name), "mm[Hg]")}
            for name in ("systolic", "diastolic")
            if name in values
        ]
        out = []
        if pressures:
            panel = {"code": _concept(codes.BLOOD_PRESSURE), "component": pressures}
            out.append(self._observation(f"vitals/{signs.id}/blood_pressure", signs.at, panel))
        for name, value in values.items():
            what, unit = codes.VITALS[name]
            code = _concept(what)
            if name == "oxygen_saturation":
                code["coding"].append(_coding(codes.OXYGEN_SATURATION))
            body = {"code": code, "valueQuantity": _quantity(value, unit)}
            out.append(self._observation(f"vitals/{signs.id}/{name}", signs.at, body))
        return out

    def _observation(self, part: str, at: dt.datetime, body: Mapping[str, Any]) -> Entry:
        return self._ours(
            "Observation",
            part,
            {
                "status": "final" if self._result.version == 1 else "amended",
                "category": [_concept(Coded("vital-signs", "Vital Signs", f"{_TERMS}/observation-category"))],
                "subject": self._ref("patient", "Patient"),
                "effectiveDateTime": _at(at),
                **body,
            },
        )

    def adverse_event(self, reaction: Reaction) -> Entry:
        before = [given for given in self._result.contrast if given.at <= reaction.onset_at]
        return self._ours(
            "AdverseEvent",
            f"reaction/{reaction.id}",
            {
                "actuality": "actual",
                "event": _concept(codes.CONTRAST_REACTION),
                "subject": self._ref("patient", "Patient"),
                "date": _at(reaction.onset_at),
                "severity": _concept(
                    Coded(reaction.severity, reaction.severity, f"{_TERMS}/adverse-event-severity")
                ),
                "suspectEntity": [
                    {"instance": self._ref(f"contrast/{given.id}", "MedicationAdministration")}
                    for given in before
                ],
            },
        )

    def allergy(self, reaction: Reaction) -> Entry:
        agents = [given.agent for given in self._result.contrast if given.at <= reaction.onset_at]
        agent = agents[-1] if agents else codes.CONTRAST_MEDIA
        return self._ours(
            "AllergyIntolerance",
            f"allergy/{reaction.id}",
            {
                "clinicalStatus": _concept(
                    Coded("active", "Active", f"{_TERMS}/allergyintolerance-clinical")
                ),
                "verificationStatus": _concept(
                    Coded("unconfirmed", "Unconfirmed", f"{_TERMS}/allergyintolerance-verification")
                ),
                "category": ["medication"],
                "code": _concept(agent),
                "patient": self._ref("patient", "Patient"),
                "recordedDate": _at(self._result.sealed_at),
                "reaction": [
                    {
                        "substance": _concept(agent),
                        "manifestation": [_concept(sign) for sign in reaction.manifestations]
                        or [_concept(codes.CONTRAST_REACTION)],
                        "onset": _at(reaction.onset_at),
                        "severity": reaction.severity,
                    }
                ],
            },
        )

    def document(self) -> Entry:
        result = self._result
        sha1 = hashlib.sha1(result.pdf, usedforsecurity=False).digest()
        return self._ours(
            "DocumentReference",
            "document",
            {
                "status": "current",
                "docStatus": "final" if result.version == 1 else "amended",
                "type": _concept(codes.PROCEDURE_NOTE),
                "subject": self._ref("patient", "Patient"),
                "date": _at(result.sealed_at),
                "author": [{"display": _person(result.physician)}] if _person(result.physician) else None,
                "description": "Contrast supervision record",
                "content": [
                    {
                        "attachment": {
                            "contentType": "application/pdf",
                            "data": base64.b64encode(result.pdf).decode("ascii"),
                            "size": len(result.pdf),
                            "hash": base64.b64encode(sha1).decode("ascii"),
                            "title": "Contrast supervision record",
                            "creation": _at(result.sealed_at),
                        }
                    }
                ],
                "context": {"period": {"start": _at(result.started_at), "end": _at(result.ended_at)}},
            },
        )

    def _ours(self, kind: str, part: str, body: Mapping[str, Any]) -> Entry:
        own = {"system": self._names.ours, "value": f"{self._result.session_id}/{part}"}
        # AdverseEvent alone has a single identifier in R4.
        identifier: object = own if kind == "AdverseEvent" else [own]
        resource = _drop({"resourceType": kind, "identifier": identifier, **body})
        return Entry(self._url(part), resource, revision=self._result.version)

    def _based_on(self) -> list[Resource] | None:
        return [self._ref("order", "ServiceRequest")] if self.service_request() is not None else None

    def _url(self, part: str) -> str:
        return f"urn:uuid:{uuid.uuid5(_NAMES, f'{self._names.ours}|{self._result.session_id}/{part}')}"

    def _ref(self, part: str, kind: str) -> Resource:
        return {"reference": self._url(part), "type": kind}


def _drop(resource: Mapping[str, Any]) -> Resource:
    """Leave out what is None or empty: FHIR has no empty elements."""
    return {key: value for key, value in resource.items() if value not in (None, "", [], {})}


def _coding(what: Coded) -> Resource:
    uri = what.system if "://" in what.system or what.system.startswith("urn:") else ""
    return _drop({"system": uri, "code": what.code, "display": what.text})


def _concept(what: Coded) -> Resource:
    return _drop({"coding": [_coding(what)] if what.code else [], "text": what.text})


def _quantity(value: Decimal, unit: str) -> Resource:
    return {"value": value, "unit": unit, "system": codes.UCUM, "code": unit}


def _person(who: Provider) -> str:
    return " ".join(part for part in (who.given, who.family) if part)


def _at(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
