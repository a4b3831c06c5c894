"""Take secrets out of text that is shown or stored."""

from __future__ import annotations

import re

# What authorises in a URL with a shared access signature.
SIGNATURES = re.compile(r"((?:sig|sv|se|skoid|sktid)=)[^&\s\"']+", re.IGNORECASE)
_KEYS = re.compile(
    r"((?:AccountKey|SharedAccessKey|SharedAccessSignature|password|secret|token)[\"']?\s*[=:]\s*[\"']?)"
    r"[^;,\s\"']+",
    re.IGNORECASE,
)
_IN_HEADERS = re.compile(r"((?:Bearer|Basic)\s+)[\w.~+/-]{8,}=*", re.IGNORECASE)
_IN_ADDRESSES = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")


def without_secrets(text: str) -> str:
    """Replace keys, signatures and passwords in a text by ``…``.

    Examples
    --------
    >>> without_secrets("https://u:pw@host/x?sig=abc&st=1 AccountKey=k==;EndpointSuffix=y")
    'https://u:…@host/x?sig=…&st=1 AccountKey=…;EndpointSuffix=y'
    >>> without_secrets("{'password': 'pw'}, Authorization: Bearer eyJhbGciOi.J9")
    "{'password': '…'}, Authorization: Bearer …"
    """
    for pattern in (SIGNATURES, _KEYS, _IN_HEADERS, _IN_ADDRESSES):
        text = pattern.sub(r"\1…", text)
    return text
