"""Find credentials of Azure, and of Blob Storage: Kedro's, else the environment's, else an identity."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_scoring.core.errors import InputError

# The variable that tells azure-identity to use one credential alone, and that of deployed containers.
CHOSEN_CREDENTIAL, IDENTITY = "AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential"
PATIENCE_SECONDS, PAUSE_SECONDS = 120.0, 5.0
# The entry of Kedro's credentials.yml that is used where a dataset names none.
KEDRO_ENTRY = "azure_storage"
# The names that Azure's own command line reads.
VARIABLES = {
    "connection_string": "AZURE_STORAGE_CONNECTION_STRING",
    "account": "AZURE_STORAGE_ACCOUNT",
    "sas_token": "AZURE_STORAGE_SAS_TOKEN",
    "account_key": "AZURE_STORAGE_KEY",
}


def token_credential(given: Any = None) -> Any:
    """Return the given token credential, else ``DefaultAzureCredential``, which finds the sign-in.

    In a container of a deployment it is patient: the identity endpoint of a container that has just started
    refuses for a while, or is not there yet.
    """
    if given is not None:
        return given
    from azure.identity import DefaultAzureCredential

    found = DefaultAzureCredential()
    return PatientCredential(found) if is_identity_sure() else found


def is_identity_sure() -> bool:
    """Return whether this process has an identity for certain, as the deployment says."""
    return os.environ.get(CHOSEN_CREDENTIAL, "").lower() == IDENTITY.lower()


def await_identity() -> None:
    """Sign in once, where there is an identity for certain; what signs in later does not have to wait.

    Raises
    ------
    InputError
        When the identity does not answer in time.
    """
    if not is_identity_sure():
        return
    from azure.core.exceptions import ClientAuthenticationError

    try:
        token_credential().get_token("https://storage.azure.com/.default")
    except ClientAuthenticationError as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(
            f"managed identity {os.environ.get('AZURE_CLIENT_ID', '')}: it did not answer for "
            f"{PATIENCE_SECONDS:.0f} s ({first}); see whether this machine or container still has it"
        ) from None


class PatientCredential:
    """A token credential that repeats what fails to sign in, for :data:`PATIENCE_SECONDS`.

    Parameters
    ----------
    inner : token credential
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """Return a token of the credential, as azure-core asks for it."""
        return _patiently(lambda: self._inner.get_token(*scopes, **options))

    def get_token_info(self, *scopes: str, **options: Any) -> Any:
        """Return a token of the credential, as newer clients ask for it."""
        return _patiently(lambda: self._inner.get_token_info(*scopes, **options))

    def close(self) -> None:
        """Close the credential's connections."""
        self._inner.close()


def _patiently(ask: Callable[[], Any]) -> Any:
    from azure.core.exceptions import ClientAuthenticationError

    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except ClientAuthenticationError:
            if time.monotonic() + PAUSE_SECONDS > give_up:
                raise
            time.sleep(PAUSE_SECONDS)


_kedro: list[Callable[[], Mapping[str, Any]]] = []


def use_kedro_credentials(read: Callable[[], Mapping[str, Any]]) -> None:
    """Register how to read the project's ``credentials.yml``; it is read when the first blob is opened."""
    _kedro[:] = [read]


@dataclass(frozen=True)
class Credentials:
    """Credentials of Blob Storage; the secrets are in no representation.

    Attributes
    ----------
    account : str
        An account's name or URL.
    connection_string, sas_token, account_key : str
        Secrets; without any of them ``DefaultAzureCredential`` is used.
    """

    account: str = ""
    connection_string: str = field(default="", repr=False)
    sas_token: str = field(default="", repr=False)
    account_key: str = field(default="", repr=False)

    @classmethod
    def find(cls, given: Mapping[str, Any] | None) -> Credentials:
        """Find the credentials: a dataset's own, else Kedro's, else the environment's.

        Raises
        ------
        InputError
            When an entry is unknown.
        """
        for values in (given, _kedro[0]().get(KEDRO_ENTRY) if _kedro else None):
            if values:
                return cls._read(values)
        return cls._read({name: os.environ.get(variable, "") for name, variable in VARIABLES.items()})

    @classmethod
    def _read(cls, values: Mapping[str, Any]) -> Credentials:
        unknown = sorted(values.keys() - VARIABLES.keys())
        if unknown:
            raise InputError(
                f"credentials of Blob Storage: entry {unknown[0]!r} is not valid; expected "
                f"{', '.join(VARIABLES)}"
            )
        return cls(**{name: str(value or "").strip() for name, value in values.items()})

    @property
    def has_sas(self) -> bool:
        """Whether access is shared by a signature."""
        return bool(self.sas_token) or "sharedaccesssignature=" in self.connection_string.lower()

    @property
    def has_key(self) -> bool:
        """Whether the account's key is given."""
        return not self.has_sas and bool(self.account_key or self.connection_string)

    @property
    def account_url(self) -> str:
        """URL of the named account; empty where none is named."""
        if not self.account or "://" in self.account:
            return self.account.rstrip("/")
        return f"https://{self.account}.blob.core.windows.net"
