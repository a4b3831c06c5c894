"""Fixtures of S3 and Google Cloud Storage: a stand-in of each a session, a bucket a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.emulators.faulty_proxy import FaultyProxy, faulty_proxy
from tests.emulators.gcs import Gcs
from tests.emulators.s3 import S3


@dataclass(frozen=True)
class Place:
    """A new bucket.

    Attributes
    ----------
    url : str
        Such as ``s3://b1c2…``.
    service : S3 or Gcs
    """

    url: str
    service: S3 | Gcs


@pytest.fixture(scope="session")
def bucket_services() -> Iterator[dict[str, S3 | Gcs]]:
    """The services by scheme, started when first asked for."""
    with ExitStack() as stack:

        class Started(dict[str, S3 | Gcs]):
            def __missing__(self, scheme: str) -> S3 | Gcs:
                self[scheme] = stack.enter_context({"s3": S3, "gs": Gcs}[scheme]())
                return self[scheme]

        yield Started()


@pytest.fixture
def new_bucket(
    bucket_services: dict[str, S3 | Gcs], monkeypatch: pytest.MonkeyPatch, tmp_path
) -> Callable[[str], Place]:
    """Makes a bucket of a scheme; the environment says where it is, and has a cache of its own."""

    def make(scheme: str) -> Place:
        service = bucket_services[scheme]
        for name in os.environ:
            if name.startswith(("AWS_", "GOOGLE_", "STORAGE_EMULATOR")):
                monkeypatch.delenv(name)
        for name, value in service.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(tmp_path))  # without anybody's ~/.aws
        monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))
        return Place(f"{scheme}://{service.make_bucket()}", service)

    return make


# The stand-in for S3 is a process that imports moto.
ON_S3 = pytest.param("s3", marks=pytest.mark.slow)
# Every storage that is reached over a network.
REMOTE = [pytest.param("abfs", marks=pytest.mark.azurite), ON_S3, "gs"]


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest) -> str:
    """The URL of a new container or bucket of each service."""
    if request.param == "abfs":
        return f"abfs://{request.getfixturevalue('container')}"
    return request.getfixturevalue("new_bucket")(request.param).url


@pytest.fixture
def remote_proxy(
    remote: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    """A proxy through which the environment leads; retries wait for hardly a moment."""
    scheme = remote.partition("://")[0]
    if scheme == "abfs":
        yield request.getfixturevalue("proxy")
        return
    from batch_scoring.storage import bucket_service

    service = request.getfixturevalue("bucket_services")[scheme]
    monkeypatch.setattr(bucket_service, "FIRST_WAIT_SECONDS", 0.01)
    with faulty_proxy(service.port) as running:
        for name, value in service.environment(running.port).items():
            monkeypatch.setenv(name, value)
        yield running


def put_as_another(url: str, data: bytes) -> None:
    """Store a file as another process does: this one does not know its version."""
    if url.startswith("abfs:"):
        from azure.storage.blob import ContainerClient

        container, _, name = url.removeprefix("abfs://").partition("/")
        client = ContainerClient.from_connection_string(
            os.environ["AZURE_STORAGE_CONNECTION_STRING"], container
        )
        client.upload_blob(name, data, overwrite=True)
        return
    import obstore

    from batch_scoring.storage.bucket_service import open_bucket
    from batch_scoring.storage.location import Location

    location = Location.read(url)
    obstore.put(open_bucket(location).store, location.path, data)
