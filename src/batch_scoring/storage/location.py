"""Parse URLs of Azure Blob Storage, S3 and Google Cloud Storage into account, container and path."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.loopback import is_loopback

AZURE = ("abfs", "abfss", "az", "https", "http")
BUCKETS = ("s3", "gs")
_FORMS = "abfs://container/path or https://account.blob.core.windows.net/container/path"


@dataclass(frozen=True)
class Location:
    """A path in a container, or in a bucket.

    Attributes
    ----------
    account_url : str
        Such as ``https://account.blob.core.windows.net``; empty where the credentials name the account.
    container : str
        Or the bucket.
    path : str
        Without ``/`` at either end; empty for the container itself.
    scheme : str
        ``abfs``, ``s3`` or ``gs``.
    """

    account_url: str
    container: str
    path: str
    scheme: str = "abfs"

    @classmethod
    def read(cls, url: str) -> Location:
        """Parse a URL.

        Raises
        ------
        InputError
            When it is not a valid URL of a container or bucket, or contains a SAS.

        Examples
        --------
        >>> Location.read("abfs://fleet/data/")
        Location(account_url='', container='fleet', path='data', scheme='abfs')
        >>> Location.read("abfss://fleet@acme.dfs.core.windows.net/data").account_url
        'https://acme.blob.core.windows.net'
        >>> Location.read("https://acme.blob.core.windows.net/fleet/data").container
        'fleet'
        >>> Location.read("s3://fleet/data")
        Location(account_url='', container='fleet', path='data', scheme='s3')
        """
        parts = urlsplit(url)
        if parts.scheme in BUCKETS:
            return _of_bucket(url)
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if parts.query or parts.fragment:
            raise InputError(
                f"{shown}: a URL of data must not contain '?' or '#'; put a SAS into AZURE_STORAGE_SAS_TOKEN "
                "or Kedro's credentials, not into the URL"
            )
        if parts.scheme in ("https", "http"):
            location = _of_web_address(parts.scheme, parts.netloc, unquote(parts.path))
        else:
            location = _of_file_system(parts.netloc, unquote(parts.path))
        if not location.container:
            raise InputError(f"{shown}: the container is missing; expected {_FORMS}")
        require_safe(location.account_url)
        return location

    def joined(self, name: str) -> Location:
        """Return a path below this one."""
        return replace(self, path="/".join(part for part in (self.path, name.strip("/")) if part))

    def __str__(self) -> str:
        start = f"{self.account_url}/" if self.account_url else f"{self.scheme}://"
        return f"{start}{self.container}/{self.path}".rstrip("/")


def require_safe(account_url: str) -> None:
    """Raise for an account that would be accessed unencrypted over a network.

    Raises
    ------
    InputError
    """
    parts = urlsplit(account_url)
    if parts.scheme == "http" and not is_loopback(account_url):
        raise InputError(f"{account_url}: not valid; expected https, except on this machine")


def _of_bucket(url: str) -> Location:
    """Names of objects stand in such URLs as they are, not percent-encoded."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", bucket):
        raise InputError(f"{url}: bucket {bucket!r} is not valid; expected {scheme}://bucket/path")
    return Location("", bucket, path.strip("/"), scheme)


def _of_web_address(scheme: str, host: str, path: str) -> Location:
    first, _, rest = path.strip("/").partition("/")
    account = f"{scheme}://{host}"
    if is_loopback(account):
        # An emulator's URL has the account before the container.
        account = f"{account}/{first}"
        first, _, rest = rest.partition("/")
    return Location(account, first, rest.strip("/"))


def _of_file_system(host: str, path: str) -> Location:
    container, _, account = host.partition("@")
    url = f"https://{account.replace('.dfs.', '.blob.', 1)}" if account else ""
    return Location(url, container, path.strip("/"))
