"""Take secrets out of text that is shown or stored."""

from __future__ import annotations

import re

# What authorises in a URL with a shared access signature.
SIGNATURES = re.compile(r"((?<![\w.])(?:sig|sv|se|skoid|sktid)=)[^&\s\"',;:]+", re.IGNORECASE)
_NAMES = r"(?:AccountKey|SharedAccessKey|SharedAccessSignature|password|secret|token)"
_VALUE = r"[^;,\s\"']+"
_ASSIGNED = re.compile(rf"({_NAMES}[\"']?\s*=\s*[\"']?){_VALUE}", re.IGNORECASE)
_NAMED = re.compile(rf"({_NAMES}[\"']?\s*:\s*[\"']?){_VALUE}", re.IGNORECASE)
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
    return _NAMED.sub(r"\1…", _IN_HEADERS.sub(r"\1…", without_keys(text)))


def without_keys(text: str) -> str:
    """Replace keys, signatures and passwords in a sentence of ours, which may go on behind ``token:``.

    Examples
    --------
    >>> without_keys("https://host/x.csv?sig=abc: not signed in")
    'https://host/x.csv?sig=…: not signed in'
    >>> without_keys("--token: 5 characters can be guessed; deploy.image.base=python:3.12")
    '--token: 5 characters can be guessed; deploy.image.base=python:3.12'
    """
    for pattern in (SIGNATURES, _ASSIGNED, _IN_ADDRESSES):
        text = pattern.sub(r"\1…", text)
    return text
