"""Azurite over TLS at the service's own kind of host name, opened by the identity of the machine."""

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

from tests.emulators import azurite, identity
from tests.emulators.certificates import make_certificate

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


@pytest.fixture
def url(tmp_path, monkeypatch):
    if reason := azurite.why_not_there():
        pytest.skip(reason)
    tls = make_certificate(tmp_path / "tls")
    with azurite.Azurite(account="fleet", tls=tls) as storage, identity.IdentityServer() as machine:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[0]))
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        yield storage.url()


def test_a_container_is_made_by_an_identity(url):
    with BlobServiceClient(url, DefaultAzureCredential()) as blobs:
        blobs.create_container("data")
        assert [one.name for one in blobs.list_containers()] == ["data"]


def test_a_token_for_another_service_opens_nothing(url, monkeypatch):
    issue = identity.issue
    monkeypatch.setattr(identity, "issue", lambda _, *more: issue("https://vault.azure.net", *more))
    with BlobServiceClient(url, DefaultAzureCredential()) as blobs, pytest.raises(ClientAuthenticationError):
        blobs.create_container("data")
