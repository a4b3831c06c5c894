"""Find likely secrets in a text, pure; reports kind and line, never the secret itself."""

from __future__ import annotations

import re

_PATTERNS = {
    "an account key": r"AccountKey=(?!['\"\s;,]|$)[^;'\"\s]+",
    "a shared access key": r"SharedAccessKey=[^;'\"\s]+",
    "a shared access signature": r"[?&;]sig=[^&'\"\s]{10,}|SharedAccessSignature=[^;'\"\s]+",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a token": r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*",
    "a client secret": r"(?<![\w~.-])[\w.~-]{3}8Q~[\w.~-]{30,}",
    # 64 bytes in base64: keys of storage accounts and of Batch; 32 bytes and 32 with a mark: of hubs, caches.
    "a key": r"(?<![\w+/])[\w+/]{86}==|(?<![\w+/])[\w+/]{43}=(?![\w+/=])",
    "a password": (
        r"(?i)[\"']?\b(?:password|passwd|pwd|client_?secret)[\"']?\s*[:=]\s*[\"'](?![\[@$])[^\"'\s]{6,}[\"']"
    ),
}
_COMPILED = {what: re.compile(pattern) for what, pattern in _PATTERNS.items()}


def secrets_in(text: str) -> list[str]:
    """List the likely secrets in a text, one sentence each, with the line and no part of the secret.

    Examples
    --------
    >>> secrets_in("a=1" + chr(10) + "url: https://a.blob.core.windows.net/c?sv=1&sig=0123456789abcdef")
    ['line 2 holds a shared access signature']
    >>> secrets_in("concat('…;AccountKey=', listKeys(…).keys[0].value)")
    []
    """
    found = {
        (text.count("\n", 0, match.start()) + 1, what)
        for what, pattern in _COMPILED.items()
        for match in pattern.finditer(text)
    }
    return [f"line {line} holds {what}" for line, what in sorted(found)]
