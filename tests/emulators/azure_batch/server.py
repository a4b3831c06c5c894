"""The stand-in as a server on 127.0.0.1: plain http, signatures checked, every exchange kept."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators import identity
from tests.emulators.azure_batch.account import Account
from tests.emulators.azure_batch.errors import BatchError
from tests.emulators.azure_batch.failures import Failures
from tests.emulators.azure_batch.operations import Answer, Request, answer
from tests.emulators.azure_batch.signatures import is_signed
from tests.emulators.oav import Recorder
from tests.emulators.servers import Handler, Server

ACCOUNT = "batchscoring"
API_VERSION = "2025-06-01"
AUDIENCE = "https://batch.core.windows.net"
LARGEST_BODY = 1 << 20
JSON_TYPE = "application/json; odata=minimalmetadata"


class AzureBatch:
    """A Batch account that runs on this machine; the options are those of :class:`Account`.

    Attributes
    ----------
    key : str
        Of the account.
    account : Account
    failures : Failures
        What the service is to answer wrongly.
    recorder : Recorder
        All exchanges.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.account = Account(folder, **options)
        self.failures, self.recorder = Failures(), Recorder()

    def __enter__(self) -> AzureBatch:
        self._server = _Server(_Handler)
        self._server.batch = self
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self.account.close()

    @property
    def endpoint(self) -> str:
        return self._server.url

    @property
    def faults(self):
        """Of nodes and jobs."""
        return self.account.faults

    def calls(self) -> Counter[str]:
        """How often each kind of call was made: method and path, ids left out."""
        kinds = Counter()
        for one in self.recorder.exchanges:
            steps = one.path.strip("/").split("/")
            shown = [step if index % 2 == 0 else "*" for index, step in enumerate(steps[:4])] + steps[4:5]
            kinds[f"{one.method} /{'/'.join(shown)}"] += 1
        return kinds


class _Server(Server):
    batch: AzureBatch

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, or are sent away, are no errors."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(Handler):
    server: _Server

    def serve(self) -> None:
        batch = self.server.batch
        sent = self.received()
        path = urlsplit(self.path).path
        failure = batch.failures.take(self.command, path)
        try:
            if failure is not None and failure.status is not None:
                raise BatchError(failure.status, failure.code, "A failure on demand.")
            found = self._answer(sent)
        except BatchError as error:
            found = Answer(error.status, error.body())
        if failure is not None and failure.status is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        more = {}
        if failure is not None and failure.retry_after is not None:
            more["Retry-After"] = str(failure.retry_after)
        self._send(sent, found, more)

    def _answer(self, sent: bytes) -> Answer:
        batch = self.server.batch
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not self._may(headers):
            raise BatchError(
                401, "AuthenticationFailed", "Server failed to authenticate the request.\nRequestId:…"
            )
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if query.get("api-version") != API_VERSION:
            raise BatchError(400, "InvalidQueryParameterValue", QueryParameterName="api-version")
        if len(sent) > LARGEST_BODY:
            raise BatchError(413, "RequestBodyTooLarge", "The size of the request body exceeds the maximum.")
        body = None
        if sent:
            if headers.get("content-type", "").replace(" ", "") != JSON_TYPE.replace(" ", ""):
                raise BatchError(415, "UnsupportedMediaType", headers.get("content-type", ""))
            body = json.loads(sent)
        # Whoever asks under another port came through TLS.
        host = headers["host"]
        base = f"http://{host}" if self.server.batch.endpoint.endswith(host) else f"https://{host}"
        return answer(batch.account, Request(self.command, parts.path, query, headers, body, base))

    def _may(self, headers: dict[str, str]) -> bool:
        """Whether whoever asks has a token of an identity, or the account's key."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind == "Bearer":
            try:
                return bool(identity.read(token, (AUDIENCE,)))
            except identity.TokenError:
                return False
        return is_signed(self.command, self.path, headers, ACCOUNT, self.server.batch.key)

    def _send(self, sent: bytes, found: Answer, more: dict[str, str]) -> None:
        is_file = isinstance(found.body, bytes)
        content = found.body if is_file else b"" if found.body is None else json.dumps(found.body).encode()
        headers = {
            "Content-Length": str(len(content)),
            **({} if is_file or found.body is None else {"Content-Type": JSON_TYPE}),
            **found.headers,
            **more,
            "request-id": str(uuid.uuid4()),
            "DataServiceVersion": "3.0",
        }
        # 204 has no body, and says no length of it.
        if found.status == 204:
            del headers["Content-Length"]
        self.send_response(found.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.server.batch.recorder.add(
            *(self.command, self.path, dict(self.headers), sent, found.status, headers, content)
        )
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
