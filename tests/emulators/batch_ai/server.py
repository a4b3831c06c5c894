"""Serves the stand-in over https on 127.0.0.1, to whoever has a token, and keeps every exchange."""

from __future__ import annotations

import http.server
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken

from tests.emulators.batch_ai.answers import Answer
from tests.emulators.batch_ai.service import Service
from tests.emulators.certificates import make_certificate
from tests.emulators.oav.exchanges import Recorder
from tests.emulators.tls_server import TlsServer

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

        class Handler(_Handler):
            owner = server

        self._server = TlsServer(Handler, make_certificate(folder))
        self.certificate, self.url = self._server.certificate, self._server.url

    def close(self) -> None:
        self._server.close()
        self.service.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: BatchAIServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        self.owner.requests += 1
        if self.headers.get("Authorization") != f"Bearer {_TOKEN}":
            error = {"code": "AuthenticationFailed", "message": "There is no token, or a wrong one."}
            answer = Answer(401, {"error": error})
        else:
            answer = self.owner.service.answer(
                *(
                    self.command,
                    parts.path,
                    parts.query,
                    json.loads(body) if body else None,
                    self.headers["Host"],
                )
            )
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = dict(answer.headers) | {"Content-Length": str(len(content))}
        headers |= {"Content-Type": "application/json"} if content else {}
        # What operations lead to is in no description.
        if "/operationresults/" not in parts.path:
            self.owner.recorder.add(
                *(self.command, self.path, dict(self.headers), body, answer.status, headers, content)
            )
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
