"""Find the login of a registry: user and password of the environment, else an identity of Azure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_scoring.core.errors import InputError

USER_VARIABLE, PASSWORD_VARIABLE = "CONTAINER_REGISTRY_USER", "CONTAINER_REGISTRY_PASSWORD"
# The user name that goes with a token instead of a password.
TOKEN_USER = "00000000-0000-0000-0000-000000000000"
SCOPE = "https://containerregistry.azure.net/.default"
_AZURE = re.compile(r"[a-z0-9-]+\.azurecr\.(io|cn|us)", re.IGNORECASE)
_SECONDS = 30


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

    if credential is None:
        from azure.identity import DefaultAzureCredential

        credential = DefaultAzureCredential()
    try:
        return str(credential.get_token(SCOPE).token)
    except ClientAuthenticationError:
        raise InputError(
            f"{registry}: there is no identity to log in with; run `az login`, "
            f"or set {USER_VARIABLE} and {PASSWORD_VARIABLE}"
        ) from None
