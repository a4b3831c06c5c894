"""A token of an identity opens an event hub over TLS, as `DefaultAzureCredential` would bring it."""

import time

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError

from tests.emulators.certificates import make_certificate
from tests.emulators.event_hubs.process import EventHubsProcess
from tests.emulators.event_hubs.tokens import AUDIENCE, check_identity
from tests.emulators.identity import issue
from tests.emulators.tls_router import Target, TlsRouter


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (issue(AUDIENCE, life_seconds=0), "has expired"),
        (issue("https://storage.azure.com"), "is for https://storage.azure.com"),
        ("nonsense", "is no JSON web token"),
        ("a.b.c", "is no JSON web token"),
    ],
    ids=["expired", "for another", "nonsense", "three parts"],  # a token is another one in each worker
)
def test_a_token_that_opens_nothing_is_told_why(given, why):
    assert why in check_identity(given, "sb://h/hub")


def test_a_token_opens_what_it_is_for_until_it_expires():
    grant = check_identity(issue(AUDIENCE + "/", life_seconds=60), "sb://h/hub")
    assert grant.covers("hub", time.time())
    assert not grant.covers("hub", time.time() + 61)


class Credential:
    def __init__(self, audience):
        self.audience = audience

    def get_token(self, *scopes, **_):
        assert scopes == ("https://eventhubs.azure.net//.default",)
        return AccessToken(issue(self.audience), int(time.time()) + 600)


@pytest.mark.slow
def test_an_identity_sends_over_tls(tmp_path, monkeypatch):
    certificate, key = make_certificate(tmp_path / "tls", ["localhost"])
    hubs = EventHubsProcess(tmp_path / "hubs", "telemetry:2", "--identities").start()
    try:
        with TlsRouter(certificate, key, 0, {"localhost": Target(hubs.port)}) as router:
            host, options = "localhost", {"connection_verify": str(certificate), "retry_total": 0}
            # The client goes to the service's own port, which may be taken here.
            monkeypatch.setattr("azure.eventhub._pyamqp._connection.SECURE_PORT", router.port)
            with EventHubProducerClient(host, "telemetry", Credential(AUDIENCE), **options) as producer:
                producer.send_batch([EventData("x")], partition_id="1")
                assert producer.get_partition_properties("1")["last_enqueued_sequence_number"] == 0
            other = EventHubProducerClient(
                host, "telemetry", Credential("https://vault.azure.net"), **options
            )
            with other, pytest.raises(AuthenticationError):
                other.send_batch([EventData("x")], partition_id="1")
    finally:
        hubs.kill()
