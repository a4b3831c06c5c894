"""Logging in to a registry, over TLS where it is a Container Registry."""

from __future__ import annotations

import json
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.image.registry import SCOPE, TOKEN_USER, Login, exchange, login_for
from tests.emulators.certificates import make_certificate
from tests.emulators.servers import Handler, TlsServer
from tests.secret_scan import secrets_in

pytestmark = pytest.mark.slow  # a server each

USER = {"CONTAINER_REGISTRY_USER": "me", "CONTAINER_REGISTRY_PASSWORD": "hunter2"}


@pytest.fixture
def service(tmp_path, monkeypatch):
    """The exchange of tokens of a Container Registry."""
    asked, answers = [], SimpleNamespace(status=200, body={"refresh_token": "the-refresh-token"})

    class Exchange(Handler):
        def serve(self):
            asked.append((self.path, self.headers["Content-Type"], parse_qs(self.received().decode())))
            self.reply(answers.status, json.dumps(answers.body).encode())

    server = TlsServer(Exchange, make_certificate(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
    yield SimpleNamespace(host=f"127.0.0.1:{server.server_port}", asked=asked, answers=answers)
    server.close()


def test_a_token_is_exchanged_as_the_service_describes(service):
    assert exchange(service.host, "entra-token") == "the-refresh-token"
    ((path, kind, form),) = service.asked
    assert (path, kind) == ("/oauth2/exchange", "application/x-www-form-urlencoded")
    assert form == {
        "grant_type": ["access_token"],
        "service": [service.host],
        "access_token": ["entra-token"],
    }


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {}, "give it the role AcrPush"),
        (200, {}, "expected a token, got an answer with status 200"),
        (500, [], "expected a token, got an answer with status 500"),
    ],
)
def test_what_the_registry_refuses_is_one_sentence_without_the_token(service, status, body, told, caplog):
    service.answers.status, service.answers.body = status, body
    with caplog.at_level("DEBUG"), pytest.raises(InputError, match=told) as error:
        exchange(service.host, "entra-token")
    assert secrets_in((str(error.value) + caplog.text).encode(), ["entra-token"]) == set()


def test_a_registry_that_is_not_there_is_one_sentence():
    with pytest.raises(InputError, match="the registry does not answer"):
        exchange("127.0.0.1:1", "entra-token")


def test_an_azure_registry_is_logged_in_to_by_identity(monkeypatch):
    scopes = []
    credential = SimpleNamespace(get_token=lambda *s: scopes.extend(s) or SimpleNamespace(token="t"))
    exchanged = []
    monkeypatch.setattr(
        "batch_scoring.deploy.image.registry.exchange", lambda *given: exchanged.append(given) or "refresh"
    )
    assert login_for("fleet.azurecr.io", {}, credential) == Login(TOKEN_USER, "refresh")
    assert (scopes, exchanged) == ([SCOPE], [("fleet.azurecr.io", "t")])


def test_no_identity_is_one_sentence():
    from azure.core.exceptions import ClientAuthenticationError

    def fail(*_):
        raise ClientAuthenticationError("a long story")

    with pytest.raises(InputError, match="run `az login`, or set CONTAINER_REGISTRY_USER"):
        login_for("fleet.azurecr.io", {}, SimpleNamespace(get_token=fail))


@pytest.mark.parametrize("registry", ["fleet.azurecr.io", "registry.example:5000"])
def test_a_password_of_the_environment_comes_first(registry):
    assert login_for(registry, USER) == Login("me", "hunter2")


@pytest.mark.parametrize("registry", ["registry.example:5000", "azurecr.io.example", "evil-azurecr.io"])
def test_another_registry_is_never_given_a_token(registry):
    assert login_for(registry, {}) is None


@pytest.mark.parametrize("name", USER)
def test_half_a_login_is_refused(name):
    missing = next(other for other in USER if other != name)
    with pytest.raises(InputError, match=f"{missing}: "):
        login_for("registry.example", {name: "x"})
