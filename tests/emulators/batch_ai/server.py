"""Serves the stand-in over https on 127.0.0.1, to whoever has a token, and keeps every exchange."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken

from tests.emulators.batch_ai.answers import Answer
from tests.emulators.batch_ai.service import Service
from tests.emulators.certificates import make_certificate
from tests.emulators.oav.exchanges import Recorder

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
        self.certificate, key = make_certificate(folder)
        server = self

        class Handler(_Handler):
            owner = server

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        # The handshake is the handler's, in a thread of its own.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
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
