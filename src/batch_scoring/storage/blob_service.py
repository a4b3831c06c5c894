"""Open containers with the available credentials; one client, with shared connections, each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from azure.storage.blob import ContainerClient

from batch_scoring.cloud.credentials import Credentials, token_credential
from batch_scoring.cloud.secrets_in_logs import hide_signatures
from batch_scoring.core.errors import InputError
from batch_scoring.storage.blob_retry import BoundedRetry, Transport
from batch_scoring.storage.known_versions import KnownVersions
from batch_scoring.storage.location import Location, require_safe
from batch_scoring.storage.remote import BLOCK_BYTES

# A file up to this size is transferred in one request.
SINGLE_PUT_BYTES = 64 << 20
SINGLE_GET_BYTES = 32 << 20
# Bytes read from a connection at a time; the transport's default of 4 kB halves the speed.
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Container:
    """An open container.

    Attributes
    ----------
    client : azure.storage.blob.ContainerClient
    known : KnownVersions
        Versions of its blobs; shared by all folders of this process.
    """

    client: ContainerClient
    known: KnownVersions


def open_container(location: Location, credentials: Credentials) -> Container:
    """Open the location's container; no request is sent yet.

    Raises
    ------
    InputError
        When no account is named, or the credentials are not valid or of another account.
    """
    return _open(location.account_url, location.container, credentials)


@cache
def _open(account_url: str, container: str, credentials: Credentials) -> Container:
    return Container(_client(account_url, container, credentials), KnownVersions())


def _client(account_url: str, container: str, credentials: Credentials) -> ContainerClient:
    hide_signatures()
    options: dict[str, Any] = {
        "retry_policy": BoundedRetry(),
        "transport": Transport(
            connection_timeout=10, read_timeout=60, connection_data_block_size=_READ_BYTES
        ),
        "max_single_put_size": SINGLE_PUT_BYTES,
        "max_block_size": BLOCK_BYTES,
        "max_single_get_size": SINGLE_GET_BYTES,
        "max_chunk_get_size": BLOCK_BYTES,
    }
    if credentials.connection_string:
        return _of_connection_string(account_url, container, credentials.connection_string, options)
    url = account_url or credentials.account_url
    if not url:
        raise InputError(
            f"abfs://{container}: the storage account is missing; set AZURE_STORAGE_ACCOUNT or "
            "AZURE_STORAGE_CONNECTION_STRING, write https://ACCOUNT.blob.core.windows.net/CONTAINER/…, or "
            "run `kedro deploy env`"
        )
    require_safe(url)
    return ContainerClient(url, container, credential=credential_for(url, credentials), **options)


def _of_connection_string(
    account_url: str, container: str, text: str, options: dict[str, Any]
) -> ContainerClient:
    try:
        client = ContainerClient.from_connection_string(text, container, **options)
    except ValueError:
        raise InputError(
            f"{container}: the connection string is not valid; expected "
            "'DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net'"
        ) from None
    found = client.primary_endpoint.partition("?")[0].rsplit("/", 1)[0]
    require_safe(found)
    if account_url and found != account_url:
        raise InputError(f"{account_url}/{container}: the connection string is for another account, {found}")
    return client


def credential_for(url: str, credentials: Credentials) -> Any:
    """Build the ``credential`` of Azure's clients for an account's URL; connection strings need none."""
    if credentials.sas_token:
        return credentials.sas_token.lstrip("?")
    if credentials.account_key:
        host = url.partition("://")[2]
        # An emulator's URL has the account in its path.
        name = host.partition("/")[2] or host.partition(".")[0]
        return {"account_name": name, "account_key": credentials.account_key}
    return token_credential()


def delta_options(account_url: str, credentials: Credentials) -> dict[str, str]:
    """Build the storage options of ``deltalake`` for an account's URL: the same credentials.

    Without a secret, the library asks the machine's identity, a federated token or Azure's command line.
    """
    scheme, _, host = account_url.partition("://")
    # An emulator's URL has the account in its path.
    name = host.partition("/")[2] or host.partition(".")[0]
    options = {
        "account_name": name,
        "azure_storage_endpoint": account_url,
        "allow_http": str(scheme == "http").lower(),
    }
    parts = dict(part.partition("=")[::2] for part in credentials.connection_string.split(";") if part)
    key = credentials.account_key or parts.get("AccountKey", "")
    sas = credentials.sas_token or parts.get("SharedAccessSignature", "")
    if sas:
        options["sas_token"] = sas.lstrip("?")
    elif key:
        options["account_key"] = key
    return options
