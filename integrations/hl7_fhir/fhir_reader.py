"""Reads patients and allergies from a FHIR R4 server; partial or odd data is unknown, never a guess.

Shapes are checked with the R4B models of fhir.resources (R4 and R4B agree on these); required codes are checked
here, because the models do not. The JSON that came is kept as it was.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from fhir.resources.R4B.allergyintolerance import AllergyIntolerance
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.patient import Patient as PatientModel
from pydantic import ValidationError

from engine.kernel.errors import PeerError
from integrations.hl7_fhir.codes import NO_KNOWN_ALLERGY
from integrations.hl7_fhir.fhir_http import FhirHttp, Resource, dumps
from integrations.hl7_fhir.values import Allergies, Allergy, Coded, Identifier, Patient, Sex

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_KINDS: Final = {"medication": "drug", "food": "food", "environment": "environment", "biologic": "other"}
_SEVERITIES: Final = ("mild", "moderate", "severe")
_NAME_USES: Final = ("official", "usual", None, "temp", "nickname", "anonymous")
_CONFIRMED: Final = {"confirmed": True, "unconfirmed": False, "presumed": False}
_NOT_ALLERGIES: Final = ("entered-in-error", "refuted")


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """A patient as a server holds it: its id and version there, what it means, and its JSON digit for digit."""

    id: str
    version: str
    patient: Patient
    source: bytes
    warnings: tuple[str, ...] = ()


class FhirReader:
    """Looks things up on one server."""

    def __init__(self, http: FhirHttp) -> None:
        self._http = http

    async def find_patient(self, system: str, value: str) -> PatientRecord | None:
        """Return the one patient with this identifier, or None.

        Raises PeerError: permanent when the server knows more than one, or answers with what is not R4.
        """
        found = [
            resource
            for resource in await self._search("Patient", {"identifier": f"{system}|{value}"})
            if any(
                one.get("system") == system and one.get("value") == value
                for one in resource.get("identifier", [])
            )
        ]
        if len(found) > 1:
            raise PeerError("the server knows more than one patient with this identifier", permanent=True)
        return _patient(found[0], system) if found else None

    async def read_patient(self, patient_id: str, system: str) -> PatientRecord:
        """Return a patient by its id on the server; identifiers of `system` are the accepted ones."""
        resource = await self._http.get(f"Patient/{_path_part(patient_id)}")
        return _patient(resource, system)

    async def allergies(self, patient_id: str) -> Allergies:
        """Return what the server says about a patient's allergies.

        `unknown` when it lists nothing at all; `none_known` only when it says so. Raises PeerError rather than give a
        part of the list.
        """
        found = await self._search("AllergyIntolerance", {"patient": f"Patient/{_path_part(patient_id)}"})
        items = []
        none_known = False
        for resource in found:
            _check(AllergyIntolerance, resource, "AllergyIntolerance")
            if _code(resource.get("verificationStatus")) in _NOT_ALLERGIES:
                continue
            item = _allergy(resource)
            if NO_KNOWN_ALLERGY.code in (one.get("code") for one in _codings(resource.get("code"))):
                none_known = none_known or item.active
            else:
                items.append(item)
        if none_known and not any(item.active for item in items):
            return Allergies("none_known", tuple(items))
        return Allergies("listed" if items else "unknown", tuple(items))

    async def _search(self, kind: str, params: dict[str, str]) -> list[Resource]:
        """Return every match of a search, all pages. Raises PeerError when there are more pages than max_pages."""
        limits = self._http.limits
        bundle = await self._http.get(kind, {**params, "_count": str(limits.page_size)})
        out: list[Resource] = []
        for _ in range(limits.max_pages):
            _check(Bundle, {**bundle, "entry": []} if "entry" in bundle else bundle, "Bundle")
            for entry in bundle.get("entry") or []:
                resource = entry.get("resource") if isinstance(entry, dict) else None
                if isinstance(resource, dict) and resource.get("resourceType") == kind:
                    out.append(resource)
            following = [
                link.get("url") for link in bundle.get("link") or [] if link.get("relation") == "next"
            ]
            if not following:
                return out
            bundle = await self._http.get(str(following[0]))
        raise PeerError(f"the server has more pages of {kind} than max_pages", permanent=True)


def _patient(resource: Resource, system: str) -> PatientRecord:
    _check(PatientModel, resource, "Patient")
    warnings = []
    every = [
        Identifier(str(one["value"]), str(one.get("system", "")), _code(one.get("type")))
        for one in resource.get("identifier") or []
        if one.get("value") and one.get("use") != "old"
    ]
    name = _name(resource.get("name") or [])
    gender = resource.get("gender", "unknown")
    sex: Sex = "unknown"
    if gender in get_args(Sex):
        sex = gender
    else:
        warnings.append("gender: a code that is not in administrative-gender was read as unknown")
    birth = str(resource.get("birthDate", ""))
    if birth and not _DAY.fullmatch(birth):
        warnings.append("birthDate: not a whole date, read as unknown")
    patient = Patient(
        identifiers=tuple(one for one in every if one.authority == system),
        family=str(name.get("family", "")),
        given=" ".join(str(part) for part in name.get("given") or []),
        birth_date=dt.date.fromisoformat(birth) if _DAY.fullmatch(birth) else None,
        sex=sex,
        others=tuple(one for one in every if one.authority != system),
    )
    version = str((resource.get("meta") or {}).get("versionId", ""))
    return PatientRecord(str(resource.get("id", "")), version, patient, dumps(resource), tuple(warnings))


def _name(names: Sequence[dict[str, Any]]) -> dict[str, Any]:
    for use in _NAME_USES:
        for name in names:
            if name.get("use") == use:
                return name
    return {}


def _allergy(resource: Resource) -> Allergy:
    concept = resource.get("code") or {}
    coding = next((one for one in _codings(concept) if one.get("code")), {})
    text = concept.get("text") or coding.get("display", "")
    reactions = resource.get("reaction") or []
    severities = [one.get("severity") for one in reactions]
    return Allergy(
        substance=Coded(str(coding.get("code", "")), str(text), str(coding.get("system", ""))),
        kind=_KINDS.get((resource.get("category") or [""])[0], ""),
        severity=next((level for level in reversed(_SEVERITIES) if level in severities), ""),
        reactions=tuple(
            words for one in reactions for sign in one.get("manifestation") or [] if (words := _words(sign))
        ),
        active=_code(resource.get("clinicalStatus")) not in ("inactive", "resolved"),
        confirmed=_CONFIRMED.get(_code(resource.get("verificationStatus"))),
    )


def _codings(concept: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list((concept or {}).get("coding") or [])


def _code(concept: dict[str, Any] | None) -> str:
    return next((str(one["code"]) for one in _codings(concept) if one.get("code")), "")


def _words(concept: dict[str, Any]) -> str:
    return str(
        concept.get("text") or next((one["display"] for one in _codings(concept) if one.get("display")), "")
    )


def _path_part(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", text):
        raise PeerError("not the id of a FHIR resource", permanent=True)
    return text


Model = type[PatientModel] | type[AllergyIntolerance] | type[Bundle]


def _check(
    model: Model, resource: Resource, kind: Literal["Patient", "AllergyIntolerance", "Bundle"]
) -> None:
    """Check the shape. The models repeat values in their errors, so only the kind is told."""
    if resource.get("resourceType") != kind:
        raise PeerError(f"the server did not answer with {kind}", permanent=True)
    try:
        model.model_validate(resource)
    except (ValidationError, ValueError, TypeError):
        raise PeerError(f"the server's {kind} is not FHIR R4", permanent=True) from None
