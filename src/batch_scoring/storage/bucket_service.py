"""Open buckets of S3 and Google Cloud Storage with the credentials that their own clients would find."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from obstore.store import GCSStore, ObjectStore, S3Store

from batch_scoring.core.errors import InputError
from batch_scoring.core.loopback import is_loopback
from batch_scoring.storage.known_versions import KnownVersions
from batch_scoring.storage.location import Location

RETRIES = 5
FIRST_WAIT_SECONDS = 0.8
# A request is given up after the first; one that sends a large file after the second.
_PATIENCE, _LONG_PATIENCE = timedelta(seconds=60), timedelta(minutes=30)
# What decides who signs in where: another environment is another client.
_VARIABLES = ("AWS_", "GOOGLE_", "STORAGE_EMULATOR_HOST")


@dataclass
class Bucket:
    """An open bucket.

    Attributes
    ----------
    store : obstore.store.ObjectStore
    patient : obstore.store.ObjectStore
        The same, for large files.
    delta_options : dict
        Storage options of ``deltalake``, which finds the same credentials; they may hold a secret.
    known : KnownVersions
        Versions of its files; shared by all folders of this process.
    is_there : bool
        Whether it is known to exist: a file that is missing and a bucket that is look alike.
    """

    store: ObjectStore
    patient: ObjectStore
    delta_options: dict[str, str] = field(repr=False)
    known: KnownVersions = field(default_factory=KnownVersions)
    is_there: bool = False


def open_bucket(location: Location) -> Bucket:
    """Open the location's bucket; no request is sent yet.

    Raises
    ------
    InputError
        When the client is not installed, or a setting of the environment is not valid.
    """
    environment = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    return _open(location.scheme, location.container, FIRST_WAIT_SECONDS, frozenset(environment.items()))


@cache
def _open(scheme: str, bucket: str, first_wait: float, environment: frozenset[tuple[str, str]]) -> Bucket:
    make, settings = (
        (S3Store, _s3(dict(environment))) if scheme == "s3" else (GCSStore, _gcs(dict(environment)))
    )
    # Five retries: 0.8, 1.6, 3.2, 6.4 and 12.8 seconds.
    backoff = {"init_backoff": timedelta(seconds=first_wait), "max_backoff": timedelta(seconds=15), "base": 2}
    retries = {"max_retries": RETRIES, "retry_timeout": timedelta(minutes=2), "backoff": backoff}

    def opened(patience: timedelta) -> ObjectStore:
        client = {"connect_timeout": timedelta(seconds=10), "timeout": patience, **settings.client}
        # A dict of them is typed key by key.
        options: dict[str, Any] = {"client_options": client, "retry_config": retries, **settings.store}
        return make(bucket, **options)

    return Bucket(opened(_PATIENCE), opened(_LONG_PATIENCE), settings.delta)


@dataclass(frozen=True)
class _Settings:
    """What the two clients are given beside what each reads of the environment itself."""

    store: dict[str, Any]
    client: dict[str, Any]
    delta: dict[str, str] = field(repr=False)


def _s3(environment: Mapping[str, str]) -> _Settings:
    store: dict[str, Any] = {}
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL", "")
    is_plain = endpoint.startswith("http://")
    if is_plain and environment.get("AWS_ALLOW_HTTP", "").lower() != "true":
        _require_loopback("AWS_ENDPOINT_URL", endpoint, "; or set AWS_ALLOW_HTTP=true")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", "")
    if not environment.get("AWS_ACCESS_KEY_ID") and _has_profiles(environment):
        signer, region = _of_profile(region)
        if signer is not None:
            store["credential_provider"] = signer
    found = {"endpoint": endpoint, "region": region}
    store |= {name: value for name, value in found.items() if value}
    delta = {f"aws_{name}": value for name, value in found.items() if value}
    if "credential_provider" in store:
        # By itself it looks for profiles at AWS's own endpoint alone.
        delta["aws_force_credential_load"] = "true"
    return _Settings(store, {"allow_http": is_plain}, delta | {"allow_http": str(is_plain).lower()})


def _gcs(environment: Mapping[str, str]) -> _Settings:
    """Google's clients know their emulators by a variable; such a one asks for no token."""
    emulator = environment.get("STORAGE_EMULATOR_HOST", "")
    if not emulator:
        return _Settings({}, {}, {})
    url = emulator if "://" in emulator else f"http://{emulator}"
    _require_loopback("STORAGE_EMULATOR_HOST", url, ", which is where an emulator runs")
    nobody = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": ""}
    key = json.dumps(nobody | {"private_key_id": ""})
    is_plain = url.startswith("http://")
    return _Settings(
        {"service_account_key": key},
        {"allow_http": is_plain},
        {"google_service_account_key": key, "allow_http": str(is_plain).lower()},
    )


def _require_loopback(variable: str, url: str, otherwise: str) -> None:
    if not is_loopback(url):
        raise InputError(f"{variable}={url}: not valid; expected https, except on this machine{otherwise}")


def _has_profiles(environment: Mapping[str, str]) -> bool:
    """Whether the files of AWS's command line may say who signs in; only then are they read."""
    files = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
    return bool(environment.get("AWS_PROFILE")) or any(
        Path(environment.get(variable) or f"~/.aws/{name}").expanduser().is_file()
        for variable, name in files.items()
    )


def _of_profile(region: str) -> tuple[Callable[[], dict[str, Any]] | None, str]:
    """Return who signs in by these files, None where they do not say, and the region."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    session = Session()
    try:
        found = session.get_credentials()
        region = region or session.get_config_variable("region") or ""
    except BotoCoreError as error:
        raise InputError(f"AWS: {' '.join(str(error).split())}; see AWS_PROFILE and ~/.aws/config") from None
    if found is None:
        return None, region

    def sign_in() -> dict[str, Any]:
        keys = found.get_frozen_credentials()
        # Those of a role are renewed by botocore when they are about to expire.
        until = datetime.now(UTC) + timedelta(minutes=5) if keys.token else None
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": until,
        }

    return sign_in, region
