"""Addresses of this machine, at which emulators and stand-ins answer, also without TLS."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine.

    Examples
    --------
    >>> [is_loopback(url) for url in ("http://127.0.0.1:10000/x", "https://[::1]", "https://example.com", "")]
    [True, True, False, False]
    """
    return is_loopback_host(urlsplit(url).hostname or "")


def is_loopback_host(host: str) -> bool:
    """Whether an address is reached from this machine only.

    Examples
    --------
    >>> [is_loopback_host(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "fleet.example")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
