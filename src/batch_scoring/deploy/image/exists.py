"""Check whether a registry has an image, as container engines do; nothing is fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import InputError

if TYPE_CHECKING:
    import requests

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


def is_there(registry: str, repository: str, tag: str, login: tuple[str, str] | None) -> bool:
    """Return whether the image is in the registry.

    Parameters
    ----------
    registry : str
        Its host, with a port where it has one.
    repository, tag : str
    login : tuple of str and str, optional
        User and password.

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
    return bool(answer.status_code == 200)


def authorise(session: requests.Session, challenge: str, login: tuple[str, str] | None) -> None:
    """Answer a challenge with the login itself, or with a token in exchange for it."""
    kind, _, rest = challenge.partition(" ")
    if kind.lower() == "basic" and login is not None:
        session.auth = login
    elif kind.lower() == "bearer":
        fields: dict[str, Any] = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = fields.pop("realm", "")
        if realm.startswith("https://"):
            answer = session.get(realm, params=fields, auth=login, timeout=_SECONDS)
            token = answer.json() if answer.ok else {}
            session.headers["Authorization"] = f"Bearer {token.get('access_token') or token.get('token', '')}"
