"""Shared Key signatures of Azure Batch, checked as the service does."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

_SIGNED = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
]


def is_signed(method: str, target: str, headers: Mapping[str, str], account: str, key: str) -> bool:
    """Whether a request carries the signature that this key makes."""
    given = {name.lower(): value for name, value in headers.items()}
    length = given.get("content-length", "")
    if method in ("GET", "HEAD") and length == "0":
        given["content-length"] = ""
    lines = [method, *(given.get(name, "") for name in _SIGNED)]
    lines += [f"{name}:{given[name]}" for name in sorted(given) if name.startswith("ocp-")]
    parts = urlsplit(target)
    lines.append(f"/{account}{parts.path}")
    query = sorted(parse_qsl(parts.query))
    lines += [f"{name}:{value}" for name, value in query if value]
    signature = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    expected = f"SharedKey {account}:{base64.b64encode(signature).decode()}"
    return hmac.compare_digest(unquote(given.get("authorization", "")), expected)
