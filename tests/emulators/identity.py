"""The endpoint at which a machine in Azure asks for tokens of its managed identity, and such tokens."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.emulators.servers import Handler, Server

PATH = "/metadata/identity/oauth2/token"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
_LIFE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Identity:
    """A managed identity: what tokens tell of it, and what it is asked for by."""

    client_id: str = "00000000-0000-4000-8000-00000000c11e"
    object_id: str = "00000000-0000-4000-8000-0000000000ad"
    resource_id: str = ""


class TokenError(Exception):
    """A token that is not accepted; the text says why."""


def issue(audience: str, identity: Identity | None = None, life_seconds: float = _LIFE_SECONDS) -> str:
    """A JSON web token of an identity, of a form that services accept, signed by nobody."""
    identity, now = identity or Identity(), int(time.time())
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now,
        "nbf": now - 300,
        "exp": now + int(life_seconds),
        "appid": identity.client_id,
        "oid": identity.object_id,
        "sub": identity.object_id,
        "tid": TENANT,
        "xms_mirid": identity.resource_id,
        "ver": "1.0",
        "jti": uuid.uuid4().hex,
    }
    signature = base64.urlsafe_b64encode(b"signed by nobody").decode().rstrip("=")
    return ".".join([_encoded({"typ": "JWT", "alg": "RS256", "kid": "none"}), _encoded(claims), signature])


def read(token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
    """The claims of a token that is for one of these and has not expired.

    Raises
    ------
    TokenError
    """
    try:
        body = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        audience, expires = str(claims["aud"]), float(claims["exp"])
    except (IndexError, KeyError, ValueError):
        raise TokenError("The access token is no JSON web token.") from None
    if audience.rstrip("/") not in audiences:
        raise TokenError(f"The access token is for {audience}, and not for this service.")
    if expires <= time.time():
        raise TokenError("The access token has expired.")
    return claims


class IdentityServer:
    """The endpoint, on loopback, for ``AZURE_POD_IDENTITY_AUTHORITY_HOST``.

    Parameters
    ----------
    *identities : Identity
        Those of this machine; the first is the one that is asked for by no name. More may be put into
        :attr:`identities` while it runs.
    address : tuple of str and int
        Port 0 chooses a free one.

    Attributes
    ----------
    asked : list of str
        For what tokens were given.
    refusals : int
        How many of the next requests are refused, as in a container that has just started.
    """

    def __init__(self, *identities: Identity, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.identities, self.asked = list(identities or (Identity(),)), list[str]()
        self.refusals = 0
        server = self

        class Owned(_Handler):
            owner = server

        self._server = Server(Owned, address[1], address[0])
        self.url, self.close = self._server.url, self._server.close

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url}

    def __enter__(self) -> IdentityServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, query: dict[str, str], has_header: bool) -> tuple[int, dict[str, str]]:
        """Answer a request for a token."""
        if not has_header:
            return 400, _refusal("invalid_request", "Required metadata header not specified")
        if "api-version" not in query or "resource" not in query:
            return 400, _refusal("invalid_request", "api-version and resource are required")
        identity = self._identity(query)
        if self.refusals:
            self.refusals, identity = self.refusals - 1, None
        if identity is None:
            return 400, _refusal("invalid_request", "Identity not found")
        self.asked.append(query["resource"])
        return 200, {
            "access_token": issue(query["resource"], identity),
            "client_id": identity.client_id,
            "expires_in": str(_LIFE_SECONDS),
            "expires_on": str(int(time.time()) + _LIFE_SECONDS),
            "ext_expires_in": str(_LIFE_SECONDS),
            "not_before": str(int(time.time()) - 300),
            "resource": query["resource"],
            "token_type": "Bearer",
        }

    def _identity(self, query: dict[str, str]) -> Identity | None:
        names = {"client_id": "client_id", "object_id": "object_id", "principal_id": "object_id"}
        names |= {"msi_res_id": "resource_id", "mi_res_id": "resource_id"}
        for asked, name in names.items():
            if asked in query:
                fitting = (
                    one for one in self.identities if getattr(one, name).lower() == query[asked].lower()
                )
                return next(fitting, None)
        return self.identities[0]


class _Handler(Handler):
    owner: IdentityServer

    def serve(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body = 404, _refusal("not_found", "Not found")
        if parts.path == PATH:
            status, body = self.owner.answer(query, self.headers.get("Metadata", "").lower() == "true")
        headers = {"Content-Type": "application/json; charset=utf-8"}
        self.reply(status, json.dumps(body).encode(), headers)


def _refusal(error: str, description: str) -> dict[str, str]:
    return {"error": error, "error_description": description}


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
