"""Whether a registry has an image, asked of one that wants a password and one that wants a token."""

from __future__ import annotations

import base64
import json

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.image.registry import Login, find_digest
from tests.emulators.certificates import make_certificate
from tests.emulators.servers import Handler, TlsServer

DIGEST = f"sha256:{'0' * 64}"
LOGIN = Login("somebody", "a-password")
BASIC = "Basic " + base64.b64encode(f"{LOGIN.user}:{LOGIN.password}".encode()).decode()


class _Handler(Handler):
    def serve(self):
        return self.token() if self.command == "GET" else self.manifest()

    def token(self):
        fits = self.headers.get("Authorization") == BASIC and "scope=repository" in self.path
        self.reply(200 if fits else 401, json.dumps({"access_token": "a-token"} if fits else {}).encode())

    def manifest(self):
        wanted, realm = self.server.kind, f"https://{self.headers['Host']}/oauth2/token"
        if self.headers.get("Authorization") != (BASIC if wanted == "Basic" else "Bearer a-token"):
            scope = "repository:batch-scoring:pull"
            challenge = f'{wanted} realm="{realm}",service="s",scope="{scope}"'
            self.reply(401, headers={"WWW-Authenticate": challenge})
        else:
            found = self.path == "/v2/batch-scoring/manifests/1.0"
            self.reply(200 if found else 404, headers={"Docker-Content-Digest": DIGEST} if found else {})


@pytest.fixture(params=["Basic", "Bearer"])
def registry(request, tmp_path, monkeypatch):
    server = TlsServer(_Handler, make_certificate(tmp_path))
    server.kind = request.param
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
    yield f"127.0.0.1:{server.server_port}"
    server.close()


@pytest.mark.parametrize(("tag", "digest"), [("1.0", DIGEST), ("2.0", None)])
def test_an_image_is_found_by_its_tag(registry, tag, digest):
    assert find_digest(registry, "batch-scoring", tag, LOGIN) == digest


@pytest.mark.parametrize("login", [None, Login("somebody", "a-wrong-one")])
def test_a_registry_that_does_not_know_us_is_told(registry, login):
    with pytest.raises(InputError, match="AcrPull") as told:
        find_digest(registry, "batch-scoring", "1.0", login)
    assert "a-wrong-one" not in str(told.value)


def test_a_registry_that_is_not_there_is_told():
    with pytest.raises(InputError, match="the registry does not answer"):
        find_digest("127.0.0.1:1", "batch-scoring", "1.0", None)
