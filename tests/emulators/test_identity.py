"""The identity endpoint, by Azure's own clients: a token of it opens Azurite, which asks for one."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from tests.emulators import azurite as emulator
from tests.emulators.certificates import make_certificate
from tests.emulators.identity import Identity, IdentityServer, TokenError, issue, read
from tests.emulators.ports import lasting_port
from tests.waiting import PATIENCE_SECONDS

STORAGE = "https://storage.azure.com"
ONE = Identity("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "/the/one")


@pytest.fixture
def identity(monkeypatch):
    with IdentityServer(Identity(), ONE) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def test_a_token_tells_who_it_is_for_and_of_whom(identity):
    token = DefaultAzureCredential().get_token(f"{STORAGE}/.default")
    assert read(token.token, (STORAGE,))["oid"] == Identity().object_id
    assert token.expires_on > time.time() + 3600
    assert identity.asked == [STORAGE]


def test_an_identity_is_asked_for_by_its_client_id(identity):
    token = ManagedIdentityCredential(client_id=ONE.client_id).get_token(f"{STORAGE}/.default")
    assert read(token.token, (STORAGE,))["oid"] == ONE.object_id


def test_an_identity_that_the_machine_does_not_have_gets_none(identity):
    with pytest.raises(ClientAuthenticationError):
        ManagedIdentityCredential(client_id="another").get_token(f"{STORAGE}/.default")


def test_without_the_header_there_is_no_token(identity):
    assert identity.answer({"api-version": "2018-02-01", "resource": STORAGE}, False)[0] == 400


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (issue("https://vault.azure.net"), "is for https://vault.azure.net"),
        (issue(STORAGE, life_seconds=-1), "has expired"),
        ("nonsense", "is no JSON web token"),
    ],
    ids=["for another", "expired", "nonsense"],  # a token is another one in each worker
)
def test_a_token_for_another_or_of_the_past_is_refused(token, why):
    with pytest.raises(TokenError, match=why):
        read(token, (STORAGE,))


@pytest.fixture
def azurite_with_identities(tmp_path):
    """Azurite over https, which takes tokens of identities."""
    reason = emulator.why_not_there()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    certificate, key = make_certificate(tmp_path / "tls")
    port = lasting_port()
    process = subprocess.Popen(
        [
            *("node", str(emulator.PROGRAM), "--inMemoryPersistence", "--blobHost", "127.0.0.1"),
            *("--blobPort", str(port), "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
            *("--oauth", "basic", "--cert", str(certificate), "--key", str(key)),
        ],
        env=os.environ | {"AZURITE_ACCOUNTS": f"{emulator.ACCOUNT}:{emulator.new_key()}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while "successfully listens" not in (line := process.stdout.readline()):
            assert line, "Azurite did not start"
        yield f"https://127.0.0.1:{port}/{emulator.ACCOUNT}", str(certificate)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.azurite
def test_a_token_opens_blob_storage(identity, azurite_with_identities):
    url, certificate = azurite_with_identities
    service = BlobServiceClient(url, DefaultAzureCredential(), connection_verify=certificate)
    service.create_container("fleet").upload_blob("hello", b"world")
    assert service.get_blob_client("fleet", "hello").download_blob().readall() == b"world"
    with pytest.raises(HttpResponseError):
        BlobServiceClient(
            url, _Wrong(), connection_verify=certificate, retry_total=0
        ).get_account_information()


class _Wrong:
    def get_token(self, *_, **__):
        from azure.core.credentials import AccessToken

        return AccessToken(issue("https://vault.azure.net"), int(time.time()) + 600)
