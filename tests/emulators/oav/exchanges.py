"""Requests and answers as a stand-in saw them, kept to be checked when a test has ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Exchange:
    """One of them. Bodies are JSON values; None: none, or none of JSON."""

    method: str
    target: str
    status: int
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_body: Any = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: Any = None

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def for_oav(self, host: str, api_version: str | None = None) -> dict[str, Any]:
        """As oav's LiveValidator wants it; with another version of the API where one is given."""
        parts = urlsplit(self.target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if api_version is not None and "api-version" in query:
            query["api-version"] = api_version
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return {
            "liveRequest": {
                "method": self.method,
                "url": f"https://{host}{parts.path}" + (f"?{asked}" if asked else ""),
                "headers": {name.lower(): value for name, value in self.request_headers.items()},
                "query": query,
                "body": self.request_body,
            },
            "liveResponse": {
                "statusCode": str(self.status),
                "headers": {name.lower(): value for name, value in self.response_headers.items()},
                "body": {} if self.response_body is None else self.response_body,
            },
        }


class Recorder:
    """Keeps the exchanges of a stand-in; called from the threads of its server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.exchanges: list[Exchange] = []

    def add(
        self,
        method: str,
        target: str,
        request_headers: Mapping[str, str],
        request_body: bytes,
        status: int,
        response_headers: Mapping[str, str],
        response_body: bytes,
    ) -> None:
        one = Exchange(
            *(method, target, status),
            *(dict(request_headers), _json(request_headers, request_body)),
            *(dict(response_headers), _json(response_headers, response_body)),
        )
        with self._lock:
            self.exchanges.append(one)


def _json(headers: Mapping[str, str], body: bytes) -> Any:
    kinds = [value for name, value in headers.items() if name.lower() == "content-type"]
    return json.loads(body) if body and kinds and "json" in kinds[0] else None
