"""Serves the stand-in over https on 127.0.0.1, to whoever has a token for it, and keeps every exchange."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken

from tests.emulators.arm.service import Arm
from tests.emulators.batch_ai.answers import Answer
from tests.emulators.certificates import make_certificate
from tests.emulators.identity import TokenError, issue, read
from tests.emulators.oav import Recorder
from tests.emulators.servers import Handler, TlsServer

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
SCOPE = "https://management.azure.com/.default"


class Credential:
    """A signed-in person."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == (SCOPE,), scopes
        return AccessToken(issue(AUDIENCES[0]), int(time.time()) + 3600)


class ArmServer:
    """A running server; ``certificate`` is what clients have to trust.

    Parameters
    ----------
    arm : Arm
    folder : Path
        For a certificate.
    port : int
        0 chooses a free one.
    """

    def __init__(self, arm: Arm, folder: Path, port: int = 0) -> None:
        self.arm, self.recorder = arm, Recorder()
        server = self

        class Owned(_Handler):
            owner = server

        self._server = TlsServer(Owned, make_certificate(folder), port)
        self.certificate, self.port, self.url = (
            self._server.certificate,
            self._server.server_port,
            self._server.url,
        )

    @property
    def writes(self) -> list[str]:
        """What was asked that may change something: method and path."""
        harmless = ("/validate", "/whatIf")
        return [
            f"{one.method} {one.path}"
            for one in self.recorder.exchanges
            if one.method not in ("GET", "HEAD") and not one.path.endswith(harmless)
        ]

    def close(self) -> None:
        self._server.close()
        self.arm.close()

    def __enter__(self) -> ArmServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(Handler):
    owner: ArmServer

    def serve(self) -> None:
        body = self.received()
        answer = self._answer(body)
        if answer.status == 0:
            # What was asked may have been done, and nobody is told.
            self.close_connection = True
            return
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = dict(answer.headers) | {"Content-Length": str(len(content))}
        headers |= {"Content-Type": "application/json; charset=utf-8"} if content else {}
        sent = {name: value for name, value in self.headers.items() if name.lower() != "authorization"}
        self.owner.recorder.add(self.command, self.path, sent, body, answer.status, headers, content)
        self.reply(answer.status, content, headers)

    def _answer(self, body: bytes) -> Answer:
        parts = urlsplit(self.path)
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if kind != "Bearer":
                raise TokenError("The request has no access token.")
            read(token, AUDIENCES)
        except TokenError as error:
            return Answer(401, {"error": {"code": "InvalidAuthenticationToken", "message": str(error)}})
        given = json.loads(body) if body else None
        return self.owner.arm.answer(self.command, parts.path, parts.query, given, self.headers["Host"])
