"""Azure Batch over TLS, signed in as the identity of the machine, as in a container in Azure."""

import pytest
from azure.core.exceptions import ClientAuthenticationError

from batch_scoring.jobs.backends.azure_batch.client import open_client
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from tests.emulators import identity
from tests.emulators.azure_batch.server import AzureBatch
from tests.emulators.certificates import make_certificate
from tests.emulators.tls_router import Target, TlsRouter

JOB = {"id": "j", "poolInfo": {"poolId": "p"}}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    certificate, key = make_certificate(tmp_path / "tls", ["localhost"])
    with AzureBatch(tmp_path / "nodes") as server, identity.IdentityServer() as machine:
        port = int(server.endpoint.rpartition(":")[2])
        monkeypatch.delenv("AZURE_BATCH_ACCESS_KEY", raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        with TlsRouter(certificate, key, 0, {"localhost": Target(port)}) as router:
            yield AzureBatchSettings(endpoint=f"https://localhost:{router.port}", image="x.azurecr.io/i:1")


@pytest.mark.slow
def test_the_identity_of_the_machine_opens_the_account(settings):
    with open_client(settings) as client:
        client.create_job(JOB)
        assert [job.id for job in client.list_jobs()] == ["j"]


@pytest.mark.slow
def test_a_token_for_another_service_opens_nothing(settings, monkeypatch):
    monkeypatch.setattr("tests.emulators.azure_batch.server.AUDIENCE", "https://vault.azure.net")
    with open_client(settings) as client, pytest.raises(ClientAuthenticationError):
        client.create_job(JOB)
