"""One FHIR R4 server over HTTP: JSON in and out with a size limit and deadlines, amounts kept digit for digit.

Errors carry the status and the kind of call, never what was in it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from engine.kernel.errors import PeerError

Resource = dict[str, Any]
"""A FHIR resource as plain JSON: amounts are Decimal, never float."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_TRY_LATER = (408, 425, 429)
_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class FhirLimits:
    """Limits of one server. Times in seconds, sizes in bytes."""

    connect_s: float = 5.0
    read_s: float = 20.0
    max_answer_bytes: int = 8 * 1024 * 1024
    max_pages: int = 10
    page_size: int = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful or refused answer: the status, the resource (empty when none came), the headers that matter."""

    status: int
    resource: Resource
    location: str = ""
    etag: str = ""


def dumps(resource: Mapping[str, Any]) -> bytes:
    """Write a resource as JSON; Decimals are numbers with the digits they have (105.00 stays 105.00)."""
    return _ENCODER.encode(resource)


def loads(raw: bytes) -> Resource:
    """Read a resource from JSON, numbers with a point as Decimal. Raises PeerError when it is not a JSON object."""
    try:
        read = json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise PeerError("the server did not answer with JSON", permanent=True) from None
    if not isinstance(read, dict):
        raise PeerError("the server did not answer with a FHIR resource", permanent=True)
    return read


class FhirHttp:
    """Calls to one server. `authorization()` gives the Authorization header, or an empty text for none.

    Close it when done. Redirects are not followed and the environment's proxies are not used unless a `client` of
    the caller's says otherwise.
    """

    def __init__(
        self,
        base_url: str,
        *,
        limits: FhirLimits | None = None,
        client: httpx.AsyncClient | None = None,
        authorization: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.limits = limits if limits is not None else FhirLimits()
        timeout = httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s)
        self._client = client if client is not None else httpx.AsyncClient(timeout=timeout, trust_env=False)
        self._authorization = authorization

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Resource:
        """GET `path` (relative, or absolute on the same server) and return the resource.

        Raises PeerError; `permanent` is false for trouble that may pass (network, 408, 425, 429, 5xx).
        """
        answer = await self.call("GET", path, params=params)
        if answer.status != 200:
            raise PeerError(f"GET answered {answer.status}", permanent=not may_pass(answer.status))
        return answer.resource

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        if_match: str = "",
    ) -> Answer:
        """Make one call and return its answer, whatever the status. Raises PeerError when there is none to return."""
        url = self._url(path)
        headers = {"Accept": _JSON}
        if body is not None:
            headers["Content-Type"] = _JSON
        if if_match:
            headers["If-Match"] = if_match
        if self._authorization is not None and (token := await self._authorization()):
            headers["Authorization"] = token
        content = dumps(body) if body is not None else None
        try:
            async with self._client.stream(
                method, url, params=params, content=content, headers=headers
            ) as response:
                raw = await self._body(response)
        except httpx.HTTPError as error:
            raise PeerError(f"{method} failed: {type(error).__name__}", permanent=False) from None
        ok = 200 <= response.status_code < 300
        return Answer(
            response.status_code,
            loads(raw) if ok and raw.strip() else {},
            response.headers.get("location", ""),
            response.headers.get("etag", ""),
        )

    def _url(self, path: str) -> httpx.URL:
        base = httpx.URL(self.base_url)
        url = httpx.URL(path) if "://" in path else httpx.URL(f"{self.base_url}/{path.lstrip('/')}")
        if (url.scheme, url.host, url.port) != (base.scheme, base.host, base.port):
            # A page link must not lead our credentials to another server.
            raise PeerError("the server linked to another server", permanent=True)
        return url

    async def _body(self, response: httpx.Response) -> bytes:
        raw = bytearray()
        async for chunk in response.aiter_bytes():
            raw += chunk
            if len(raw) > self.limits.max_answer_bytes:
                raise PeerError("the answer is longer than max_answer_bytes", permanent=True)
        return bytes(raw)


def may_pass(status: int) -> bool:
    """Whether trying again later can help after this status."""
    return status in _TRY_LATER or status >= 500


def _no_constant(name: str) -> None:
    raise ValueError(name)
