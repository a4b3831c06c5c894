"""Who may look at the pages, and from which address: decided before the server starts."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batch_scoring.core.errors import InputError
from batch_scoring.core.loopback import is_loopback_host

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
MIN_TOKEN = 16
_GROUP = "group:"


class Sessions:
    """The people who have signed in since the start; threads may share it.

    Beyond ``at_most``, who has signed in first has to do so again.
    """

    def __init__(self, at_most: int = 10_000) -> None:
        self._at_most = at_most
        self._lock = threading.Lock()
        self._open: OrderedDict[str, None] = OrderedDict()

    def begin(self) -> str:
        """Return what the cookie of a person who has just signed in holds."""
        text = secrets.token_urlsafe(32)
        with self._lock:
            self._open[text] = None
            while len(self._open) > self._at_most:
                self._open.popitem(last=False)
        return text

    def has(self, text: str) -> bool:
        """Whether a cookie is of somebody who has signed in, and not out."""
        with self._lock:
            return text in self._open

    def end(self, text: str) -> None:
        """Sign out: the cookie, and every copy of it, is worth nothing from now on."""
        with self._lock:
            self._open.pop(text, None)


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
    groups_header : str
        The header, in lower case, in which it lists the person's groups, with commas; empty without one.
    actors : frozenset of str
        The people who may act, and groups after ``group:``; empty where who may look may act.
    user : str
        The name of a person who has not given one.
    secret : bytes
        Signs forms; another one after each start.
    sessions : Sessions
        Of people who have signed in with the token.
    """

    host: str = "127.0.0.1"
    names: frozenset[str] = _LOOPBACK_NAMES
    token: str = ""
    proxy_header: str = ""
    groups_header: str = ""
    actors: frozenset[str] = frozenset()
    user: str = ""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    sessions: Sessions = field(default_factory=Sessions, repr=False)

    def signature(self, what: str, text: str) -> str:
        """Sign a text for a purpose, 64 hex digits."""
        return hmac.new(self.secret, f"{what}\0{text}".encode(), hashlib.sha256).hexdigest()

    def is_token(self, text: str) -> bool:
        """Compare with the token, in a time that does not depend on where they differ."""
        return bool(self.token) and hmac.compare_digest(text.encode(), self.token.encode())

    def may_act(self, person: str, groups: Iterable[str]) -> bool:
        """Whether a person, of these groups, may change anything."""
        mine = {f"{_GROUP}{name}" for name in groups}
        # Nobody becomes a group by a name of their own.
        if not person.startswith(_GROUP):
            mine.add(person)
        return not self.actors or not self.actors.isdisjoint(mine)


def decide_access(
    host: str,
    token: str = "",
    proxy_header: str = "",
    names: Sequence[str] = (),
    user: str = "",
    *,
    may_act: Sequence[str] = (),
    groups_header: str = "",
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
    may_act : sequence of str
        The people who may act, and groups of ``groups_header``, such as ``group:shift``; empty: everybody
        who may look.
    groups_header : str

    Raises
    ------
    InputError
        When the pages would be open to others without either, the token is too short, or nothing says who
        acts.
    """
    if not is_loopback_host(host) and not (token or proxy_header):
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
    if (may_act or groups_header) and not proxy_header:
        raise InputError(
            "--may-act, --groups-header: without a proxy, people name themselves; name the --proxy-header in "
            "which your proxy names the person who has signed in there"
        )
    if groups_header and not may_act:
        raise InputError("--groups-header: name who may act, such as --may-act group:shift")
    own = [] if is_loopback_host(host) else [host, socket.gethostname(), socket.getfqdn()]
    known = _LOOPBACK_NAMES.union(name.lower() for name in (*own, *names))
    header, groups = proxy_header.lower(), groups_header.lower()
    return Access(host, known, token, header, groups, frozenset(may_act), user)
