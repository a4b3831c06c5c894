"""Serves the stand-in over https on 127.0.0.1, to whoever has a token, and keeps every exchange."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken

from tests.emulators.batch_ai.answers import Answer
from tests.emulators.batch_ai.service import Service
from tests.emulators.certificates import make_certificate
from tests.emulators.oav.exchanges import Recorder
from tests.emulators.servers import Handler, TlsServer

_TOKEN = "token-of-the-tests"


class Credential:
    """A signed-in person."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == ("https://management.azure.com/.default",)
        return AccessToken(_TOKEN, int(time.time()) + 3600)


class BatchAIServer:
    """A running server; ``certificate`` is what clients have to trust."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.recorder, self.requests = service, Recorder(), 0
        server = self

        class Owned(_Handler):
            owner = server

        self._server = TlsServer(Owned, make_certificate(folder))
        self.certificate, self.url = self._server.certificate, self._server.url

    def close(self) -> None:
        self._server.close()
        self.service.close()


class _Handler(Handler):
    owner: BatchAIServer

    def serve(self) -> None:
        body = self.received()
        parts = urlsplit(self.path)
        self.owner.requests += 1
        if self.headers.get("Authorization") != f"Bearer {_TOKEN}":
            error = {"code": "AuthenticationFailed", "message": "There is no token, or a wrong one."}
            answer = Answer(401, {"error": error})
        else:
            given = json.loads(body) if body else None
            answer = self.owner.service.answer(
                self.command, parts.path, parts.query, given, self.headers["Host"]
            )
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = dict(answer.headers) | {"Content-Length": str(len(content))}
        headers |= {"Content-Type": "application/json"} if content else {}
        # What operations lead to is in no description.
        if "/operationresults/" not in parts.path:
            self.owner.recorder.add(
                *(self.command, self.path, dict(self.headers), body, answer.status, headers, content)
            )
        self.reply(answer.status, content, headers)
