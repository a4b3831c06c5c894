"""Addresses of this machine, at which emulators and stand-ins answer, also without TLS."""

from urllib.parse import urlsplit

HOSTS = ("127.0.0.1", "localhost", "::1")


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine.

    Examples
    --------
    >>> [is_loopback(url) for url in ("http://127.0.0.1:10000/x", "https://[::1]", "https://example.com", "")]
    [True, True, False, False]
    """
    return urlsplit(url).hostname in HOSTS
