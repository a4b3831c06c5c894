"""What signs in: shared access signatures, checked as the service checks them, and tokens of identities."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from tests.emulators import identity

AUDIENCE = "https://eventhubs.azure.net"


@dataclass(frozen=True)
class Grant:
    """What an accepted token allows: the resource below which links may be opened, and until when."""

    resource: str
    expires: float

    def covers(self, hub: str, now: float) -> bool:
        """Whether a link to a hub may be open now."""
        path = urllib.parse.urlsplit(self.resource).path.strip("/").lower()
        return now < self.expires and (not path or path.split("/")[0] == hub.lower())


def check_signature(token: str, keys: Mapping[str, str], now: float) -> Grant | str:
    """What a shared access signature grants; a text that says why, when nothing.

    Parameters
    ----------
    token : str
        ``SharedAccessSignature sr=…&sig=…&se=…&skn=…``.
    keys : mapping of key name to key
    now : float
        Seconds since 1970, by the clock of the service.
    """
    try:
        fields = dict(part.split("=", 1) for part in token.partition(" ")[2].split("&"))
        resource, expires, given = fields["sr"], fields["se"], urllib.parse.unquote(fields["sig"])
        key = keys.get(urllib.parse.unquote(fields["skn"]))
    except (KeyError, ValueError):
        return "MalformedToken: The token is malformed."
    digest = hmac.new((key or "").encode(), f"{resource}\n{expires}".encode(), hashlib.sha256).digest()
    if key is None or not hmac.compare_digest(base64.b64encode(digest).decode(), given):
        return "InvalidSignature: The token has an invalid signature."
    if float(expires) <= now:
        return "ExpiredToken: The token is expired."
    return Grant(urllib.parse.unquote(resource), float(expires))


def check_identity(token: str, resource: str) -> Grant | str:
    """What the token of an identity grants; a text that says why, when nothing.

    Parameters
    ----------
    token : str
        A JSON web token.
    resource : str
        What the client wants to open.
    """
    try:
        claims = identity.read(token, (AUDIENCE,))
    except identity.TokenError as error:
        return f"InvalidToken: {error}"
    return Grant(resource, float(claims["exp"]))
