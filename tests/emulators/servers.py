"""Servers on 127.0.0.1, over http or over https, and what their handlers share."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """A status, headers, and as body a JSON value, or the bytes of a file."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    """Answers requests of any method by ``serve``, and logs nothing."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def serve(self) -> None:
        """Answer a request."""
        raise NotImplementedError

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = lambda self: self.serve()  # noqa: N815

    def received(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send the whole answer; of HEAD, all but the content."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves from now on until it is closed; as a context, for the time of its block.

    Parameters
    ----------
    handler : type
    port : int
        0 chooses a free one.
    """

    daemon_threads = True
    scheme = "http"

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), handler)
        self.open()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def open(self) -> None:
        """Before the first request."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.server_address[0]!s}:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TlsServer(Server):
    """A server with a certificate of its own; ``certificate`` is what clients have to trust.

    Parameters
    ----------
    handler : type
    files : tuple of Path and Path
        Certificate and key; see :func:`.make_certificate`.
    port : int
        0 chooses a free one.
    """

    scheme = "https"

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], files: tuple[Path, Path], port: int = 0
    ) -> None:
        self._files = files
        self.certificate = files[0]
        super().__init__(handler, port)

    def open(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        # The handshake is the handler's, in a thread of its own.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
