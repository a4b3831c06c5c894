"""Who may look at the pages, and from which address: decided before the server starts."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from batch_scoring.core.errors import InputError

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
MIN_TOKEN = 16


@dataclass(frozen=True)
class Access:
    """How requests are admitted.

    Attributes
    ----------
    host : str
        The address to listen on.
    names : frozenset of str
        The host names that a request may be meant for, in lower case, without a port.
    token : str
        What a person signs in with; empty where nobody has to.
    proxy_header : str
        The header, in lower case, in which a proxy names the person; empty without a proxy.
    user : str
        The name of a person who has not given one.
    secret : bytes
        Signs cookies and forms; another one after each start.
    """

    host: str = "127.0.0.1"
    names: frozenset[str] = _LOOPBACK_NAMES
    token: str = ""
    proxy_header: str = ""
    user: str = ""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def signature(self, what: str, text: str) -> str:
        """Sign a text for a purpose, 64 hex digits."""
        return hmac.new(self.secret, f"{what}\0{text}".encode(), hashlib.sha256).hexdigest()

    @property
    def session(self) -> str:
        """What the cookie of a person who has signed in holds; it does not tell the token."""
        return self.signature("session", self.token)

    def is_token(self, text: str) -> bool:
        """Compare with the token, in a time that does not depend on where they differ."""
        return bool(self.token) and hmac.compare_digest(text.encode(), self.token.encode())


def decide_access(
    host: str, token: str = "", proxy_header: str = "", names: Sequence[str] = (), user: str = ""
) -> Access:
    """Decide who may look.

    Parameters
    ----------
    host : str
        Address to listen on.
    token, proxy_header : str
        One of them is needed for any other address than this machine's own.
    names : sequence of str
        Further host names that the pages are reached by.
    user : str

    Raises
    ------
    InputError
        When the pages would be open to others without either, or the token is too short.
    """
    if not is_loopback(host) and not (token or proxy_header):
        raise InputError(
            f"--host: {host!r} lets other machines in; name a --token that people sign in with, or the "
            "--proxy-header in which your proxy names the person who has signed in there"
        )
    if token and proxy_header:
        raise InputError("--token and --proxy-header: expected one of them; leave out the other")
    if token and len(token) < MIN_TOKEN:
        raise InputError(
            f"--token: {len(token)} characters can be guessed; expected at least {MIN_TOKEN}, such as what "
            "`openssl rand -hex 16` prints"
        )
    own = [] if is_loopback(host) else [host, socket.gethostname(), socket.getfqdn()]
    known = _LOOPBACK_NAMES.union(name.lower() for name in (*own, *names))
    return Access(host, known, token, proxy_header.lower(), user)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "fleet.example")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
