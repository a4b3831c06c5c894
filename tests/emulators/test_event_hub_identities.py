"""A token of an identity opens an event hub over TLS, as `DefaultAzureCredential` would bring it."""

import base64
import json
import time

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError

from tests.emulators.certificates import make_certificate
from tests.emulators.event_hubs.process import EventHubsProcess
from tests.emulators.event_hubs.tokens import AUDIENCE, Grant, check_identity
from tests.emulators.tls_router import Target, TlsRouter

NOW = 1_800_000_000


def token(**claims):
    parts = [{"alg": "none"}, {"aud": AUDIENCE, "exp": NOW + 60} | claims]
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "s"]
    )


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (token(), Grant("sb://h/hub", NOW + 60)),
        (token(aud=AUDIENCE + "/"), Grant("sb://h/hub", NOW + 60)),
        (token(exp=NOW), "ExpiredToken: The token is expired."),
        (token(aud="https://storage.azure.com"), "InvalidToken: The token is for https://storage.azure.com."),
        ("nonsense", "InvalidToken: The token is no JSON web token."),
        ("a.b.c", "InvalidToken: The token is no JSON web token."),
    ],
)
def test_a_token_is_judged_by_whom_it_is_for_and_until_when(given, answer):
    assert check_identity(given, "sb://h/hub", NOW) == answer


class Credential:
    def __init__(self, audience):
        self.audience = audience

    def get_token(self, *scopes, **_):
        assert scopes == ("https://eventhubs.azure.net//.default",)
        expires = int(time.time()) + 600
        return AccessToken(token(aud=self.audience, exp=expires), expires)


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
