"""A container registry: log in to it, push an image, and see whether it has one.

The login is a user and password of the environment, else the identity that Azure knows.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.core.errors import InputError
from batch_scoring.deploy.image.engine import digest_in, login_command, output_of, push_commands, run

if TYPE_CHECKING:
    import requests

USER_VARIABLE, PASSWORD_VARIABLE = "CONTAINER_REGISTRY_USER", "CONTAINER_REGISTRY_PASSWORD"
# The user name that goes with a token instead of a password.
TOKEN_USER = "00000000-0000-0000-0000-000000000000"
SCOPE = "https://containerregistry.azure.net/.default"
_AZURE = re.compile(r"[a-z0-9-]+\.azurecr\.(io|cn|us)", re.IGNORECASE)
_SECONDS = 30
_KINDS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "oci.image.index.v1",
    )
)


@dataclass(frozen=True)
class Login:
    """A user and a password, which is in no representation."""

    user: str
    password: str = field(repr=False)


def login_for(
    registry: str, environment: Mapping[str, str] = os.environ, credential: Any = None
) -> Login | None:
    """Find the login of a registry; None: as the engine is logged in already.

    Parameters
    ----------
    registry : str
        Its host, with a port where it has one.
    environment : mapping of str to str
    credential : TokenCredential, optional
        Of Azure; default: ``DefaultAzureCredential``.

    Raises
    ------
    InputError
        When only half of a login is given, when there is no identity, or when the registry refuses it.
    """
    user, password = (environment.get(name, "") for name in (USER_VARIABLE, PASSWORD_VARIABLE))
    if bool(user) != bool(password):
        missing = PASSWORD_VARIABLE if user else USER_VARIABLE
        raise InputError(f"{missing}: this variable is not set, but the other one is; set both or none")
    if user:
        return Login(user, password)
    if not _AZURE.fullmatch(registry):
        return None
    return Login(TOKEN_USER, exchange(registry, _identity_token(registry, credential)))


def exchange(registry: str, token: str) -> str:
    """Exchange a token of Microsoft Entra for the registry's refresh token, which serves as a password."""
    import requests

    form = {"grant_type": "access_token", "service": registry, "access_token": token}
    try:
        answer = requests.post(f"https://{registry}/oauth2/exchange", data=form, timeout=_SECONDS)
    except requests.RequestException as error:
        raise InputError(
            f"{registry}: the registry does not answer ({type(error).__name__}); "
            "check that it exists with `az acr list`, and that its firewall lets you in"
        ) from None
    if answer.status_code in (401, 403):
        raise InputError(
            f"{registry}: the registry does not accept your identity ({answer.status_code}); "
            "give it the role AcrPush"
        )
    try:
        return str(answer.json()["refresh_token"])
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{registry}: expected a token, got an answer with status {answer.status_code}; "
            "check that it is a Container Registry"
        ) from None


def _identity_token(registry: str, credential: Any) -> str:
    from azure.core.exceptions import ClientAuthenticationError

    try:
        return str(token_credential(credential).get_token(SCOPE).token)
    except ClientAuthenticationError:
        raise InputError(
            f"{registry}: there is no identity to log in with; run `az login`, "
            f"or set {USER_VARIABLE} and {PASSWORD_VARIABLE}"
        ) from None


def push(engine: str, local: str, remote: str, login: Login | None, more: Sequence[str] = ()) -> str:
    """Push an image of this machine; return its digest in the registry.

    Parameters
    ----------
    engine : str
        ``podman`` or ``docker``.
    local, remote : str
        Its names here and there.
    login : Login or None
        None: as the engine is logged in already.
    more : sequence of str
        Other options for the engine, of both login and push.
    """
    # Neither token nor password is left on this machine.
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as name:
        folder = Path(name)
        if login is not None:
            registry = remote.partition("/")[0]
            run(login_command(engine, folder, registry, login.user, more), password=login.password)
        *commands, show = push_commands(engine, folder, local, remote, logged_in=login is not None, more=more)
        for command in commands:
            run(command)
        return digest_in(output_of(show), remote)


def find_digest(registry: str, repository: str, tag: str, login: Login | None) -> str | None:
    """Return the digest of an image in the registry, such as ``sha256:…``; None where it is not there.

    Parameters
    ----------
    registry : str
        Its host, with a port where it has one.
    repository, tag : str
    login : Login or None

    Raises
    ------
    InputError
        When the registry does not answer, or refuses access.
    """
    import requests

    url = f"https://{registry}/v2/{repository}/manifests/{tag}"
    with requests.Session() as session:
        session.headers["Accept"] = _KINDS
        try:
            answer = session.head(url, timeout=_SECONDS)
            if answer.status_code == 401:
                authorise(session, answer.headers.get("WWW-Authenticate", ""), login)
                answer = session.head(url, timeout=_SECONDS)
        except requests.RequestException as error:
            raise InputError(
                f"{registry}: the registry does not answer ({type(error).__name__}); check that it exists, "
                "and that its firewall lets this machine in"
            ) from None
    if answer.status_code not in (200, 404):
        raise InputError(
            f"{registry}: the registry refuses access ({answer.status_code}); give this identity "
            "the role 'AcrPull'"
        )
    return str(answer.headers["Docker-Content-Digest"]) if answer.status_code == 200 else None


def authorise(session: requests.Session, challenge: str, login: Login | None) -> None:
    """Answer a challenge with the login itself, or with a token in exchange for it."""
    kind, _, rest = challenge.partition(" ")
    given = None if login is None else (login.user, login.password)
    if kind.lower() == "basic" and given is not None:
        session.auth = given
    elif kind.lower() == "bearer":
        fields: dict[str, Any] = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = fields.pop("realm", "")
        if realm.startswith("https://"):
            answer = session.get(realm, params=fields, auth=given, timeout=_SECONDS)
            token = answer.json() if answer.ok else {}
            session.headers["Authorization"] = f"Bearer {token.get('access_token') or token.get('token', '')}"
