"""Writes resources one by one as far as a server's own /metadata says it takes them, and tells how each one fared.

Idempotent: a resource is searched by its identifier before it is created. What a server does not take is reported, not
forced. Nothing about a patient is written until the server has found that patient.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.kernel.errors import PeerError
from integrations.hl7_fhir.fhir_http import Answer, FhirHttp, Resource, may_pass
from integrations.hl7_fhir.fhir_resources import Entry

Kind = Literal["created", "updated", "found", "absent", "not_accepted", "rejected", "retry", "unsure"]
"""`absent`: one of theirs that is not there; `unsure`: it may have been created and cannot be searched for."""

_DONE = ("created", "updated", "found")


@dataclass(frozen=True, slots=True)
class TypeCapability:
    """What a server does with one type of resource."""

    create: bool
    update: bool
    by_identifier: bool


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """How one entry fared: `reference` is `Type/id` there when it is known, `why` a sentence without patient data."""

    url: str
    kind: str
    outcome: Kind
    reference: str = ""
    version: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Fate:
    outcome: Kind
    reference: str = ""
    version: str = ""
    why: str = ""


def parse_capabilities(statement: Resource) -> Mapping[str, TypeCapability]:
    """Read a CapabilityStatement; types that are not in it are not in the result."""
    if statement.get("resourceType") != "CapabilityStatement":
        raise PeerError("/metadata is not a CapabilityStatement", permanent=True)
    if not str(statement.get("fhirVersion", "4.0.1")).startswith("4."):
        raise PeerError("the server is not FHIR R4", permanent=True)
    out: dict[str, TypeCapability] = {}
    for rest in statement.get("rest") or []:
        if rest.get("mode", "server") != "server":
            continue
        for one in rest.get("resource") or []:
            does = {str(item.get("code")) for item in one.get("interaction") or []}
            params = {str(item.get("name")) for item in one.get("searchParam") or []}
            out[str(one.get("type"))] = TypeCapability(
                "create" in does, "update" in does, "search-type" in does and "identifier" in params
            )
    return out


class FhirWriter:
    """Writes to one server. `create_theirs` lets it create patients and orders too (a demo's or a test's server)."""

    def __init__(self, http: FhirHttp, *, create_theirs: bool = False) -> None:
        self._http = http
        self._create_theirs = create_theirs
        self._capabilities: Mapping[str, TypeCapability] | None = None

    async def capabilities(self) -> Mapping[str, TypeCapability]:
        """Return what the server takes, asked once. Raises PeerError."""
        if self._capabilities is None:
            self._capabilities = parse_capabilities(await self._http.get("metadata"))
        return self._capabilities

    async def write(
        self, entries: Sequence[Entry], *, done: Mapping[str, str] | None = None, first_attempt: bool = True
    ) -> tuple[WriteOutcome, ...]:
        """Write the entries in order and return one outcome each, in the same order.

        `done` maps the urls that an earlier attempt wrote to their references; `first_attempt` false forbids creating
        what cannot be searched for (it is `unsure`). Raises PeerError only when /metadata cannot be read.
        """
        known = await self.capabilities()
        references = dict(done or {})
        outcomes: list[WriteOutcome] = []
        stopped: WriteOutcome | None = None
        for entry in entries:
            if entry.url in references and entry.revision == 1:
                outcome = WriteOutcome(entry.url, entry.kind, "found", references[entry.url])
            elif stopped is not None:
                outcome = WriteOutcome(entry.url, entry.kind, stopped.outcome, why=stopped.why)
            else:
                capability = known.get(entry.kind, TypeCapability(False, False, False))
                fate = await self._entry(entry, capability, references, entries, first_attempt=first_attempt)
                outcome = WriteOutcome(
                    entry.url, entry.kind, fate.outcome, fate.reference, fate.version, fate.why
                )
            if outcome.outcome in _DONE:
                references[entry.url] = outcome.reference
            elif stopped is None:
                stopped = _stop(outcome)
            outcomes.append(outcome)
        return tuple(outcomes)

    async def _entry(
        self,
        entry: Entry,
        capability: TypeCapability,
        references: Mapping[str, str],
        entries: Sequence[Entry],
        *,
        first_attempt: bool,
    ) -> _Fate:
        may_create = capability.create and (self._create_theirs or not entry.theirs)
        try:
            found = await self._find(entry) if capability.by_identifier else []
        except PeerError as error:
            return _Fate("rejected" if error.permanent else "retry", why=str(error))
        if len(found) > 1:
            return _Fate("rejected", why="the server has more than one with this identifier")
        if found:
            reference = f"{entry.kind}/{found[0]['id']}"
            version = str((found[0].get("meta") or {}).get("versionId", ""))
            if entry.theirs or entry.revision == 1:
                return _Fate("found", reference, version)
            if not capability.update:
                return _Fate("not_accepted", reference, version, "the server takes no update of this type")
            return await self._send("PUT", reference, version, resolve(entry.resource, references, entries))
        if entry.theirs and not may_create:
            return _Fate("absent", why="not found by its identifier")
        if not may_create:
            return _Fate("not_accepted", why="the server takes no create of this type")
        if not capability.by_identifier and not first_attempt:
            return _Fate(
                "unsure", why="an earlier attempt may have created it, and it cannot be searched for"
            )
        sent = await self._send("POST", entry.kind, "", resolve(entry.resource, references, entries))
        if sent.outcome == "retry" and not capability.by_identifier:
            return _Fate("unsure", why="it may have been created, and it cannot be searched for")
        return sent

    async def _find(self, entry: Entry) -> list[Resource]:
        """Return the resources that carry the entry's first identifier that matches any."""
        for system, value in entry.identifiers:
            bundle = await self._http.get(entry.kind, {"identifier": f"{system}|{value}"})
            found = [
                one["resource"]
                for one in bundle.get("entry") or []
                if isinstance(one.get("resource"), dict) and one["resource"].get("resourceType") == entry.kind
            ]
            if found:
                return found
        return []

    async def _send(self, method: Literal["POST", "PUT"], path: str, version: str, body: Resource) -> _Fate:
        kind, _, identity = path.partition("/")
        if identity:
            body["id"] = identity
        try:
            answer = await self._http.call(
                method, path, body=body, if_match=f'W/"{version}"' if version else ""
            )
        except PeerError as error:
            return _Fate("rejected" if error.permanent else "retry", why=str(error))
        if answer.status not in (200, 201):
            # 409 and 412: somebody else changed it meanwhile; the next attempt searches again.
            again = may_pass(answer.status) or answer.status in (409, 412)
            return _Fate("retry" if again else "rejected", why=f"{method} answered {answer.status}")
        given, stored = _identity(answer, kind)
        if identity:
            return _Fate("updated", path, stored)
        if not given:
            return _Fate("created", why="the server did not say under which id")
        return _Fate("created", f"{kind}/{given}", stored)


def resolve(resource: Resource, references: Mapping[str, str], entries: Sequence[Entry]) -> Resource:
    """Return a copy whose references are those of the server; one that is not there is named by its identifier."""
    by_url = {entry.url: entry for entry in entries}

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return copy.copy(value)
        url = value.get("reference")
        if not isinstance(url, str) or url not in by_url:
            return {key: walk(item) for key, item in value.items()}
        if references.get(url):
            return {**value, "reference": references[url]}
        system, number = by_url[url].identifiers[0]
        return {"type": value["type"], "identifier": {"system": system, "value": number}}

    walked: Resource = walk(resource)
    return walked


def _stop(outcome: WriteOutcome) -> WriteOutcome | None:
    """Return what stops everything after it: a patient that is not certain, or a server that is not there."""
    if outcome.outcome == "retry":
        return WriteOutcome("", "", "retry", why="not tried: the server failed before")
    if outcome.kind == "Patient":
        return WriteOutcome("", "", "rejected", why="not tried: the patient was not found")
    return None


def _identity(answer: Answer, kind: str) -> tuple[str, str]:
    """Read the id and version a server gave, from the body or from Location."""
    if answer.resource.get("resourceType") == kind and answer.resource.get("id"):
        return str(answer.resource["id"]), str((answer.resource.get("meta") or {}).get("versionId", ""))
    parts = answer.location.split("/")
    if kind in parts[:-1]:
        at = len(parts) - 1 - parts[::-1].index(kind)
        version = parts[at + 3] if len(parts) > at + 3 and parts[at + 2] == "_history" else ""
        return parts[at + 1], version
    return "", ""
