"""Sends what an Http action says, on a real socket, with the retries and the patience of the service."""

from __future__ import annotations

import http.client
import json
import random
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_TRANSIENT = (408, 429)
_SECONDS = 120  # the service waits so long for an answer


def seconds_of(duration: str) -> float:
    """The length of an ISO 8601 duration."""
    days, hours, minutes, seconds = (int(one or 0) for one in _DURATION.fullmatch(duration).groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()


@dataclass(frozen=True)
class Sender:
    """Sends requests.

    Attributes
    ----------
    authority : Path or None
        A certificate to trust; None: the machine's.
    token : callable
        The token of an identity, by its resource id and the audience.
    sleep : callable
        Waits so many seconds of the service's time.
    """

    authority: Path | None
    token: Callable[[str, str], str]
    sleep: Callable[[float], None]

    def send(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any] | None, int]:
        """Send a request until it is answered for good; its outputs, None for no answer, and how often."""
        policy = inputs.get("retryPolicy", {"type": "none", "count": 0})
        for attempt in range(policy.get("count", 0) + 1):
            outputs = self._once(inputs)
            if outputs is not None and not _is_transient(outputs["statusCode"]):
                return outputs, attempt + 1
            if attempt < policy.get("count", 0):
                self.sleep(_pause(policy, attempt, outputs))
        return outputs, attempt + 1

    def _once(self, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
        query = urlencode(inputs.get("queries", {}))
        url = inputs["uri"] + (f"?{query}" if query else "")
        authentication = inputs["authentication"]
        token = self.token(authentication["identity"], authentication["audience"])
        outputs = self._request(inputs["method"], url, token, inputs.get("body"))
        while outputs is not None and outputs["statusCode"] == 202 and "location" in outputs["headers"]:
            self.sleep(float(outputs["headers"].get("retry-after", 5)))
            outputs = self._request("GET", outputs["headers"]["location"], token, None)
        return outputs

    def _request(self, method: str, url: str, token: str, body: Any) -> dict[str, Any] | None:
        parts = urlsplit(url)
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=_SECONDS, context=context
        )
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}"} | (
            {"Content-Type": "application/json"} if content else {}
        )
        try:
            connection.request(method, f"{quote(parts.path)}?{parts.query}", content, headers)
            answer = connection.getresponse()
            received = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return {
            "statusCode": answer.status,
            "headers": {name.lower(): value for name, value in answer.getheaders()},
            "body": json.loads(received) if received else None,
        }


def _is_transient(status: int) -> bool:
    return status in _TRANSIENT or status >= 500


def _pause(policy: Mapping[str, Any], attempt: int, outputs: Mapping[str, Any] | None) -> float:
    if outputs is not None and "retry-after" in outputs["headers"]:
        return float(outputs["headers"]["retry-after"])
    interval = seconds_of(policy["interval"])
    if policy["type"] == "fixed":
        return interval
    # Each wait is drawn from a range that doubles, within its limits.
    drawn = random.uniform(interval * 2 ** (attempt - 1), interval * 2**attempt)
    least, most = (
        seconds_of(policy.get(name, default))
        for name, default in (("minimumInterval", "PT5S"), ("maximumInterval", "PT1H"))
    )
    return min(max(drawn, least), most)
