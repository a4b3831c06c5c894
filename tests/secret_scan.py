"""Looks for secrets in bytes: those that are known, and what looks like one of Azure's or of a key."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Long enough that examples in the documentation of packages ("AccountKey=<key>", "…") are none.
LOOKS = {
    "account key": rb"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{43,}=",
    "shared access signature": rb"[?&;]sig=[A-Za-z0-9%+/]{43,}",
    "private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]{100,}",
    "token": rb"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
    "password in a URL": rb"https?://[A-Za-z0-9._-]+:[^/@\s:'\"<>{}$%\\]{8,}@[a-z0-9-]+\.[a-z]",
}
# What each of them has in it: most files have none of these, which is ten times as fast to see.
_PARTS = {
    "account key": b"Key=",
    "shared access signature": b"sig=",
    "private key": b" KEY-----",
    "token": b".eyJ",
    "password in a URL": b"://",
}
# In the documentation of packages, and secrets of nobody.
EXAMPLES = (b":password@", b":REDACTED@", b".eyJzb21lIjoicGF5bG9hZCJ9.")
_PATTERNS = {kind: re.compile(look) for kind, look in LOOKS.items()}


def secrets_in(data: bytes, known: Iterable[str] = ()) -> set[str]:
    """Which kinds of secrets there are; ``known`` ones are the kind "known".

    Examples
    --------
    >>> secrets_in(b"the password is hunter2", ["hunter2"])
    {'known'}
    """
    found = {"known"} if any(one.encode() in data for one in known) else set()
    for kind, pattern in _PATTERNS.items():
        if _PARTS[kind] in data and any(map(_is_real, pattern.findall(data))):
            found.add(kind)
    return found


def _is_real(secret: bytes) -> bool:
    return not any(example in secret for example in EXAMPLES)
